"""What runs has no more than it needs: no root, nothing to write on, nothing to build with, no secret in the image."""

import io
import tarfile
from typing import Any

import pytest

from tests.containers.deployment import DESK, Deployment

# The first to ask for a deployment waits for its images as well.
pytestmark = [pytest.mark.containers, pytest.mark.timeout(1_800)]

# What installs, compiles or fetches.
TOOLS = ("pip", "pip3", "uv", "gcc", "cc", "g++", "c++", "clang", "make", "git", "curl", "wget")
SHORTEST_SECRET = 16


def test_no_process_runs_as_root(deployment: Deployment) -> None:
    """In every container, the engines' among them, each process has another user than root."""
    for container in deployment.containers():
        told = container.top(ps_args="-eo uid,pid,args")
        uids = {row[0] for row in told["Processes"]}
        assert uids, container.name
        assert "0" not in uids, (container.name, told["Processes"])


def test_root_file_systems_are_read_only(deployment: Deployment) -> None:
    """No container can write on its root file system; ours have no capability and can gain none."""
    for container in deployment.containers():
        host = container.attrs["HostConfig"]
        assert host["ReadonlyRootfs"], container.name
        assert not host["Privileged"], container.name
        assert "no-new-privileges:true" in (host["SecurityOpt"] or []), container.name
        assert host["CapDrop"] == ["ALL"], container.name
        assert host["Memory"] > 0, container.name
    done = deployment.compose("exec", "--no-TTY", DESK, "python", "-c", "open('/opt/jubao/x', 'w')", check=False)
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr


def test_the_origin_alone_is_published(deployment: Deployment) -> None:
    """One container is reached over HTTP and one over Kafka, with a password, both on loopback; the database is not."""
    published = {
        (container.labels["com.docker.compose.service"], bound["HostIp"], int(bound["HostPort"]))
        for container in deployment.containers()
        for bounds in container.ports.values()
        for bound in bounds or ()
    }
    ports = deployment.ports
    assert published == {
        ("gateway", "127.0.0.1", ports["JUBAO_PORT"]), ("kafka-1", "127.0.0.1", ports["JUBAO_KAFKA_PORT"]),
    }  # fmt: skip


def test_the_image_holds_no_tool_to_build_with(deployment: Deployment) -> None:
    """Neither pip nor a compiler is in the image that runs the services."""
    program = f"import shutil, importlib.util as u, json; print(json.dumps([t for t in {TOOLS} if shutil.which(t)] + "
    program += "[m for m in ('pip', 'ensurepip', 'setuptools') if u.find_spec(m)]))"
    assert deployment.inside(DESK, program) == []


def secrets_of(deployment: Deployment) -> set[bytes]:
    """The values of every secret that the deployment made for itself, read where its containers have them."""
    found: set[bytes] = set()
    for container in deployment.containers():
        for mount in container.attrs["Mounts"]:
            if "secret" in mount["Destination"]:
                found |= values_of(container, mount["Destination"])
    return {value for value in found if len(value) >= SHORTEST_SECRET}


def values_of(container: Any, directory: str) -> set[bytes]:
    chunks, _ = container.get_archive(directory)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        files = [archive.extractfile(member) for member in archive.getmembers() if member.isfile()]
        return {file.read().strip() for file in files if file is not None}


def test_no_secret_is_in_an_image_or_a_container_s_settings(deployment: Deployment) -> None:
    """No secret stands in an image's history or settings, nor in what `docker inspect` tells of a container."""
    secrets = secrets_of(deployment)
    assert len(secrets) > 10
    for container in deployment.containers():
        told = f"{container.attrs} {container.image.attrs} {container.image.history()}".encode()
        assert not [value for value in secrets if value in told], container.name


def test_the_database_logs_no_statement_that_failed(deployment: Deployment) -> None:
    """Neither a statement that failed nor the row that violated a constraint is in the log of PostgreSQL."""
    program = (
        "import asyncio, asyncpg\nfrom services.runtime.database import address\n"
        "from services.runtime.settings import Settings\n"
        "async def main():\n"
        "    dsn = address(Settings()).set(drivername='postgresql').render_as_string(hide_password=False)\n"
        "    connection = await asyncpg.connect(dsn)\n"
        "    try:\n        await connection.execute(\"SELECT 'canary-in-a-statement'::uuid\")\n"
        "    except asyncpg.DataError:\n        print('true')\n"
        "asyncio.run(main())\n"
    )
    assert deployment.inside("review", program) is True
    assert "canary" not in deployment.logs("postgres")


def test_no_secret_is_logged(deployment: Deployment) -> None:
    """No container has said a secret."""
    for container in deployment.containers():
        said = container.logs()
        assert not [value for value in secrets_of(deployment) if value in said], container.name

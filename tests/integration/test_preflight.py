"""What a process says when it cannot start: one sentence that names the thing and what to do."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from schemas.topics import TOPICS
from services.cli.stack.ports import free_port
from services.runtime import migrate, preflight
from services.runtime.process import StartRefused
from services.runtime.settings import Settings
from tests.integration.consuming import own_settings


@pytest.fixture(scope="module")
async def prepared(postgres_dsn: str, kafka_address: str) -> Settings:
    """Settings of engines that are as they should be."""
    settings = await own_settings("preflight", postgres_dsn, kafka_address)
    return settings.model_copy(update={"wait_seconds": 0.0})


async def refusal(settings: Settings, *services: str) -> str:
    with pytest.raises(StartRefused) as refused:
        await preflight.check(settings, services)
    said = str(refused.value)
    assert "\n" not in said
    return said


def database_of(settings: Settings, **changed: str) -> Settings:
    parts = urlsplit(settings.database.get_secret_value())
    netloc = changed.get("netloc", parts.netloc)
    return Settings.model_validate(
        {
            **settings.model_dump(),
            "database": urlunsplit(parts._replace(netloc=netloc, path=changed.get("path", parts.path))),
        }
    )


@pytest.mark.parametrize("service", ["intake", "triage", "review", "outcomes", "audit"])
async def test_what_is_prepared_may_start(prepared: Settings, service: str) -> None:
    """A service whose engines, schema and topics are as they should be is let start."""
    await preflight.check(prepared, [service])


async def test_wrong_database_password(prepared: Settings, tmp_path: Path) -> None:
    """A wrong password is told with the login's name and without the password."""
    password = tmp_path / "password"
    password.write_text("not-the-password\n")
    parts = urlsplit(prepared.database.get_secret_value())
    login = f"clerk_{uuid4().hex[:8]}"
    connection = await asyncpg.connect(prepared.database.get_secret_value())
    await connection.execute(f"CREATE ROLE {login} LOGIN PASSWORD 'right'")
    try:
        wrong = database_of(prepared, netloc=f"{login}@{parts.hostname}:{parts.port}")
        said = await refusal(wrong.model_copy(update={"database_password_file": password}), "triage")
    finally:
        await connection.execute(f"DROP ROLE {login}")
        await connection.close()
    assert f"does not let {login} in" in said
    assert "JUBAO_DATABASE_PASSWORD_FILE" in said
    assert "not-the-password" not in said


async def test_missing_secret(prepared: Settings, tmp_path: Path) -> None:
    """A file that a setting names and that is not there is told by the setting's name, before any engine is asked."""
    gone = prepared.model_copy(update={"intake_key_file": tmp_path / "intake.pem", "kafka": "127.0.0.1:1"})
    said = await refusal(gone, "intake")
    assert said.startswith(f"JUBAO_INTAKE_KEY_FILE names {tmp_path / 'intake.pem'}, which is missing; ")


async def test_empty_secret(prepared: Settings, tmp_path: Path) -> None:
    """A secret file with nothing in it is no secret."""
    (tmp_path / "cursor.key").touch()
    said = await refusal(prepared.model_copy(update={"cursor_key_file": tmp_path / "cursor.key"}), "review")
    assert "JUBAO_CURSOR_KEY_FILE" in said
    assert "is empty" in said


async def test_database_of_a_newer_version(prepared: Settings) -> None:
    """A schema at a version that this program does not know is not touched, and whose it is is told."""
    connection = await asyncpg.connect(prepared.database.get_secret_value())
    wanted = migrate.known_versions("outcomes")[0]
    try:
        await connection.execute("UPDATE outcomes.alembic_version SET version_num = '9999'")
        said = await refusal(prepared, "outcomes")
        assert "outcomes is at version 9999, which a newer Jubao" in said
    finally:
        await connection.execute("UPDATE outcomes.alembic_version SET version_num = $1", wanted)
        await connection.close()


async def test_database_without_migrations(prepared: Settings, postgres_dsn: str) -> None:
    """An empty database is told with the command that fills it."""
    name = f"empty_{uuid4().hex[:8]}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE DATABASE {name}")
    try:
        said = await refusal(database_of(prepared, path=f"/{name}"), "review")
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()
    assert "at version nothing" in said
    assert "jubao db upgrade" in said


async def test_too_few_partitions(prepared: Settings) -> None:
    """A topic with fewer partitions than the settings ask for is told with both numbers."""
    topic = next(t for t in TOPICS if t.name == "reports.public.v1")
    more = topic.partitions + 4
    said = await refusal(prepared.model_copy(update={"topic_partitions": more}), "triage")
    assert f"has {topic.partitions} partitions and needs {more}; run `jubao topics create`" in said


async def test_broker_that_never_comes(prepared: Settings) -> None:
    """A broker that is not there is waited for within the bound, and then named."""
    port = free_port()
    begun = asyncio.get_running_loop().time()
    away = prepared.model_copy(update={"kafka": f"127.0.0.1:{port}", "wait_seconds": 1.5})
    said = await refusal(away, "triage")
    assert 1.5 <= asyncio.get_running_loop().time() - begun < 20
    assert said.startswith(f"Kafka at 127.0.0.1:{port} did not answer within 2 s; start it, or correct JUBAO_KAFKA")


async def test_database_that_never_comes(prepared: Settings) -> None:
    """A database that is not there is waited for within the bound, and then named without its password."""
    port = free_port()
    said = await refusal(database_of(prepared, netloc=f"someone:hidden@127.0.0.1:{port}"), "triage")
    assert said.startswith(f"PostgreSQL at 127.0.0.1:{port} did not answer within 0 s; start it")
    assert "hidden" not in said


async def test_broker_that_wants_no_password(prepared: Settings, tmp_path: Path) -> None:
    """A broker without SASL is not taken for one that let us in."""
    (tmp_path / "password").write_text("anything\n")
    sasl = {
        "kafka_security": "sasl_plaintext",
        "kafka_user": "triage",
        "kafka_password_file": str(tmp_path / "password"),
    }
    said = await refusal(Settings.model_validate({**prepared.model_dump(), **sasl}), "triage")
    assert "Kafka at" in said


def test_serve_says_it_in_one_line(tmp_path: Path) -> None:
    """`jubao serve` ends with exit code 1 and the sentence as its one line of standard error."""
    missing = tmp_path / "database.password"
    run = subprocess.run(
        [sys.executable, "-m", "services.cli.main", "serve", "triage.flagged"],
        env={**os.environ, "JUBAO_DATABASE_PASSWORD_FILE": str(missing), "JUBAO_DATABASE": "postgresql://a@127.0.0.1/b"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr == (
        f"JUBAO_DATABASE_PASSWORD_FILE names {missing}, which is missing; make the file with deploy/make-secrets "
        "or name another one.\n"
    )

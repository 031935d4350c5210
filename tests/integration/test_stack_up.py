"""`jubao up`, `status` and `down` as a user runs them, with both engines and all services."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from services.cli.stack.directory import DataDirectory
from services.cli.stack.ports import free_port
from services.cli.stack.state import StackState, read_state

pytestmark = pytest.mark.embedded("which `jubao up` starts and stops")

MOST_IDLE_BYTES = 1536 * 1024 * 1024


def jubao(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUBAO_")}
    argv = [sys.executable, "-m", "services.cli.main", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300, env=environment)


@pytest.fixture
def directory() -> Iterator[DataDirectory]:
    with TemporaryDirectory(prefix="jubao-up-", ignore_cleanup_errors=True) as top:
        yield DataDirectory.of(Path(top, "data"))
        jubao("down", "--data", str(Path(top, "data")))


def state_of(directory: DataDirectory) -> StackState:
    state = read_state(directory)
    assert state is not None
    return state


def family(state: StackState) -> list[psutil.Process]:
    supervisor = psutil.Process(state.supervisor.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def wait_until_healthy(directory: DataDirectory) -> None:
    deadline = time.monotonic() + 60
    while True:
        shown = jubao("status", "--data", str(directory.root), "--json")
        if shown.returncode == 0 and all(service["healthy"] for service in json.loads(shown.stdout)["services"]):
            return
        assert time.monotonic() < deadline, shown.stdout + shown.stderr
        time.sleep(0.5)


def test_a_stack_from_up_to_down(directory: DataDirectory) -> None:
    """One stack: up, up again, what is refused, its memory, a killed service that comes back, down, and up again."""
    data, port = str(directory.root), str(free_port())
    up = jubao("up", "--detach", "--data", data, "--port", port, "--json")
    assert (up.returncode, up.stderr) == (0, "")
    answer = json.loads(up.stdout)
    assert set(answer) == {"http", "kafka", "database", "data", "ready_seconds"}
    assert (answer["http"], answer["data"]) == (f"http://127.0.0.1:{port}", data)

    again = jubao("up", "--detach", "--data", data, "--port", port, "--json")
    assert (again.returncode, json.loads(again.stdout)) == (0, answer)
    refused = jubao("up", "--data", data, "--port", port)
    pid = state_of(directory).supervisor.pid
    assert (refused.returncode, refused.stderr) == (
        1,
        f"A stack is already running in {data}, pid {pid}; `jubao down --data {data}` stops it.\n",
    )
    neighbour = jubao("up", "--detach", "--data", f"{data}2", "--port", port)
    assert neighbour.returncode == 1
    assert neighbour.stderr.startswith(f"Port {port} on 127.0.0.1 is taken")

    running = family(state_of(directory))
    assert sum(process.memory_full_info().pss for process in running) <= MOST_IDLE_BYTES
    shown = {" ".join(process.cmdline()[-2:]) for process in running}
    assert {"serve web", "serve flagged", "serve triage.public", "serve review.public", "serve records"} <= shown
    nice = {process.cmdline()[-1]: process.nice() for process in running if "serve" in process.cmdline()}
    assert nice["triage.public"] > nice["flagged"]

    victim = next(slot for slot in state_of(directory).slots if slot.name == "flagged")
    assert victim.process is not None
    psutil.Process(victim.process.pid).kill()
    wait_until_healthy(directory)
    assert next(slot.starts for slot in state_of(directory).slots if slot.name == "flagged") == 2

    running = family(state_of(directory))
    down = jubao("down", "--data", data)
    assert (down.returncode, down.stdout) == (0, f"Stopped the stack in {data}.\n")
    assert not [process for process in running if process.is_running()]

    second = jubao("up", "--detach", "--data", data, "--port", port, "--json")
    kept = json.loads(second.stdout)
    assert {**kept, "ready_seconds": 0} == {**answer, "ready_seconds": 0}
    assert jubao("down", "--data", data).returncode == 0

"""The supervisor over tiny processes: it restarts what dies, stops all it started, and nothing outlives it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree
from threading import Thread

import psutil
import pytest

from services.cli.stack.directory import DataDirectory
from services.cli.stack.leftovers import stop_stack
from services.cli.stack.state import Phase, SlotState, StackState, read_state

SCRIPT = Path(__file__).with_name("fake_stack.py")
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory.of(tmp_path)


@pytest.fixture
def start(directory: DataDirectory) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def begin(mode: str = "plain", *, ready: bool = True) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(directory.root), mode],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        if ready:
            assert process.stdout is not None
            assert process.stdout.readline().startswith('{"http": ')
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def state_of(directory: DataDirectory) -> StackState:
    state = read_state(directory)
    assert state is not None
    return state


def slot_of(directory: DataDirectory, name: str) -> SlotState:
    return next(slot for slot in state_of(directory).slots if slot.name == name)


def pid_of(directory: DataDirectory, name: str) -> int:
    process = slot_of(directory, name).process
    assert process is not None
    return process.pid


def eventually(what: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def gone(state: StackState) -> bool:
    return not any(identity.process() for identity in state.processes())


@pytest.mark.parametrize("name", ["good", "engine"])
def test_what_is_killed_runs_again_and_the_state_says_so(directory: DataDirectory, start: Start, name: str) -> None:
    """After kill -9 a service or an engine has a new process that stays, and its exit stands in the state."""
    start()
    assert state_of(directory).phase is Phase.READY
    first = pid_of(directory, name)
    psutil.Process(first).kill()
    eventually(lambda: slot_of(directory, name).starts == 2)
    # One that ended at once would have been started a third time by then.
    time.sleep(1)
    slot = slot_of(directory, name)
    assert (slot.starts, slot.last_exit) == (2, -signal.SIGKILL)
    assert slot.process is not None
    assert slot.process.pid != first
    assert psutil.pid_exists(slot.process.pid)


def test_an_engine_is_installed_again_before_it_is_restarted(directory: DataDirectory, start: Start) -> None:
    """What a crashed engine left is cleared before its next start."""
    start()
    psutil.Process(pid_of(directory, "engine")).kill()
    eventually(lambda: slot_of(directory, "engine").starts == 2)
    assert (directory.root / "installed").read_text() == "xx"


def test_a_stopped_process_is_not_taken_for_a_dead_one(directory: DataDirectory, start: Start) -> None:
    """SIGSTOP for a while is no end: the process is the same after SIGCONT."""
    start()
    process = psutil.Process(pid_of(directory, "good"))
    process.suspend()
    time.sleep(1)
    process.resume()
    slot = slot_of(directory, "good")
    assert (slot.starts, slot.last_exit) == (1, None)


@pytest.mark.parametrize("mode", ["plain", "stubborn"])
def test_a_stop_leaves_nothing(directory: DataDirectory, start: Start, mode: str) -> None:
    """TERM ends every child, also one that takes no notice of it, and the supervisor exits with 0."""
    supervisor = start(mode)
    before = state_of(directory)
    supervisor.terminate()
    assert supervisor.wait(15) == 0
    assert gone(before)
    assert read_state(directory) is None
    assert not directory.is_held()


def test_down_stops_also_what_is_suspended(directory: DataDirectory, start: Start) -> None:
    """A suspended service is woken to be stopped, and `down` returns when all are gone."""
    supervisor = start()
    before = state_of(directory)
    psutil.Process(pid_of(directory, "good")).suspend()
    # Somebody has to take note of its end, as init does of a detached one's.
    Thread(target=supervisor.wait, daemon=True).start()
    assert stop_stack(directory)
    assert gone(before)
    assert supervisor.wait(5) == 0
    assert not stop_stack(directory)


def test_nothing_outlives_a_killed_supervisor(directory: DataDirectory, start: Start) -> None:
    """After kill -9 of the supervisor its children are gone at once, and the next start says what happened."""
    supervisor = start()
    before = state_of(directory)
    supervisor.kill()
    supervisor.wait(5)
    eventually(lambda: gone(before), seconds=5)
    again = start()
    again.terminate()
    _, notes = again.communicate(timeout=15)
    assert f"the last supervisor, pid {supervisor.pid}, ended without a clean stop" in notes


def test_a_service_that_cannot_start_ends_the_start(directory: DataDirectory, start: Start) -> None:
    """One sentence names the process and its log, and nothing is left running."""
    supervisor = start("broken", ready=False)
    _, said = supervisor.communicate(timeout=30)
    assert supervisor.returncode == 1
    log = directory.log_of("lazy")
    sentence = f"The service process lazy ended 5 times while starting: it cannot be; see {log}."
    assert said.splitlines()[-1] == sentence
    assert "it cannot be" in log.read_text()
    assert read_state(directory) is None


def test_what_waits_for_a_person_does_not_hold_up_the_rest(directory: DataDirectory, start: Start) -> None:
    """A stack whose part waits for a person alone comes up, and its answer and its log say what that part says."""
    supervisor = start("alarmed", ready=False)
    assert supervisor.stdout is not None
    answer = json.loads(supervisor.stdout.readline())
    assert answer["alarms"] == ["good: log: it was set back", "lazy: log: it was set back"]
    assert state_of(directory).phase is Phase.READY
    supervisor.terminate()
    _, said = supervisor.communicate(timeout=15)
    assert "goes on although good waits for a person: log: it was set back" in said.splitlines()


def test_a_step_that_fails_says_why(directory: DataDirectory, start: Start) -> None:
    """What the step said last stands in the sentence."""
    supervisor = start("unprepared", ready=False)
    _, said = supervisor.communicate(timeout=30)
    log = directory.log_of("some-step")
    assert said.splitlines()[-1] == f"`some step` failed (The step is impossible); see {log}."


def test_whatever_fails_on_a_full_disk_is_told_as_that(directory: DataDirectory, start: Start) -> None:
    """A step that fails while no room is left is explained by the room, which is what a person can mend."""
    supervisor = start("unprepared-full", ready=False)
    _, said = supervisor.communicate(timeout=30)
    assert said.splitlines()[-1].startswith(f"The disk that holds {directory.root} is full")


def test_a_supervisor_whose_directory_is_removed_stops(directory: DataDirectory, start: Start) -> None:
    """Nobody could find it any more, so it leaves nothing running."""
    supervisor = start()
    before = state_of(directory)
    rmtree(directory.root)
    psutil.Process(next(slot.process.pid for slot in before.slots if slot.process)).kill()
    assert supervisor.wait(15) == 0
    assert gone(before)


def test_a_stop_while_starting_is_heard(directory: DataDirectory, start: Start) -> None:
    """TERM before it is ready ends the start, and nothing is left running."""
    supervisor = start("broken", ready=False)
    eventually(lambda: (state := read_state(directory)) is not None and state.slots)
    supervisor.terminate()
    supervisor.communicate(timeout=15)
    assert supervisor.returncode == 0
    assert read_state(directory) is None

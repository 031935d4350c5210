"""Stopping processes that are not our children: those of a supervisor that was killed, or of one to be stopped."""

import os
import signal
import time

import psutil

from services.cli.stack.directory import DataDirectory
from services.cli.stack.state import ProcessId, StackState, read_state

_POLITE_SECONDS = 15.0
_POLL_SECONDS = 0.05
_BURIAL_SECONDS = 3.0
STOP_BOUND_SECONDS = 45.0


def stop_leftovers(directory: DataDirectory) -> list[str]:
    """Ends what a dead supervisor left behind, and says what was found; call it only while holding the directory.

    The kernel has told each child of its parent's death; one that is stopped or stuck may still be there, and two
    brokers on one directory must not be.
    """
    state = read_state(directory)
    if state is None:
        return []
    notes = []
    if state.supervisor.process() is None:
        notes.append(f"the last supervisor, pid {state.supervisor.pid}, ended without a clean stop")
    left = [(slot.name, slot.process, slot.stop_signal) for slot in state.slots if slot.process is not None]
    alive = [(name, identity, number) for name, identity, number in left if identity.process() is not None]
    for name, identity, number in alive:
        notes.append(f"stopping {name}, pid {identity.pid}, left by it")
        _send(identity, signal.Signals(number))
        _send(identity, signal.SIGCONT)
    _end([identity for _, identity, _ in alive], _POLITE_SECONDS)
    return notes


def stop_stack(directory: DataDirectory) -> bool:
    """Asks a stack's supervisor to stop and waits until all it recorded is gone; says whether anything ran.

    After 45 s it is killed, and its children with it.
    """
    state = read_state(directory)
    if state is None or not _alive(state):
        return False
    _send(state.supervisor, signal.SIGTERM)
    _send(state.supervisor, signal.SIGCONT)
    recorded = set(state.processes())
    deadline = time.monotonic() + STOP_BOUND_SECONDS
    while time.monotonic() < deadline:
        # Read again: a child may just have been started anew.
        if (now := read_state(directory)) is not None:
            recorded |= set(now.processes())
        if not any(identity.process() for identity in recorded):
            break
        if state.supervisor.process() is None:
            break
        time.sleep(_POLL_SECONDS)
    # The supervisor first, so that it starts nothing again; what it leaves is then ended one by one.
    _end([state.supervisor], 0.0)
    _end([identity for identity in recorded if identity != state.supervisor], _POLITE_SECONDS)
    _await_burial(state.supervisor)
    return True


def _await_burial(identity: ProcessId) -> None:
    """Gives init a moment to reap a detached supervisor: who counts processes after `down` should find none.

    Some inits look for orphans only every second or two.
    """
    deadline = time.monotonic() + _BURIAL_SECONDS
    while psutil.pid_exists(identity.pid) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _alive(state: StackState) -> bool:
    return any(identity.process() for identity in state.processes())


def _end(identities: list[ProcessId], polite_seconds: float) -> None:
    """Waits for them to go, then kills those that do not, with their groups."""
    deadline = time.monotonic() + polite_seconds
    while any(identity.process() for identity in identities) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for identity in identities:
        process = identity.process()
        if process is None:
            continue
        # A child leads a group of its own; a supervisor in a terminal shares one with the shell.
        if os.getpgid(identity.pid) == identity.pid and polite_seconds:
            os.killpg(identity.pid, signal.SIGKILL)
        else:
            process.kill()
    deadline = time.monotonic() + _POLITE_SECONDS
    while any(identity.process() for identity in identities) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _send(identity: ProcessId, number: signal.Signals) -> None:
    """Signals the process if it is still the one that was recorded."""
    process = identity.process()
    if process is not None:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return

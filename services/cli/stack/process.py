"""Starting and ending one child process so that it can never outlive who started it."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from services.cli.errors import DiskFull, EngineFailed
from services.cli.stack.account import Account
from services.cli.stack.logfile import begin_log, log_tail

_SET_PARENT_DEATH_SIGNAL = 1
_POLL_SECONDS = 0.05
# Loaded before any fork: between fork and exec nothing may be imported or allocated that another thread could hold.
_LIBC = ctypes.CDLL(None, use_errno=True)
# Linux alone has it; elsewhere the next `up` stops what a killed supervisor left.
_HAS_PARENT_DEATH_SIGNAL = sys.platform == "linux"


@dataclass(frozen=True)
class Launch:
    """How one child is started and how it is asked to end."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: Path | None = None
    account: Account | None = None
    """Whom it runs as; none: as whoever runs us."""
    nice: int = 0
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when the supervisor dies, whatever the supervisor died of."""
    stop_seconds: float = 15.0


class Engine(Protocol):
    """PostgreSQL or Kafka: something installed in a directory once, launched, and asked whether it answers."""

    name: str
    log: Path

    def install(self) -> None:
        """Makes what must be on disk before a launch; does nothing when it is there."""

    def launch(self) -> Launch:
        """How to start it."""

    def answers(self) -> bool:
        """Whether it serves requests at this moment; never raises, takes at most a second."""


def _before_exec(launch: Launch, parent_pid: int) -> Callable[[], None]:
    """What the child does between fork and exec.

    It runs after the change of user, which is necessary: the kernel forgets the parent-death signal at that change.
    """
    orphan_signal, nice = int(launch.orphan_signal), launch.nice

    def prepare() -> None:
        if _HAS_PARENT_DEATH_SIGNAL:
            _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, orphan_signal, 0, 0, 0)
        if os.getppid() != parent_pid:
            # The parent died before the signal was arranged; nobody would ever stop us.
            os._exit(1)
        if nice:
            os.nice(nice)

    return prepare


def spawn(launch: Launch) -> subprocess.Popen[bytes]:
    """Starts the child in its own process group, its output in its log, bound to this thread's life.

    The kernel's parent-death signal follows the thread that forked, so call this from the main thread only.
    """
    with begin_log(launch.log) as log:
        account = launch.account
        return subprocess.Popen(  # noqa: S603 -- argv is assembled by this package
            launch.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(launch.env),
            cwd=launch.cwd,
            process_group=0,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=_before_exec(launch, os.getpid()),  # noqa: PLW1509 -- only prctl, getppid and nice; see _LIBC
        )


def stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals, seconds: float) -> int:
    """Asks the child to end, waits, kills its group if it does not; gives its exit code."""
    if process.poll() is None:
        process.send_signal(stop_signal)
        # A stopped (SIGSTOP) child would never see the request.
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            kill_group(process)
    return process.wait()


def end_all(
    running: Sequence[tuple[Launch, subprocess.Popen[bytes]]], *, impatient: Callable[[], bool] = lambda: False
) -> None:
    """Ends many at once: asks all, then waits for each as long as its launch grants, then kills.

    `impatient` is asked while waiting; once it says yes, nobody is waited for any more.
    """
    begun = time.monotonic()
    for launch, process in running:
        if process.poll() is None:
            process.send_signal(launch.stop_signal)
            process.send_signal(signal.SIGCONT)
    for launch, process in running:
        while process.poll() is None and time.monotonic() - begun < launch.stop_seconds and not impatient():
            time.sleep(_POLL_SECONDS)
        if process.poll() is None:
            kill_group(process)
        process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Ends the child and whatever it started, at once."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def await_answer(engine: Engine, process: subprocess.Popen[bytes], seconds: float) -> None:
    """Waits until a launched engine serves requests.

    Raises:
        DiskFull: it ended for want of room.
        EngineFailed: it ended, or `seconds` passed without an answer.
    """
    deadline = time.monotonic() + seconds
    while not engine.answers():
        if (code := process.poll()) is not None:
            raise failure(engine.name, f"ended with code {code} while starting", engine.log)
        if time.monotonic() > deadline:
            raise failure(engine.name, f"did not answer within {seconds:.0f} s", engine.log)
        time.sleep(_POLL_SECONDS)


def failure(name: str, what: str, log: Path) -> DiskFull | EngineFailed:
    """The error for a child that did not come up; a full disk has its own, since its cure is another."""
    if b"No space left on device" in log_tail(log):
        return DiskFull(log.parent)
    return EngineFailed(name, what, log)


@contextmanager
def running(engine: Engine, seconds: float = 60.0) -> Iterator[None]:
    """An engine for the length of a block, without a supervisor: for tests and benchmarks."""
    engine.install()
    launch = engine.launch()
    process = spawn(launch)
    try:
        await_answer(engine, process, seconds)
        yield
    finally:
        stop(process, launch.stop_signal, launch.stop_seconds)

"""One child that is to run always: started, and started again when it ends, less and less often while it fails."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.cli.errors import StackError
from services.cli.stack.logfile import bound_log
from services.cli.stack.process import Launch, spawn
from services.cli.stack.state import ProcessId, SlotState
from services.runtime.clock import Clock

FIRST_BACKOFF_SECONDS = 0.2
MOST_BACKOFF_SECONDS = 15.0
HEALTHY_AFTER_SECONDS = 30.0

Note = Callable[[str], None]


def backoff_seconds(failures: int) -> float:
    """How long to wait before the next start after so many short lives in a row."""
    # The exponent is bounded: after a night of failures 2 ** failures would be no float any more.
    return min(MOST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(max(failures - 1, 0), 16))


@dataclass(frozen=True)
class Slot:
    """What is kept running in one place, and how one sees that it is ready."""

    launch: Launch
    health: str = ""
    """`http://HOST:PORT` or `unix:PATH`; empty for what is asked in another way."""
    probes: tuple[str, ...] = ()
    """Paths that answer 200 there when it is ready."""


class Child:
    """Keeps one slot running.

    Args:
        slot: what to run.
        clock: for `since`.
        note: takes a line for the supervisor's log.
        before: run before every start; an error there counts as a start that failed.
        monotonic: seconds that never jump; backoff goes by them.
    """

    def __init__(
        self,
        slot: Slot,
        *,
        clock: Clock,
        note: Note,
        before: Callable[[], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slot = slot
        self.state = SlotState(slot.launch.name, slot.health, int(slot.launch.stop_signal))
        self.process: subprocess.Popen[bytes] | None = None
        self.exits = 0
        self._clock = clock
        self._note = note
        self._before = before
        self._monotonic = monotonic
        self._failures = 0
        self._started = 0.0
        self._due = 0.0

    @property
    def name(self) -> str:
        """The slot's."""
        return self.slot.launch.name

    def start(self) -> None:
        """Starts it now.

        Raises:
            OSError: it could not be started at all.
        """
        self.process = spawn(self.slot.launch)
        self._started = self._monotonic()
        self.state.process = ProcessId.of(self.process.pid)
        self.state.starts += 1
        self._changed()

    def tend(self) -> bool:
        """Notices an end, starts again when it is time; says whether anything changed."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return False
            self._ended(code)
            return True
        if self._monotonic() < self._due:
            return False
        try:
            if self._before is not None:
                self._before()
            self.start()
        except (OSError, StackError) as refused:
            self._note(f"{self.name} could not be started: {refused}")
            self._wait_again()
        return True

    def waits_seconds(self) -> float | None:
        """How long until it is to be started again; none while it runs."""
        return None if self.process is not None else max(0.0, self._due - self._monotonic())

    def bound_log(self) -> None:
        """Keeps its log from growing without end."""
        bound_log(self.slot.launch.log)

    def forget(self) -> None:
        """It was stopped on purpose."""
        if self.process is not None:
            self.state.last_exit = self.process.poll()
        self.process = None
        self.state.process = None
        self._changed()

    def _ended(self, code: int) -> None:
        self.process = None
        self.state.process = None
        self.state.last_exit = code
        self.exits += 1
        if self._monotonic() - self._started >= HEALTHY_AFTER_SECONDS:
            self._failures = 0
        waits_seconds = self._wait_again()
        self._note(f"{self.name} ended with code {code}; starting it again in {waits_seconds:.1f} s")
        self._changed()

    def _wait_again(self) -> float:
        self._failures += 1
        seconds = backoff_seconds(self._failures)
        self._due = self._monotonic() + seconds
        return seconds

    def _changed(self) -> None:
        self.state.since = self._clock.now().isoformat(timespec="milliseconds")

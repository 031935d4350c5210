"""Signals for a supervisor that sleeps until something happens: a child ends, or someone asks it to stop."""

import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopAsked(BaseException):
    """The supervisor was told to stop while it was still starting."""


class Signals:
    """Turns signals into a flag and a wake-up; only one may be in use in a process, on its main thread."""

    def __init__(self) -> None:
        self.stops = 0
        """How often a stop was asked for; the second time is impatience."""
        self._raising = False
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0)
        self._writer.settimeout(0)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Takes the signals for the length of a block."""
        before = {number: signal.signal(number, self._asked) for number in STOP_SIGNALS}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        descriptor = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._reader.close()
            self._writer.close()

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within the block a stop is raised at once, for work that waits somewhere inside.

        Raises:
            StopAsked: a stop was asked for.
        """
        self._raising = True
        try:
            self.check()
            yield
        finally:
            self._raising = False

    def check(self) -> None:
        """Raises StopAsked if a stop was asked for."""
        if self.stops:
            raise StopAsked

    def wait(self, seconds: float) -> None:
        """Sleeps until a signal came or the time is over."""
        ready, _, _ = select.select([self._reader], [], [], max(0.0, seconds))
        if ready:
            self._reader.recv(4096)

    def _asked(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- Python's signature
        self.stops += 1
        if self._raising:
            self._raising = False
            raise StopAsked

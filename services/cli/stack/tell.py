"""The two ears of a supervisor: whoever started it in the foreground, or waits for it at the end of a pipe."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from services.cli.stack.state import Answer
from services.runtime.clock import Clock


class Foreground:
    """Tells a person at a terminal, or the log that standard error goes to.

    Args:
        clock: for the times of notes.
        show: takes what is being done now, for someone who watches.
        ready: called with the answer once all is ready.
    """

    def __init__(self, clock: Clock, *, show: Callable[[str], None], ready: Callable[[Answer], None]) -> None:
        self._clock = clock
        self._show = show
        self._ready = ready
        self._said = ""

    def step(self, text: str) -> None:
        """Shown once, however often it is told."""
        if text != self._said:
            self._said = text
            self._show(text)

    def note(self, text: str) -> None:
        """A line with its time."""
        # On a full disk the log takes nothing more; the work, and the answer to whoever waits, go on.
        with suppress(OSError):
            click.echo(f"{self._clock.now().isoformat(timespec='milliseconds')} {text}", err=True)

    def ready(self, answer: Answer) -> None:
        """Prints the answer."""
        self._ready(answer)


class Detached:
    """Tells the command that started it, in JSON lines through a pipe, until it is ready; notes go to its log."""

    def __init__(self, clock: Clock, descriptor: int) -> None:
        self._foreground = Foreground(clock, show=lambda _: None, ready=lambda _: None)
        self._descriptor: int | None = descriptor
        self._said = ""

    def step(self, text: str) -> None:
        """Says it once, however often it is told."""
        if text != self._said:
            self._said = text
            self._send({"step": text})

    def note(self, text: str) -> None:
        """A line of the log."""
        self._foreground.note(text)

    def ready(self, answer: Answer) -> None:
        """Says it and lets go of the pipe."""
        self._send({"ready": dict(answer)})
        self._hang_up()

    def failed(self, sentence: str) -> None:
        """Why it will not become ready."""
        self.note(sentence)
        self._send({"error": sentence})
        self._hang_up()

    def _send(self, message: dict[str, Any]) -> None:
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            # Whoever waited has gone; the stack was asked for all the same.
            self._hang_up()

    def _hang_up(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

"""What the demonstration promised and did not find; and waiting, which has an end."""

import time
from collections.abc import Callable
from typing import TypeVar

from services.cli.errors import CliError

T = TypeVar("T")


class NotAsPromised(CliError):
    """A step answered otherwise than it should."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        super().__init__(f"The demonstration did not hold: {what}; {remedy}.")


class Late(NotAsPromised):
    """A step did not come about in time."""

    def __init__(self, what: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"{what} within {seconds:.0f} s", "look with `jubao status` and run it again")


def awaited(ask: Callable[[], T | None], *, what: str, seconds: float, pause_seconds: float) -> T:
    """The first answer that is one.

    Args:
        ask: gives the answer, or none while there is none.
        what: what did not happen, if it does not.
        seconds: how long to go on asking.
        pause_seconds: between two questions.

    Raises:
        Late: the time is over.
    """
    deadline = time.monotonic() + seconds
    while (answer := ask()) is None:
        if time.monotonic() > deadline:
            raise Late(what, seconds)
        time.sleep(pause_seconds)
    return answer

"""Whether a part works, and in a person's words what it waits for."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Health:
    """`detail` is empty, or says what a person should know."""

    healthy: bool
    detail: str = ""
    alarm: bool = False
    """Unhealthy until a person has decided something: waiting mends nothing, and what else runs goes on without it."""


class Worker(Protocol):
    """Something that runs beside the HTTP app of a process, or instead of one."""

    name: str

    async def start(self) -> None:
        """Begins; returns when it runs."""

    async def stop(self) -> None:
        """Finishes what is in hand and ends."""

    def health(self) -> Health:
        """How it fares now."""

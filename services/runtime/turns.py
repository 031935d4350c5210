"""How many calls of one caller are worked on at once: the rest wait, so that one's flood is not everybody's queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

MOST_AT_ONCE: Final = 32


class Turns:
    """The turns of all callers of one process; whoever has no call in hand is not remembered.

    Args:
        most_at_once: of one caller. Those that wait are bounded by the connections that a process takes.
    """

    def __init__(self, most_at_once: int = MOST_AT_ONCE) -> None:
        self._most_at_once = most_at_once
        self._callers: dict[str, tuple[asyncio.Semaphore, int]] = {}

    def __len__(self) -> int:
        return len(self._callers)

    @asynccontextmanager
    async def of(self, caller: str) -> AsyncIterator[None]:
        """Waits for a turn of this caller, in the order of its calls, and has it for as long as the block lasts."""
        turn, calls = self._callers.get(caller) or (asyncio.Semaphore(self._most_at_once), 0)
        self._callers[caller] = (turn, calls + 1)
        try:
            async with turn:
                yield
        finally:
            calls = self._callers[caller][1] - 1
            if calls:
                self._callers[caller] = (turn, calls)
            else:
                del self._callers[caller]

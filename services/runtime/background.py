"""A worker that is one task, kept running: what it does not foresee is logged and tried again, not the end of it."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress

from services.runtime.database import pause_seconds
from services.runtime.logs import logger, where_raised

log = logger(__name__)

_FIRST_PAUSE_SECONDS = 0.5
_MOST_PAUSE_SECONDS = 15.0


class Background(ABC):
    """Start, stop and revival of a worker whose work is the endless or one-time `_run`.

    Args:
        name: what logs and health call it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._task: asyncio.Task[None] | None = None
        self._defect = ""

    async def start(self) -> None:
        """Begins; does not wait for the engines."""
        self._task = asyncio.create_task(self._kept_running(), name=self.name)

    async def stop(self) -> None:
        """Ends it; a transaction in hand is rolled back, for whoever comes next."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    @abstractmethod
    async def _run(self) -> None:
        """The work. Errors that it can foresee it handles itself."""

    def _stopped_for(self) -> str:
        """Why nothing is being done, in a person's words; empty while it runs."""
        if self._task is None:
            return f"{self.name} was not started"
        return self._defect

    async def _kept_running(self) -> None:
        attempt = 0
        while True:
            try:
                await self._run()
            except Exception as error:  # noqa: BLE001 -- the task's edge: it would end unseen
                kind, where = type(error).__name__, where_raised(error)
                self._defect = f"{self.name} fails with {kind} at {where}"
                log.error("worker_failed", worker=self.name, error=kind, where=where)  # noqa: TRY400 -- its text may quote
                await asyncio.sleep(pause_seconds(attempt, _FIRST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS))
                attempt += 1
                self._defect = ""
            else:
                return

"""Looks after the queue without being asked: ended leases, the later parts of large decisions, overload."""

import asyncio
from contextlib import suppress
from time import monotonic
from typing import Final

from schemas.vocabulary import AlertCode
from services.review.events import alarm
from services.review.store import claims, decisions
from services.review.store import overload as figures
from services.runtime.database import Connection, Database, DatabaseError
from services.runtime.health import Health
from services.runtime.identity import new_id
from services.runtime.logs import logger
from services.runtime.problems import DatabaseAway

log = logger(__name__)

_EVERY_SECONDS: Final = 0.25
_OVERLOAD_EVERY_SECONDS: Final = 60.0


class Sweeper:
    """Runs beside the HTTP app. Several may run: each takes the cases that no other has in hand.

    Args:
        database: review's.
    """

    name = "review.sweeper"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None
        self._trouble = ""
        self._looked_at = 0.0

    async def start(self) -> None:
        """Begins to sweep."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Stops; a sweep in hand is rolled back and done by the next."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def health(self) -> Health:
        """Unhealthy when it does not run, or while the database is away."""
        if self._task is None or self._task.done():
            return Health(healthy=False, detail="the sweeper does not run")
        return Health(healthy=not self._trouble, detail=self._trouble)

    async def watch_load(self) -> bool:
        """Raises the overload alarm if it is due; whether it did."""

        async def work(connection: Connection) -> bool:
            load = await figures.load(connection)
            if not load.is_overload:
                return False
            return await figures.raise_once(connection, AlertCode.OVERLOAD, load.at, alarm(load, new_id()))

        return await self._database.transact(work)

    async def _run(self) -> None:
        while True:
            try:
                found = await self._database.transact(claims.sweep)
                more = await self._database.transact(decisions.publish_rest)
                if found:
                    log.info("leases_swept", count=found)
                if monotonic() - self._looked_at >= _OVERLOAD_EVERY_SECONDS:
                    self._looked_at = monotonic()
                    if await self.watch_load():
                        log.warning("overload")
                self._trouble = ""
            except (DatabaseAway, DatabaseError) as error:
                found, more = 0, False
                self._trouble = f"leases that ended are not put back: {type(error).__name__}"
                log.warning("sweep_failed", error=type(error).__name__)
            if found < claims.SWEEP_CASES and not more:
                await asyncio.sleep(_EVERY_SECONDS)

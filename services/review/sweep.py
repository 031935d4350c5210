"""Looks after the queue without being asked: ended leases, the later parts of large decisions, overload."""

import asyncio
from time import monotonic
from typing import Final

from schemas.vocabulary import AlertCode
from services.review.events import alarm
from services.review.store import claims, decisions
from services.review.store import overload as figures
from services.runtime.background import Background
from services.runtime.database import Connection, Database, DatabaseError
from services.runtime.health import Health
from services.runtime.identity import new_id
from services.runtime.logs import logger
from services.runtime.problems import DatabaseAway

log = logger(__name__)

_EVERY_SECONDS: Final = 0.25
_OVERLOAD_EVERY_SECONDS: Final = 60.0


class Sweeper(Background):
    """Runs beside the HTTP app. Several may run: each takes the cases that no other has in hand.

    Args:
        database: review's.
    """

    def __init__(self, database: Database) -> None:
        super().__init__("review.sweeper")
        self._database = database
        self._trouble = ""
        self._looked_at = 0.0

    def health(self) -> Health:
        """Unhealthy when it does not run, or while the database is away."""
        trouble = self._stopped_for() or self._trouble
        return Health(healthy=not trouble, detail=trouble)

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

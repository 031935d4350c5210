"""Forgets what nobody can ask for again, a few rows at a time so that no report waits behind it."""

import asyncio
from datetime import timedelta
from typing import Final

from services.intake import store
from services.intake.reception import REPEAT_KEPT
from services.runtime.background import Background
from services.runtime.clock import Clock
from services.runtime.database import Database
from services.runtime.health import Health
from services.runtime.logs import logger
from services.runtime.problems import DatabaseAway

log = logger(__name__)

SUBMISSION_KEPT: Final = timedelta(days=30)
"""How long intake knows what a report id was used for. Review knows it as long as it has the report."""

DAY_KEPT: Final = timedelta(days=30)
"""How long it keeps how many reports a source sent on a day; only that day's own reports ask for it."""

_EVERY_SECONDS: Final = 60.0
_MOST_ROWS: Final = 1_000
_MOST_ROUNDS: Final = 100


class Sweeper(Background):
    """Deletes expired nonces, idempotency keys, submissions and counted days."""

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__("intake.sweeper")
        self._database = database
        self._clock = clock

    def health(self) -> Health:
        """Healthy while it runs; a sweep that failed is made up for by the next."""
        trouble = self._stopped_for()
        return Health(healthy=not trouble, detail=trouble)

    async def sweep(self, most_rows: int = _MOST_ROWS) -> int:
        """Deletes all that has expired, up to a bound; how many rows."""
        now = self._clock.now()
        befores = (now - REPEAT_KEPT, now - SUBMISSION_KEPT, now - DAY_KEPT)
        gone = 0
        for _ in range(_MOST_ROUNDS):
            swept = await self._database.transact(lambda connection: store.sweep(connection, befores, most_rows))
            gone += swept
            if not swept:
                break
        return gone

    async def _run(self) -> None:
        while True:
            try:
                if gone := await self.sweep():
                    log.info("swept", rows=gone)
            except DatabaseAway:
                log.warning("sweep_failed", why="database_away")
            await asyncio.sleep(_EVERY_SECONDS)

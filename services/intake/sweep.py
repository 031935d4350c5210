"""Forgets what nobody can ask for again, a few rows at a time so that no report waits behind it."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

from services.intake import store
from services.intake.reception import REPEAT_KEPT
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


class Sweeper:
    """Deletes expired nonces, idempotency keys, submissions and counted days."""

    name = "intake.sweeper"

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to sweep, now and every minute."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Stops; what is left is for the next run."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def health(self) -> Health:
        """Healthy while it runs; a sweep that failed is made up for by the next."""
        runs = self._task is not None and not self._task.done()
        return Health(healthy=runs, detail="" if runs else "the sweeper does not run")

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

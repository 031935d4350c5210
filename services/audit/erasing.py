"""Erasures, carried out: reports are found in the log, its own private parts go, and the others are told.

Each step is one transaction, and the next begins where it ended; whatever dies in between, nothing is left out.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from time import monotonic
from typing import Final

from schemas.vocabulary import Basis
from services.audit.store import entries, erasing
from services.audit.telling import order_messages
from services.runtime.background import Background
from services.runtime.clock import Clock
from services.runtime.database import Connection, Database, DatabaseError
from services.runtime.health import Health
from services.runtime.identity import new_id
from services.runtime.logs import logger
from services.runtime.outbox import enqueue
from services.runtime.problems import DatabaseAway

log = logger(__name__)

RETENTION: Final = "retention"

_LOOK_SECONDS: Final = 0.5
_ENTRIES_A_STEP: Final = 5_000
_MOST_STEPS: Final = 100


class Eraser(Background):
    """Runs beside the log's writer. Several may run: each erasure is in the hands of one at a time.

    Args:
        database: audit's.
        clock: for the times of what it does.
        terms: how long the text of decided reports is kept, by class.
        every_seconds: how often it looks whose time is over.
    """

    def __init__(
        self, database: Database, clock: Clock, terms: Mapping[str, timedelta], *, every_seconds: float
    ) -> None:
        super().__init__("audit.eraser")
        self._database, self._clock, self._terms = database, clock, terms
        self._every_seconds = every_seconds
        self._trouble = ""

    def health(self) -> Health:
        """Unhealthy when it does not run, or while the database is away."""
        trouble = self._stopped_for() or self._trouble
        return Health(healthy=not trouble, detail=trouble)

    async def step(self) -> bool:
        """Carries the oldest erasure one step on; false where none is open."""

        async def work(connection: Connection) -> bool:
            erasure = await erasing.open_erasure(connection)
            if erasure is None:
                return False
            at = self._clock.now()
            if erasure.found_at is None:
                await erasing.look(connection, erasure, await entries.size(connection), at)
                return True
            # Nothing is appended about these reports while their private parts go.
            await entries.hold(connection)
            part = await erasing.next_part(connection, erasure, at)
            if part is not None:
                await enqueue(connection, order_messages(part, at))
            return True

        return await self._database.transact(work)

    async def retain(self) -> int:
        """Orders the erasure of what has been kept for its time, a bounded number; how many reports."""
        count = 0
        for priority, term in self._terms.items():
            for _ in range(_MOST_STEPS):
                found, more = await self._retain_step(priority, term)
                count += found
                if not more:
                    break
        return count

    async def _retain_step(self, priority: str, term: timedelta) -> tuple[int, bool]:
        at = self._clock.now()

        async def work(connection: Connection) -> tuple[int, bool]:
            aged = await erasing.aged(connection, priority, at - term, _ENTRIES_A_STEP)
            if aged.reports:
                ground = f"kept for {term.days} days after the decision, as set for {priority}"
                wanted = erasing.Want(new_id(), Basis.RETENTION, ground, RETENTION, at, reports=aged.reports)
                await erasing.want(connection, wanted)
            return len(aged.reports), aged.more

        return await self._database.transact(work)

    async def _run(self) -> None:
        looked_at = -self._every_seconds
        while True:
            more = False
            try:
                if monotonic() - looked_at >= self._every_seconds:
                    looked_at = monotonic()
                    if count := await self.retain():
                        log.info("retention_over", reports=count)
                more = await self.step()
                self._trouble = ""
            except (DatabaseAway, DatabaseError) as error:
                self._trouble = f"erasures wait: {type(error).__name__}"
                log.warning("erasure_waits", error=type(error).__name__)
            if not more:
                await asyncio.sleep(_LOOK_SECONDS)

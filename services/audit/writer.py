"""One writer: of all processes that could write the log one does, and another takes over when that one is gone."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from services.audit.standing import LogRefused
from services.audit.store import turn
from services.runtime import metrics
from services.runtime.background import Background
from services.runtime.broker import Subscribed, Subscription
from services.runtime.database import Database, pause_seconds
from services.runtime.health import Health
from services.runtime.logs import logger
from services.runtime.problems import Unavailable

log = logger(__name__)

_WATCH_SECONDS = 1.0
_MOST_PAUSE_SECONDS = 5.0
_EXAMINE_SECONDS = 5.0


class Writing(Protocol):
    """A worker that writes the log for one turn, and stops itself where it must not."""

    @property
    def refused(self) -> str:
        """Why nothing may be written any more; empty while it may."""

    async def start(self) -> None:
        """Begins, or raises LogRefused."""

    async def stop(self) -> None:
        """Finishes what is in hand."""

    def health(self) -> Health:
        """How it fares."""


class OneWriter(Background):
    """Runs a worker while this process alone holds the turn to write; until then it waits and says so.

    The turn keeps two writers from taking batches from each other. That the log has one order does not rest on it: an
    append holds the log's head, and the offsets are fenced. A log that must not be written to keeps its turn, so that
    no other process tries either; it is examined again and again, for a restored one may be written to.

    Args:
        database: the log's.
        make: a new worker for each turn.
    """

    def __init__(self, database: Database, make: Callable[[], Writing]) -> None:
        super().__init__("audit.consume")
        self._database, self._make = database, make
        self._worker: Writing | None = None
        self._waits_for = "waits for its turn to write"
        self._standby = False
        self._alarm = False

    def subscriptions(self) -> Sequence[Subscription]:
        """What the writer reads by when it has its turn."""
        worker = self._make()
        return worker.subscriptions() if isinstance(worker, Subscribed) else ()

    def health(self) -> Health:
        """The worker's; without one, healthy only if another process is known to write."""
        if trouble := self._stopped_for():
            return Health(healthy=False, detail=trouble)
        if self._worker is not None:
            return self._worker.health()
        return Health(healthy=self._standby, detail=self._waits_for, alarm=self._alarm)

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                async with turn.turn_to_write(self._database) as held:
                    while not await held.take():
                        self._wait("another process writes the log; stands by to take over", standby=True)
                        await asyncio.sleep(_WATCH_SECONDS)
                    attempt = 0
                    await self._write_unless_refused(held)
            except (Unavailable, OSError) as error:
                self._wait(f"waits for an engine: {type(error).__name__}", standby=False)
                log.warning("writer_waits", error=type(error).__name__)
                await asyncio.sleep(pause_seconds(attempt, 0.2, _MOST_PAUSE_SECONDS))
                attempt += 1

    async def _write_unless_refused(self, held: turn.Turn) -> None:
        while True:
            try:
                await self._write(held)
            except LogRefused as refusal:
                self._wait(refusal.why, standby=False, alarm=True)
                metrics.LOG_REFUSED.set(1)
                log.error("log_refused", why=refusal.why)  # noqa: TRY400 -- the sentence says it all
                await asyncio.sleep(_EXAMINE_SECONDS)
                await held.confirm()

    async def _write(self, held: turn.Turn) -> None:
        worker = self._make()
        try:
            await worker.start()
            self._worker = worker
            metrics.LOG_REFUSED.set(0)
            while not worker.refused:
                await asyncio.sleep(_WATCH_SECONDS)
                await held.confirm()
            raise LogRefused(worker.refused)
        finally:
            self._worker = None
            await worker.stop()

    def _wait(self, what: str, *, standby: bool, alarm: bool = False) -> None:
        self._waits_for, self._standby, self._alarm = what, standby, alarm

"""The batch consumer: raw records in, one transaction, offsets fenced by epoch, then an explicit commit per partition.

What each step guards against is told in docs/consumer.md; facts that led here are in the decision records.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from time import perf_counter
from typing import Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.topics import Topic
from services.runtime import metrics, offsets
from services.runtime.administration import cluster_id
from services.runtime.broker import Place, Record, Subscription
from services.runtime.database import Database, Fault, constraint_of, fault_of, pause_seconds, sqlstate
from services.runtime.dead import Refused, Rejection, bury
from services.runtime.decoding import decode_event
from services.runtime.health import Health
from services.runtime.logs import logger, where_raised
from services.runtime.problems import BrokerAway, Unavailable
from services.runtime.settings import Settings

__all__ = ["BatchConsumer", "Item", "Record", "Refused", "Rejection", "Stage", "decode_event"]

log = logger(__name__)

ValueT = TypeVar("ValueT")

_MOST_REPEATS = 10
_MOST_PAUSE_SECONDS = 5.0


class Item(NamedTuple, Generic[ValueT]):
    """A record that decoded, with what it says."""

    record: Record
    value: ValueT


class Stage(Protocol[ValueT]):
    """What a service does with a batch.

    `group` is the consumer group without the product's name; `wait_milliseconds` how long a poll waits for records.
    """

    group: str
    topics: tuple[Topic, ...]
    wait_milliseconds: int

    def decode(self, record: Record) -> ValueT:
        """What a record says.

        Raises:
            Refused: it does not fit; the record dies with the reason.
        """

    async def prepare(self, items: Sequence[Item[ValueT]]) -> None:
        """What must happen before the transaction, over the network; it may be called again for the same items."""

    async def write(self, connection: AsyncConnection, items: Sequence[Item[ValueT]]) -> Sequence[Rejection]:
        """The batch's effects, in the transaction in hand, and the items that cannot have any.

        It is called again for halves under savepoints when the database refuses a row, and whole after a deadlock.
        """


@dataclass(slots=True)
class _Held:
    epoch: int
    expected: int
    probe: int | None = None


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a batch holds of one partition: written under this epoch, from here, up to and without there."""

    epoch: int
    start: int
    end: int


class _Fenced(Exception):
    """Another process took a partition of the batch; nothing of the batch was written."""

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__(", ".join(f"{p.topic}[{p.partition}]" for p in places))
        self.places = places


class BatchConsumer(Generic[ValueT]):
    """Runs a stage over its topics so that every record has its effects once, whatever dies in between.

    Args:
        settings: batch size, session time-out, addresses.
        database: of the service whose offsets, dead rows and outbox go with the batch.
        stage: what to do.
    """

    def __init__(self, settings: Settings, database: Database, stage: Stage[ValueT]) -> None:
        self.name = stage.group
        self._settings, self._database, self._stage = settings, database, stage
        self._held: dict[Place, _Held] = {}
        self._untaken: set[Place] = set()
        self._joined = False
        self._trouble = ""
        self._replaced = ""
        self._cluster = ""
        self._recovery: asyncio.Task[None] | None = None
        self._subscription = Subscription(
            settings,
            topics=[t.name for t in stage.topics],
            group=stage.group,
            wait_milliseconds=stage.wait_milliseconds,
            handle=self._handle,
            assigned=self._on_assigned,
            revoked=self._on_revoked,
        )

    async def start(self) -> None:
        """Joins the group; returns before the first partition is taken, which `health` tells.

        Raises:
            BrokerAway: Kafka cannot be reached.
        """
        self._cluster = await cluster_id(self._settings)
        await self._subscription.start()

    async def stop(self) -> None:
        """Finishes the batch in hand, commits it, leaves the group."""
        await self._subscription.stop()
        if self._recovery is not None:
            self._recovery.cancel()
            with suppress(asyncio.CancelledError):
                await self._recovery

    def health(self) -> Health:
        """Healthy once the partitions that the group gave are taken, and while both engines answer."""
        if self._trouble or self._replaced:
            return Health(healthy=False, detail=self._replaced or self._trouble)
        if not self._joined:
            return Health(healthy=False, detail="waits for its share of the partitions")
        if self._untaken:
            return Health(healthy=False, detail=f"takes {len(self._untaken)} partitions")
        return Health(healthy=True, detail=f"{len(self._held)} partitions")

    def subscriptions(self) -> Sequence[Subscription]:
        """What it reads by, for whoever describes it."""
        return (self._subscription,)

    # --- partitions come and go

    async def _on_assigned(self, places: Sequence[Place]) -> None:
        self._joined = True
        self._held.clear()
        self._untaken = set(places)
        try:
            await self._take()
        except (SQLAlchemyError, OSError, TimeoutError, BrokerAway) as error:
            self._wait_for_engines(f"cannot take its partitions: {type(error).__name__}")

    async def _on_revoked(self, places: Sequence[Place]) -> None:
        for place in places:
            self._held.pop(place, None)
            self._untaken.discard(place)

    async def _take(self) -> None:
        """Makes assigned partitions ours in the database, which fences whoever had them, and reads on from there."""
        places = sorted(self._untaken, key=lambda p: (p.topic, p.partition))
        if not places:
            return
        ends = await self._subscription.ends(places)
        async with self._database.begin() as connection:
            taken = await offsets.take(connection, places, self._cluster)
        for place, state in taken.items():
            if place not in self._untaken:
                continue
            if not self._continues(place, state, ends[place]):
                self._subscription.pause([place])
                continue
            self._held[place] = _Held(state.epoch, state.next)
            self._untaken.discard(place)
            self._subscription.seek(place, state.next)
        log.info("partitions_taken", group=self.name, count=len(taken))

    def _continues(self, place: Place, state: offsets.Standing, end: int) -> bool:
        """Whether the partition is the one that the offset counts on; where it is not, its records would be lost."""
        if state.cluster != self._cluster:
            self._replaced = (
                f"{place.topic}[{place.partition}] has offsets of broker {state.cluster}, but this is "
                f"{self._cluster}: connect the old broker again, or stop the services and run "
                "`jubao db forget-offsets` to read this one from its beginning"
            )
            log.error("broker_replaced", topic=place.topic, partition=place.partition)
            return False
        if state.next > end:
            self._replaced = (
                f"{place.topic}[{place.partition}] ends at {end}, but was read up to {state.next}: it was set back or "
                "made anew; restore its records, or stop the services and run `jubao db forget-offsets` to read all "
                "topics from their beginning"
            )
            log.error("topic_set_back", topic=place.topic, partition=place.partition, end=end, read=state.next)
            return False
        return True

    # --- a batch

    async def _handle(self, records: Sequence[Record]) -> None:
        started = perf_counter()
        reaches, usable = self._usable(records)
        if not usable:
            return
        try:
            ended = await self._process(reaches, usable)
        except _Fenced as fence:
            metrics.BATCH_REPEATS.labels(self.name, "fenced").inc()
            self._give_up(reaches, fence)
        except Exception as error:  # noqa: BLE001 -- the edge: FastStream would log what is raised and pass the batch by
            self._rewind(reaches)
            self._wait_for_engines(_told(error, self.name))
        else:
            for place, reach in reaches.items():
                held = self._held.get(place)
                if held is not None and held.epoch == reach.epoch:
                    held.expected = reach.end
            await self._subscription.commit({place: reach.end for place, reach in reaches.items()})
            metrics.BATCH_SECONDS.labels(self.name).observe(perf_counter() - started)
            for how, count in ended.items():
                metrics.RECORDS.labels(self.name, how).inc(count)

    def _usable(self, records: Sequence[Record]) -> tuple[dict[Place, _Reach], list[Record]]:
        """The records that continue what is done of partitions that are ours.

        A batch may begin behind the expected offset where offsets are missing on the topic (retention, transaction
        markers), or because it was fetched before a rebalance. The first is believed only when reading again from the
        expected offset shows the same gap.
        """
        by_place: dict[Place, list[Record]] = {}
        for (topic, partition), run in groupby(records, attrgetter("topic", "partition")):
            by_place.setdefault(Place(topic, partition), []).extend(run)
        reaches: dict[Place, _Reach] = {}
        usable: list[Record] = []
        for place, batch in by_place.items():
            held = self._held.get(place)
            if held is None:
                continue
            fresh = [r for r in batch if r.offset >= held.expected]
            if not fresh:
                continue
            if fresh[0].offset != held.expected and held.probe != fresh[0].offset:
                held.probe = fresh[0].offset
                self._subscription.seek(place, held.expected)
                continue
            held.probe = None
            reaches[place] = _Reach(held.epoch, held.expected, fresh[-1].offset + 1)
            usable.extend(fresh)
        return reaches, usable

    async def _process(self, reaches: Mapping[Place, _Reach], records: Sequence[Record]) -> dict[str, int]:
        items: list[Item[ValueT]] = []
        dead: list[Rejection] = []
        for record in records:
            try:
                items.append(Item(record, self._stage.decode(record)))
            except Refused as refusal:
                dead.append(Rejection(record, refusal.reason))
        if items:
            await self._stage.prepare(items)
        for attempt in range(_MOST_REPEATS):
            try:
                return await self._write(reaches, items, dead)
            except DBAPIError as error:
                if fault_of(error) is not Fault.REPEAT or attempt == _MOST_REPEATS - 1:
                    raise
                metrics.BATCH_REPEATS.labels(self.name, "deadlock").inc()
                await asyncio.sleep(pause_seconds(attempt, 0.02, 1.0))
        raise AssertionError  # pragma: no cover -- the last attempt returns or raises

    async def _write(
        self, reaches: Mapping[Place, _Reach], items: Sequence[Item[ValueT]], dead: Sequence[Rejection]
    ) -> dict[str, int]:
        async with self._database.begin() as connection:
            stored = await offsets.lock(connection, list(reaches))
            fenced = [
                place
                for place, reach in reaches.items()
                if (stored[place].epoch, stored[place].next) != (reach.epoch, reach.start)
            ]
            if fenced:
                raise _Fenced(fenced)
            rejections = [*dead, *(await self._isolate(connection, items))] if items else list(dead)
            await bury(connection, rejections)
            await offsets.advance(connection, {place: reach.end for place, reach in reaches.items()})
        for rejection in rejections:
            log.warning(
                "record_dead",
                topic=rejection.record.topic,
                partition=rejection.record.partition,
                offset=rejection.record.offset,
                why=rejection.reason,
            )
        return {"written": len(items) + len(dead) - len(rejections), "dead": len(rejections)}

    async def _isolate(self, connection: AsyncConnection, items: Sequence[Item[ValueT]]) -> list[Rejection]:
        """Writes what can be written: when the database refuses a row, halves are tried until it stands alone."""
        try:
            async with connection.begin_nested():
                return list(await self._stage.write(connection, items))
        except DBAPIError as error:
            if fault_of(error) is not Fault.REFUSED:
                raise
            if len(items) == 1:
                return [Rejection(items[0].record, _refusal(error))]
        half = len(items) // 2
        return [*await self._isolate(connection, items[:half]), *await self._isolate(connection, items[half:])]

    # --- trouble

    def _rewind(self, reaches: Mapping[Place, _Reach]) -> None:
        for place in reaches:
            held = self._held.get(place)
            if held is not None:
                self._subscription.seek(place, held.expected)

    def _give_up(self, reaches: Mapping[Place, _Reach], fence: _Fenced) -> None:
        """Drops the batch. A partition that we still believed ours is taken again later, unless the group takes it."""
        for place in fence.places:
            held = self._held.get(place)
            if held is not None and held.epoch == reaches[place].epoch:
                del self._held[place]
                self._untaken.add(place)
        self._rewind(reaches)
        log.warning("batch_fenced", group=self.name, places=str(fence))
        # A process that was stopped for long learns from the group within seconds that it lost its partitions: taking
        # them back at once would only fence their new owner.
        self._wait_for_engines("another process has written; waits for the group's word", first_attempt=3)

    def _wait_for_engines(self, trouble: str, first_attempt: int = 0) -> None:
        """Pauses delivery, goes on polling, and resumes when the engines answer again."""
        self._trouble = trouble
        self._subscription.pause(self._subscription.assignment())
        metrics.PAUSED.labels(self.name).set(1)
        if self._recovery is None or self._recovery.done():
            self._recovery = asyncio.create_task(self._recover(first_attempt), name=f"{self.name}.recovery")

    async def _recover(self, attempt: int) -> None:
        log.warning("consumer_paused", group=self.name, trouble=self._trouble)
        while True:
            await asyncio.sleep(pause_seconds(attempt, 0.5, _MOST_PAUSE_SECONDS))
            attempt += 1
            if not await self._database.answers():
                continue
            try:
                self._untaken &= set(self._subscription.assignment())
                await self._take()
            except (SQLAlchemyError, OSError, TimeoutError, BrokerAway):
                continue
            break
        self._trouble = ""
        metrics.PAUSED.labels(self.name).set(0)
        self._subscription.resume(self._held)
        log.info("consumer_resumed", group=self.name)


def _told(error: Exception, group: str) -> str:
    """An error in words fit for a screen: a database error's own text may quote the row, so it is left out."""
    name = f"{type(error).__name__} {sqlstate(error)}".strip()
    if isinstance(error, Unavailable) or fault_of(error) is not Fault.BROKEN:
        return f"waits for an engine: {name}"
    where = where_raised(error)
    log.error("batch_failed", group=group, error=name, where=where)
    return f"a batch fails with {name} at {where}"


def _refusal(error: DBAPIError) -> str:
    constraint = constraint_of(error)
    return f"refused by the database: {f'constraint {constraint}, ' if constraint else ''}SQLSTATE {sqlstate(error)}"

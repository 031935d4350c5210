"""The transactional outbox: events are committed with the change they tell of, and published after it, none lost.

Rows are deleted once acknowledged, never skipped by a high-water mark: a transaction that commits late still finds its
rows taken. One relay a service, by advisory lock, keeps the order of each key.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.runtime import metrics
from services.runtime.background import Background
from services.runtime.broker import Message, Publisher
from services.runtime.bulk import copy_rows, fetch_rows
from services.runtime.database import Database, pause_seconds
from services.runtime.health import Health
from services.runtime.logs import logger
from services.runtime.problems import BrokerAway
from services.runtime.writing import event_bytes

__all__ = ["Message", "Relay", "enqueue", "event_bytes"]

log = logger(__name__)

_WAVE_ROWS = 1_000
# While events come the relay looks for more at the first pace; where none come it slows down to the second.
_BUSY_SECONDS = 0.05
_IDLE_SECONDS = 0.25
_STANDBY_SECONDS = 1.0
_MOST_PAUSE_SECONDS = 5.0
_ACKNOWLEDGE_SECONDS = 30.0

# Where events wait; the sequence of `id` gives the order in which a locked case's changes happened.
OUTBOX = "outbox"
COLUMNS = ("topic", "key", "value", "event_id", "cause_id", "headers")

# The oldest waiting events.
OLDEST = """
    SELECT id, topic, key, value, event_id, cause_id, headers, dead_topic, dead_partition, dead_offset
    FROM outbox ORDER BY id LIMIT $1
"""

# Forgets what the broker has acknowledged.
FORGET = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"

# Remembers where a dead letter lies, so that a replay reads it without searching.
LOCATE_DEAD = text("""
    UPDATE dead SET letter_partition = found.letter_partition, letter_offset = found.letter_offset
    FROM unnest(
        CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]),
        CAST(:letter_partitions AS int[]), CAST(:letter_offsets AS bigint[])
    ) AS found (topic, partition, "offset", letter_partition, letter_offset)
    WHERE dead.topic = found.topic AND dead.partition = found.partition AND dead."offset" = found."offset"
""")

# One relay of a service at a time; the lock goes with the session.
TAKE_RELAY = "SELECT pg_try_advisory_lock(hashtext('jubao.outbox'), hashtext($1))"


async def enqueue(connection: AsyncConnection, messages: Sequence[Message]) -> None:
    """Adds events to the transaction in hand; they are published in this order per key once it has committed."""
    if messages:
        rows = [(m.topic, m.key, m.value, m.event_id, m.cause_id, pack_headers(m.headers)) for m in messages]
        await copy_rows(connection, OUTBOX, COLUMNS, rows)


def pack_headers(headers: Sequence[tuple[str, bytes]]) -> bytes:
    """Kafka headers as bytes for a column: JSON pairs, values in Latin-1 so that every byte passes."""
    return orjson.dumps([[name, value.decode("latin-1")] for name, value in headers]) if headers else b"[]"


def unpack_headers(packed: bytes) -> tuple[tuple[str, bytes], ...]:
    """The headers that `pack_headers` was given."""
    return tuple([(name, value.encode("latin-1")) for name, value in orjson.loads(packed)])


class _Waiting(NamedTuple):
    row: int
    message: Message
    dead: tuple[str, int, int] | None


def waves(rows: Sequence[_Waiting]) -> list[list[_Waiting]]:
    """Cuts rows, oldest first, so that no wave holds an event together with its cause.

    A wave is acknowledged before the next is sent, so the broker's time of a cause never comes after its effect's.
    """
    cut: list[list[_Waiting]] = []
    current: list[_Waiting] = []
    inside: set[UUID] = set()
    for row in rows:
        if row.message.cause_id in inside:
            cut.append(current)
            current, inside = [], set()
        current.append(row)
        inside.add(row.message.event_id)
    return [*cut, current] if current else cut


class Relay(Background):
    """Publishes a service's outbox, oldest first, for as long as it holds the service's relay lock."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        super().__init__(f"{database.service}.relay")
        self._database, self._publisher = database, publisher
        self._trouble = ""

    def health(self) -> Health:
        """Unhealthy while an engine is away, or when it does not run."""
        trouble = self._stopped_for() or self._trouble
        return Health(healthy=not trouble, detail=trouble)

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                async with self._database.session() as connection:
                    while not await self._lead(connection):
                        self._trouble, attempt = "", 0
                        await asyncio.sleep(_STANDBY_SECONDS)
                    pause = _BUSY_SECONDS
                    while True:
                        sent = await self._wave(connection)
                        self._trouble, attempt = "", 0
                        pause = _BUSY_SECONDS if sent else min(pause * 2, _IDLE_SECONDS)
                        if sent < _WAVE_ROWS:
                            await asyncio.sleep(pause)
            except (SQLAlchemyError, OSError, TimeoutError, BrokerAway) as error:
                self._trouble = f"events wait in the outbox: {type(error).__name__}"
                log.warning("relay_waits", service=self._database.service, error=type(error).__name__)
                await asyncio.sleep(pause_seconds(attempt, 0.2, _MOST_PAUSE_SECONDS))
                attempt += 1

    async def _lead(self, connection: AsyncConnection) -> bool:
        ((taken,),) = await fetch_rows(connection, TAKE_RELAY, self._database.service)
        return bool(taken)

    async def _wave(self, connection: AsyncConnection) -> int:
        rows = [
            _Waiting(
                row,
                Message(topic, key, value, event_id, cause_id, unpack_headers(headers)),
                (dead_topic, partition, offset) if dead_topic else None,
            )
            for row, topic, key, value, event_id, cause_id, headers, dead_topic, partition, offset in await fetch_rows(
                connection, OLDEST, _WAVE_ROWS
            )
        ]
        metrics.OUTBOX_WAITING.labels(self._database.service).set(len(rows))
        for wave in waves(rows):
            landed = await self._publisher.publish([row.message for row in wave], patience_seconds=_ACKNOWLEDGE_SECONDS)
            await self._forget(connection, wave, landed)
            metrics.PUBLISHED.labels(self._database.service).inc(len(wave))
        return len(rows)

    async def _forget(
        self, connection: AsyncConnection, wave: Sequence[_Waiting], landed: Sequence[tuple[int, int]]
    ) -> None:
        letters = [(row.dead, where) for row, where in zip(wave, landed, strict=True) if row.dead]
        if letters:
            async with connection.begin():
                await connection.execute(
                    LOCATE_DEAD,
                    {
                        "topics": [dead[0] for dead, _ in letters],
                        "partitions": [dead[1] for dead, _ in letters],
                        "offsets": [dead[2] for dead, _ in letters],
                        "letter_partitions": [where[0] for _, where in letters],
                        "letter_offsets": [where[1] for _, where in letters],
                    },
                )
        # Last, so that a crash between the two repeats the letter instead of losing its place.
        await fetch_rows(connection, FORGET, [row.row for row in wave])

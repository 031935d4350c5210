"""The transactional outbox: events are committed with the change they tell of, and published after it, none lost.

Rows are deleted once acknowledged, never skipped by a high-water mark: a transaction that commits late still finds its
rows taken. One relay a service, by advisory lock, keeps the order of each key. Few events are a row each; many go into
one row, since most of what an event costs on its way is its row: made, logged, read, deleted.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import cramjam
import msgspec
import orjson
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.runtime import metrics
from services.runtime.background import Background
from services.runtime.broker import Message, Publisher
from services.runtime.bulk import copy_rows, fetch_rows, write_rows
from services.runtime.database import Database, pause_seconds
from services.runtime.health import Health
from services.runtime.logs import logger
from services.runtime.problems import BrokerAway
from services.runtime.writing import event_bytes

__all__ = ["Message", "Relay", "enqueue", "event_bytes"]

log = logger(__name__)

# A row holds so many events at most, and none is packed with fewer than these beside it.
_PACK_EVENTS: Final = 500
_FEWEST_PACKED: Final = 16
# What the row of a pack has for headers, which are never empty, and for a topic.
_PACKED: Final = b""
_SEVERAL: Final = "several"

# How much of the outbox is taken at once, in rows and in bytes of their values, and how many events are sent at once.
_MOST_ROWS: Final = 1_000
_MOST_BYTES: Final = 1_000_000
_WAVE_EVENTS: Final = 2_000
# While events come the relay looks for more at the first pace; where none come it slows down to the second.
_BUSY_SECONDS = 0.05
_IDLE_SECONDS = 0.25
_STANDBY_SECONDS = 1.0
_MOST_PAUSE_SECONDS = 5.0
_ACKNOWLEDGE_SECONDS = 30.0

# Where events wait; the sequence of `id` gives the order in which a locked case's changes happened.
OUTBOX = "outbox"
COLUMNS = ("topic", "key", "value", "event_id", "cause_id", "headers")
_Row = tuple[str, bytes | None, bytes, UUID, UUID | None, bytes]

# The oldest waiting events; the first row in any case, and of the others as many as there is room for.
OLDEST = """
    SELECT id, topic, key, value, event_id, cause_id, headers, dead_topic, dead_partition, dead_offset
    FROM (
        SELECT *, sum(octet_length(value)) OVER (ORDER BY id) - octet_length(value) AS before
        FROM (SELECT * FROM outbox ORDER BY id LIMIT $1) AS oldest
    ) AS summed
    WHERE before < $2 ORDER BY id
"""

# Adds a few events; more of them are quicker by COPY, which for one takes a round trip more.
ADD_FEW = """
    INSERT INTO outbox (topic, key, value, event_id, cause_id, headers)
    SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::uuid[], $5::uuid[], $6::bytea[])
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


# Ids that were read from the database are of asyncpg's own kind of UUID.
_ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes", enc_hook=lambda asyncpg_id: asyncpg_id.bytes)
_DECODER = msgspec.msgpack.Decoder(list[Message])


async def enqueue(connection: AsyncConnection, messages: Sequence[Message]) -> None:
    """Adds events to the transaction in hand; they are published in this order per key once it has committed."""
    if len(messages) < _FEWEST_PACKED:
        rows = [(m.topic, m.key, m.value, m.event_id, m.cause_id, pack_headers(m.headers)) for m in messages]
        if rows:
            await write_rows(connection, ADD_FEW, *zip(*rows, strict=True))
    else:
        packs = [_pack(messages[start : start + _PACK_EVENTS]) for start in range(0, len(messages), _PACK_EVENTS)]
        await copy_rows(connection, OUTBOX, COLUMNS, packs)


def _pack(messages: Sequence[Message]) -> _Row:
    packed = bytes(cramjam.lz4.compress_block(_ENCODER.encode(messages)))
    return _SEVERAL, None, packed, messages[0].event_id, None, _PACKED


def unpacked(row: _Row) -> list[Message]:
    """The events of a row of the outbox, given as its columns."""
    topic, key, value, event_id, cause_id, headers = row
    if headers == _PACKED:
        return _DECODER.decode(bytes(cramjam.lz4.decompress_block(value)))
    return [Message(topic, key, value, event_id, cause_id, unpack_headers(headers))]


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


def waves(events: Iterable[_Waiting]) -> list[list[_Waiting]]:
    """Cuts events, oldest first, so that no wave is too long or holds an event together with its cause.

    A wave is acknowledged before the next is sent, so the broker's time of a cause never comes after its effect's.
    """
    cut: list[list[_Waiting]] = []
    current: list[_Waiting] = []
    inside: set[UUID] = set()
    for event in events:
        if event.message.cause_id in inside or len(current) == _WAVE_EVENTS:
            cut.append(current)
            current, inside = [], set()
        current.append(event)
        inside.add(event.message.event_id)
    return [*cut, current] if current else cut


class Relay(Background):
    """Publishes a service's outbox, oldest first, for as long as it holds the service's relay lock.

    Args:
        database: the service's.
        publisher: sends the events.
        reserve_seconds: how much longer than others it stands by before it takes the lock: in a process that should
            have its time for something else, as long as another can do it.
    """

    def __init__(self, database: Database, publisher: Publisher, reserve_seconds: float = 0.0) -> None:
        super().__init__(f"{database.service}.relay")
        self._database, self._publisher = database, publisher
        self.reserve_seconds = reserve_seconds
        self._trouble = ""

    def health(self) -> Health:
        """Unhealthy while an engine is away, or when it does not run."""
        trouble = self._stopped_for() or self._trouble
        return Health(healthy=not trouble, detail=trouble)

    async def _run(self) -> None:
        attempt = 0
        await asyncio.sleep(self.reserve_seconds)
        while True:
            try:
                async with self._database.session() as connection:
                    while not await self._lead(connection):
                        self._trouble, attempt = "", 0
                        await asyncio.sleep(_STANDBY_SECONDS + self.reserve_seconds)
                    pause = _BUSY_SECONDS
                    while True:
                        sent = await self._wave(connection)
                        self._trouble, attempt = "", 0
                        pause = _BUSY_SECONDS if sent else min(pause * 2, _IDLE_SECONDS)
                        if sent < _WAVE_EVENTS:
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
        found = await fetch_rows(connection, OLDEST, _MOST_ROWS, _MOST_BYTES)
        waiting = [event for row in found for event in _waiting(row)]
        metrics.OUTBOX_WAITING.labels(self._database.service).set(len(waiting))
        cut = waves(waiting)
        for number, wave in enumerate(cut, start=1):
            sent = [event.message for event in wave]
            landed = await self._publisher.publish(sent, patience_seconds=_ACKNOWLEDGE_SECONDS)
            # A row whose last events are in the next wave is kept until they are told too.
            unfinished = {cut[number][0].row} if number < len(cut) else set()
            await self._forget(connection, wave, landed, {event.row for event in wave} - unfinished)
            metrics.PUBLISHED.labels(self._database.service).inc(len(wave))
        return len(waiting)

    async def _forget(
        self,
        connection: AsyncConnection,
        wave: Sequence[_Waiting],
        landed: Sequence[tuple[int, int]],
        told: Collection[int],
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
        await fetch_rows(connection, FORGET, list(told))


def _waiting(row: Any) -> list[_Waiting]:  # noqa: ANN401 -- asyncpg has no types
    number, *event, dead_topic, partition, offset = row
    dead = (dead_topic, partition, offset) if dead_topic else None
    return [_Waiting(number, message, dead) for message in unpacked(tuple(event))]

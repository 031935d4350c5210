"""Raw batches of the public topic, straight off aiokafka, each written in a transaction of its own."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from asyncpg.pgproto.pgproto import UUID

TOPIC = "reports.public.v1"
_MOST_RECORDS = 2_000
_WAIT_MILLISECONDS = 100
_FETCH_BYTES = 4 * 1024 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Write = Callable[[Any, "Batch"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Records as aiokafka gives them, and how many of each partition were read by then."""

    records: Sequence[Any]
    read: dict[int, int]

    @property
    def at(self) -> datetime:
        """The broker's time of the first."""
        return _EPOCH + timedelta(milliseconds=self.records[0].timestamp)


def fresh_ids(count: int) -> list[UUID]:
    """Random ids."""
    noise = os.urandom(16 * count)
    return [UUID(noise[start : start + 16]) for start in range(0, len(noise), 16)]


def run(write: Write, first: Callable[[Any], Awaitable[None]]) -> None:
    """Writes batch after batch until it is told to stop; `first` is called once before."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(write, first))


async def _run(write: Write, first: Callable[[Any], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connection = await asyncpg.connect(os.environ["FLOOR_DATABASE"])
    await first(connection)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=os.environ["FLOOR_KAFKA"],
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    await consumer.start()
    places = [TopicPartition(TOPIC, number) for number in sorted(await _partitions(consumer))]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    read = {place.partition: 0 for place in places}
    try:
        while not stop.is_set():
            found = await consumer.getmany(timeout_ms=_WAIT_MILLISECONDS, max_records=_MOST_RECORDS)
            records = [record for part in found.values() for record in part]
            if not records:
                continue
            for place, part in found.items():
                read[place.partition] += len(part)
            async with connection.transaction():
                await write(connection, Batch(records, dict(read)))
    finally:
        await consumer.stop()
        await connection.close()


async def _partitions(consumer: AIOKafkaConsumer) -> set[int]:
    while not (found := consumer.partitions_for_topic(TOPIC)):
        await consumer._client.force_metadata_update()  # noqa: SLF001 -- there is no public way
        await consumer.topics()
    return set(found)

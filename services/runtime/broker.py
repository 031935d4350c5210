"""Kafka: reading, by reaching under FastStream to aiokafka (`publisher.py` sends, `administration.py` makes topics).

Why it must: FastStream 0.7 offers no seek, pause or explicit commit; its batch parser decodes every header as UTF-8, so
that one record with odd header bytes would lose its whole batch; and its publisher takes no header bytes, so that a
replayed record could not keep its attestation.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from services.runtime.kafkalogin import login, security
from services.runtime.logs import library_logger, logger
from services.runtime.problems import BrokerAway
from services.runtime.publisher import Publisher
from services.runtime.records import Message, Place, Record
from services.runtime.settings import Settings

__all__ = ["Message", "Place", "Publisher", "Reader", "Record", "Subscribed", "Subscription", "record_of"]

log = logger(__name__)

_LARGEST_REQUEST_BYTES = 6 * 1024 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1_024)
def _moment(milliseconds: int) -> datetime:
    """The broker stamps a whole batch of records with one time."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def record_of(raw: Any) -> Record:  # noqa: ANN401 -- aiokafka's record has no type
    """Our record from aiokafka's."""
    headers = raw.headers
    for _, value in headers:
        if value is None:
            headers = tuple((name, given or b"") for name, given in headers)
            break
    return Record(raw.topic, raw.partition, raw.offset, _moment(raw.timestamp), raw.key, raw.value or b"", headers)


Assigned = Callable[[Sequence[Place]], Awaitable[None]]


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, assigned: Assigned, revoked: Assigned) -> None:
        self._assigned, self._revoked = assigned, revoked

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._revoked([Place(p.topic, p.partition) for p in revoked])

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._assigned([Place(p.topic, p.partition) for p in assigned])


class Subscription:
    """A batch subscription of FastStream's, with what a consumer needs beside it: seek, pause, resume, commit.

    `handle` gets raw records and must not raise: FastStream would log the error and go on with the next batch.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        topics: Sequence[str],
        group: str,
        wait_milliseconds: int,
        handle: Callable[[Sequence[Record]], Awaitable[None]],
        assigned: Assigned,
        revoked: Assigned,
    ) -> None:
        self._broker = KafkaBroker(
            settings.kafka.split(","),
            client_id=f"jubao-{group}",
            consumer_only=True,
            allow_auto_create_topics=False,
            graceful_timeout=settings.stop_seconds,
            security=security(settings),
            logger=library_logger("jubao.faststream"),
            apply_types=False,
        )
        session_ms = int(settings.session_timeout_seconds * 1000)
        self._subscriber = self._broker.subscriber(
            *topics,
            group_id=f"jubao.{group}",
            batch=True,
            max_records=settings.batch_records,
            batch_timeout_ms=wait_milliseconds,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(300, session_ms // 5),
            listener=_Listener(assigned, revoked),
        )

        async def parse(batch: Any, _: object = None) -> KafkaMessage:  # noqa: ANN401 -- a tuple of aiokafka's records
            return KafkaMessage(raw_message=batch, body=b"", consumer=self._consumer)

        async def deliver(batch: Any) -> None:  # noqa: ANN401 -- likewise
            await handle([record_of(raw) for raw in batch])

        self._subscriber(parser=parse, decoder=_raw_records)(deliver)

    @property
    def broker(self) -> KafkaBroker:
        """FastStream's broker that runs it, for whoever describes what it reads."""
        return self._broker

    @property
    def _consumer(self) -> Any:  # noqa: ANN401 -- aiokafka has no types
        return self._subscriber.consumer

    async def start(self) -> None:
        """Joins the group and begins to read.

        Raises:
            BrokerAway: it cannot be reached.
        """
        try:
            await self._broker.start()
        except (KafkaError, OSError) as error:
            await self._broker.stop()
            raise BrokerAway from error

    async def stop(self) -> None:
        """Finishes the batch in hand, then leaves the group."""
        await self._broker.stop()

    def seek(self, place: Place, offset: int) -> None:
        """The next record read from a partition is this one; what was fetched ahead is dropped."""
        self._consumer.seek(TopicPartition(place.topic, place.partition), offset)

    async def ends(self, places: Sequence[Place]) -> dict[Place, int]:
        """The offset after the last record of each of these partitions.

        Raises:
            BrokerAway: it does not answer.
        """
        try:
            found = await self._consumer.end_offsets([TopicPartition(p.topic, p.partition) for p in places])
        except (KafkaError, OSError, TimeoutError) as error:
            raise BrokerAway from error
        return {Place(p.topic, p.partition): int(offset) for p, offset in found.items()}

    def pause(self, places: Iterable[Place]) -> None:
        """Stops delivery from partitions while polling, and so membership of the group, goes on."""
        if held := self._still_ours(places):
            self._consumer.pause(*held)

    def resume(self, places: Iterable[Place]) -> None:
        """Delivery goes on."""
        if held := self._still_ours(places):
            self._consumer.resume(*held)

    def assignment(self) -> list[Place]:
        """The partitions that the group has given us."""
        if self._consumer is None:
            return []
        return [Place(p.topic, p.partition) for p in self._consumer.assignment()]

    def _still_ours(self, places: Iterable[Place]) -> list[TopicPartition]:
        ours = self._consumer.assignment() if self._consumer is not None else frozenset()
        wanted = [TopicPartition(p.topic, p.partition) for p in places]
        return [p for p in wanted if p in ours]

    async def commit(self, next_offsets: Mapping[Place, int]) -> bool:
        """Tells Kafka how far each partition is done; false when it would not hear it, which costs nothing.

        The database's offsets are the truth; Kafka's copy is for outside tools that watch lag.
        """
        try:
            await self._consumer.commit(
                {TopicPartition(p.topic, p.partition): offset for p, offset in next_offsets.items()}
            )
        except KafkaError as error:
            log.warning("kafka_commit_refused", error=type(error).__name__)
            return False
        return True


@runtime_checkable
class Subscribed(Protocol):
    """A worker that reads topics by subscriptions of a group."""

    def subscriptions(self) -> Sequence[Subscription]:
        """What it reads by."""


async def _raw_records(message: Any, _: object = None) -> Any:  # noqa: ANN401 -- FastStream's message of raw records
    return message.raw_message


class Reader:
    """Reads partitions from chosen offsets without a group: whole topics, single records, ends.

    One at a time may read; `async with` opens and closes the connection.
    """

    def __init__(self, settings: Settings, *, most_fetched_bytes: int = _LARGEST_REQUEST_BYTES) -> None:
        self._consumer = AIOKafkaConsumer(
            **login(settings),
            client_id="jubao-reader",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=most_fetched_bytes,
        )

    async def start(self) -> None:
        """Connects."""
        try:
            await self._consumer.start()
        except (KafkaError, OSError) as error:
            await self._consumer.stop()
            raise BrokerAway from error

    async def stop(self) -> None:
        """Closes the connection."""
        await self._consumer.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def places(self, topic: str) -> list[Place]:
        """The partitions of a topic; none where there is no such topic."""
        try:
            metadata = await self._consumer._client.fetch_all_metadata()  # noqa: SLF001 -- there is no public way
        except (KafkaError, OSError) as error:
            raise BrokerAway from error
        return [Place(topic, number) for number in sorted(metadata.partitions_for_topic(topic) or ())]

    async def ends(self, places: Sequence[Place]) -> dict[Place, int]:
        """The offset after the last record of each partition.

        Raises:
            BrokerAway: it does not answer.
        """
        wanted = [TopicPartition(p.topic, p.partition) for p in places]
        client = self._consumer._client  # noqa: SLF001 -- there is no public way
        try:
            # Of a topic that it does not know the client asks a tenth of a second late, and of one after the other.
            await asyncio.gather(*(client.add_topic(topic) for topic in {p.topic for p in places}))
            found = await self._consumer.end_offsets(wanted)
        except (KafkaError, OSError) as error:
            raise BrokerAway from error
        return {Place(p.topic, p.partition): int(offset) for p, offset in found.items()}

    def read_from(self, offsets: Mapping[Place, int]) -> None:
        """What `next_records` reads: these partitions, from these offsets."""
        self._consumer.assign([TopicPartition(p.topic, p.partition) for p in offsets])
        for place, offset in offsets.items():
            self._consumer.seek(TopicPartition(place.topic, place.partition), offset)

    async def next_records(self, wait_milliseconds: int, most: int = 1_000) -> list[Record]:
        """The next records of the assigned partitions; none when nothing came in time.

        Raises:
            BrokerAway: it does not answer.
        """
        try:
            batches = await self._consumer.getmany(timeout_ms=wait_milliseconds, max_records=most)
        except (KafkaError, OSError) as error:
            raise BrokerAway from error
        return [record_of(raw) for batch in batches.values() for raw in batch]

    async def position(self, place: Place) -> int:
        """The offset of the next record that will be read.

        Raises:
            BrokerAway: it does not answer.
        """
        try:
            return int(await self._consumer.position(TopicPartition(place.topic, place.partition)))
        except (KafkaError, OSError) as error:
            raise BrokerAway from error

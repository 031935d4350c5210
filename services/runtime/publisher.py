"""Sending records to Kafka: whole batches a partition, bounded in number and in time."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import time
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from services.runtime.kafkalogin import login
from services.runtime.logs import logger
from services.runtime.partitioning import partition_of
from services.runtime.problems import BrokerAway
from services.runtime.records import Message
from services.runtime.settings import Settings

log = logger(__name__)

_LARGEST_REQUEST_BYTES = 6 * 1024 * 1024
_LARGEST_BATCH_BYTES = 256 * 1024
_MOST_IN_FLIGHT = 20_000

# So few share a batch with what other callers send at that moment; more are worth batches of their own.
_FEW = 8

Landed = tuple[int, int]


class _Parcel(NamedTuple):
    """A batch of one partition that is ready to go, and which of the messages, by number, it holds in order."""

    topic: str
    partition: int
    batch: Any
    numbers: list[int]


class Publisher:
    """Sends records with acks=all and idempotence; says so when the broker does not acknowledge in time.

    An idempotent aiokafka producer never gives up on a batch, so the number in flight is bounded and waiting is too: a
    record that was reported as not acknowledged may still arrive, and carries the same id when it is sent again.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: Any = None
        self._starting = asyncio.Lock()
        self._in_flight = 0

    async def publish(self, messages: Sequence[Message], *, patience_seconds: float | None = None) -> list[Landed]:
        """Sends all and waits for all; the partition and offset of each, in order. One key's records keep their order.

        Raises:
            BrokerAway: not all were acknowledged within the time, or too many wait already.
        """
        patience = patience_seconds or self._settings.answer_timeout_seconds
        if self._in_flight + len(messages) > _MOST_IN_FLIGHT:
            raise BrokerAway
        self._in_flight += len(messages)
        sending = asyncio.ensure_future(self._send(messages))
        sending.add_done_callback(lambda done: self._landed(len(messages), done))
        try:
            return await asyncio.wait_for(asyncio.shield(sending), patience)
        except (TimeoutError, KafkaError, OSError) as error:
            log.warning("broker_away", error=type(error).__name__, records=len(messages))
            raise BrokerAway from error

    def _landed(self, count: int, done: "asyncio.Future[list[Landed]]") -> None:
        self._in_flight -= count
        if not done.cancelled():
            done.exception()  # marks it as seen: the caller was told already

    async def _send(self, messages: Sequence[Message]) -> list[Landed]:
        producer = await self._started()
        if len(messages) <= _FEW:
            return await self._send_each(producer, messages)
        counts = {topic: await _partitions_of(producer, topic) for topic in {m.topic for m in messages}}
        parcels = _packed(producer, messages, counts)
        futures: list[Any] = []
        try:
            for parcel in parcels:
                send = partial(producer.send_batch, parcel.batch, parcel.topic, partition=parcel.partition)
                futures.append(await _in_line(send))
        finally:
            # Of batches that are on their way the end is awaited even where another could not be sent.
            ends = await asyncio.gather(*futures, return_exceptions=True)
        landed: list[Landed] = [(-1, -1)] * len(messages)
        for parcel, end in zip(parcels, ends, strict=True):
            if isinstance(end, BaseException):
                raise end
            for place, number in enumerate(parcel.numbers):
                landed[number] = (parcel.partition, end.offset + place)
        return landed

    async def _send_each(self, producer: Any, messages: Sequence[Message]) -> list[Landed]:  # noqa: ANN401 -- aiokafka has no types
        futures = []
        for m in messages:
            count = await _partitions_of(producer, m.topic)
            partition = m.partition if m.partition is not None or m.key is None else partition_of(m.key, count)
            send = partial(producer.send, m.topic, m.value, key=m.key, partition=partition, headers=list(m.headers))
            futures.append(await _in_line(send))
        acknowledged = await asyncio.gather(*futures)
        return [(a.partition, a.offset) for a in acknowledged]

    async def _started(self) -> Any:  # noqa: ANN401 -- aiokafka has no types
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **login(self._settings),
                    client_id="jubao",
                    acks="all",
                    enable_idempotence=True,
                    compression_type="lz4",
                    max_batch_size=_LARGEST_BATCH_BYTES,
                    max_request_size=_LARGEST_REQUEST_BYTES,
                    linger_ms=1,
                    request_timeout_ms=30_000,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def stop(self) -> None:
        """Waits for what is in flight, within the bound of a stop, and closes."""
        try:
            async with asyncio.timeout(self._settings.stop_seconds), self._starting:
                # One that was about to start when its caller had no more patience is closed as well.
                producer, self._producer = self._producer, None
                if producer is not None:
                    await producer.stop()
        except TimeoutError:
            log.warning("broker_away_at_stop", in_flight=self._in_flight)


async def _in_line(send: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 -- aiokafka's future
    """Puts a batch or a value behind what waits for its partition.

    aiokafka gives up a place in line after its request timeout, and sooner where many stand in it (`add_batch` counts a
    wait again at every turn), though never what has a place. A cluster may need longer to put another broker in a dead
    one's place; how long is too long is for the caller's patience to say.
    """
    while True:
        try:
            return await send()
        except KafkaTimeoutError:
            continue


async def _partitions_of(producer: Any, topic: str) -> int:  # noqa: ANN401 -- aiokafka has no types
    """How many partitions a topic has."""
    return len(await producer.partitions_for(topic))


def _packed(producer: Any, messages: Sequence[Message], counts: Mapping[str, int]) -> list[_Parcel]:  # noqa: ANN401
    """Messages as batches, a full one closed and the next begun; a partition's batches stand in the order to send."""
    now = int(time() * 1_000)
    keyless = random.getrandbits(16)
    open_parcels: dict[tuple[str, int], _Parcel] = {}
    parcels: list[_Parcel] = []
    for number, m in enumerate(messages):
        partition = m.partition
        if partition is None:
            partition = (keyless if m.key is None else partition_of(m.key, counts[m.topic])) % counts[m.topic]
        parcel = open_parcels.get((m.topic, partition))
        if parcel is None or _added(parcel, m, now) is None:
            parcel = _Parcel(m.topic, partition, producer.create_batch(), [])
            _added(parcel, m, now)
            open_parcels[m.topic, partition] = parcel
            parcels.append(parcel)
        parcel.numbers.append(number)
    for parcel in parcels:
        parcel.batch.close()  # nobody else's record gets in, and it goes without lingering for one
    return parcels


def _added(parcel: _Parcel, m: Message, now: int) -> Any:  # noqa: ANN401 -- aiokafka's metadata, None when it is full
    return parcel.batch.append(timestamp=now, key=m.key, value=m.value, headers=list(m.headers))

"""Sending on a real Apache Kafka: it is true where records are said to have landed, and a key keeps its order."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import SecretStr

from services.runtime.broker import Message, Place, Publisher, Reader, Record
from services.runtime.identity import new_id
from services.runtime.partitioning import partition_of
from services.runtime.problems import BrokerAway
from services.runtime.settings import Settings

PARTITIONS = 3


@pytest.fixture
def settings(kafka_address: str) -> Settings:
    return Settings(kafka=kafka_address, database=SecretStr(""))


@pytest.fixture
async def topic(settings: Settings) -> AsyncIterator[str]:
    name = f"p{new_id().hex[-12:]}.v1"
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs={"max.message.bytes": "1000000"})])
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


@pytest.fixture
async def publisher(settings: Settings) -> AsyncIterator[Publisher]:
    made = Publisher(settings)
    yield made
    await made.stop()


def message(topic: str, key: bytes | None, value: bytes, partition: int | None = None) -> Message:
    return Message(topic, key, value, new_id(), None, (("n", value[:4]), ("odd", b"\xff\x00")), partition)


async def records_of(settings: Settings, topic: str, count: int) -> list[Record]:
    found: list[Record] = []
    async with Reader(settings) as reader:
        reader.read_from(dict.fromkeys([Place(topic, number) for number in range(PARTITIONS)], 0))
        async with asyncio.timeout(20):
            while len(found) < count:
                found += await reader.next_records(500)
    return found


@pytest.mark.parametrize("count", [1, 8, 9, 3_000])
async def test_each_record_is_where_its_sender_is_told(
    settings: Settings, topic: str, publisher: Publisher, count: int
) -> None:
    """Few or many, in one batch a partition or in several: each record lies at the place that was returned for it."""
    messages = [message(topic, f"k{n % 50}".encode(), b"%04d" % n + b"x" * 900) for n in range(count)]
    landed = await publisher.publish(messages)
    found = {(r.partition, r.offset): r for r in await records_of(settings, topic, count)}
    assert len(set(landed)) == len(found) == count
    for sent, place in zip(messages, landed, strict=True):
        record = found[place]
        assert (record.key, record.value, record.headers) == (sent.key, sent.value, sent.headers)
        assert place[0] == partition_of(sent.key or b"", PARTITIONS)


async def test_a_keys_records_keep_their_order(settings: Settings, topic: str, publisher: Publisher) -> None:
    """Records of one key are read in the order in which they were sent, over calls of any size."""
    sent = [message(topic, b"k%d" % (n % 5), b"%06d" % n + b"x" * 700) for n in range(2_500)]
    for start, end in ((0, 3), (3, 1_500), (1_500, 1_501), (1_501, 2_500)):
        await publisher.publish(sent[start:end])
    read = await records_of(settings, topic, len(sent))
    for key in {m.key for m in sent}:
        assert [r.value for r in read if r.key == key] == [m.value for m in sent if m.key == key]


async def test_a_chosen_partition_and_a_record_without_key(
    settings: Settings, topic: str, publisher: Publisher
) -> None:
    """A record goes to the partition it names, and one that has neither partition nor key goes to any."""
    chosen = [message(topic, b"k", b"%04d" % n, partition=n % PARTITIONS) for n in range(30)]
    landed = await publisher.publish([*chosen, *(message(topic, None, b"free") for _ in range(10))])
    assert [partition for partition, _ in landed[:30]] == [n % PARTITIONS for n in range(30)]
    assert len(await records_of(settings, topic, 40)) == 40


async def test_a_record_larger_than_a_batch_is_sent(settings: Settings, topic: str, publisher: Publisher) -> None:
    """A record that is larger than a whole batch gets one of its own, and its neighbours stay in order."""
    values: Sequence[bytes] = [b"a" * 100, b"b" * 600_000, b"c" * 100, b"d" * 600_000, *[b"e"] * 10]
    landed = await publisher.publish([message(topic, b"k", value) for value in values])
    assert [offset for _, offset in landed] == list(range(len(values)))
    assert [r.value for r in await records_of(settings, topic, len(values))] == values


async def test_what_the_broker_refuses_is_told(topic: str, publisher: Publisher) -> None:
    """A record that the broker will not take is told as an engine's trouble, and those after it still go out."""
    with pytest.raises(BrokerAway):
        await publisher.publish([message(topic, b"k", os.urandom(2_000_000)) for _ in range(9)], patience_seconds=10)
    assert await publisher.publish([message(topic, b"k", b"%d" % n) for n in range(9)])


async def test_a_stop_closes_what_was_about_to_start(
    settings: Settings, topic: str, recwarn: pytest.WarningsRecorder
) -> None:
    """A caller may lose patience while the connection is made; a stop leaves no producer behind all the same."""
    for _ in range(5):
        publisher = Publisher(settings)
        with pytest.raises(BrokerAway):
            await publisher.publish([message(topic, b"k", b"v")], patience_seconds=0.0001)
        await publisher.stop()
        del publisher
        await asyncio.sleep(0.05)
        gc.collect()
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]

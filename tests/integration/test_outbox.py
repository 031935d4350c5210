"""The outbox on a real Apache Kafka and PostgreSQL: what commits is told, in order and after its cause."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import SecretStr

from services.runtime import outbox
from services.runtime.broker import Message, Place, Publisher, Reader, Record
from services.runtime.bulk import fetch_rows
from services.runtime.database import Database
from services.runtime.identity import new_id
from services.runtime.migrate import runtime_tables
from services.runtime.outbox import Relay, enqueue
from services.runtime.problems import BrokerAway
from services.runtime.settings import Settings


@pytest.fixture
async def settings(postgres_dsn: str, kafka_address: str) -> Settings:
    return Settings(database=SecretStr(postgres_dsn), kafka=kafka_address)


@pytest.fixture
async def database(settings: Settings, postgres_dsn: str) -> AsyncIterator[Database]:
    name = f"o{new_id().hex[-12:]}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE ROLE jubao_{name}; CREATE SCHEMA {name}; SET search_path = {name}")
    await connection.execute(runtime_tables())
    await connection.execute(
        f"GRANT USAGE ON SCHEMA {name} TO jubao_{name};"
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO jubao_{name}"
    )
    made = Database(settings, name)
    yield made
    await made.close()
    await connection.execute(f"DROP SCHEMA {name} CASCADE; DROP ROLE jubao_{name}")
    await connection.close()


@pytest.fixture
async def topic(settings: Settings) -> AsyncIterator[str]:
    name = f"o{new_id().hex[-12:]}.v1"
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        timed = {"message.timestamp.type": "LogAppendTime"}
        await admin.create_topics([NewTopic(name, 2, 1, topic_configs=timed)])
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


def message(topic: str, number: int, cause: Message | None = None) -> Message:
    cause_id = cause.event_id if cause else None
    return Message(topic, b"k%d" % (number % 5), b"%06d" % number, new_id(), cause_id, (("odd", b"\xff\x00"),))


async def waiting(database: Database) -> int:
    async with database.begin() as connection:
        ((count,),) = await fetch_rows(connection, "SELECT count(*) FROM outbox")
        return int(count)


async def told(settings: Settings, database: Database, topic: str, count: int) -> list[Record]:
    """What the relay has sent once it has sent all."""
    publisher = Publisher(settings)
    relay = Relay(database, publisher)
    await relay.start()
    found: list[Record] = []
    try:
        async with asyncio.timeout(30), Reader(settings) as reader:
            reader.read_from({Place(topic, 0): 0, Place(topic, 1): 0})
            while len(found) < count or await waiting(database):
                found += await reader.next_records(300)
    finally:
        await relay.stop()
        await publisher.stop()
    return found


async def test_an_event_of_a_change_that_was_undone_is_not_told(database: Database, topic: str) -> None:
    """Events go with their transaction even when they are its first statement: rolled back, none is in the outbox."""

    async def undone() -> None:
        async with database.begin() as connection:
            await enqueue(connection, [message(topic, n) for n in range(3)])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await undone()
    assert await waiting(database) == 0
    async with database.begin() as connection:
        await enqueue(connection, [message(topic, n) for n in range(3)])
    assert await waiting(database) == 3


async def test_many_events_are_few_rows(database: Database, topic: str) -> None:
    """A batch of 1,200 events waits in three rows, and these give back the very events, in order."""
    sent = [message(topic, n) for n in range(1_200)]
    sent[1] = sent[1]._replace(key=None, cause_id=sent[0].event_id, headers=())
    async with database.begin() as connection:
        await enqueue(connection, sent)
        rows = await fetch_rows(connection, f"SELECT {', '.join(outbox.COLUMNS)} FROM outbox ORDER BY id")
    assert len(rows) == 3
    assert [event for row in rows for event in outbox.unpacked(tuple(row))] == sent


async def test_a_row_is_kept_until_all_its_events_are_told(database: Database, topic: str) -> None:
    """When the broker goes away between two waves of one row, the row stays, and with it every event."""
    sent = [message(topic, 0)]
    sent += [message(topic, n, cause=sent[0]) for n in range(1, 30)]
    async with database.begin() as connection:
        await enqueue(connection, sent)
    waves: list[int] = []

    class Fails(Publisher):
        async def publish(
            self, messages: Sequence[Message], *, patience_seconds: float | None = None
        ) -> list[tuple[int, int]]:
            assert patience_seconds is not None
            waves.append(len(messages))
            if len(waves) > 1:
                raise BrokerAway
            return [(0, n) for n in range(len(messages))]

    relay = Relay(database, Fails(Settings()))
    await relay.start()
    async with asyncio.timeout(30):
        while len(waves) < 2:
            await asyncio.sleep(0.05)
    await relay.stop()
    assert waves[:2] == [1, 29]
    assert await waiting(database) == 1


async def test_events_are_told_whole_and_in_order(settings: Settings, database: Database, topic: str) -> None:
    """More events than a wave holds arrive each once, with their headers' bytes, in order for each key."""
    sent = [message(topic, n) for n in range(2_300)]
    for start in range(0, len(sent), 700):
        async with database.begin() as connection:
            await enqueue(connection, sent[start : start + 700])
    found = await told(settings, database, topic, len(sent))
    assert len(found) == len(sent)
    assert {r.headers for r in found} == {(("odd", b"\xff\x00"),)}
    for key in {m.key for m in sent}:
        assert [r.value for r in found if r.key == key] == [m.value for m in sent if m.key == key]


@pytest.mark.parametrize("length", [12, 40], ids=["rows of their own", "one row"])
async def test_no_effect_is_told_before_its_cause(
    settings: Settings, database: Database, topic: str, length: int
) -> None:
    """Events of one transaction that cause one another on different keys: the broker's time of a cause is no later."""
    chain = [message(topic, 0)]
    for number in range(1, length):
        chain.append(message(topic, number, cause=chain[-1]))
    async with database.begin() as connection:
        await enqueue(connection, chain)
    found = {r.value: r for r in await told(settings, database, topic, len(chain))}
    times = [found[m.value].at for m in chain]
    assert times == sorted(times)


async def test_a_relay_in_reserve_leaves_the_outbox_to_another(database: Database, topic: str) -> None:
    """Of two relays the one that stands in reserve, though it began first, sends only after the other has ended."""
    senders: list[str] = []

    class Noted(Publisher):
        name = ""

        async def publish(
            self, messages: Sequence[Message], *, patience_seconds: float | None = None
        ) -> list[tuple[int, int]]:
            assert patience_seconds is not None
            senders.extend([self.name] * len(messages))
            return [(0, n) for n in range(len(messages))]

    async def tell(number: int) -> None:
        async with database.begin() as connection:
            await enqueue(connection, [message(topic, number)])
        async with asyncio.timeout(30):
            while await waiting(database):
                await asyncio.sleep(0.05)

    publishers = Noted(Settings()), Noted(Settings())
    publishers[0].name, publishers[1].name = "reserve", "ready"
    reserve, ready = Relay(database, publishers[0], reserve_seconds=1.5), Relay(database, publishers[1])
    await reserve.start()
    await ready.start()
    try:
        await tell(1)
        await asyncio.sleep(2)
        await tell(2)
        await ready.stop()
        await tell(3)
    finally:
        await reserve.stop()
    assert senders == ["ready", "ready", "reserve"]

"""The batch consumer on a real Apache Kafka and PostgreSQL: every record has its effects once, whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas import topics as table
from schemas.topics import Topic
from services.runtime.batch import BatchConsumer, Item, Record, Refused, Rejection
from services.runtime.broker import Place, Publisher, Reader
from services.runtime.database import Database
from services.runtime.dead import DeadLetters
from services.runtime.identity import new_id
from services.runtime.migrate import runtime_tables
from services.runtime.outbox import Relay
from services.runtime.settings import Settings
from services.runtime.standing import lag_of

_INSERT = text("INSERT INTO seen SELECT * FROM unnest(CAST(:bodies AS text[]))")


@dataclass
class Bench:
    """A schema and a topic of their own."""

    settings: Settings
    topic: Topic
    schema: str
    dsn: str
    opened: list[Database] = field(default_factory=list)

    def database(self) -> Database:
        """Connections that the fixture gives back."""
        self.opened.append(Database(self.settings, self.schema))
        return self.opened[-1]

    async def execute(self, sql: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(f"SET search_path = {self.schema}")
            found: list[asyncpg.Record] = await connection.fetch(sql)
            return found
        finally:
            await connection.close()

    async def send(self, values: Sequence[bytes], **options: object) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.kafka, enable_idempotence=True, **options)
        await producer.start()
        try:
            futures = [
                await producer.send(self.topic.name, value, partition=n % self.topic.partitions)
                for n, value in enumerate(values)
            ]
            await asyncio.gather(*futures)
        finally:
            await producer.stop()


@dataclass
class Notes:
    """A stage that writes each record's text down, and refuses what begins with `bad`."""

    group: str
    topics: tuple[Topic, ...]
    wait_milliseconds: int = 20
    before: list[int] = field(default_factory=list)
    stall: asyncio.Event | None = None
    stalled: asyncio.Event = field(default_factory=asyncio.Event)

    def decode(self, record: Record) -> str:
        if record.value.startswith(b"bad"):
            raise Refused("begins with bad")
        return record.value.decode()

    async def prepare(self, items: Sequence[Item[str]]) -> None:
        self.before.append(len(items))
        if self.stall is not None:
            self.stalled.set()
            await self.stall.wait()

    async def write(self, connection: AsyncConnection, items: Sequence[Item[str]]) -> Sequence[Rejection]:
        kept = [i for i in items if not i.value.startswith("reject")]
        await connection.execute(_INSERT, {"bodies": [i.value for i in kept]})
        return [Rejection(i.record, "rejected") for i in items if i.value.startswith("reject")]


@pytest.fixture
async def bench(postgres_dsn: str, kafka_address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    name = f"t{new_id().hex[-12:]}"
    topic = Topic(f"{name}.v1", ("x",), "none", ("test",), ("test",), partitions=3, retention=None, keeper="test")
    monkeypatch.setattr(table, "TOPICS", (*table.TOPICS, topic))
    settings = Settings(database=postgres_dsn, kafka=kafka_address, session_timeout_seconds=6)
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE ROLE jubao_{name}; CREATE SCHEMA {name}; SET search_path = {name}")
    await connection.execute(runtime_tables())
    await connection.execute("CREATE TABLE seen (body text UNIQUE CHECK (length(body) < 40))")
    await connection.execute(
        f"GRANT USAGE ON SCHEMA {name} TO jubao_{name};"
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO jubao_{name}"
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_address)
    await admin.start()
    configs = {"message.timestamp.type": "LogAppendTime"}
    await admin.create_topics(
        [NewTopic(topic.name, 3, 1, topic_configs=configs), NewTopic(str(topic.dead), 1, 1, topic_configs=configs)]
    )
    await admin.close()
    made = Bench(settings, topic, name, postgres_dsn)
    yield made
    for database in made.opened:
        await database.close()
    await connection.execute(f"DROP SCHEMA {name} CASCADE; DROP ROLE jubao_{name}")
    await connection.close()


async def until(condition: object, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # type: ignore[operator]
            await asyncio.sleep(0.05)


async def test_good_records_pass_beside_bad_ones(bench: Bench) -> None:
    """Records that do not fit are dead once with their reason, and every good one beside them is written once."""
    values = [f"bad {n}".encode() if n % 7 == 0 else f"note {n:04}".encode() for n in range(500)]
    values += [b"reject me", b"x" * 50, b"note 0001"]
    await bench.send(values)
    database = bench.database()
    publisher = Publisher(bench.settings)
    consumer, relay = (
        BatchConsumer(bench.settings, database, Notes(bench.schema, (bench.topic,))),
        Relay(database, publisher),
    )
    await consumer.start()
    await relay.start()
    good = sorted(v.decode() for v in values if v.startswith(b"note"))

    async def done() -> bool:
        rows = await bench.execute(
            "SELECT (SELECT count(*) FROM seen), (SELECT count(*) FROM dead WHERE letter_offset IS NOT NULL)"
        )
        return rows[0][0] == len(set(good)) and rows[0][1] == len(values) - len(set(good))

    await until(done)
    reasons = {r[0]: r[1] for r in await bench.execute("SELECT reason, count(*) FROM dead GROUP BY 1")}
    assert reasons["begins with bad"] == 72
    assert reasons["rejected"] == 1
    assert sum("SQLSTATE 23514" in r for r in reasons) == 1
    assert sum("SQLSTATE 23505" in r for r in reasons) == 1
    async with Reader(bench.settings) as reader:
        place = Place(str(bench.topic.dead), 0)
        assert (await reader.ends([place]))[place] == 75
        reader.read_from({place: 0})
        letters = []
        while len(letters) < 75:
            letters += await reader.next_records(1000)
    assert {r.header("source-topic") for r in letters} == {bench.topic.name.encode()}
    assert len({(r.header("source-partition"), r.header("source-offset")) for r in letters}) == 75

    await bench.execute("ALTER TABLE seen DROP CONSTRAINT seen_body_check")
    dead = DeadLetters(bench.settings, database, publisher)
    sent = await dead.replay(await dead.page())
    assert len(sent) == 75

    async def replayed() -> bool:
        rows = await bench.execute("SELECT (SELECT count(*) FROM seen), (SELECT count(*) FROM dead)")
        return rows[0][0] == len(set(good)) + 1 and rows[0][1] == 75 + 74

    await until(replayed)
    await relay.stop()
    await consumer.stop()
    await publisher.stop()


async def test_transaction_markers_are_not_taken_for_losses(bench: Bench) -> None:
    """Offsets that a transactional producer's markers take up do not stop the consumer."""
    producer = AIOKafkaProducer(bootstrap_servers=bench.settings.kafka, transactional_id=bench.schema)
    await producer.start()
    for n in range(5):
        async with producer.transaction():
            await producer.send_and_wait(bench.topic.name, f"note {n}".encode(), partition=0)
    await producer.begin_transaction()
    await producer.send_and_wait(bench.topic.name, b"never", partition=0)
    await producer.abort_transaction()
    await producer.stop()
    await bench.send([b"last"])
    consumer = BatchConsumer(bench.settings, bench.database(), Notes(bench.schema, (bench.topic,)))
    await consumer.start()

    async def done() -> bool:
        return [r[0] for r in await bench.execute("SELECT body FROM seen ORDER BY 1")] == [
            "last",
            *(f"note {n}" for n in range(5)),
        ]

    await until(done)
    await consumer.stop()


async def test_what_is_no_record_is_no_lag(bench: Bench) -> None:
    """A topic that ends in a transaction's marker, or in what was taken back, is done; one more record is lag again."""
    database = bench.database()
    consumer = BatchConsumer(bench.settings, database, Notes(bench.schema, (bench.topic,)))
    await consumer.start()
    producer = AIOKafkaProducer(bootstrap_servers=bench.settings.kafka, transactional_id=bench.schema)
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(bench.topic.name, b"note 0", partition=0)
    await producer.begin_transaction()
    await producer.send_and_wait(bench.topic.name, b"never", partition=1)
    await producer.abort_transaction()
    await producer.stop()

    async def lag() -> int:
        return (await lag_of(bench.settings, database, (bench.topic,)))[bench.topic.name]

    async def done() -> bool:
        return [r[0] for r in await bench.execute("SELECT body FROM seen")] == ["note 0"] and await lag() == 0

    await until(done)
    await consumer.stop()
    await bench.send([b"one", b"two", b"three"])
    assert await lag() >= 3


async def test_process_that_lost_its_partitions_writes_nothing(bench: Bench) -> None:
    """A batch in hand while another process takes the partitions is dropped, and its records are written once."""
    await bench.send([f"note {n}".encode() for n in range(30)])
    stage = Notes(bench.schema, (bench.topic,), stall=asyncio.Event())
    slow = BatchConsumer(bench.settings, bench.database(), stage)
    await slow.start()
    await asyncio.wait_for(stage.stalled.wait(), 20)
    # What a rebalance does, seen from the database: the partitions have a new owner's epoch.
    await bench.execute("UPDATE offsets SET epoch = epoch + 1")
    stage.stall.set()  # type: ignore[union-attr]

    async def done() -> bool:
        return len(await bench.execute("SELECT 1 FROM seen")) == 30

    await until(done)
    assert stage.before.count(30) + stage.before.count(10) >= 2
    assert slow.health().healthy or "another process" in slow.health().detail
    await slow.stop()


async def test_database_away_pauses_and_loses_nothing(bench: Bench) -> None:
    """While the database refuses its sessions the consumer waits, keeps its membership, and then goes on."""
    consumer = BatchConsumer(bench.settings, bench.database(), Notes(bench.schema, (bench.topic,)))
    await consumer.start()

    async def ready() -> bool:
        return consumer.health().healthy

    await until(ready)
    await bench.execute(f"ALTER ROLE jubao_{bench.schema} RENAME TO away_{bench.schema}")
    await bench.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jubao-{bench.schema}'"
    )
    await bench.send([f"note {n}".encode() for n in range(60)])

    async def paused() -> bool:
        return not consumer.health().healthy

    await until(paused)
    await bench.execute(f"ALTER ROLE away_{bench.schema} RENAME TO jubao_{bench.schema}")

    async def done() -> bool:
        return len(await bench.execute("SELECT 1 FROM seen")) == 60

    await until(done)
    await until(ready)
    await consumer.stop()


async def test_kafka_committed_less_than_the_database(bench: Bench) -> None:
    """When Kafka's own offsets were never committed, a new consumer goes on from the database's."""
    await bench.send([f"note {n}".encode() for n in range(90)])
    first = BatchConsumer(bench.settings, bench.database(), Notes(bench.schema, (bench.topic,)))

    async def refuse(_: object) -> bool:
        return False

    first._subscription.commit = refuse  # type: ignore[method-assign]
    await first.start()

    async def done() -> bool:
        return len(await bench.execute("SELECT 1 FROM seen")) == 90

    await until(done)
    await first.stop()
    stage = Notes(bench.schema, (bench.topic,))
    second = BatchConsumer(bench.settings, bench.database(), stage)
    await second.start()
    await bench.send([b"last"])

    async def last() -> bool:
        return len(await bench.execute("SELECT 1 FROM seen")) == 91

    await until(last)
    assert sum(stage.before) == 1
    await second.stop()


async def test_broker_replaced_is_said_plainly(bench: Bench) -> None:
    """Offsets of another broker stop the consumer with a sentence instead of letting it wait for ever."""
    await bench.execute(
        f"INSERT INTO offsets SELECT '{bench.topic.name}', p, 1000, 1, 'another-broker' FROM generate_series(0, 2) p"
    )
    consumer = BatchConsumer(bench.settings, bench.database(), Notes(bench.schema, (bench.topic,)))
    await consumer.start()

    async def told() -> bool:
        return "another-broker" in consumer.health().detail

    await until(told)
    await consumer.stop()

"""The log on a real Kafka and PostgreSQL: each record one entry, dense indexes, nothing lost, nothing changed."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from schemas.topics import TOPICS, topic_named
from services.audit.app import UNITS
from services.audit.leaf import UNREADABLE, commitment
from services.audit.reading import LOGGED
from services.runtime.broker import Message
from services.runtime.clock import SystemClock
from services.runtime.process import Process
from services.runtime.settings import Settings
from tests.integration.consuming import own_settings, rows_of, running, until

CANARY = "CANARY-51c0"


@pytest.fixture(scope="module")
async def settings(postgres_dsn: str, kafka_address: str) -> Settings:
    """A database of this module's own, with all tables, and the topics."""
    return await own_settings("audit", postgres_dsn, kafka_address)


def consuming(settings: Settings) -> AbstractAsyncContextManager[Process]:
    """A process that writes the log, for as long as the block lasts."""
    return running(settings, UNITS["consume"])


async def rows(process: Process, statement: str, **values: Any) -> Sequence[Any]:
    return await rows_of(process, "audit", statement, **values)


async def send(settings: Settings, *records: tuple[str, bytes]) -> None:
    process = Process(settings)
    try:
        await process.publisher.publish(
            [Message(topic, uuid4().bytes, value, uuid4(), None) for topic, value in records]
        )
    finally:
        await process.close()


def submitted(report_id: UUID, *, event_id: UUID | None = None, explanation: str = CANARY) -> bytes:
    return event(
        "jubao.report.submitted.v1",
        event_id or uuid4(),
        report_id,
        {
            "report_id": str(report_id),
            "channel": "one_click",
            "reporter": f"{CANARY} reporter",
            "occurred_at": "2026-11-23T08:00:00Z",
            "source": {"kind": "user"},
            "content": {"id": f"v_{report_id}", "type": "video", "excerpt": f"{CANARY} 摘录"},
            "category": "scams_and_fraud",
            "explanation": explanation,
        },
    )


def alert(event_id: UUID, report_id: UUID) -> bytes:
    return event(
        "jubao.activity.alert.v1",
        event_id,
        report_id,
        {"code": "bad_attestation", "what": f"{CANARY} what", "lane": "flagged", "report_id": str(report_id)},
    )


def event(name: str, event_id: UUID, report_id: UUID, data: dict[str, Any]) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(event_id),
            "source": "test",
            "type": name,
            "time": "2026-11-23T08:00:00Z",
            "subject": str(report_id),
            "correlationid": str(report_id),
            "data": data,
        }
    ).encode()


async def entries_of(process: Process, report_ids: Sequence[UUID]) -> list[Any]:
    return list(
        await rows(
            process,
            "SELECT * FROM entries WHERE report_id = ANY(CAST(:ids AS uuid[])) ORDER BY index",
            ids=list(report_ids),
        )
    )


async def assert_dense(process: Process) -> int:
    """Indexes run from 0 without a gap up to the head's size, and every commitment is that of its private part."""
    ((count, least, most, size),) = await rows(
        process, "SELECT count(*), min(index), max(index), (SELECT size FROM head) FROM entries"
    )
    assert (least, most) == (0, count - 1)
    assert size == count
    kept = await rows(process, "SELECT leaf, salt, part FROM entries JOIN private USING (index)")
    for leaf, salt, part in kept:
        assert orjson.loads(leaf)["commitment"] == commitment(salt, part)
        assert CANARY.encode() not in leaf
    return int(count)


async def test_every_record_is_one_entry(settings: Settings) -> None:
    """Reports sent twice are one entry each, other bytes under the same event id another, and all are dense."""
    ids = [uuid4() for _ in range(300)]
    first = [("reports.public.v1", submitted(i)) for i in ids]
    twin = uuid4()
    twins = [("reports.public.v1", submitted(ids[0], event_id=twin, explanation=f"say {n}")) for n in range(2)]
    own = uuid4()
    alerts = [("activity.v1", alert(own, ids[1])), ("activity.v1", alert(own, ids[2]))]
    await send(settings, *first, *first[:50], *twins, alerts[0])
    await send(settings, alerts[1])
    async with consuming(settings) as process:

        async def all_in() -> bool:
            return len(await entries_of(process, ids)) >= 303

        await until(all_in)
        await asyncio.sleep(1)
        found = await entries_of(process, ids)
        assert len(found) == 303
        assert len([row for row in found if row.event_id == twin]) == 2
        assert [row.report_id for row in found if row.type == "jubao.activity.alert.v1"] == [ids[1]]
        await assert_dense(process)


async def test_restarts_leave_no_gap_and_no_second_entry(settings: Settings) -> None:
    """A writer that is cut off in mid-batch, again and again, and a second one beside it, write each record once."""
    ids = [uuid4() for _ in range(3_000)]
    for start in range(0, len(ids), 500):
        await send(settings, *[("reports.public.v1", submitted(i)) for i in ids[start : start + 500]])
    small = settings.model_copy(update={"batch_records": 100})
    for cut in (1, 1_000):
        async with consuming(small) as process:

            async def begun(process: Process = process, cut: int = cut) -> bool:
                return len(await entries_of(process, ids)) >= cut

            await until(begun)
            terminator = await asyncpg.connect(settings.database.get_secret_value())
            await terminator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jubao-audit'"
            )
            await terminator.close()
    async with consuming(settings) as process:

        async def all_in() -> bool:
            return len(await entries_of(process, ids)) >= len(ids)

        await until(all_in)
        assert sorted(row.report_id for row in await entries_of(process, ids)) == sorted(ids)
        await assert_dense(process)


async def test_a_second_writer_waits_and_takes_over(settings: Settings) -> None:
    """Of two processes one writes; the other says that it stands by, and writes once the first is gone."""
    one, two = Process(settings), Process(settings)
    (_, first, *_), (_, second, *_) = UNITS["consume"](one).workers, UNITS["consume"](two).workers
    report_id = uuid4()
    try:
        await first.start()

        async def first_writes() -> bool:
            return first.health().healthy and "partitions" in first.health().detail

        await until(first_writes)
        await second.start()

        async def second_waits() -> bool:
            return "another process writes the log" in second.health().detail

        await until(second_waits)
        assert second.health().healthy
    finally:
        await first.stop()
    try:

        async def second_writes() -> bool:
            return len(await entries_of(two, [report_id])) == 1

        await send(settings, ("reports.public.v1", submitted(report_id)))
        await until(second_writes)
    finally:
        await second.stop()
        await one.close()
        await two.close()


@pytest.mark.parametrize(
    "away", [{"kafka": "127.0.0.1:1"}, {"database": SecretStr("postgresql://nobody@127.0.0.1:1/none")}]
)
async def test_the_writer_waits_for_its_engines(settings: Settings, away: dict[str, Any]) -> None:
    """With an engine away the writer says so, goes on trying, and stops at once when it is asked to."""
    process = Process(settings.model_copy(update=away))
    (_, writer, *_) = UNITS["consume"](process).workers
    await writer.start()

    async def says_so() -> bool:
        return not writer.health().healthy and "waits for an engine" in writer.health().detail

    await until(says_so)
    async with asyncio.timeout(15):
        await writer.stop()
        await process.close()


BAD = [
    b"not json",
    b"\xff\xfe\x00",
    b"{}",
    b"[]",
    json.dumps({"specversion": "1.0", CANARY: CANARY}).encode(),
    b"x" * 600_000,
]


async def test_unreadable_records_of_every_topic_are_entries(settings: Settings) -> None:
    """What is no event of its topic is an entry with place and reason; of topics audit keeps it is dead as well."""
    good = uuid4()
    bad = [(topic.name, value) for topic in LOGGED for value in BAD]
    await send(settings, *bad, ("reports.public.v1", submitted(good)))
    async with consuming(settings) as process:

        async def all_in() -> bool:
            found = await rows(process, "SELECT count(*) FROM entries WHERE type = :type", type=UNREADABLE)
            return bool(found[0][0] >= len(bad)) and len(await entries_of(process, [good])) == 1

        await until(all_in)
        found = [
            orjson.loads(row.leaf)
            for row in await rows(process, "SELECT leaf FROM entries WHERE type = :type", type=UNREADABLE)
        ]
        by_topic = {topic.name: [b for b in found if b["topic"] == topic.name] for topic in LOGGED}
        assert all(len(bodies) == len(BAD) for bodies in by_topic.values())
        assert all(b["detail"]["reason"] and b["actor"] == "audit" for b in found)
        assert CANARY not in json.dumps(found)
        dead = await rows(process, 'SELECT topic, partition, "offset", reason FROM dead')
        assert {row.topic for row in dead} == {"cases.v1", "outcomes.v1", "activity.v1", "erasures.v1"}
        assert len(dead) == 4 * len(BAD)
        places = {(b["topic"], b["partition"], b["offset"]) for b in found}
        assert all((row.topic, row.partition, row.offset) in places for row in dead)
        assert CANARY not in str(dead)
        await assert_dense(process)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET actor = 'someone' WHERE index = 0",
        "DELETE FROM entries WHERE index = 0",
        "TRUNCATE entries",
        "DELETE FROM erased",
        "TRUNCATE private",
        "UPDATE private SET part = 'xxx'",
        "DELETE FROM head",
        "DELETE FROM minutes",
        "UPDATE tiles SET root = hashes",
        "DELETE FROM tiles",
        "TRUNCATE tiles",
        "DELETE FROM checkpoints",
        "UPDATE checkpoints SET note = 'x'",
        "DELETE FROM doings",
        "DELETE FROM keys",
        "ALTER TABLE tiles DISABLE TRIGGER ALL",
        "DROP FUNCTION entries_stay CASCADE",
        "CREATE RULE r AS ON INSERT TO entries DO INSTEAD NOTHING",
        "ALTER TABLE entries DISABLE TRIGGER ALL",
        "DROP TABLE entries",
    ],
)
async def test_the_role_may_not_change_the_log(settings: Settings, statement: str) -> None:
    """The log's own role is refused every statement that would change or remove what was logged."""
    process = Process(settings)
    try:
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            await rows(process, statement)
    finally:
        await process.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit.entries SET actor = 'x'",
        "DELETE FROM audit.entries",
        "TRUNCATE audit.entries",
        "UPDATE audit.tiles SET root = root",
        "DELETE FROM audit.tiles",
        "TRUNCATE audit.tiles",
        "UPDATE audit.checkpoints SET size = 0",
        "DELETE FROM audit.checkpoints",
        "TRUNCATE audit.checkpoints, audit.entries",
        "TRUNCATE audit.head",
    ],
)
async def test_even_the_owner_is_stopped_by_the_trigger(settings: Settings, statement: str) -> None:
    """Whoever has all rights still meets the trigger before an entry changes."""
    connection = await asyncpg.connect(settings.database.get_secret_value())
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never changed or removed"):
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit.head SET size = size - 1", "DELETE FROM audit.head", "UPDATE audit.head SET origin = 'x'"],
)
async def test_the_head_only_grows(settings: Settings, statement: str) -> None:
    """Not even the owner sets the log's size back, removes it, or gives the log another name once it has one."""
    connection = await asyncpg.connect(settings.database.get_secret_value())
    try:
        await connection.execute("UPDATE audit.head SET origin = 'test.example/log' WHERE origin IS NULL")
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only grows"):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_second_row_of_an_identity_is_refused(settings: Settings) -> None:
    """Even past the code that looks for it, a second entry of one identity cannot be inserted."""
    process = Process(settings)
    try:
        with pytest.raises(IntegrityError):
            await rows(
                process,
                "INSERT INTO entries (index, identity, event_id, type, at, actor, leaf) "
                "SELECT size, identity, event_id, type, at, actor, leaf FROM entries, head WHERE index = 0 RETURNING 1",
            )
        with pytest.raises(DBAPIError):
            await rows(process, "INSERT INTO head (one, size) VALUES (false, 0) RETURNING 1")
    finally:
        await process.close()


async def test_the_broker_keeps_the_time(settings: Settings) -> None:
    """An entry's time is the broker's append time, not the producer's."""
    report_id = uuid4()
    before = SystemClock().now()
    await send(settings, ("reports.public.v1", submitted(report_id)))
    async with consuming(settings) as process:

        async def is_in() -> bool:
            return len(await entries_of(process, [report_id])) == 1

        await until(is_in)
        (row,) = await entries_of(process, [report_id])
        assert abs((row.at - before).total_seconds()) < 30
        assert orjson.loads(row.leaf)["event_time"] == "2026-11-23T08:00:00.000000Z"


def test_audit_reads_every_topic() -> None:
    """The stage subscribes to all but the checkpoints that vouch for it, so a new topic is logged at once."""
    from services.audit.consume import Log  # noqa: PLC0415 -- next to what it says

    assert {topic.name for topic in TOPICS} - {topic.name for topic in Log.topics} <= {"checkpoints.v1"}
    assert all("audit" in topic_named(topic.name).consumers for topic in Log.topics)

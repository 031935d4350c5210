"""The log vouches for itself outside its database, and is not written to where it is not what was vouched for."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from schemas.topics import CHECKPOINTS, REPORTS_PUBLIC
from services.audit import checkpointing
from services.audit.app import UNITS
from services.audit.keys import parse_keys
from services.audit.note import checkpoint_of, notes_in, vouched
from services.audit.outside import checkpoint_file, keys_file
from services.audit.signing import new_block
from services.audit.store import entries
from services.audit.tiles import Edge
from services.audit.tree import Frontier, leaf_hash
from services.cli.stack.entry import jubao_argv
from services.runtime.broker import Message, Place, Reader
from services.runtime.clock import SetClock
from services.runtime.database import Connection
from services.runtime.files import replace_file
from services.runtime.metrics import LOG_REFUSED
from services.runtime.process import Process, Worker
from services.runtime.settings import Settings
from tests.integration.consuming import own_settings, until

NOTHING_DELETED = "SET session_replication_role = replica"


@pytest.fixture
async def settings(postgres_dsn: str, kafka_address: str, tmp_path: Path) -> Settings:
    """A database and a directory of this test's own, and a key."""
    made = await own_settings("vouched", postgres_dsn, kafka_address)
    (tmp_path / "audit.pem").write_bytes(new_block())
    own = {"data": tmp_path, "audit_key_file": tmp_path / "audit.pem", "checkpoint_seconds": 0.3}
    # All of the broker's history is as good as this test's own, and would take its time.
    await skip_history(made)
    return made.model_copy(update=own)


async def skip_history(settings: Settings) -> None:
    """Lets audit begin at the ends of the topics, which other tests have filled."""
    connection = await asyncpg.connect(settings.database.get_secret_value())
    async with Reader(settings) as reader:
        from services.audit.reading import LOGGED  # noqa: PLC0415 -- next to what it is for
        from services.runtime.administration import cluster_id  # noqa: PLC0415

        cluster = await cluster_id(settings)
        places = [place for topic in LOGGED for place in await reader.places(topic.name)]
        rows = [(p.topic, p.partition, end, 1, cluster) for p, end in (await reader.ends(places)).items()]
    await connection.copy_records_to_table("offsets", schema_name="audit", records=rows)
    await connection.close()


async def send(settings: Settings, count: int) -> None:
    process = Process(settings)
    try:
        messages = [Message(REPORTS_PUBLIC.name, b"v", submitted(uuid4()), uuid4(), None) for _ in range(count)]
        await process.publisher.publish(messages)
    finally:
        await process.close()


def submitted(report_id: UUID) -> bytes:
    data = {
        "report_id": str(report_id),
        "channel": "one_click",
        "reporter": "u_1",
        "occurred_at": "2026-11-23T08:00:00Z",
        "source": {"kind": "user"},
        "content": {"id": f"v_{report_id}", "type": "video"},
        "category": "scams_and_fraud",
    }
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "test",
        "type": "jubao.report.submitted.v1",
        "time": "2026-11-23T08:00:00Z",
        "subject": str(report_id),
        "data": data,
    }
    return json.dumps(event).encode()


@asynccontextmanager
async def writing(settings: Settings, clock: SetClock | None = None) -> AsyncIterator[Worker]:
    """The writer of the log, for as long as the block lasts."""
    process = Process(settings, clock)
    (_, writer, *_) = UNITS["consume"](process).workers
    await writer.start()
    try:
        yield writer
    finally:
        await writer.stop()
        await process.close()


async def fetch(settings: Settings, statement: str, *values: Any) -> list[Any]:
    connection = await asyncpg.connect(settings.database.get_secret_value())
    try:
        return list(await connection.fetch(statement, *values))
    finally:
        await connection.close()


async def tamper(settings: Settings, *statements: str) -> None:
    """Does as a superuser what triggers would stop."""
    connection = await asyncpg.connect(settings.database.get_secret_value())
    try:
        async with connection.transaction():
            for statement in (NOTHING_DELETED, "SET search_path = audit", *statements):
                await connection.execute(statement)
    finally:
        await connection.close()


async def size(settings: Settings) -> int:
    return int((await fetch(settings, "SELECT size FROM audit.head"))[0][0])


async def grown_to(settings: Settings, wanted: int) -> None:
    async def is_there() -> bool:
        return await size(settings) >= wanted

    await until(is_there)


async def refused_with(writer: Worker, words: str) -> None:
    async def says_so() -> bool:
        health = writer.health()
        return not health.healthy and words in health.detail

    await until(says_so)


async def vouched_sizes(settings: Settings) -> list[int]:
    """The sizes of the file's checkpoints, once each was found to be signed and to have the root of the entries."""
    rows = await fetch(settings, "SELECT index, leaf FROM audit.entries ORDER BY index")
    assert [row["index"] for row in rows] == list(range(len(rows)))
    frontier, roots = Frontier(), {}
    for row in rows:
        frontier.append(leaf_hash(row["leaf"]))
        roots[frontier.size] = frontier.root()
    keys = [dated.key for dated in parse_keys(keys_file(settings).read_text())]
    sizes = []
    for note in notes_in(checkpoint_file(settings).read_text()):
        checkpoint = checkpoint_of(note.text)
        assert vouched(note, keys)
        assert roots[checkpoint.size] == checkpoint.root
        sizes.append(checkpoint.size)
    assert sizes == sorted(sizes)
    return sizes


async def test_what_is_logged_is_vouched_for_outside(settings: Settings) -> None:
    """Checkpoints come while the log grows and at its stop, alike in file, topic and table, with the tree's roots."""
    async with writing(settings):
        for wanted in (300, 500):
            await send(settings, 300 if wanted == 300 else 200)
            await grown_to(settings, wanted)
            await asyncio.sleep(1)
    sizes = await vouched_sizes(settings)
    assert sizes[-1] == 500
    assert 300 in sizes
    table = await fetch(settings, "SELECT size, note FROM audit.checkpoints ORDER BY number")
    assert [row["size"] for row in table] == sizes
    on_topic = await published(settings)
    assert set(on_topic) >= {row["note"] for row in table}


async def test_a_log_that_grows_while_it_is_signed_is_whole(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint is of the log as it was at one moment, also where an append commits while it is looked through."""
    read_head, grown = entries.head, 0

    async def head_before_growth(connection: Connection) -> entries.Head:
        nonlocal grown
        head = await read_head(connection)
        if grown < 3 and head.size:
            grown += 1
            await send(settings, 2)
            await grown_to(settings, head.size + 2)
        return head

    monkeypatch.setattr(entries, "head", head_before_growth)
    async with writing(settings) as writer:
        await send(settings, 3)
        await until(lambda: _signed_for(settings, 9))
        assert writer.health().healthy, writer.health().detail
    assert (await vouched_sizes(settings))[-1] == 9


async def _signed_for(settings: Settings, wanted: int) -> bool:
    return (await fetch(settings, "SELECT max(size) FROM audit.checkpoints"))[0][0] == wanted


async def test_a_quiet_log_makes_no_checkpoints(settings: Settings) -> None:
    """Without new entries nothing is signed again, over restarts either."""
    await send(settings, 3)
    async with writing(settings):
        await grown_to(settings, 3)
        await asyncio.sleep(1)
    before = await vouched_sizes(settings)
    async with writing(settings):
        await asyncio.sleep(3)
    assert await vouched_sizes(settings) == before


async def published(settings: Settings) -> list[str]:
    place = Place(CHECKPOINTS.name, 0)
    notes: list[str] = []
    async with Reader(settings) as reader:
        end = (await reader.ends([place]))[place]
        reader.read_from({place: 0})
        while await reader.position(place) < end:
            notes += [json.loads(record.value)["data"]["note"] for record in await reader.next_records(1_000)]
    return notes


async def test_a_database_set_back_is_not_written_to(settings: Settings) -> None:
    """A database that was put back to an earlier state is refused with a sentence; put right, it is written to."""
    await send(settings, 400)
    async with writing(settings):
        await grown_to(settings, 400)
    kept = await fetch(settings, "SELECT leaf FROM audit.entries ORDER BY index")
    edge, _ = Edge().extended([leaf_hash(row["leaf"]) for row in kept[:300]])
    now_root = (await fetch(settings, "SELECT root FROM audit.head"))[0]["root"]
    await tamper(
        settings,
        "CREATE TABLE saved AS SELECT * FROM entries WHERE index >= 300",
        "CREATE TABLE saved_checkpoints AS SELECT * FROM checkpoints",
        "DELETE FROM entries WHERE index >= 300",
        "DELETE FROM checkpoints",
        f"UPDATE head SET size = 300, root = '\\x{edge.root().hex()}'",
    )
    await send(settings, 10)
    async with writing(settings) as writer:
        await refused_with(writer, "was set back")
        assert "checkpoint of 400 was published" in writer.health().detail
        assert LOG_REFUSED._value.get() == 1
        await asyncio.sleep(2)
        assert await size(settings) == 300
        await tamper(
            settings,
            "INSERT INTO entries SELECT * FROM saved",
            f"UPDATE head SET size = 400, root = '\\x{now_root.hex()}'",
        )
        await grown_to(settings, 410)
        assert LOG_REFUSED._value.get() == 0
    assert (await vouched_sizes(settings))[-1] == 410


REWRITE = "UPDATE entries SET leaf = replace(encode(leaf, 'escape'), 'one_click', 'mentioned')::bytea WHERE index = 5"


async def test_a_rewritten_log_is_not_written_to(settings: Settings) -> None:
    """Entries changed with all hashes computed anew fit together, and not with what was published."""
    await send(settings, 300)
    async with writing(settings):
        await grown_to(settings, 300)
    await tamper(settings, REWRITE)
    rows = await fetch(settings, "SELECT leaf FROM audit.entries ORDER BY index")
    edge, tiles = Edge().extended([leaf_hash(row["leaf"]) for row in rows])
    await tamper(
        settings,
        *(
            f"UPDATE tiles SET hashes = '\\x{tile.hashes.hex()}', root = '\\x{tile.root.hex()}' "
            f"WHERE level = {tile.level} AND number = {tile.number}"
            for tile in tiles
        ),
        f"UPDATE head SET root = '\\x{edge.root().hex()}'",
    )
    await send(settings, 5)
    async with writing(settings) as writer:
        await refused_with(writer, "the log was changed")
        assert await size(settings) == 300


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM entries WHERE index = 299", "its last one has index 298"),
        ("DELETE FROM entries WHERE index = 280", "44 should be there and 43 are"),
        ("DELETE FROM tiles", "1 full tiles, but the last has number None"),
        ("UPDATE head SET root = sha256('x')", "not the one that was kept"),
        (REWRITE.replace("index = 5", "index = 290"), "does not"),
        ("DELETE FROM head", "it has 0 entries, but its last one has index 299"),
    ],
)
async def test_a_torn_log_is_not_written_to(settings: Settings, statement: str, words: str) -> None:
    """Entries, tiles and head that do not fit one another stop the writer, and it says which."""
    await send(settings, 300)
    async with writing(settings):
        await grown_to(settings, 300)
    # Without what was published the log has only itself to be judged by.
    checkpoint_file(settings).unlink()
    (settings.data / "audit.pem").write_bytes(new_block())
    keys_file(settings).unlink()
    await tamper(settings, statement)
    async with writing(settings) as writer:
        await refused_with(writer, "does not hold together")
        assert words in writer.health().detail


async def test_a_log_touched_while_it_is_written_stops_the_writer(settings: Settings) -> None:
    """Entries that vanish under a running writer are noticed at the next append, before anything is added."""
    await send(settings, 300)
    async with writing(settings) as writer:
        await grown_to(settings, 300)
        await until_vouched(settings, 300)
        rows = await fetch(settings, "SELECT leaf FROM audit.entries ORDER BY index")
        edge, _ = Edge().extended([leaf_hash(row["leaf"]) for row in rows[:290]])
        await tamper(
            settings,
            "DELETE FROM entries WHERE index >= 290",
            f"UPDATE head SET size = 290, root = '\\x{edge.root().hex()}'",
        )
        await send(settings, 3)
        await refused_with(writer, "was set back")
        assert await size(settings) == 290


async def test_a_stop_while_starting_leaves_nothing_unvouched(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the disk is with the keys, what is logged by the time of a stop is under a checkpoint after it."""

    def slowly(*arguments: Any, **options: Any) -> None:
        # Longer than a consumer takes to get its partitions and append.
        time.sleep(4)
        replace_file(*arguments, **options)

    monkeypatch.setattr(checkpointing, "replace_file", slowly)
    await send(settings, 20)
    async with writing(settings):
        await grown_to(settings, 20)
    assert await vouched_sizes(settings) == [20]


FOREIGN = """
    INSERT INTO entries
    SELECT 300, gen_random_uuid(), NULL, type, at, actor, report_id, case_id, content_id, source_id, leaf
    FROM entries WHERE index = 7
"""


async def test_a_foreign_entry_lets_no_record_die(settings: Settings) -> None:
    """Where the next entry's place is taken by another hand the writer stops, and once it is free it logs all."""
    await send(settings, 300)
    async with writing(settings) as writer:
        await grown_to(settings, 300)
        await tamper(settings, FOREIGN)
        await send(settings, 5)
        await refused_with(writer, "its last one has index 300")
        assert await size(settings) == 300
        await tamper(settings, "DELETE FROM entries WHERE index = 300")
        await grown_to(settings, 305)
    assert await fetch(settings, "SELECT 1 FROM audit.dead") == []
    await vouched_sizes(settings)


async def test_what_was_not_written_here_is_not_signed(settings: Settings) -> None:
    """An entry altered with the log's root, before a checkpoint covers it, is not vouched for by the next one."""
    slow = settings.model_copy(update={"checkpoint_seconds": 3.0})
    await send(settings, 290)
    async with writing(slow) as writer:
        await grown_to(settings, 290)
        await until_vouched(settings, 290)
        await send(settings, 10)
        await grown_to(settings, 300)
        rows = await fetch(settings, "SELECT leaf FROM audit.entries ORDER BY index")
        leaves = [row["leaf"] for row in rows]
        leaves[299] = leaves[299].replace(b"one_click", b"one_clack")
        edge, _ = Edge().extended([leaf_hash(leaf) for leaf in leaves])
        await tamper(
            settings,
            f"UPDATE entries SET leaf = '\\x{leaves[299].hex()}' WHERE index = 299",
            f"UPDATE head SET root = '\\x{edge.root().hex()}'",
        )
        await refused_with(writer, "is not the one that was written")
        text = checkpoint_file(settings).read_text()
        assert edge.root() not in [checkpoint_of(note.text).root for note in notes_in(text)]


async def until_vouched(settings: Settings, wanted: int) -> None:
    async def is_vouched_for() -> bool:
        return checkpoint_file(settings).exists() and (await vouched_sizes(settings))[-1] == wanted

    await until(is_vouched_for)


async def test_keys_overlap_and_give_way(settings: Settings) -> None:
    """While two keys are in the file both sign; once one is dropped its time is over, and what it signed counts."""
    pem = settings.data / "audit.pem"
    first, second = pem.read_bytes(), new_block()
    lines: list[int] = []
    for keys in (first, first + second, second):
        pem.write_bytes(keys)
        await send(settings, 2)
        async with writing(settings):
            await grown_to(settings, 2 * (len(lines) + 1))
        lines.append(len(notes_in(checkpoint_file(settings).read_text())[-1].signatures))
    assert lines == [2, 4, 2]
    await vouched_sizes(settings)
    dated = parse_keys(keys_file(settings).read_text())
    assert [key.until is None for key in dated] == [False, False, True, True]


async def test_a_log_keeps_its_name(settings: Settings) -> None:
    """The name that the first checkpoint gave the log is its name for good; another one is refused."""
    named = settings.model_copy(update={"log_origin": "log.test/one"})
    async with writing(named):
        await send(named, 1)
        await grown_to(named, 1)
    assert checkpoint_of(notes_in(checkpoint_file(named).read_text())[-1].text).origin == "log.test/one"
    async with writing(named.model_copy(update={"log_origin": "log.test/two"})) as writer:
        await refused_with(writer, "the log in this database is named log.test/one")


async def test_time_in_checkpoints_does_not_run_back(settings: Settings) -> None:
    """With the clock set back an hour, checkpoints go on, none with an earlier time than the one before."""
    clock = SetClock(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
    for step in range(3):
        async with writing(settings, clock):
            await send(settings, 1)
            await grown_to(settings, step + 1)
        clock.advance(timedelta(hours=-1) if step == 0 else timedelta(minutes=5))
    keys = [dated.key for dated in parse_keys(keys_file(settings).read_text())]
    times = [at for note in notes_in(checkpoint_file(settings).read_text()) for _, at in vouched(note, keys) if at]
    assert len(times) == 3
    assert times == sorted(times)


async def test_a_file_that_cannot_be_written_is_an_alarm(settings: Settings) -> None:
    """Where a checkpoint cannot be put outside, the writer says so, and catches up once it can."""
    blocked = settings.data / "blocked"
    blocked.write_text("no directory")
    inside = settings.model_copy(update={"checkpoint_file": blocked / "checkpoints"})
    async with writing(inside) as writer:
        await send(settings, 2)
        await refused_with(writer, "checkpoints cannot be published")
        blocked.unlink()
        await until(lambda: _healthy(writer))
    assert notes_in((blocked / "checkpoints").read_text())


async def _healthy(writer: Worker) -> bool:
    return writer.health().healthy


async def test_killed_in_mid_append_it_goes_on_without_a_gap(settings: Settings) -> None:
    """Killed again and again while it appends, the writer leaves no gap, no second entry and no fork."""
    total = 6_000
    await send(settings, total)
    environment = {
        **os.environ,
        "JUBAO_DATABASE": settings.database.get_secret_value(),
        "JUBAO_KAFKA": settings.kafka,
        "JUBAO_DATA": str(settings.data),
        "JUBAO_AUDIT_KEY_FILE": str(settings.audit_key_file),
        "JUBAO_CHECKPOINT_SECONDS": "0.2",
        "JUBAO_BATCH_RECORDS": "200",
        "JUBAO_SESSION_TIMEOUT_SECONDS": "6",
        "JUBAO_PREFLIGHT": "false",
        "JUBAO_HEALTH": "",
    }
    for cut in (200, 2_000):
        child = subprocess.Popen(  # noqa: ASYNC220 -- our own program
            jubao_argv("serve", "audit.consume"),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await grown_to(settings, cut)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
    async with writing(settings):
        await grown_to(settings, total)
    sizes = await vouched_sizes(settings)
    assert sizes[-1] == await size(settings) == total
    notes = await fetch(settings, "SELECT count(*), count(DISTINCT identity) FROM audit.entries")
    assert tuple(notes[0]) == (total, total)


def test_a_cut_off_note_does_not_spoil_the_next(tmp_path: Path) -> None:
    """What a crash left of a note at the file's end is passed by, and the notes around it are read."""
    from services.audit.note import split_notes  # noqa: PLC0415 -- next to what it says
    from services.audit.outside import Outside  # noqa: PLC0415

    made = Settings.model_validate({"data": tmp_path})
    outside = Outside(made, None)  # type: ignore[arg-type] # nothing is sent
    whole = "origin\n1\nAAAA\n\n— origin AAAAAAA=\n"
    outside._append(whole)
    file = checkpoint_file(made)
    file.write_text(file.read_text() + whole[:20])
    outside._append(whole)
    parts: Sequence[str] = split_notes(file.read_text())
    assert parts.count(whole) == 2
    assert len(parts) == 3

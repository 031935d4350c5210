"""A log that is written for a test, what a superuser does to it, and what vouches for it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from schemas.topics import REPORTS_PUBLIC
from services.audit.app import UNITS
from services.audit.keys import parse_keys
from services.audit.note import checkpoint_of, notes_in, vouched
from services.audit.outside import checkpoint_file, keys_file
from services.audit.signing import new_block
from services.audit.tree import Frontier, leaf_hash
from services.runtime.broker import Message, Reader
from services.runtime.clock import SetClock
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


async def until_vouched(settings: Settings, wanted: int) -> None:
    async def is_vouched_for() -> bool:
        return checkpoint_file(settings).exists() and (await vouched_sizes(settings))[-1] == wanted

    await until(is_vouched_for)

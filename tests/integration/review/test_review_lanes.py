"""From the triage topics into cases and on to cases.v1 and decisions.v1, on a real Kafka and PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from schemas.case import CaseEvent
from schemas.decision import DecisionMade, Finding
from schemas.topics import CASES, DECISIONS, TRIAGE_FLAGGED, TRIAGE_PUBLIC
from services.review.app import UNITS
from services.review.decision import Proposal
from services.review.desk import Desk
from services.review.leasing import Terms
from services.runtime.administration import create_topics
from services.runtime.auth import Caller
from services.runtime.broker import Message, Reader, Record
from services.runtime.migrate import upgrade
from services.runtime.process import Process
from services.runtime.settings import Settings

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
async def settings(postgres_dsn: str, kafka_address: str) -> Settings:
    """A database of this module's own; topics are shared with other tests, so a test looks for its own content."""
    name = f"review_lanes_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    made = Settings.model_validate({"database": f"{postgres_dsn.rpartition('/')[0]}/{name}", "kafka": kafka_address})
    await upgrade(made)
    await create_topics(made)
    return made


@asynccontextmanager
async def running(settings: Settings, *units: str) -> AsyncIterator[Process]:
    process = Process(settings)
    workers = list(dict.fromkeys(worker for name in units for worker in UNITS[name](process).workers))
    for worker in workers:
        await worker.start()
    try:
        yield process
    finally:
        for worker in reversed(workers):
            await worker.stop()
        await process.close()


async def until(check: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await check():
            await asyncio.sleep(0.1)


async def rows(settings: Settings, sql: str, *values: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(settings.database.get_secret_value(), server_settings={"search_path": "review"})
    try:
        found: list[asyncpg.Record] = await connection.fetch(sql, *values)
        return found
    finally:
        await connection.close()


async def send(process: Process, topic: str, *events: dict[str, Any] | bytes) -> None:
    await process.publisher.publish(
        [
            Message(
                topic,
                event["data"]["report"]["content"]["id"].encode() if isinstance(event, dict) else None,
                json.dumps(event).encode() if isinstance(event, dict) else event,
                uuid4(),
                None,
            )
            for event in events
        ]
    )


async def everything(settings: Settings, topic: str) -> list[Record]:
    found: list[Record] = []
    async with Reader(settings) as reader:
        ends = {p: end for p, end in (await reader.ends(await reader.places(topic))).items() if end > 0}
        if not ends:
            return found
        reader.read_from(dict.fromkeys(ends, 0))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any([await reader.position(place) < end for place, end in ends.items()]):
                found += await reader.next_records(100)
    return found


async def test_reports_of_both_lanes_become_a_case_whose_story_is_on_the_topics(
    settings: Settings, make_event: Any
) -> None:
    """A public and a police report become one P0 case; its events are published in order, each behind its cause."""
    content = f"v_{uuid4().hex}"
    public = make_event(content=content, queue=content)
    police = make_event(content=content, queue=content, priority="P0")
    async with running(settings, "flagged", "public") as process:
        await send(process, TRIAGE_PUBLIC.name, public)
        await until(lambda: rows(settings, "SELECT 1 FROM cases WHERE content_id = $1", content))
        await send(process, TRIAGE_FLAGGED.name, police, police)
        await until(lambda: rows(settings, "SELECT 1 FROM cases WHERE content_id = $1 AND class = 0", content))
        desk = Desk(process.database("review"), Terms(600, 120))
        caller = Caller("li", "reviewer")
        (claim,) = await desk.claim(caller, [content], 1)
        assert claim.case.content_id == content
        await desk.release(caller, claim.lease.token)
        await until(lambda: _drained(settings))
    events = [CaseEvent.model_validate_json(r.value) for r in await everything(settings, CASES.name)]
    mine = [e for e in events if e.data.content_id == content]
    assert [e.data.version for e in mine] == [1, 2, 3, 4]
    assert [e.type.split(".")[2] for e in mine] == ["opened", "lifted", "claimed", "released"]
    assert [str(e.causationid) for e in mine[:2]] == [public["id"], police["id"]]
    assert [e.causationid for e in mine[2:]] == [mine[1].id, mine[2].id]
    assert mine[1].data.ruling is not None
    assert mine[1].data.ruling.rule == "rule-P0"


async def test_what_does_not_fit_dies_once_and_its_neighbours_go_in(settings: Settings, make_event: Any) -> None:
    """Broken records, P0 without attestation and a used id die with their reasons; the others become reports."""
    used, tag = uuid4(), uuid4().hex
    good = [make_event(content=f"v_{tag}_{n}") for n in range(20)]
    first = make_event(content=f"v_{tag}_used", report_id=used)
    stolen = make_event(content=f"v_{tag}_used", report_id=used, explanation="other")
    unvouched = make_event(content=f"v_{tag}_p0", priority="P0", attested=False)
    unvouched["data"]["class"] = "P0"
    async with running(settings, "public") as process:
        await send(process, TRIAGE_PUBLIC.name, first)
        await until(lambda: rows(settings, "SELECT 1 FROM reports WHERE report_id = $1", used))
        await send(process, TRIAGE_PUBLIC.name, *good[:10], b"{", b"\xff", stolen, unvouched, first, *good[10:])
        await until(lambda: _count(settings, "SELECT count(*) FROM cases WHERE content_id LIKE $1", f"v_{tag}_%", 21))
        for reason in ("report id already used with other content", "%nothing is P0 without an attestation%"):
            await until(lambda r=reason: _count(settings, "SELECT count(*) FROM dead WHERE reason LIKE $1", r, 1))
        await until(lambda: rows(settings, "SELECT 1 FROM dead WHERE reason LIKE '%not JSON in UTF-8%'"))
    (report,) = await rows(settings, "SELECT data FROM reports WHERE report_id = $1", used)
    assert json.loads(report["data"])["explanation"] == "看不下去"


async def test_a_row_refused_by_the_database_dies_alone(settings: Settings, make_event: Any) -> None:
    """One report that a constraint added by hand refuses is dead with the constraint's name; the batch goes in."""
    tag = uuid4().hex
    await rows(settings, f"ALTER TABLE reports ADD CONSTRAINT by_hand CHECK (data NOT LIKE '%refused{tag}%')")
    events = [make_event(content=f"v_{tag}_{n % 5}") for n in range(30)]
    bad = make_event(content=f"v_{tag}_1", explanation=f"refused{tag}")
    async with running(settings, "public") as process:
        await send(process, TRIAGE_PUBLIC.name, *events[:17], bad, *events[17:])
        await until(lambda: rows(settings, "SELECT 1 FROM dead WHERE reason LIKE '%by_hand%'"))
        await until(lambda: _count(settings, "SELECT count(*) FROM cases WHERE content_id LIKE $1", f"v_{tag}_%", 5))
    cases = await rows(settings, "SELECT sum(report_count) AS n FROM cases WHERE content_id LIKE $1", f"v_{tag}_%")
    assert cases[0]["n"] == 30
    await rows(settings, "ALTER TABLE reports DROP CONSTRAINT by_hand")


async def test_a_decision_reaches_its_topic_behind_its_claim(settings: Settings, make_event: Any) -> None:
    """A decision's record names the claim as its cause, and the claim's record was appended before it."""
    content = f"v_{uuid4().hex}"
    caller = Caller("wang", "reviewer")
    async with running(settings, "http", "flagged") as process:
        await send(process, TRIAGE_FLAGGED.name, make_event(content=content, priority="P0", queue=content))
        desk = Desk(process.database("review"), Terms(600, 120))
        await until(lambda: rows(settings, "SELECT 1 FROM cases WHERE content_id = $1", content))
        (claim,) = await desk.claim(caller, [content], 1)
        finding = Finding(verdict="no_violation", actions=[], reason="fine")
        await desk.decide(Proposal(claim.case.id, claim.lease.token, caller.name, finding))
        await until(lambda: _drained(settings))
    decisions = [(r, DecisionMade.model_validate_json(r.value)) for r in await everything(settings, DECISIONS.name)]
    ((record, made),) = [(r, e) for r, e in decisions if e.data.content_id == content]
    assert record.key == str(claim.case.id).encode()
    cases = [(r, CaseEvent.model_validate_json(r.value)) for r in await everything(settings, CASES.name)]
    (claimed,) = [r for r, e in cases if e.id == made.causationid]
    assert claimed.at <= record.at
    assert record.header("content-type") == b"application/cloudevents+json"


async def _drained(settings: Settings) -> bool:
    return not await rows(settings, "SELECT 1 FROM outbox LIMIT 1")


async def _count(settings: Settings, sql: str, value: str, wanted: int) -> bool:
    return bool((await rows(settings, sql, value))[0]["count"] == wanted)

"""Decisions become outcomes on a real Kafka and PostgreSQL: one a report, told once, whatever comes twice."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from schemas import topics
from schemas.decision import MADE, Decision, DecisionMade
from schemas.envelope import derived_id
from schemas.outcome import OutcomeReached
from schemas.source import SOURCE_CHANGED, Source, SourceChanged
from services.outcomes import store
from services.outcomes.app import UNITS
from services.outcomes.consume import Outcomes
from services.runtime.broker import Message, Reader, Record
from services.runtime.outbox import event_bytes
from services.runtime.process import Process
from services.runtime.settings import Settings
from services.runtime.standing import lag_of
from tests.integration.consuming import own_settings, rows_of, running, until

CANARY = "CANARY-0f1e"
AT = "2026-11-23T08:00:00Z"


@pytest.fixture(scope="module")
async def settings(postgres_dsn: str, kafka_address: str) -> Settings:
    """A database of this module's own, with all tables, and the topics."""
    return await own_settings("outcomes", postgres_dsn, kafka_address)


def consuming(settings: Settings) -> AbstractAsyncContextManager[Process]:
    """A process that makes outcomes, for as long as the block lasts."""
    return running(settings, UNITS["consume"])


async def rows(process: Process, statement: str, **values: Any) -> Sequence[Any]:
    return await rows_of(process, "outcomes", statement, **values)


async def send(settings: Settings, topic: str, *values: bytes) -> None:
    process = Process(settings)
    try:
        await process.publisher.publish([Message(topic, uuid4().bytes, value, uuid4(), None) for value in values])
    finally:
        await process.close()


def decided(
    reports: Sequence[UUID], *, decision_id: UUID | None = None, verdict: str = "illegal", late: bool = False
) -> DecisionMade:
    return DecisionMade(
        specversion="1.0",
        id=uuid4(),
        source="review",
        type=MADE,
        time=AT,
        subject="case",
        causationid=uuid4(),
        data=Decision.model_validate(
            {
                "decision_id": decision_id or uuid4(),
                "case_id": uuid4(),
                "content_id": "v_1",
                "class": "P2",
                "queue": "general",
                "ruling": {"policy": "default", "version": "1", "rule": "rest", "inputs": {}},
                "finding": {
                    "verdict": verdict,
                    "violates": None if verdict == "no_violation" else "R-1",
                    "actions": [] if verdict == "no_violation" else ["label", "remove"],
                    "reason": f"{CANARY} reason",
                },
                "decided_by": "anna",
                "decided_at": AT,
                "part": 1,
                "parts": 1,
                "late": late,
                "reports": [
                    {"report_id": report_id, "received_at": AT, "source_kind": "police", "source_id": "src-1"}
                    for report_id in reports
                ],
            }
        ),
    )


async def told(settings: Settings, report_ids: Sequence[UUID]) -> list[tuple[Record, OutcomeReached]]:
    """All outcome events of some reports that are on the topic now."""
    wanted, found = set(report_ids), []
    async with Reader(settings) as reader:
        ends = await reader.ends(await reader.places(topics.OUTCOMES.name))
        reader.read_from(dict.fromkeys(ends, 0))
        while any([await reader.position(place) < end for place, end in ends.items()]):
            for record in await reader.next_records(500):
                event = OutcomeReached.model_validate_json(record.value)
                if event.data.report_id in wanted:
                    found.append((record, event))
    return found


async def count_of(process: Process, report_ids: Sequence[UUID]) -> int:
    found = await rows(
        process,
        "SELECT count(*) FROM outcomes WHERE report_id = ANY(CAST(:ids AS uuid[]))",
        ids=list(report_ids),
    )
    return int(found[0][0])


async def test_each_report_has_one_outcome_and_hears_it_once(settings: Settings) -> None:
    """A decision's parts, sent again and answered again by another decision, give each report its first outcome."""
    ids = [uuid4() for _ in range(1_200)]
    decision_id = uuid4()
    parts = [decided(ids[start : start + 500], decision_id=decision_id) for start in range(0, len(ids), 500)]
    async with consuming(settings) as process:
        await send(settings, topics.DECISIONS.name, *map(event_bytes, [*parts, *parts]))

        async def all_told() -> bool:
            return len(await told(settings, ids)) >= len(ids)

        await until(all_told)
        await send(settings, topics.DECISIONS.name, event_bytes(decided(ids[:10], verdict="no_violation")))

        async def all_done() -> bool:
            lag = await lag_of(settings, process.database("outcomes"), Outcomes.topics)
            return not any(lag.values())

        await until(all_done)
        events = await told(settings, ids)
        assert len(events) == len(ids)
        assert await count_of(process, ids) == len(ids)
        part_of = {answered.report_id: part for part in parts for answered in part.data.reports}
        for record, event in events:
            part = part_of[event.data.report_id]
            assert record.key == str(event.data.report_id).encode()
            assert event.causationid == part.id
            assert event.id == derived_id(part.id, "outcome", str(event.data.report_id))
            assert event.correlationid == event.data.report_id
            assert (event.data.verdict, event.data.statement) == ("illegal", "illegal.remove")
            assert CANARY.encode() not in record.value
            assert record.header("content-type") == b"application/cloudevents+json"
        kept = await rows(process, "SELECT reason FROM statements WHERE decision_id = :id", id=decision_id)
        assert [row.reason for row in kept] == [f"{CANARY} reason"]


async def test_a_late_report_is_answered_with_the_decision_there_is(settings: Settings) -> None:
    """A late part adds its reports to the statement that stands."""
    first, late = uuid4(), uuid4()
    decision_id = uuid4()
    async with consuming(settings) as process:
        await send(settings, topics.DECISIONS.name, event_bytes(decided([first], decision_id=decision_id)))
        await send(settings, topics.DECISIONS.name, event_bytes(decided([late], decision_id=decision_id, late=True)))

        async def both() -> bool:
            return await count_of(process, [first, late]) == 2

        await until(both)
        async with process.database("outcomes").begin() as connection:
            one, two = await store.outcome(connection, first), await store.outcome(connection, late)
        assert one is not None
        assert two is not None
        assert (one.verdict, one.decided_at) == (two.verdict, two.decided_at)
        assert [event.data.late for _, event in await told(settings, [first, late])].count(True) <= 1


async def test_what_does_not_fit_dies_once_and_alone(settings: Settings) -> None:
    """Bad records of both topics die with their reasons; good ones among them have their outcomes."""
    ids = [uuid4() for _ in range(20)]
    bad = [b"no json", b"{}", event_bytes(decided([uuid4()])).replace(b'"illegal"', b'"CANARY-bad"')]
    async with consuming(settings) as process:
        for report_id in ids:
            await send(settings, topics.DECISIONS.name, event_bytes(decided([report_id])), *bad)
        await send(settings, topics.SOURCES.name, *bad)

        async def all_in() -> bool:
            dead = await rows(process, "SELECT count(*) FROM dead")
            return await count_of(process, ids) == len(ids) and bool(dead[0][0] >= len(bad) * (len(ids) + 1))

        await until(all_in)
        dead = await rows(process, "SELECT topic, reason FROM dead")
        mine = [row for row in dead if row.topic == topics.DECISIONS.name]
        assert len(mine) == len(bad) * len(ids)
        assert "CANARY" not in str(dead)


def source(source_id: UUID, version: int, *keys: tuple[str, str | None]) -> SourceChanged:
    return SourceChanged(
        specversion="1.0",
        id=uuid4(),
        source="intake",
        type=SOURCE_CHANGED,
        time=AT,
        subject=str(source_id),
        data=Source.model_validate(
            {
                "source_id": source_id,
                "version": version,
                "change": "added",
                "actor": "root",
                "kind": "police",
                "name": "n",
                "status": "active",
                "keys": [{"key_id": name, "public_key": "A" * 43, "revoked_at": revoked} for name, revoked in keys],
            }
        ),
    )


async def test_keys_follow_the_newest_version(settings: Settings) -> None:
    """Keys are those of a source's newest version; an older version that comes again changes nothing."""
    source_id, one, two = uuid4(), f"k-{uuid4()}", f"k-{uuid4()}"
    old, new = source(source_id, 1, (one, None)), source(source_id, 2, (one, AT), (two, None))
    async with consuming(settings) as process:

        async def known(key_id: str) -> store.SourceKey | None:
            async with process.database("outcomes").begin() as connection:
                return await store.key_named(connection, key_id)

        async def first_in() -> bool:
            return await known(one) is not None

        await send(settings, topics.SOURCES.name, event_bytes(old))
        await until(first_in)
        await send(settings, topics.SOURCES.name, event_bytes(new), event_bytes(old))

        async def second_in() -> bool:
            return await known(two) is not None

        await until(second_in)
        await send(settings, topics.SOURCES.name, event_bytes(old))
        await asyncio.sleep(1)
        first, second = await known(one), await known(two)
        assert first is not None
        assert second is not None
        assert first.revoked_at is not None
        assert (second.revoked_at, second.source_id, len(second.public_key)) == (None, str(source_id), 32)


async def test_a_restart_makes_no_second_outcome(settings: Settings) -> None:
    """Connections cut in mid-batch, twice: every report has one outcome and one event of one id."""
    ids = [uuid4() for _ in range(2_000)]
    small = settings.model_copy(update={"batch_records": 5})
    await send(settings, topics.DECISIONS.name, *[event_bytes(decided(ids[n : n + 10])) for n in range(0, 2_000, 10)])
    for cut in (1, 500):
        async with consuming(small) as process:

            async def begun(process: Process = process, cut: int = cut) -> bool:
                return await count_of(process, ids) >= cut

            await until(begun)
            killer = await asyncpg.connect(settings.database.get_secret_value())
            await killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jubao-outcomes'"
            )
            await killer.close()
    async with consuming(settings) as process:

        async def all_told() -> bool:
            events = await told(settings, ids)
            return {event.data.report_id for _, event in events} == set(ids)

        await until(all_told)
        assert await count_of(process, ids) == len(ids)
        event_ids: dict[UUID, UUID] = {}
        for _, event in await told(settings, ids):
            assert event_ids.setdefault(event.data.report_id, event.id) == event.id

"""Erasure in the log's own database: what is found, what goes, what may not go, and what retention orders by itself."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.vocabulary import Basis
from services.audit.app import UNITS
from services.audit.erasing import Eraser
from services.audit.store import erasing
from services.runtime.broker import Message
from services.runtime.clock import SetClock
from services.runtime.process import Process
from services.runtime.settings import Settings
from tests.integration.consuming import own_settings, rows_of, running, until

TERMS = {"P3": timedelta(days=180)}


@pytest.fixture(scope="module")
async def settings(postgres_dsn: str, kafka_address: str) -> Settings:
    """A database of this module's own, with all tables, and the topics; retention is off but for what a test runs."""
    made = await own_settings("erasure", postgres_dsn, kafka_address)
    return made.model_copy(update={"retention": ""})


@pytest.fixture
async def process(settings: Settings) -> AsyncIterator[Process]:
    """A process that writes the log and erases."""
    async with running(settings, UNITS["consume"]) as made:
        yield made


def event(name: str, report_id: UUID, data: dict[str, Any]) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0", "id": str(uuid4()), "source": "test", "type": name, "time": "2026-11-23T08:00:00Z",
            "subject": str(report_id), "data": data,
        }
    ).encode()  # fmt: skip


def submitted(report_id: UUID, reporter: str, explanation: str = "看不下去") -> tuple[str, bytes]:
    data = {
        "report_id": str(report_id), "channel": "one_click", "reporter": reporter,
        "occurred_at": "2026-11-23T08:00:00Z", "source": {"kind": "user"}, "category": "scams_and_fraud",
        "content": {"id": f"v_{report_id}", "type": "video"}, "explanation": explanation,
    }  # fmt: skip
    return "reports.public.v1", event("jubao.report.submitted.v1", report_id, data)


def reached(report_id: UUID, priority: str) -> tuple[str, bytes]:
    data = {
        "report_id": str(report_id), "case_id": str(uuid4()), "decision_id": str(uuid4()),
        "content_id": f"v_{report_id}", "class": priority, "verdict": "no_violation", "statement": "no_violation",
        "source_kind": "user", "received_at": "2026-11-23T08:00:00Z", "decided_at": "2026-11-23T09:00:00Z",
    }  # fmt: skip
    return "outcomes.v1", event("jubao.outcome.reached.v1", report_id, data)


async def send(process: Process, *records: tuple[str, bytes]) -> None:
    """Publishes records and waits until the log has them, whatever else it takes meanwhile."""
    ids = [UUID(json.loads(value)["id"]) for _, value in records]
    await process.publisher.publish([Message(t, uuid4().bytes, value, uuid4(), None) for t, value in records])

    async def logged() -> bool:
        query = "SELECT count(*) FROM entries WHERE coalesce(event_id, identity) = ANY(CAST(:ids AS uuid[]))"
        ((count,),) = await rows_of(process, "audit", query, ids=ids)
        return bool(count == len(ids))

    await until(logged)


async def private_of(process: Process, report_id: UUID) -> int:
    """How many private parts there are of what a report itself said; an order's ground is another's."""
    query = "SELECT count(*) FROM private JOIN entries USING (index) WHERE report_id = :report_id AND type LIKE :types"
    ((count,),) = await rows_of(process, "audit", query, report_id=report_id, types="jubao.report.%")
    return int(count)


async def order(process: Process, basis: Basis, at: datetime | None = None, **what: Any) -> UUID:
    wanted = erasing.Want(uuid4(), basis, "ground", "tester", at or process.clock.now(), **what)

    async def work(connection: AsyncConnection) -> None:
        await erasing.want(connection, wanted)

    await process.database("audit").transact(work)
    return wanted.erasure_id


async def told(process: Process, erasure_id: UUID) -> None:
    async def is_told() -> bool:
        query = "SELECT told_at FROM erasures WHERE erasure_id = :erasure_id"
        ((at,),) = await rows_of(process, "audit", query, erasure_id=erasure_id)
        return at is not None

    await until(is_told)


async def test_only_the_reporters_own_reports_are_found(process: Process) -> None:
    """A reporter whose name others quote, in whatever way, is found in his own reports alone."""
    name = 'u_"7\\x{"reporter":"u_1"'
    mine, longer, quoting = uuid4(), uuid4(), uuid4()
    quote = json.dumps({"reporter": name})
    await send(process, submitted(mine, name), submitted(longer, name + "1"), submitted(quoting, "u_2", quote))
    erasure_id = await order(process, Basis.REPORTER, reporter=name)
    await told(process, erasure_id)
    assert [await private_of(process, report_id) for report_id in (mine, longer, quoting)] == [0, 1, 1]
    query = "SELECT reporter, next_index FROM erasures WHERE erasure_id = :erasure_id"
    ((reporter, looked),) = await rows_of(process, "audit", query, erasure_id=erasure_id)
    assert reporter is None
    assert looked >= 3


async def test_what_is_logged_later_is_not_kept_either(process: Process) -> None:
    """An entry about an erased report is logged with its commitment, and its private part is not kept."""
    report_id = uuid4()
    await told(process, await order(process, Basis.REPORTS, reports=[report_id]))
    await send(process, submitted(report_id, "u_3"))
    assert await private_of(process, report_id) == 0
    query = "SELECT leaf FROM entries WHERE report_id = :report_id AND type = :type"
    ((leaf,),) = await rows_of(process, "audit", query, report_id=report_id, type="jubao.report.submitted.v1")
    assert json.loads(leaf)["commitment"]


async def test_order_from_before_a_restore_is_carried_out(process: Process) -> None:
    """An order that comes in from the topic to a database that does not know it erases here as well."""
    report_id, erasure_id = uuid4(), uuid4()
    await send(process, submitted(report_id, "u_4"))
    data = {
        "erasure_id": str(erasure_id), "part": 1, "basis": "reports", "ordered_by": "tester", "ground": "ground",
        "reports": [str(report_id)],
    }  # fmt: skip
    await send(process, ("erasures.v1", event("jubao.erasure.ordered.v1", report_id, data)))
    assert await private_of(process, report_id) == 0


async def test_hold_from_before_a_restore_stands(process: Process) -> None:
    """A hold that comes in from the topic to a database that does not know it stands there, until its end comes in."""
    report_id, hold_id = uuid4(), uuid4()
    await send(process, submitted(report_id, "u_4"))
    data = {"hold_id": str(hold_id), "report_id": str(report_id), "actor": "ada", "ground": "a court's order"}
    await send(process, ("erasures.v1", event("jubao.hold.placed.v1", hold_id, data)))
    query = "SELECT report_id, ground, placed_by, lifted_by FROM holds WHERE hold_id = :hold_id"
    ((held, *told_of, lifted_by),) = await rows_of(process, "audit", query, hold_id=hold_id)
    assert (str(held), told_of, lifted_by) == (str(report_id), ["a court's order", "ada"], None)
    await order(process, Basis.REPORTS, reports=[report_id])

    async def is_stopped() -> bool:
        stopped = "SELECT hold_id FROM erasure_reports WHERE report_id = :report_id"
        return [row.hold_id for row in await rows_of(process, "audit", stopped, report_id=report_id)] == [hold_id]

    await until(is_stopped)
    assert await private_of(process, report_id) == 1
    data["actor"] = "bo"
    await send(process, ("erasures.v1", event("jubao.hold.lifted.v1", hold_id, data)))
    ((*_, lifted_by),) = await rows_of(process, "audit", query, hold_id=hold_id)
    assert lifted_by == "bo"

    async def is_gone() -> bool:
        return await private_of(process, report_id) == 0

    await until(is_gone)


async def test_of_a_user_no_source_is_logged(process: Process) -> None:
    """What a producer writes as the id of a user names a person, and stands in no leaf and no column of the log."""
    report_id = uuid4()
    topic, value = submitted(report_id, "u_canary")
    named = json.loads(value)
    named["data"]["source"]["id"] = "u_canary"
    await send(process, (topic, json.dumps(named).encode()))
    query = "SELECT leaf, source_id FROM entries WHERE report_id = :report_id"
    ((leaf, source_id),) = await rows_of(process, "audit", query, report_id=report_id)
    assert source_id is None
    assert b"canary" not in leaf


async def test_private_part_of_another_report_stays(process: Process) -> None:
    """The log's own role is stopped by a trigger from deleting what is private of a report that is not erased."""
    report_id = uuid4()
    await send(process, submitted(report_id, "u_5"))
    with pytest.raises(IntegrityError, match="its report is not erased"):
        await rows_of(process, "audit", "DELETE FROM private RETURNING 1")
    assert await private_of(process, report_id) == 1


async def test_retention_takes_what_was_decided_long_ago(process: Process) -> None:
    """After their class's term decided reports go by themselves; other classes, undecided and young ones stay."""
    old, other, undecided = uuid4(), uuid4(), uuid4()
    await send(process, *(submitted(report_id, "u_6") for report_id in (old, other, undecided)))
    await send(process, reached(old, "P3"), reached(other, "P1"))
    clock = SetClock(datetime.now(UTC) + timedelta(days=179))  # noqa: TID251 -- the broker's times are the machine's
    eraser = Eraser(process.database("audit"), clock, TERMS, every_seconds=1)
    assert await eraser.retain() == 0
    clock.advance(timedelta(days=2))
    assert await eraser.retain() == 1
    assert await eraser.retain() == 0

    async def gone() -> bool:
        return await private_of(process, old) == 0

    await until(gone)
    assert [await private_of(process, report_id) for report_id in (other, undecided)] == [1, 1]


async def test_many_reports_go_in_parts(process: Process) -> None:
    """More reports than an order holds are told of in several, each report in one of them."""
    reports = [uuid4() for _ in range(1_201)]
    erasure_id = await order(process, Basis.REPORTS, reports=reports)
    await told(process, erasure_id)
    query = "SELECT part, count(*) FROM erasure_reports WHERE erasure_id = :erasure_id GROUP BY part ORDER BY part"
    found = await rows_of(process, "audit", query, erasure_id=erasure_id)
    assert [tuple(row) for row in found] == [(1, 500), (2, 500), (3, 201)]

"""Late reports: added to a case that is decided already, and answered with its decision."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.case import CaseChange
from schemas.decision import AnsweredReport, Finding
from schemas.envelope import derived_id
from schemas.vocabulary import CaseState, SourceKind
from services.review.events import Change, Made, late_messages
from services.review.joining import Arrival, Known
from services.review.store.changes import record
from services.review.store.standings import count_joins
from services.runtime.outbox import enqueue

# Decided cases that late reports are added to, with what was decided; always locked after the open ones.
LOCK_DECIDED = text("""
SELECT c.case_id, c.content_id, c.version, c.report_count, c.class AS priority, c.queue, c.due_at, c.ruling, c.trace,
       d.decision_id, d.verdict, d.violates, d.actions, d.reason, d.reviewer, d.decided_at
FROM cases c JOIN decisions d ON d.case_id = c.case_id
WHERE c.case_id = ANY(CAST(:case_ids AS uuid[]))
ORDER BY c.content_id
FOR NO KEY UPDATE OF c
""")


async def lock_decided(connection: AsyncConnection, case_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """The decided cases that late reports belong to, locked before anything is added to them."""
    if not case_ids:
        return []
    return (await connection.execute(LOCK_DECIDED, {"case_ids": list(case_ids)})).all()


async def answer_late(
    connection: AsyncConnection,
    rows: Sequence[Row[Any]],
    *,
    late: Sequence[tuple[Arrival, UUID]],
    replaced: Mapping[UUID, Known],
    reporters: Mapping[UUID, int],
    at: datetime,
) -> None:
    """Counts late reports into their decided cases, which `lock_decided` gave, and publishes the decision to them."""
    by_case: dict[UUID, list[Arrival]] = defaultdict(list)
    for arrival, case_id in late:
        by_case[case_id].append(arrival)
    changes: list[Change] = []
    counts: list[tuple[UUID, int, UUID, int, int]] = []
    for row in rows:
        arrivals = by_case[row.case_id]
        again = sum(a.report_id in replaced and replaced[a.report_id].case_id == row.case_id for a in arrivals)
        attached = _attached(row, arrivals, at, again)
        changes += attached
        last = attached[-1]
        counts.append((row.case_id, last.version, last.event_id, last.report_count, reporters.get(row.case_id, 0)))
    await count_joins(connection, counts)
    await record(connection, changes)
    for row in rows:
        arrivals = by_case[row.case_id]
        answered = [
            AnsweredReport(
                report_id=a.report_id,
                received_at=a.received_at,
                source_kind=SourceKind(a.source_kind),
                source_id=a.source_id,
            )
            for a in arrivals
        ]
        cause = arrivals[0].event_id
        await enqueue(connection, late_messages(made_of(row), answered, at=at, cause_id=cause))


def made_of(row: Row[Any]) -> Made:
    """The decision of a row of a case joined with its decision."""
    finding = Finding(verdict=row.verdict, violates=row.violates, actions=row.actions, reason=row.reason)
    return Made(
        decision_id=row.decision_id,
        case_id=row.case_id,
        content_id=row.content_id,
        priority=row.priority,
        queue=row.queue,
        ruling=row.ruling,
        finding=finding,
        decided_by=row.reviewer,
        decided_at=row.decided_at,
        trace=row.trace,
    )


def _attached(row: Row[Any], arrivals: Sequence[Arrival], at: datetime, again: int) -> list[Change]:
    """The changes of one case; `again` of its reports take the place of their own earlier version and do not count."""
    return [
        Change(
            case_id=row.case_id,
            content_id=row.content_id,
            version=row.version + number,
            at=at,
            actor=arrival.actor,
            change=CaseChange.ATTACHED,
            from_state=CaseState.DECIDED,
            to_state=CaseState.DECIDED,
            why="decided_before",
            priority=row.priority,
            queue=row.queue,
            due_at=row.due_at,
            report_count=row.report_count + max(number - again, 0),
            event_id=derived_id(arrival.event_id, CaseChange.ATTACHED.value),
            cause_id=arrival.event_id,
            report_id=arrival.report_id,
            trace=arrival.trace,
        )
        for number, arrival in enumerate(arrivals, start=1)
    ]

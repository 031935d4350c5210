"""What readers see: cases, pages of them, the queues, single reports. No locks."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.vocabulary import CaseState
from services.review.answers import (
    CaseAnswer,
    CaseSummary,
    Claim,
    DecisionAnswer,
    Happening,
    Holder,
    LeaseAnswer,
    QueueAnswer,
    ReportAnswer,
    notice,
)
from services.review.events import label
from services.review.ordering import CLASSES
from services.review.store.changes import keep_to_indexes

REPORTS_SHOWN = 100
HISTORY_SHOWN = 500

# Before this moment every case was opened, and no id sorts behind the last: where the first page begins.
_BEGINNING = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))

_SUMMARY = """c.case_id, c.kind, c.state, c.class AS priority, c.queue, c.content_id, c.content, c.report_count,
       c.reporter_count, c.ruling, c.opened_at, c.due_at, c.decided_at, c.version"""

# Whole cases, with who holds them, what was decided, and what was decided the last time.
CASES = text(f"""
SELECT {_SUMMARY}, l.token, l.reviewer, l.fence, l.expires_at, l.ends_by,
       d.decision_id, d.verdict, d.violates, d.actions, d.reason, d.reviewer AS decided_by,
       p.decision_id AS p_decision_id, p.case_id AS p_case_id, p.verdict AS p_verdict, p.violates AS p_violates,
       p.actions AS p_actions, p.reason AS p_reason, p.reviewer AS p_decided_by, p.decided_at AS p_decided_at
FROM cases AS c
LEFT JOIN leases AS l ON l.case_id = c.case_id
LEFT JOIN decisions AS d ON d.case_id = c.case_id
LEFT JOIN decisions AS p ON p.case_id = c.previous_case_id
WHERE c.case_id = ANY(CAST(:case_ids AS uuid[]))
""")

# The last changes of cases, oldest first.
HISTORY = text("""
SELECT wanted.case_id, h.at, h.actor, h.change, h.from_state, h.to_state, h.why, h.class AS priority, h.fence,
       h.expires_at
FROM unnest(CAST(:case_ids AS uuid[])) AS wanted (case_id)
CROSS JOIN LATERAL (
    SELECT * FROM history WHERE case_id = wanted.case_id ORDER BY version DESC LIMIT :most
) AS h
ORDER BY wanted.case_id, h.version
""")

# The first reports of cases, in order of reception.
REPORTS = text("""
SELECT wanted.case_id, r.data, r.class AS priority, r.received_at
FROM unnest(CAST(:case_ids AS uuid[])) AS wanted (case_id)
CROSS JOIN LATERAL (
    SELECT * FROM reports WHERE case_id = wanted.case_id ORDER BY received_at, report_id LIMIT :most
) AS r
ORDER BY wanted.case_id, r.received_at, r.report_id
""")

# One page of cases, newest first: a few steps into the index for each state and class.
PAGE = text(f"""
SELECT page.* FROM unnest(CAST(:states AS text[])) AS s (state)
CROSS JOIN unnest(CAST(:classes AS smallint[])) AS k (class)
CROSS JOIN LATERAL (
    SELECT {_SUMMARY} FROM cases AS c
    WHERE c.state = s.state AND c.class = k.class AND (CAST(:queue AS text) IS NULL OR c.queue = CAST(:queue AS text))
      AND (c.opened_at, c.case_id) < (CAST(:before AS timestamptz), CAST(:before_id AS uuid))
    ORDER BY c.opened_at DESC, c.case_id DESC LIMIT :most
) AS page
ORDER BY page.opened_at DESC, page.case_id DESC LIMIT :most
""")

# The same for one item, whose cases are few.
PAGE_OF_CONTENT = text(f"""
SELECT c.* FROM (
    SELECT {_SUMMARY} FROM cases AS c WHERE c.content_id = :content_id AND c.state <> 'decided'
    UNION ALL
    SELECT {_SUMMARY} FROM cases AS c WHERE c.content_id = :content_id AND c.state = 'decided'
) AS c
WHERE c.state = ANY(CAST(:states AS text[])) AND c.priority = ANY(CAST(:classes AS smallint[]))
  AND (CAST(:queue AS text) IS NULL OR c.queue = CAST(:queue AS text))
  AND (c.opened_at, c.case_id) < (CAST(:before AS timestamptz), CAST(:before_id AS uuid))
ORDER BY c.opened_at DESC, c.case_id DESC LIMIT :most
""")

# Every class of every queue that ever held a case: what waits, what is held, how long the last day's claims waited.
QUEUES = text("""
WITH waiting AS (
    SELECT queue, class, count(*) AS cases, count(*) FILTER (WHERE due_at < statement_timestamp()) AS overdue,
           extract(epoch FROM statement_timestamp() - min(received_at)) AS oldest
    FROM ready GROUP BY queue, class
), held AS (
    SELECT c.queue, c.class, count(*) AS cases FROM leases AS l JOIN cases AS c ON c.case_id = l.case_id
    GROUP BY c.queue, c.class
), waits AS (
    SELECT h.queue, h.class, percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
        ORDER BY greatest(0, extract(epoch FROM h.at - c.first_at[h.class + 1]))) AS seconds
    FROM history AS h JOIN cases AS c ON c.case_id = h.case_id
    WHERE h.change = 'claimed' AND h.at > statement_timestamp() - interval '24 hours'
    GROUP BY h.queue, h.class
)
SELECT k.queue, k.class, coalesce(w.cases, 0), coalesce(held.cases, 0), coalesce(w.overdue, 0),
       CAST(coalesce(w.oldest, 0) AS double precision), waits.seconds[1], waits.seconds[2]
FROM (SELECT DISTINCT queue, class FROM heads) AS k
LEFT JOIN waiting AS w ON w.queue = k.queue AND w.class = k.class
LEFT JOIN held ON held.queue = k.queue AND held.class = k.class
LEFT JOIN waits ON waits.queue = k.queue AND waits.class = k.class
ORDER BY k.class, k.queue
""")

# One report, with its case and what became of it.
REPORT = text("""
SELECT r.report_id, r.received_at, r.source_kind, r.source_id, r.case_id, c.state, c.class AS priority, d.verdict,
       d.actions, d.decided_at
FROM reports AS r JOIN cases AS c ON c.case_id = r.case_id LEFT JOIN decisions AS d ON d.case_id = r.case_id
WHERE r.report_id = :report_id
""")

# Distinct reports that ever joined a case.
COUNT_REPORTS = text("SELECT count(*) FROM reports")

_REPORT_STATES = {CaseState.QUEUED: "queued", CaseState.CLAIMED: "in_review", CaseState.DECIDED: "decided"}


async def cases(connection: AsyncConnection, case_ids: Sequence[UUID]) -> list[CaseAnswer]:
    """Whole cases in the order asked for; unknown ids are left out."""
    await keep_to_indexes(connection)
    return [case for _, case in await _whole(connection, case_ids)]


async def claims(connection: AsyncConnection, case_ids: Sequence[UUID], reviewer: str) -> list[Claim]:
    """Whole cases with the leases that a reviewer still holds on them."""
    return [
        Claim(
            lease=LeaseAnswer(token=row.token, expires_at=row.expires_at, fence=row.fence),
            case=case,
            notice=notice(row.ends_by),
        )
        for row, case in await _whole(connection, case_ids)
        if row.reviewer == reviewer
    ]


async def page(
    connection: AsyncConnection,
    *,
    states: Sequence[str],
    classes: Sequence[int],
    queue: str | None,
    content_id: str | None,
    before: tuple[datetime, UUID] | None,
    most: int,
) -> list[CaseSummary]:
    """Cases by filter, newest first, behind a place; no states or classes means all of them."""
    await keep_to_indexes(connection)
    opened_at, case_id = before or _BEGINNING
    wanted: dict[str, object] = {
        "states": list(states or CaseState),
        "classes": list(classes or range(CLASSES)),
        "queue": queue,
        "before": opened_at,
        "before_id": case_id,
        "most": most,
    }
    if content_id is not None:
        wanted["content_id"] = content_id
    rows = await connection.execute(PAGE if content_id is None else PAGE_OF_CONTENT, wanted)
    return [CaseSummary(**_summary(row)) for row in rows]


async def queues(connection: AsyncConnection) -> list[QueueAnswer]:
    """Every class of every queue, the best class first."""
    return [
        QueueAnswer(
            queue=queue,
            priority=label(priority),
            waiting=waiting,
            claimed=claimed,
            overdue=overdue,
            oldest_seconds=oldest,
            wait_p50_seconds=half,
            wait_p95_seconds=most,
        )
        for queue, priority, waiting, claimed, overdue, oldest, half, most in await connection.execute(QUEUES)
    ]


async def report(connection: AsyncConnection, report_id: UUID) -> ReportAnswer | None:
    """Where one report stands; None while no case has it."""
    await keep_to_indexes(connection)
    row = (await connection.execute(REPORT, {"report_id": report_id})).one_or_none()
    if row is None:
        return None
    return ReportAnswer(
        report_id=row.report_id,
        state=_REPORT_STATES[CaseState(row.state)],
        priority=label(row.priority),
        received_at=row.received_at,
        source_kind=row.source_kind,
        source_id=row.source_id,
        case_id=row.case_id,
        verdict=row.verdict,
        actions=row.actions,
        decided_at=row.decided_at,
    )


async def counts(connection: AsyncConnection) -> dict[str, int]:
    """What `jubao status` adds up."""
    return {"queued": (await connection.execute(COUNT_REPORTS)).scalar_one()}


async def _whole(connection: AsyncConnection, case_ids: Sequence[UUID]) -> list[tuple[Row[Any], CaseAnswer]]:
    if not case_ids:
        return []
    wanted = {"case_ids": list(case_ids)}
    rows = {row.case_id: row for row in await connection.execute(CASES, wanted)}
    history: dict[UUID, list[Happening]] = defaultdict(list)
    for h in await connection.execute(HISTORY, {**wanted, "most": HISTORY_SHOWN}):
        history[h.case_id].append(_happening(h))
    reports: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for r in await connection.execute(REPORTS, {**wanted, "most": REPORTS_SHOWN}):
        reports[r.case_id].append(
            {**orjson.loads(r.data), "class": label(r.priority), "received_at": _text(r.received_at)}
        )
    found = [rows[case_id] for case_id in case_ids if case_id in rows]
    return [(row, _case(row, reports[row.case_id], history[row.case_id])) for row in found]


def _case(row: Row[Any], reports: list[dict[str, Any]], history: list[Happening]) -> CaseAnswer:
    held = row.token is not None
    return CaseAnswer(
        **_summary(row),
        reports=reports,
        history=history,
        lease=Holder(reviewer=row.reviewer, fence=row.fence, expires_at=row.expires_at) if held else None,
        decision=_decision(row, "") if row.decision_id else None,
        previous=_decision(row, "p_") if row.p_decision_id else None,
    )


def _decision(row: Row[Any], prefix: str) -> DecisionAnswer:
    names = ("decision_id", "case_id", "verdict", "violates", "actions", "reason", "decided_by", "decided_at")
    return DecisionAnswer(**{name: getattr(row, prefix + name) for name in names})


def _happening(row: Row[Any]) -> Happening:
    return Happening(
        at=row.at,
        actor=row.actor,
        change=row.change,
        from_state=row.from_state,
        to_state=row.to_state,
        why=row.why,
        priority=label(row.priority),
        fence=row.fence,
        expires_at=row.expires_at,
    )


def _summary(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.case_id,
        "kind": row.kind,
        "state": row.state,
        "priority": label(row.priority),
        "queue": row.queue,
        "content_id": row.content_id,
        "content": orjson.loads(row.content),
        "report_count": row.report_count,
        "reporter_count": row.reporter_count,
        "ruling": orjson.loads(row.ruling),
        "opened_at": row.opened_at,
        "due_at": row.due_at,
        "decided_at": row.decided_at,
        "version": row.version,
    }


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

"""The rows of open cases: read under their lock, opened, and moved to where their reports put them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.vocabulary import CaseKind, CaseState
from services.review.joining import Arrival, DecidedCase, Lead, OpenCase, Standing, Teller
from services.review.ordering import Rank
from services.runtime.bulk import copy_rows

# The open cases of these items, locked in the one order; a case decided while we waited for it falls out.
LOCK_OPEN = text("""
SELECT case_id, content_id, state, version, report_count, first_at, targets, snapshots,
       class, lead_received_at, lead_report_id, queue,
       teller_hearsay, teller_received_at, teller_report_id,
       rank_from, target_seconds, due_at
FROM cases
WHERE content_id = ANY(CAST(:contents AS text[])) AND kind = 'report' AND state <> 'decided'
ORDER BY content_id
FOR NO KEY UPDATE
""")

# The last decided case of items without an open one.
LAST_DECIDED = text("""
SELECT wanted.content_id, past.case_id, past.class, past.decided_at, past.snapshots
FROM unnest(CAST(:contents AS text[])) AS wanted (content_id)
CROSS JOIN LATERAL (
    SELECT case_id, class, decided_at, snapshots FROM cases
    WHERE content_id = wanted.content_id AND kind = 'report' AND state = 'decided'
    ORDER BY decided_at DESC LIMIT 1
) AS past
""")

# What a case keeps of its reports, as columns; the lists are written as array literals, because unnest takes nested
# arrays apart to the last element.
_STANDING = """
    CAST(:case_id AS uuid[]), CAST(:version AS integer[]), CAST(:last_event AS uuid[]),
    CAST(:report_count AS integer[]), CAST(:reporters AS integer[]), CAST(:class AS smallint[]),
    CAST(:queue AS text[]), CAST(:rank_from AS timestamptz[]), CAST(:target_seconds AS integer[]),
    CAST(:due_at AS timestamptz[]), CAST(:first_at AS text[]), CAST(:targets AS text[]),
    CAST(:lead_received_at AS timestamptz[]), CAST(:lead_report_id AS uuid[]), CAST(:ruling AS text[]),
    CAST(:teller_hearsay AS boolean[]), CAST(:teller_received_at AS timestamptz[]),
    CAST(:teller_report_id AS uuid[]), CAST(:content AS text[]), CAST(:snapshots AS text[])"""
_STANDING_NAMES = """case_id, version, last_event, report_count, reporters, class, queue, rank_from, target_seconds,
    due_at, first_at, targets, lead_received_at, lead_report_id, ruling, teller_hearsay, teller_received_at,
    teller_report_id, content, snapshots"""

# Open cases whose rank, class or description changed; a text that stays is not sent again.
MOVE_CASES = text(f"""
UPDATE cases AS c SET
    version = n.version, last_event = n.last_event, report_count = n.report_count,
    reporter_count = c.reporter_count + n.reporters, class = n.class, queue = n.queue, rank_from = n.rank_from,
    target_seconds = n.target_seconds, due_at = n.due_at, first_at = CAST(n.first_at AS timestamptz[]),
    targets = CAST(n.targets AS integer[]), lead_received_at = n.lead_received_at, lead_report_id = n.lead_report_id,
    ruling = coalesce(n.ruling, c.ruling), teller_hearsay = n.teller_hearsay,
    teller_received_at = n.teller_received_at, teller_report_id = n.teller_report_id,
    content = coalesce(n.content, c.content), snapshots = CAST(n.snapshots AS text[])
FROM unnest({_STANDING}) AS n ({_STANDING_NAMES})
WHERE c.case_id = n.case_id
""")

# Cases that were only joined: their counts alone change, so no index is touched.
COUNT_JOINS = text("""
UPDATE cases AS c SET
    version = n.version, last_event = n.last_event, report_count = n.report_count,
    reporter_count = c.reporter_count + n.reporters
FROM unnest(
    CAST(:case_id AS uuid[]), CAST(:version AS integer[]), CAST(:last_event AS uuid[]),
    CAST(:report_count AS integer[]), CAST(:reporters AS integer[]))
    AS n (case_id, version, last_event, report_count, reporters)
WHERE c.case_id = n.case_id
""")


_CASE = (
    "case_id", "kind", "content_id", "state", "class", "queue", "rank_from", "target_seconds", "due_at", "opened_at",
    "version", "last_event", "report_count", "reporter_count", "first_at", "targets", "lead_received_at",
    "lead_report_id", "ruling", "teller_hearsay", "teller_received_at", "teller_report_id", "content", "snapshots",
    "previous_case_id", "trace",
)  # fmt: skip

_STATES = {state.value: state for state in CaseState}


async def lock_open(connection: AsyncConnection, contents: Collection[str]) -> dict[str, OpenCase]:
    """The open cases of these items by content id, locked until the transaction ends."""
    rows = await connection.execute(LOCK_OPEN, {"contents": list(contents)})
    cases = {}
    for case_id, content_id, state, version, report_count, *kept in rows:
        first_at, targets, snapshots, *best = kept
        standing = Standing(
            tuple(first_at), tuple(targets), Lead(*best[:4]), Teller(*best[4:7]), tuple(snapshots), Rank(*best[7:])
        )
        cases[content_id] = OpenCase(case_id, content_id, _STATES[state], version, report_count, standing)
    return cases


async def last_decided(connection: AsyncConnection, contents: Collection[str]) -> dict[str, DecidedCase]:
    """The last decided case of each of these items that has one."""
    rows = await connection.execute(LAST_DECIDED, {"contents": list(contents)})
    return {
        content_id: DecidedCase(case_id, priority, decided_at, tuple(snapshots))
        for content_id, case_id, priority, decided_at, snapshots in rows
    }


async def open_cases(connection: AsyncConnection, cases: Sequence[OpenCase], at: datetime) -> None:
    """Adds new cases, which must not be there yet."""
    if cases:
        await copy_rows(connection, "cases", _CASE, [_row(case, at) for case in cases])


def _row(case: OpenCase, at: datetime) -> tuple[object, ...]:
    now, first = case.now, case.steps[0].arrival
    return (
        case.case_id,
        CaseKind.REPORT,
        case.content_id,
        CaseState.QUEUED,
        now.priority,
        now.lead.queue,
        *now.rank,
        at,
        case.version,
        case.steps[-1].event_id,
        case.report_count,
        len({step.arrival.reporter for step in case.steps}),
        now.first_at,
        now.targets,
        now.lead.received_at,
        now.lead.report_id,
        _ruling(case),
        *now.teller,
        _content(case),
        now.snapshots,
        case.previous_case_id,
        first.trace,
    )


async def add_joins(connection: AsyncConnection, cases: Sequence[OpenCase], reporters: Mapping[UUID, int]) -> None:
    """Writes what a batch did to cases that were open before it; `reporters` is how many new ones each has."""
    moved = [case for case in cases if case.standing is not case.before]
    if moved:
        await connection.execute(MOVE_CASES, _columns(moved, reporters))
    await count_joins(
        connection,
        [
            (case.case_id, case.version, case.steps[-1].event_id, case.report_count, reporters.get(case.case_id, 0))
            for case in cases
            if case.standing is case.before
        ],
    )


async def count_joins(connection: AsyncConnection, counts: Sequence[tuple[UUID, int, UUID, int, int]]) -> None:
    """Sets (case, version, last event, reports) and adds new reporters of cases that otherwise stay as they are."""
    if counts:
        names = ("case_id", "version", "last_event", "report_count", "reporters")
        columns = zip(*counts, strict=True)
        await connection.execute(COUNT_JOINS, {n: list(c) for n, c in zip(names, columns, strict=True)})


def _columns(cases: Sequence[OpenCase], reporters: Mapping[UUID, int]) -> dict[str, list[Any]]:
    now = [case.now for case in cases]
    leads = [standing.lead for standing in now]
    tellers = [standing.teller for standing in now]
    return {
        "case_id": [case.case_id for case in cases],
        "version": [case.version for case in cases],
        "last_event": [case.steps[-1].event_id for case in cases],
        "report_count": [case.report_count for case in cases],
        "reporters": [reporters.get(case.case_id, 0) for case in cases],
        "class": [lead.priority for lead in leads],
        "queue": [lead.queue for lead in leads],
        "rank_from": [standing.rank.rank_from for standing in now],
        "target_seconds": [standing.rank.target_seconds for standing in now],
        "due_at": [standing.rank.due_at for standing in now],
        "first_at": [_array([at.isoformat() if at else None for at in standing.first_at]) for standing in now],
        "targets": [_array([str(target) if target else None for target in standing.targets]) for standing in now],
        "lead_received_at": [lead.received_at for lead in leads],
        "lead_report_id": [lead.report_id for lead in leads],
        "ruling": [_ruling(case) for case in cases],
        "teller_hearsay": [teller.hearsay for teller in tellers],
        "teller_received_at": [teller.received_at for teller in tellers],
        "teller_report_id": [teller.report_id for teller in tellers],
        "content": [_content(case) for case in cases],
        "snapshots": [_array(standing.snapshots) for standing in now],
    }


def _ruling(case: OpenCase) -> str | None:
    changed = case.before is None or case.now.lead != case.before.lead
    return _arrival(case, case.now.lead.report_id).ruling if changed else None


def _content(case: OpenCase) -> str | None:
    changed = case.before is None or case.now.teller != case.before.teller
    return _arrival(case, case.now.teller.report_id).content if changed else None


def _arrival(case: OpenCase, report_id: UUID) -> Arrival:
    return next(step.arrival for step in case.steps if step.arrival.report_id == report_id)


def _array(values: Sequence[str | None]) -> str:
    return "{" + ",".join("NULL" if value is None else value for value in values) + "}"

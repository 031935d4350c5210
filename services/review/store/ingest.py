"""A batch of triaged reports, written: into open cases, into new ones, or onto the decision there is.

Everything happens inside the consumer's one transaction and by whole columns: a batch of two thousand reports costs
about a dozen statements. Open cases are locked by content id before anything is decided about them.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.case import CaseChange
from schemas.envelope import derived_id
from schemas.vocabulary import CaseState
from services.review.events import Change, case_message, change_of, join_message
from services.review.joining import Arrival, Known, OpenCase, Plan, planned, sift
from services.review.leasing import Terms
from services.review.redaction import redacted
from services.review.store.changes import add_history, clock, keep_to_indexes, overtaken, put_heads, put_ready
from services.review.store.erasing import erased
from services.review.store.late import answer_late, lock_decided
from services.review.store.leases import cut_leases
from services.review.store.standings import add_joins, last_decided, lock_open, open_cases
from services.runtime.bulk import copy_rows
from services.runtime.outbox import Message, enqueue

# Report ids that were here before.
KNOWN = text("""
SELECT report_id, case_id, digest, attested, reporter FROM reports
WHERE report_id = ANY(CAST(:report_ids AS uuid[]))
""")

# An attested report takes the place of one of its id that nobody vouched for, in the same case.
REPLACE_REPORT = text("""
UPDATE reports SET digest = :digest, attested = :attested, class = :class, received_at = :received_at,
    source_kind = :source_kind, source_id = :source_id, reporter = :reporter, data = :data
WHERE report_id = :report_id
""")

# The unattested report of that id in another case stays there, under an id of its own.
SET_ASIDE = text("UPDATE reports SET report_id = :aside, aside_of = :report_id WHERE report_id = :report_id")

# How many reporters are new to each case, of those that come; asked before their reports are written. A look into the
# index for each, which the LIMIT holds the planner to.
COUNT_NEW_REPORTERS = text("""
SELECT n.case_id, count(*) AS gained
FROM unnest(CAST(:case_id AS uuid[]), CAST(:reporter AS bytea[])) AS n (case_id, reporter)
LEFT JOIN LATERAL (SELECT true AS known FROM reports WHERE case_id = n.case_id AND reporter = n.reporter LIMIT 1) AS r
    ON true
WHERE r.known IS NULL
GROUP BY n.case_id
""")

# Whether a case has a report of this reporter.
REPORTED_BY = text("SELECT EXISTS (SELECT 1 FROM reports WHERE case_id = :case_id AND reporter = :reporter)")

_REPORT = (
    "report_id", "case_id", "digest", "attested", "class", "received_at", "source_kind", "source_id", "reporter",
    "data", "late",
)  # fmt: skip

_Placed = tuple[Arrival, UUID]
_Row = tuple[UUID, UUID, bytes, bool, int, datetime, str, str | None, bytes, str, bool]


async def take_in(
    connection: AsyncConnection, arrivals: Sequence[Arrival], *, terms: Terms, late_report_days: int
) -> list[int]:
    """Writes a batch and everything that follows from it; the positions of reports whose id says something else.

    Args:
        connection: the consumer's transaction.
        arrivals: the batch, in order.
        terms: how long held leases last once P0 joins.
        late_report_days: how long a decision answers late reports.
    """
    await keep_to_indexes(connection)
    gone = await erased(connection, [arrival.report_id for arrival in arrivals])
    if gone:
        arrivals = [redacted(arrival) if arrival.report_id in gone else arrival for arrival in arrivals]
    known = await _known(connection, arrivals)
    sifted = sift(arrivals, known)
    if not sifted.accepted:
        return sifted.refused
    contents = {arrival.content_id for arrival in sifted.accepted}
    cases = await lock_open(connection, contents)
    decided = await last_decided(connection, contents - cases.keys())
    at = await clock(connection)
    plan = planned(sifted.accepted, cases=cases, decided=decided, known=known, at=at, late_report_days=late_report_days)
    replaced = {a.report_id: known[a.report_id] for a in sifted.accepted if a.report_id in known}
    await _write(connection, plan, replaced, at, terms)
    return sifted.refused


async def _known(connection: AsyncConnection, arrivals: Sequence[Arrival]) -> dict[UUID, Known]:
    rows = await connection.execute(KNOWN, {"report_ids": [arrival.report_id for arrival in arrivals]})
    return {
        report_id: Known(case_id, digest, attested, reporter) for report_id, case_id, digest, attested, reporter in rows
    }


async def _write(
    connection: AsyncConnection, plan: Plan, replaced: Mapping[UUID, Known], at: datetime, terms: Terms
) -> None:
    cases = list(plan.cases.values())
    placed = [(step.arrival, case.case_id) for case in cases for step in case.steps]
    old = [case for case in cases if not case.is_new]
    with overtaken():
        await open_cases(connection, [case for case in cases if case.is_new], at)
    past = await lock_decided(connection, {case_id for _, case_id in plan.late})
    comers = {(case.case_id, step.arrival.reporter) for case in old for step in case.steps}
    comers.update((case_id, arrival.reporter) for arrival, case_id in plan.late)
    reporters = await _new_reporters(connection, comers)
    await _put_reports(connection, placed, plan.late, replaced)
    if replaced:
        reporters.subtract(await _gone_reporters(connection, [*placed, *plan.late], replaced))
    await add_joins(connection, old, reporters)
    moved = [case for case in cases if case.standing is not case.before]
    await put_ready(connection, [case.case_id for case in moved if case.state is CaseState.QUEUED])
    await put_heads(connection, ((c.now.lead.queue, c.now.priority, c.now.rank.target_seconds) for c in moved))
    held = [case.case_id for case in old if case.becomes_immediate and case.state is CaseState.CLAIMED]
    ends = await cut_leases(connection, held, at, terms)
    await _tell(connection, cases, at, ends)
    await answer_late(connection, past, late=plan.late, replaced=replaced, reporters=reporters, at=at)


async def _tell(
    connection: AsyncConnection, cases: Sequence[OpenCase], at: datetime, ends: Mapping[UUID, tuple[int, datetime]]
) -> None:
    """Writes history and events, each case's in the order of its versions."""
    told: list[Change] = []
    messages: list[Message] = []
    for case in cases:
        for step in case.steps:
            if step.change is CaseChange.JOINED:
                messages.append(join_message(case, step, at))
                continue
            change = change_of(case, step, at, ends.get(case.case_id))
            told.append(change)
            messages.append(case_message(change))
    await add_history(connection, told)
    await enqueue(connection, messages)


async def _new_reporters(connection: AsyncConnection, comers: Collection[tuple[UUID, bytes]]) -> Counter[UUID]:
    """How many reporters each case gains by these, of whom it may know some."""
    if not comers:
        return Counter()
    case_ids, digests = zip(*comers, strict=True)
    rows = await connection.execute(COUNT_NEW_REPORTERS, {"case_id": list(case_ids), "reporter": list(digests)})
    return Counter({row.case_id: row.gained for row in rows})


async def _put_reports(
    connection: AsyncConnection, placed: Sequence[_Placed], late: Sequence[_Placed], replaced: Mapping[UUID, Known]
) -> None:
    rows = [_row(arrival, case_id, late=False) for arrival, case_id in placed]
    rows += [_row(arrival, case_id, late=True) for arrival, case_id in late]
    if replaced:
        rows = [row for row in rows if not await _has_replaced(connection, row, replaced.get(row[0]))]
    # In order of their ids, so that two lanes cannot wait for each other.
    rows.sort(key=_id_number)
    with overtaken():
        await copy_rows(connection, "reports", _REPORT, rows)


async def _has_replaced(connection: AsyncConnection, row: _Row, earlier: Known | None) -> bool:
    """Whether a report took the place of its earlier version; one in another case makes room for it instead."""
    if earlier is None:
        return False
    report_id, case_id, *_ = row
    if earlier.case_id == case_id:
        await connection.execute(REPLACE_REPORT, dict(zip(_REPORT, row, strict=True)))
        return True
    aside = derived_id(report_id, "set_aside", str(earlier.case_id))
    await connection.execute(SET_ASIDE, {"report_id": report_id, "aside": aside})
    return False


async def _gone_reporters(
    connection: AsyncConnection, placed: Sequence[_Placed], replaced: Mapping[UUID, Known]
) -> Counter[UUID]:
    """How many reporters each case has lost because their only report of it was replaced by another's."""
    left = {
        (case_id, earlier.reporter)
        for arrival, case_id in placed
        if (earlier := replaced.get(arrival.report_id)) is not None
        and earlier.case_id == case_id
        and earlier.reporter != arrival.reporter
    }
    gone: Counter[UUID] = Counter()
    for case_id, reporter in left:
        stays = await connection.scalar(REPORTED_BY, {"case_id": case_id, "reporter": reporter})
        gone[case_id] += not stays
    return gone


def _row(arrival: Arrival, case_id: UUID, *, late: bool) -> _Row:
    return (
        arrival.report_id,
        case_id,
        arrival.digest,
        arrival.attested,
        arrival.priority,
        arrival.received_at,
        arrival.source_kind,
        arrival.source_id,
        arrival.reporter,
        arrival.data,
        late,
    )


def _id_number(row: _Row) -> int:
    return row[0].int

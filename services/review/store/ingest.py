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
from services.review.events import Change
from services.review.joining import Arrival, Known, OpenCase, Plan, Step, planned, sift
from services.review.leasing import Terms
from services.review.store.changes import clock, keep_to_indexes, put_heads, put_ready, record
from services.review.store.late import answer_late, lock_decided
from services.review.store.leases import cut_leases
from services.review.store.standings import add_joins, last_decided, lock_open, open_cases

# Report ids that were here before.
KNOWN = text("""
SELECT report_id, case_id, digest, attested, reporter FROM reports
WHERE report_id = ANY(CAST(:report_ids AS uuid[]))
""")

# Reports, in order of their ids so that two lanes cannot wait for each other; one that another lane brought at the same
# moment is not inserted, and the count tells.
ADD_REPORTS = text("""
INSERT INTO reports (report_id, case_id, event_id, digest, attested, lane, class, received_at, source_kind, source_id,
                     reporter, data, late)
SELECT * FROM unnest(
    CAST(:report_id AS uuid[]), CAST(:case_id AS uuid[]), CAST(:event_id AS uuid[]), CAST(:digest AS text[]),
    CAST(:attested AS boolean[]), CAST(:lane AS text[]), CAST(:class AS smallint[]),
    CAST(:received_at AS timestamptz[]), CAST(:source_kind AS text[]), CAST(:source_id AS text[]),
    CAST(:reporter AS bytea[]), CAST(:data AS text[]), CAST(:late AS boolean[]))
ON CONFLICT DO NOTHING
""")

# An attested report takes the place of one of its id that nobody vouched for, in the same case.
REPLACE_REPORT = text("""
UPDATE reports SET event_id = :event_id, digest = :digest, attested = :attested, lane = :lane, class = :class,
    received_at = :received_at, source_kind = :source_kind, source_id = :source_id, reporter = :reporter, data = :data
WHERE report_id = :report_id
""")

# The unattested report of that id in another case stays there, under an id of its own.
SET_ASIDE = text("UPDATE reports SET report_id = :aside WHERE report_id = :report_id")

# Reporters of cases; a case's count grows by those that are new to it.
ADD_REPORTERS = text("""
INSERT INTO case_reporters (case_id, reporter)
SELECT * FROM unnest(CAST(:case_id AS uuid[]), CAST(:reporter AS bytea[]))
ON CONFLICT DO NOTHING
RETURNING case_id
""")

# The reporter of a replaced report, unless another of the case's reports is theirs.
DROP_REPORTER = text("""
DELETE FROM case_reporters AS r WHERE r.case_id = :case_id AND r.reporter = :reporter
    AND NOT EXISTS (SELECT 1 FROM reports WHERE case_id = r.case_id AND reporter = r.reporter)
""")

# Has the whole batch done again: another lane was here between our look and our writing, and now we can see it.
AGAIN = text("""
DO $$ BEGIN
    RAISE EXCEPTION 'another lane brought the same report or item at the same moment' USING ERRCODE = '40001';
END $$
""")


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
    placed = [(step.arrival, case.case_id) for case in plan.cases.values() for step in case.steps] + plan.late
    new = [case for case in plan.cases.values() if case.is_new]
    old = [case for case in plan.cases.values() if not case.is_new]
    firsts = {(case_id, arrival.reporter) for arrival, case_id in placed}
    of_new = {case.case_id for case in new}
    opening = Counter(case_id for case_id, _ in firsts if case_id in of_new)
    if not await open_cases(connection, new, opening, at):
        await connection.execute(AGAIN)
    past = await lock_decided(connection, {case_id for _, case_id in plan.late})
    await _put_reports(connection, placed, replaced, {row.case_id for row in past})
    reporters = await _put_reporters(connection, firsts, placed, replaced)
    await add_joins(connection, old, reporters)
    moved = [case for case in plan.cases.values() if case.standing is not case.before]
    await put_ready(connection, [case.case_id for case in moved if case.state is CaseState.QUEUED])
    await put_heads(connection, ((c.now.lead.queue, c.now.priority, c.now.rank.target_seconds) for c in moved))
    held = [case.case_id for case in old if case.becomes_immediate and case.state is CaseState.CLAIMED]
    ends = await cut_leases(connection, held, at, terms)
    await record(
        connection,
        [_change(case, step, at, ends.get(case.case_id)) for case in plan.cases.values() for step in case.steps],
    )
    await answer_late(connection, past, late=plan.late, replaced=replaced, reporters=reporters, at=at)


async def _put_reports(
    connection: AsyncConnection,
    placed: Sequence[tuple[Arrival, UUID]],
    replaced: Mapping[UUID, Known],
    decided: Collection[UUID],
) -> None:
    fresh: list[tuple[Arrival, UUID]] = []
    for arrival, case_id in placed:
        earlier = replaced.get(arrival.report_id)
        if earlier is not None and earlier.case_id == case_id:
            await connection.execute(REPLACE_REPORT, _report(arrival))
            continue
        if earlier is not None:
            aside = derived_id(arrival.report_id, "set_aside", str(earlier.case_id))
            await connection.execute(SET_ASIDE, {"report_id": arrival.report_id, "aside": aside})
        fresh.append((arrival, case_id))
    if not fresh:
        return
    fresh.sort(key=lambda pair: pair[0].report_id.int)
    rows = [_report(arrival) for arrival, _ in fresh]
    columns: dict[str, list[object]] = {name: [row[name] for row in rows] for name in rows[0]}
    columns["case_id"] = [case_id for _, case_id in fresh]
    columns["late"] = [case_id in decided for _, case_id in fresh]
    result = await connection.execute(ADD_REPORTS, columns)
    if result.rowcount != len(fresh):
        await connection.execute(AGAIN)


def _report(arrival: Arrival) -> dict[str, object]:
    return {
        "report_id": arrival.report_id,
        "event_id": arrival.event_id,
        "digest": arrival.digest,
        "attested": arrival.attested,
        "lane": arrival.lane,
        "class": arrival.priority,
        "received_at": arrival.received_at,
        "source_kind": arrival.source_kind,
        "source_id": arrival.source_id,
        "reporter": arrival.reporter,
        "data": arrival.data,
    }


async def _put_reporters(
    connection: AsyncConnection,
    firsts: set[tuple[UUID, bytes]],
    placed: Sequence[tuple[Arrival, UUID]],
    replaced: Mapping[UUID, Known],
) -> Counter[UUID]:
    """Adds reporters; how many each case gained, less those whose only report was replaced by another's."""
    case_ids, digests = zip(*firsts, strict=True)
    rows = await connection.execute(ADD_REPORTERS, {"case_id": list(case_ids), "reporter": list(digests)})
    gained = Counter(row.case_id for row in rows)
    for arrival, case_id in placed:
        earlier = replaced.get(arrival.report_id)
        if earlier is not None and earlier.case_id == case_id and earlier.reporter != arrival.reporter:
            gone = await connection.execute(DROP_REPORTER, {"case_id": case_id, "reporter": earlier.reporter})
            gained[case_id] -= gone.rowcount
    return gained


def _change(case: OpenCase, step: Step, at: datetime, cut_to: tuple[int, datetime] | None) -> Change:
    arrival, lifted = step.arrival, step.change is CaseChange.LIFTED
    told = step.change is not CaseChange.JOINED
    fence, expires_at = cut_to if cut_to and lifted and step.standing.priority == 0 else (None, None)
    return Change(
        case_id=case.case_id,
        content_id=case.content_id,
        version=step.version,
        at=at,
        actor=arrival.actor,
        change=step.change,
        from_state=None if step.change is CaseChange.OPENED else case.state,
        to_state=case.state,
        why="better_class" if lifted else arrival.rule,
        priority=step.standing.priority,
        queue=step.standing.lead.queue,
        due_at=step.standing.rank.due_at,
        report_count=step.report_count,
        event_id=step.event_id,
        cause_id=arrival.event_id,
        report_id=arrival.report_id,
        ruling=arrival.ruling if told else None,
        fence=fence,
        expires_at=expires_at,
        previous_case_id=case.previous_case_id if step.change is CaseChange.OPENED else None,
        trace=arrival.trace,
    )

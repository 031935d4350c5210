"""Decisions: judged and written under the case's lock, published to all its reports in parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.case import CaseChange
from schemas.decision import REPORTS_A_PART, AnsweredReport, Finding
from schemas.envelope import derived_id
from schemas.vocabulary import CaseState, SourceKind
from services.review.decision import Proposal, Settled, digest, judge
from services.review.events import Change, Made, decision_messages
from services.review.leasing import Lease
from services.review.store.changes import keep_to_indexes, record
from services.review.store.late import made_of
from services.review.store.leases import lease_now
from services.runtime.outbox import enqueue

# One case with what its decision must carry, locked.
LOCK_CASE = text("""
SELECT case_id, content_id, version, class AS priority, queue, due_at, report_count, state, ruling, trace
FROM cases WHERE case_id = :case_id FOR NO KEY UPDATE
""")

# The decision of a case.
DECISION = text("""
SELECT decision_id, case_id, lease, verdict, violates, actions, reason, reviewer, decided_at, digest
FROM decisions WHERE case_id = :case_id
""")

# The next reports that a decision answers, in the order of their reception; late ones are answered by themselves.
ANSWERED = text("""
SELECT report_id, received_at, source_kind, source_id FROM reports
WHERE case_id = :case_id AND NOT late
  AND (received_at, report_id) > (CAST(:after AS timestamptz), CAST(:after_id AS uuid))
ORDER BY received_at, report_id LIMIT :most
""")

# The decision itself; the lease that it was made by is used up.
DECIDE = text("""
WITH ended AS (DELETE FROM leases WHERE case_id = :case_id),
     moved AS (UPDATE cases SET state = 'decided', decided_at = :at, version = :version, last_event = :event_id
               WHERE case_id = :case_id)
INSERT INTO decisions (decision_id, case_id, lease, fence, verdict, violates, actions, reason, reviewer, decided_at,
                       digest, cause_id, parts, published, published_received_at, published_report_id)
VALUES (:decision_id, :case_id, :lease, :fence, :verdict, :violates, CAST(:actions AS text[]), :reason, :reviewer, :at,
        :digest, :cause_id, :parts, :published, :published_received_at, :published_report_id)
""")

# A decision with parts still to publish that nobody else has in hand.
UNPUBLISHED = text("""
SELECT c.case_id, c.content_id, c.class AS priority, c.queue, c.ruling, c.trace, d.decision_id, d.verdict, d.violates,
       d.actions, d.reason, d.reviewer, d.decided_at, d.cause_id, d.parts, d.published, d.published_received_at,
       d.published_report_id
FROM decisions AS d JOIN cases AS c ON c.case_id = d.case_id
WHERE d.published < d.parts ORDER BY d.decided_at LIMIT 1
FOR NO KEY UPDATE OF d SKIP LOCKED
""")

# How far a decision is published.
PUBLISHED = text("""
UPDATE decisions SET published = :published, published_received_at = :published_received_at,
    published_report_id = :published_report_id
WHERE decision_id = :decision_id
""")

# A decision on a hot item answers hundreds of thousands of reports. So many parts go out with the decision itself, and
# so many at a time afterwards: nobody waits for more, and no transaction grows with the item.
PARTS_AT_ONCE = 10

_BEFORE_ALL = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))


class CaseUnknown(Exception):
    """There is no case of that id."""

    def __init__(self, case_id: UUID) -> None:
        self.case_id = case_id
        super().__init__("There is no case of this id.")


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as it stands in the tables."""

    decision_id: UUID
    case_id: UUID
    lease: UUID
    finding: Finding
    reviewer: str
    decided_at: datetime


async def decide(connection: AsyncConnection, proposal: Proposal) -> Decided:
    """Carries a proposal out, or answers with the decision that it already became.

    Raises:
        CaseUnknown: no such case.
        Refusal: the proposal may not be carried out; its kinds are in `decision.py`.
    """
    await keep_to_indexes(connection)
    row = (await connection.execute(LOCK_CASE, {"case_id": proposal.case_id})).one_or_none()
    if row is None:
        raise CaseUnknown(proposal.case_id)
    lease, at = await lease_now(connection, proposal.case_id)
    settled = await _settled(connection, proposal.case_id) if row.state == CaseState.DECIDED else None
    lease = judge(proposal, state=CaseState(row.state), settled=settled, lease=lease, at=at)
    if lease is not None:
        return await _carry_out(connection, proposal, lease, row, at)
    first = (await connection.execute(DECISION, {"case_id": proposal.case_id})).one()
    finding = Finding(verdict=first.verdict, violates=first.violates, actions=first.actions, reason=first.reason)
    return Decided(first.decision_id, first.case_id, first.lease, finding, first.reviewer, first.decided_at)


async def _settled(connection: AsyncConnection, case_id: UUID) -> Settled:
    there = (await connection.execute(DECISION, {"case_id": case_id})).one()
    return Settled(there.lease, there.reviewer, there.digest)


async def _carry_out(
    connection: AsyncConnection, proposal: Proposal, lease: Lease, row: Row[Any], at: datetime
) -> Decided:
    finding = proposal.finding
    made = Made(
        decision_id=derived_id(lease.token, "decision"),
        case_id=row.case_id,
        content_id=row.content_id,
        priority=row.priority,
        queue=row.queue,
        ruling=row.ruling,
        finding=finding,
        decided_by=proposal.reviewer,
        decided_at=at,
        trace=row.trace,
    )
    answered = await _answered(connection, row.case_id, _BEFORE_ALL)
    parts = -(-row.report_count // REPORTS_A_PART)
    messages = decision_messages(made, answered, cause_id=lease.claimed_event, first=1, parts=parts)
    event_id, version = messages[0].event_id, row.version + 1
    await connection.execute(
        DECIDE,
        {
            "case_id": row.case_id,
            "at": at,
            "version": version,
            "event_id": event_id,
            "decision_id": made.decision_id,
            "lease": lease.token,
            "fence": lease.fence,
            "verdict": finding.verdict.value,
            "violates": finding.violates,
            "actions": [action.value for action in finding.actions],
            "reason": finding.reason,
            "reviewer": proposal.reviewer,
            "digest": digest(finding),
            "cause_id": lease.claimed_event,
            "parts": parts,
            **_progress(len(messages), _reached(answered) or _BEFORE_ALL),
        },
    )
    await record(connection, [_decided(made, lease, version=version, event_id=event_id, row=row)])
    await enqueue(connection, messages)
    return Decided(made.decision_id, row.case_id, lease.token, finding, proposal.reviewer, at)


async def publish_rest(connection: AsyncConnection) -> bool:
    """Publishes the next parts of a decision that has more than went out with it; whether there was one."""
    await keep_to_indexes(connection)
    row = (await connection.execute(UNPUBLISHED)).one_or_none()
    if row is None:
        return False
    before = (row.published_received_at, row.published_report_id)
    answered = await _answered(connection, row.case_id, before)
    first = row.published + 1
    messages = decision_messages(made_of(row), answered, cause_id=row.cause_id, first=first, parts=row.parts)
    await enqueue(connection, messages)
    # An attested report that took the place of another since may have left the last part short, or empty.
    ended = len(answered) < PARTS_AT_ONCE * REPORTS_A_PART
    done = row.parts if ended else min(row.published + len(messages), row.parts)
    progress = _progress(done, _reached(answered) or before)
    await connection.execute(PUBLISHED, {"decision_id": row.decision_id, **progress})
    return True


def _reached(answered: Sequence[AnsweredReport]) -> tuple[datetime, UUID] | None:
    return (answered[-1].received_at, answered[-1].report_id) if answered else None


def _progress(published: int, reached: tuple[datetime, UUID]) -> dict[str, object]:
    return {"published": published, "published_received_at": reached[0], "published_report_id": reached[1]}


async def _answered(connection: AsyncConnection, case_id: UUID, after: tuple[datetime, UUID]) -> list[AnsweredReport]:
    most = PARTS_AT_ONCE * REPORTS_A_PART
    wanted = {"case_id": case_id, "after": after[0], "after_id": after[1], "most": most}
    rows = await connection.execute(ANSWERED, wanted)
    return [
        AnsweredReport(report_id=report_id, received_at=received_at, source_kind=SourceKind(kind), source_id=source_id)
        for report_id, received_at, kind, source_id in rows
    ]


def _decided(made: Made, lease: Lease, *, version: int, event_id: UUID, row: Row[Any]) -> Change:
    return Change(
        case_id=row.case_id,
        content_id=row.content_id,
        version=version,
        at=made.decided_at,
        actor=made.decided_by,
        change=CaseChange.DECIDED,
        from_state=CaseState.CLAIMED,
        to_state=CaseState.DECIDED,
        why=made.finding.verdict.value,
        priority=row.priority,
        queue=row.queue,
        due_at=row.due_at,
        report_count=row.report_count,
        event_id=event_id,
        cause_id=lease.claimed_event,
        fence=lease.fence,
    )

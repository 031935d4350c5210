"""Decisions: judged and written under the case's lock, published to all its reports in parts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.case import CaseChange
from schemas.decision import AnsweredReport, Finding
from schemas.envelope import derived_id
from schemas.vocabulary import CaseState, SourceKind
from services.review.decision import Proposal, Settled, digest, judge
from services.review.events import Change, Made, decision_messages
from services.review.leasing import Lease
from services.review.store.changes import keep_to_indexes, record
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

# All reports that a decision answers, in the order of their reception.
ANSWERED = text("""
SELECT report_id, received_at, source_kind, source_id FROM reports WHERE case_id = :case_id
ORDER BY received_at, report_id
""")

# The decision itself; the lease that it was made by is used up.
DECIDE = text("""
WITH ended AS (DELETE FROM leases WHERE case_id = :case_id),
     moved AS (UPDATE cases SET state = 'decided', decided_at = :at, version = :version, last_event = :event_id
               WHERE case_id = :case_id)
INSERT INTO decisions (decision_id, case_id, lease, fence, verdict, violates, actions, reason, reviewer, decided_at,
                       digest, event_id)
VALUES (:decision_id, :case_id, :lease, :fence, :verdict, :violates, CAST(:actions AS text[]), :reason, :reviewer, :at,
        :digest, :event_id)
""")


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
    answered = await _answered(connection, row.case_id)
    messages = decision_messages(made, answered, at=at, cause_id=lease.claimed_event, late=False)
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
        },
    )
    await record(connection, [_decided(made, lease, version=version, event_id=event_id, row=row)])
    await enqueue(connection, messages)
    return Decided(made.decision_id, row.case_id, lease.token, finding, proposal.reviewer, at)


async def _answered(connection: AsyncConnection, case_id: UUID) -> list[AnsweredReport]:
    rows = await connection.execute(ANSWERED, {"case_id": case_id})
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

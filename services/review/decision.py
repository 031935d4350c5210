"""Which decisions are legal. It is handed the finding, the lease and the state, and cannot see who reported or why.

A class orders the work; it never decides. So nothing of the reports, their sources or the case's class comes in here.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.decision import Finding
from schemas.vocabulary import SEVERE_ACTIONS, Action, CaseState
from services.review.leasing import Lease


class Refusal(Exception):
    """A decision that may not be made; each kind says what its maker can do instead."""


class SecondReviewerNeeded(Refusal):
    """Severe actions need a second reviewer, and there is no second review yet."""

    def __init__(self, actions: frozenset[Action]) -> None:
        self.actions = actions
        named = ", ".join(sorted(actions))
        super().__init__(
            f"{named}: a severe action needs a second reviewer, and second review is not available yet; "
            "decide without it."
        )


class StaleLease(Refusal):
    """The lease does not hold: unknown, another's, ended, or taken over."""

    def __init__(self, case_id: UUID) -> None:
        self.case_id = case_id
        super().__init__("Your lease on this case has ended or never was; claim again. Nothing was changed.")


class AlreadyDecided(Refusal):
    """The case has a decision, and this is another one."""

    def __init__(self, case_id: UUID) -> None:
        self.case_id = case_id
        super().__init__("This case is already decided, and not by this request. Nothing was changed.")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a reviewer asks to be decided, and by which lease."""

    case_id: UUID
    lease: UUID
    reviewer: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Settled:
    """The decision that a case already has, as far as a repetition is recognised by it."""

    lease: UUID
    reviewer: str
    digest: bytes


def digest(finding: Finding) -> bytes:
    """SHA-256 of what is decided, equal for equal findings however their JSON was written or their actions ordered."""
    parts = [finding.verdict, finding.violates or "", ",".join(sorted(finding.actions)), finding.reason]
    return hashlib.sha256("\0".join(parts).encode()).digest()


def check_severity(finding: Finding) -> None:
    """Refuses what one reviewer may not do alone.

    Raises:
        SecondReviewerNeeded: the finding holds a severe action.
    """
    severe = SEVERE_ACTIONS.intersection(finding.actions)
    if severe:
        raise SecondReviewerNeeded(severe)


def judge(
    proposal: Proposal, *, state: CaseState, settled: Settled | None, lease: Lease | None, at: datetime
) -> Lease | None:
    """The lease to carry a proposal out by; None when it was carried out already, word for word, by the same hand.

    Args:
        proposal: what is asked.
        state: the case's state, read under its lock.
        settled: the decision there is, if any.
        lease: the case's lease, if any, read under the same lock.
        at: the database's clock, read after the lock was had.

    Raises:
        SecondReviewerNeeded: the finding holds a severe action.
        AlreadyDecided: there is another decision.
        StaleLease: the lease does not hold.
    """
    check_severity(proposal.finding)
    if settled is not None:
        if settled == Settled(proposal.lease, proposal.reviewer, digest(proposal.finding)):
            return None
        raise AlreadyDecided(proposal.case_id)
    if state is CaseState.CLAIMED and lease and lease.held_by(proposal.reviewer, proposal.lease) and lease.alive(at):
        return lease
    raise StaleLease(proposal.case_id)

"""Which decisions are legal, how long leases last, and that neither can see who reported."""

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.decision import Finding
from schemas.vocabulary import SEVERE_ACTIONS, Action, CaseState, Verdict
from services.review import decision
from services.review.decision import (
    AlreadyDecided,
    Proposal,
    SecondReviewerNeeded,
    Settled,
    StaleLease,
    digest,
    judge,
)
from services.review.leasing import Lease, Terms

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
CASE, TOKEN, EVENT = UUID(int=1), UUID(int=2), UUID(int=3)
FINDING = Finding(verdict=Verdict.ILLEGAL, violates="Art. 1", actions=[Action.REMOVE, Action.LABEL], reason="seen")
LEASE = Lease(CASE, TOKEN, 1, "li", AT, AT + timedelta(seconds=600), EVENT)

moments = st.integers(0, 2_000).map(lambda seconds: AT + timedelta(seconds=seconds))


def proposal(finding: Finding = FINDING, *, lease: UUID = TOKEN, reviewer: str = "li") -> Proposal:
    return Proposal(CASE, lease, reviewer, finding)


def settled(finding: Finding = FINDING, *, lease: UUID = TOKEN, reviewer: str = "li") -> Settled:
    return Settled(lease, reviewer, digest(finding))


class TestJudgement:
    """What may be decided."""

    def test_the_holder_of_a_live_lease_decides(self) -> None:
        """A proposal by the holder, by the token, before the end, is carried out by that lease."""
        found = judge(proposal(), state=CaseState.CLAIMED, settled=None, lease=LEASE, at=AT)
        assert found is LEASE

    @pytest.mark.parametrize(
        ("lease", "asked", "state", "seconds"),
        [
            (None, proposal(), CaseState.QUEUED, 0),
            (LEASE, proposal(lease=UUID(int=9)), CaseState.CLAIMED, 0),
            (LEASE, proposal(reviewer="wang"), CaseState.CLAIMED, 0),
            (LEASE, proposal(), CaseState.CLAIMED, 600),
            (LEASE, proposal(), CaseState.QUEUED, 0),
        ],
        ids=["no lease", "another token", "another reviewer", "at its end", "not claimed"],
    )
    def test_a_lease_that_does_not_hold_decides_nothing(
        self, lease: Lease | None, asked: Proposal, state: CaseState, seconds: int
    ) -> None:
        """Without a live lease of the asker on this case by this token, the proposal is refused as stale."""
        with pytest.raises(StaleLease):
            judge(asked, state=state, settled=None, lease=lease, at=AT + timedelta(seconds=seconds))

    def test_the_same_again_is_recognised(self) -> None:
        """The same finding by the same hand and token is no second decision, however its actions are ordered."""
        turned = Finding(verdict="illegal", violates="Art. 1", actions=[Action.LABEL, Action.REMOVE], reason="seen")
        asked = proposal(turned)
        assert judge(asked, state=CaseState.DECIDED, settled=settled(), lease=None, at=AT) is None

    @pytest.mark.parametrize(
        "asked",
        [
            proposal(Finding(verdict="no_violation", actions=[], reason="seen")),
            proposal(lease=UUID(int=9)),
            proposal(reviewer="wang"),
        ],
        ids=["another finding", "another token", "another reviewer"],
    )
    def test_another_decision_on_a_decided_case_is_refused(self, asked: Proposal) -> None:
        """A decided case takes no other decision."""
        with pytest.raises(AlreadyDecided):
            judge(asked, state=CaseState.DECIDED, settled=settled(), lease=None, at=AT)

    @pytest.mark.parametrize("action", sorted(SEVERE_ACTIONS))
    def test_severe_actions_wait_for_a_second_reviewer(self, action: Action) -> None:
        """A severe action is refused with the reason, among others too."""
        finding = Finding(verdict="illegal", violates="Art. 1", actions=[Action.REMOVE, action], reason="seen")
        with pytest.raises(SecondReviewerNeeded, match="second review is not available yet"):
            judge(proposal(finding), state=CaseState.CLAIMED, settled=None, lease=LEASE, at=AT)

    def test_it_cannot_see_who_reported(self) -> None:
        """decision.py imports nothing of reports, triage, cases or sources: a class never decides."""
        tree = ast.parse(Path(decision.__file__).read_text(encoding="utf-8"))
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        ours = {m for m in modules | names if m and m.startswith(("schemas", "services"))}
        assert ours == {"schemas.decision", "schemas.vocabulary", "services.review.leasing"}


class TestTerms:
    """How long a lease lasts."""

    terms = Terms(lease_seconds=600, p0_lease_seconds=120)

    @given(at=moments)
    def test_a_cut_lease_ends_within_its_two_minutes_however_often_it_is_renewed(self, at: datetime) -> None:
        """Once a P0 report has joined, no renewal moves the end past two minutes from then."""
        cap = self.terms.cut_by(LEASE, at)
        cut = Lease(CASE, TOKEN, 1, "li", AT, min(LEASE.expires_at, cap), EVENT, ends_by=cap)
        assert cut.expires_at <= at + timedelta(seconds=120)
        for later in range(0, 120, 30):
            assert self.terms.renewed_until(cut, at + timedelta(seconds=later)) <= cap

    @given(first=moments, second=moments)
    def test_a_second_cut_never_gives_time_back(self, first: datetime, second: datetime) -> None:
        """A cap is never moved later."""
        once = self.terms.cut_by(LEASE, first)
        cut = Lease(CASE, TOKEN, 1, "li", AT, min(LEASE.expires_at, once), EVENT, ends_by=once)
        assert self.terms.cut_by(cut, second) <= once

    def test_a_renewal_counts_from_now(self) -> None:
        """Renewing gives the whole length again from the moment of renewal."""
        at = AT + timedelta(seconds=500)
        assert self.terms.renewed_until(LEASE, at) == at + timedelta(seconds=600)

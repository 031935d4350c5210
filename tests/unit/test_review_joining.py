"""What reports do to cases: joins commute, ids join once, late reports are answered."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from schemas.case import CaseChange
from schemas.vocabulary import CaseState
from services.review.joining import (
    SNAPSHOTS_KEPT,
    Arrival,
    DecidedCase,
    Known,
    OpenCase,
    Standing,
    is_late,
    joined,
    new_case,
    planned,
    reporter_digest,
    sift,
)
from services.review.ordering import Head, in_order

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
TARGETS = (900, 3_600, 14_400, 86_400, 259_200)
ONE, TWO = "1" * 64, "2" * 64
FIRST, OTHER = b"1" * 32, b"2" * 32


def arrival(number: int, priority: int = 3, **changed: Any) -> Arrival:
    values: dict[str, Any] = {
        "report_id": UUID(int=number),
        "event_id": UUID(int=number + 10**9),
        "content_id": "v_1",
        "digest": number.to_bytes(32),
        "attested": priority == 0,
        "priority": priority,
        "target_seconds": TARGETS[priority],
        "queue": f"queue-{number % 3}",
        "received_at": START + timedelta(seconds=number),
        "source_kind": "user",
        "source_id": None,
        "reporter": reporter_digest(f"u_{number}"),
        "rule": "rest",
        "snapshot": None,
        "data": f'{{"report_id": "{UUID(int=number)}", "content": {{"id": "v_1", "type": "video"}}}}',
        "ruling": "{}",
    }
    return Arrival(**(values | changed))


reports = st.builds(
    lambda number, priority, attested, seconds, snapshot, content: arrival(
        number,
        priority,
        attested=attested or priority == 0,
        received_at=START + timedelta(seconds=seconds),
        snapshot=snapshot,
        content_id=content,
    ),
    st.integers(0, 10**6),
    st.integers(0, 4),
    st.booleans(),
    st.integers(0, 600),
    st.sampled_from([None, ONE, TWO]),
    st.sampled_from(["v_1", "v_2", "v_3"]),
)
batches = st.lists(reports, min_size=1, max_size=15, unique_by=lambda a: a.report_id)


def taken_in(arrivals: Sequence[Arrival], sizes: random.Random) -> dict[str, OpenCase]:
    """Feeds reports in batches of random sizes, as the consumers would."""
    cases: dict[str, OpenCase] = {}
    known: dict[UUID, Known] = {}
    rest = list(arrivals)
    while rest:
        size = sizes.randint(1, len(rest))
        batch, rest = rest[:size], rest[size:]
        accepted = sift(batch, known).accepted
        plan = planned(accepted, cases=cases, decided={}, known={}, at=START, late_report_days=7)
        for a in accepted:
            known[a.report_id] = Known(plan.cases[a.content_id].case_id, a.digest, a.attested, a.reporter)
        cases |= plan.cases
    return cases


def following(cases: dict[str, OpenCase]) -> list[UUID]:
    """The order in which a reviewer would be given these cases."""
    heads = [
        Head(c.now.lead.queue, c.now.priority, c.now.rank.target_seconds, c.now.rank.rank_from, c.now.rank.due_at, i)
        for c in cases.values()
        for i in [c.case_id]
    ]
    return [head.case_id for head in in_order(heads, START + timedelta(hours=1))]


class TestJoins:
    """Reports of one item."""

    @given(batch=batches, seed=st.integers(0, 2**32))
    def test_next_is_the_same_for_any_order_of_joins(self, batch: list[Arrival], seed: int) -> None:
        """Any order, any batching and any repetition of the same reports end in the same cases and the same next."""
        sizes = random.Random(seed)
        again = [*batch, *batch[::2]]
        sizes.shuffle(again)
        one, other = taken_in(batch, random.Random(1)), taken_in(again, sizes)
        assert one.keys() == other.keys()
        for content, case in one.items():
            twin = other[content]
            assert (case.case_id, case.standing, case.report_count) == (twin.case_id, twin.standing, twin.report_count)
            assert case.version == twin.version
        assert following(one) == following(other)

    @given(batch=batches)
    def test_a_case_has_the_best_class_of_its_reports(self, batch: list[Arrival]) -> None:
        """The class of a case is the best class among its reports, and its queue and ruling are of such a report."""
        for content, case in taken_in(batch, random.Random(2)).items():
            mine = [a for a in batch if a.content_id == content]
            assert case.now.priority == min(a.priority for a in mine)
            lead = next(a for a in mine if a.report_id == case.now.lead.report_id)
            assert (lead.priority, lead.queue) == (case.now.priority, case.now.lead.queue)

    def test_what_an_attested_report_says_of_the_content_wins(self) -> None:
        """The description of the content is an attested report's, also when others came before it."""
        standing = joined(joined(None, arrival(1)), arrival(2, attested=True))
        assert standing.teller.report_id == UUID(int=2)
        assert joined(standing, arrival(0)).teller.report_id == UUID(int=2)

    def test_a_join_that_changes_nothing_gives_the_same_standing_back(self) -> None:
        """A later report of the same class leaves the very same object, so that nothing is written for it."""
        standing = joined(None, arrival(1))
        assert joined(standing, arrival(2)) is standing

    def test_steps_tell_opened_joined_and_lifted(self) -> None:
        """The first report opens, an equal one joins, a better one lifts; each is one version further."""
        case = new_case("v_1", None)
        for a in (arrival(1), arrival(2), arrival(3, 0), arrival(4, 1)):
            case.take(a)
        assert [step.change for step in case.steps] == [
            CaseChange.OPENED,
            CaseChange.JOINED,
            CaseChange.LIFTED,
            CaseChange.JOINED,
        ]
        assert [step.version for step in case.steps] == [1, 2, 3, 4]
        assert [step.standing.priority for step in case.steps] == [3, 3, 0, 0]

    def test_only_a_case_that_was_there_becomes_immediate(self) -> None:
        """A case opened as P0 takes no lease away; one that was worse before the batch does."""
        fresh = new_case("v_1", None)
        fresh.take(arrival(1, 0))
        there = OpenCase(UUID(int=1), "v_1", CaseState.CLAIMED, 1, 1, joined(None, arrival(1)))
        there.take(arrival(2, 0))
        assert not fresh.becomes_immediate
        assert there.becomes_immediate

    def test_a_case_remembers_a_bounded_number_of_snapshots(self) -> None:
        """However many snapshots reports bring, a case keeps the same bounded set of them in any order."""
        many = [arrival(n, snapshot=f"{n:064x}") for n in range(SNAPSHOTS_KEPT * 2)]
        forth: Standing | None = None
        back: Standing | None = None
        for a, b in zip(many, many[::-1], strict=True):
            forth, back = joined(forth, a), joined(back, b)
        assert forth is not None
        assert back is not None
        assert forth.snapshots == back.snapshots
        assert len(forth.snapshots) == SNAPSHOTS_KEPT


class TestSifting:
    """Report ids that come more than once."""

    known: ClassVar = {UUID(int=1): Known(UUID(int=77), (1).to_bytes(32), attested=False, reporter=b"")}

    def test_an_equal_repetition_is_ignored(self) -> None:
        """The same id with the same content, in one batch or across batches, joins once and dies nowhere."""
        sifted = sift([arrival(1), arrival(2), arrival(2)], self.known)
        assert [a.report_id for a in sifted.accepted] == [UUID(int=2)]
        assert sifted.refused == []

    def test_another_content_under_a_used_id_is_refused(self) -> None:
        """The same id with other content is refused, whether the first is in the tables or in the same batch."""
        sifted = sift([arrival(1, digest=FIRST), arrival(2), arrival(2, digest=OTHER)], self.known)
        assert [a.report_id for a in sifted.accepted] == [UUID(int=2)]
        assert sifted.refused == [0, 2]

    def test_an_attested_report_wins_over_an_unattested_one(self) -> None:
        """An attested version replaces one that nobody vouched for, of equal content or not, and not the reverse."""
        assert sift([arrival(1, attested=True)], self.known).accepted != []
        assert sift([arrival(1, attested=True, digest=FIRST)], self.known).accepted != []
        attested = {UUID(int=1): Known(UUID(int=77), (1).to_bytes(32), attested=True, reporter=b"")}
        assert sift([arrival(1, digest=FIRST)], attested).refused == [0]
        assert sift([arrival(1, attested=True, digest=FIRST)], attested).refused == [0]
        assert sift([arrival(1)], attested).refused == []

    def test_within_a_batch_the_attested_version_wins_too(self) -> None:
        """Of two contents under one id in one batch the attested one comes in and the other is refused."""
        first, second = arrival(2, digest=FIRST), arrival(2, digest=OTHER, attested=True)
        for order, refused in (([first, second], [0]), ([second, first], [1])):
            sifted = sift(order, {})
            assert sifted.accepted == [second]
            assert sifted.refused == refused

    @given(batch=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), max_size=12))
    def test_every_id_has_one_version_at_most(self, batch: list[tuple[int, int, bool]]) -> None:
        """Whatever comes, an id is accepted once, and an attested version is never beaten by another."""
        arrivals = [arrival(n, digest=d.to_bytes(32), attested=attested) for n, d, attested in batch]
        sifted = sift(arrivals, self.known)
        accepted = [a.report_id for a in sifted.accepted]
        assert len(accepted) == len(set(accepted))
        for a in sifted.accepted:
            assert a.attested or not any(o.attested for o in arrivals if o.report_id == a.report_id)


class TestLateReports:
    """Reports on items that are decided."""

    past = DecidedCase(UUID(int=5), 2, START, (ONE,))

    def test_a_late_report_of_no_better_class_is_answered(self) -> None:
        """Within the week, with the same snapshot or none on either side, the decision there is answers."""
        at = START + timedelta(days=6)
        assert is_late(arrival(1, 2), self.past, at, 7)
        assert is_late(arrival(1, 4, snapshot=ONE), self.past, at, 7)
        assert is_late(arrival(1, snapshot=TWO), DecidedCase(UUID(int=5), 2, START, ()), at, 7)

    def test_somebody_looks_again_when_something_is_new(self) -> None:
        """A better class, another snapshot or an old decision open a new case."""
        at = START + timedelta(days=6)
        assert not is_late(arrival(1, 1), self.past, at, 7)
        assert not is_late(arrival(1, 3, snapshot=TWO), self.past, at, 7)
        assert not is_late(arrival(1, 3), self.past, START + timedelta(days=7), 7)
        assert not is_late(arrival(1, 3), self.past, START, 0)

    def test_reports_behind_one_that_opened_a_new_case_join_it(self) -> None:
        """In one batch, what comes before the better report is answered, what comes after it joins the new case."""
        batch = [arrival(1), arrival(2, 0), arrival(3)]
        plan = planned(batch, cases={}, decided={"v_1": self.past}, known={}, at=START, late_report_days=7)
        assert [(a.report_id.int, case_id) for a, case_id in plan.late] == [(1, self.past.case_id)]
        case = plan.cases["v_1"]
        assert [step.arrival.report_id.int for step in case.steps] == [2, 3]
        assert case.previous_case_id == self.past.case_id
        assert case.case_id not in {self.past.case_id, new_case("v_1", None).case_id}

"""The order of the queue: lifts never make a case later, arrival order does not matter, nothing waits for ever."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.review.ordering import (
    CLASSES,
    IMMEDIATE,
    OVERDUE_TURN,
    Head,
    in_order,
    is_overdue_turn,
    longest_overdue,
    rank,
    score,
)

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
TARGETS = (900, 3_600, 14_400, 86_400, 259_200)
# rank_from is kept to the microsecond, rounded to the earlier one.
ROUNDING = timedelta(microseconds=1)

minutes = st.integers(0, 20_000)
classes = st.integers(0, CLASSES - 1)
targets = st.integers(1, 1_000_000)
receptions = st.lists(st.tuples(classes, st.integers(0, 10**12), targets), min_size=1, max_size=12)

Reception = tuple[int, int, int]


def folded(reports: Sequence[Reception]) -> tuple[tuple[datetime | None, ...], tuple[int | None, ...]]:
    first_at: list[datetime | None] = [None] * CLASSES
    least: list[int | None] = [None] * CLASSES
    for priority, microseconds, target in reports:
        at = START + timedelta(microseconds=microseconds)
        first_at[priority] = min(first_at[priority] or at, at)
        least[priority] = min(least[priority] or target, target)
    return tuple(first_at), tuple(least)


def head(priority: int, waited_minutes: int, *, queue: str = "general", number: int = 0) -> Head:
    at = START - timedelta(minutes=waited_minutes)
    due_at = at + timedelta(seconds=TARGETS[priority])
    return Head(queue, priority, TARGETS[priority], at, due_at, UUID(int=number))


class TestRank:
    """Where a case stands."""

    def test_one_report_ranks_from_its_reception_and_is_due_a_target_later(self) -> None:
        """A case with one report counts from that report's reception."""
        ranked = rank((None, None, None, START, None), (None, None, None, 86_400, None))
        assert (ranked.rank_from, ranked.target_seconds) == (START, 86_400)
        assert ranked.due_at == START + timedelta(days=1)

    def test_a_lift_keeps_the_score_reached(self) -> None:
        """A case that waited half of its day and is lifted to an hour's class has waited half an hour of it."""
        noon = START + timedelta(hours=12)
        ranked = rank((None, noon, None, START, None), (None, 3_600, None, 86_400, None))
        assert score(ranked.rank_from, ranked.target_seconds, noon) == 0.5
        assert ranked.rank_from == noon - timedelta(minutes=30)
        assert ranked.due_at == noon + timedelta(hours=1)

    def test_a_worse_class_that_came_first_keeps_its_earlier_due_time(self) -> None:
        """A lift shortly before a case falls due does not put its due time off."""
        late = START + timedelta(hours=23, minutes=50)
        ranked = rank((None, late, None, START, None), (None, 3_600, None, 86_400, None))
        assert ranked.due_at == START + timedelta(days=1)

    @given(reports=receptions, extra=st.tuples(classes, st.integers(0, 10**12), targets), after=st.integers(0, 10**13))
    def test_one_more_report_never_makes_a_case_later(
        self, reports: list[Reception], extra: Reception, after: int
    ) -> None:
        """With one more report of any class the score is never lower at any later time, and due no later."""
        before, with_extra = rank(*folded(reports)), rank(*folded([*reports, extra]))
        now = START + timedelta(microseconds=10**12 + after)
        was = (now - before.rank_from - ROUNDING) / timedelta(seconds=before.target_seconds)
        assert score(with_extra.rank_from, with_extra.target_seconds, now) >= was * (1 - 1e-12)
        assert with_extra.due_at <= before.due_at
        assert with_extra.target_seconds <= before.target_seconds

    @given(reports=receptions, order=st.randoms(use_true_random=False))
    def test_arrival_order_and_repetition_do_not_matter(self, reports: list[Reception], order: object) -> None:
        """Any order of the same reports, some of them twice, gives the same rank."""
        shuffled = [*reports, *reports[::2]]
        order.shuffle(shuffled)  # type: ignore[attr-defined] # a random.Random
        assert rank(*folded(shuffled)) == rank(*folded(reports))


class TestChoice:
    """Which head is tried first."""

    @given(waits=st.lists(st.tuples(classes, minutes), min_size=1, max_size=30))
    def test_immediate_comes_before_everything(self, waits: list[tuple[int, int]]) -> None:
        """However long others have waited, P0 is first, and the rest follow by score."""
        heads = [head(priority, waited, number=n) for n, (priority, waited) in enumerate(waits)]
        ordered = in_order(heads, START)
        immediate = [h.priority == IMMEDIATE for h in ordered]
        assert immediate == sorted(immediate, reverse=True)
        scores = [score(h.rank_from, h.target_seconds, START) for h in ordered if h.priority != IMMEDIATE]
        assert scores == sorted(scores, reverse=True)

    def test_equal_scores_are_told_apart_the_same_way_always(self) -> None:
        """Between equals the earlier due time and then the id decide, whatever order they are read in."""
        heads = [head(3, 60, number=n) for n in range(5)]
        assert in_order(heads, START) == in_order(heads[::-1], START) == heads

    def test_each_tenth_turn_is_the_overdues(self) -> None:
        """Of a hundred turns ten belong to the longest overdue."""
        assert sum(is_overdue_turn(turn) for turn in range(1, 101)) == 10
        assert not is_overdue_turn(1)
        assert is_overdue_turn(OVERDUE_TURN)

    def test_the_longest_overdue_is_never_p0_and_never_one_that_is_not_overdue(self) -> None:
        """Only what is past its due time below P0 counts, the earliest due first."""
        waiting = [head(0, 5_000, number=1), head(4, 5_000, number=2), head(1, 4_000, number=3), head(3, 10, number=4)]
        found = longest_overdue(waiting, START)
        assert found is not None
        assert found.case_id == UUID(int=3)
        assert longest_overdue([waiting[0], waiting[3]], START) is None


class Bench:
    """A queue in memory that gives out cases as a claim does."""

    def __init__(self) -> None:
        self.waiting: list[Head] = []
        self.turn = 0

    def take(self, now: datetime) -> Head | None:
        first = in_order(self.heads(key=lambda h: (h.rank_from, h.case_id)), now)
        chosen = first[0] if first else None
        if chosen is not None and chosen.priority != IMMEDIATE:
            self.turn += 1
            if is_overdue_turn(self.turn):
                below = [h for h in self.waiting if h.priority != IMMEDIATE]
                chosen = longest_overdue(below, now) or chosen
        if chosen is not None:
            self.waiting.remove(chosen)
        return chosen

    def heads(self, key: object) -> list[Head]:
        groups: dict[tuple[int, int], list[Head]] = {}
        for waiting in self.waiting:
            groups.setdefault((waiting.priority, waiting.target_seconds), []).append(waiting)
        return [min(group, key=key) for group in groups.values()]  # type: ignore[type-var, arg-type]


@given(
    arrivals=st.lists(st.tuples(classes, st.integers(0, 9)), min_size=20, max_size=150),
    backlog=st.lists(classes, max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_below_capacity_no_case_waits_for_ever(arrivals: list[tuple[int, int]], backlog: list[int]) -> None:
    """While fewer cases come than are taken, each is taken before the work that was there can be done twice over."""
    bench, now, number = Bench(), START, 0
    waits: list[float] = []

    def put(priority: int) -> None:
        nonlocal number
        number += 1
        due_at = now + timedelta(seconds=TARGETS[priority])
        bench.waiting.append(Head("general", priority, TARGETS[priority], now, due_at, UUID(int=number)))

    def take() -> None:
        taken = bench.take(now)
        if taken is not None:
            waits.append((now - taken.rank_from) / timedelta(minutes=1))

    for priority in backlog:
        put(priority)
    # Four of five arrivals at most find place within the capacity of a claim a minute.
    for priority, luck in arrivals:
        if luck < 8:
            put(priority)
        take()
        now += timedelta(minutes=1)
    while bench.waiting:
        take()
        now += timedelta(minutes=1)
    assert len(waits) == number
    assert max(waits, default=0) <= len(backlog) + len(arrivals)


def test_under_a_flood_of_better_cases_the_lowest_class_is_still_reached() -> None:
    """With twice as much P1 coming as can be taken, a P4 case is taken before it has waited twice its target."""
    bench, now, number = Bench(), START, 0
    lowest = Head("general", 4, TARGETS[4], START, START + timedelta(seconds=TARGETS[4]), UUID(int=2**64))
    bench.waiting.append(lowest)
    while lowest in bench.waiting:
        for _ in range(2):
            number += 1
            due_at = now + timedelta(seconds=TARGETS[1])
            bench.waiting.append(Head("general", 1, TARGETS[1], now, due_at, UUID(int=number)))
        bench.take(now)
        now += timedelta(minutes=20)
        assert now < START + timedelta(seconds=2 * TARGETS[4])

"""Which case comes next. Pure: it is told what waits and what time it is, and knows nothing of tables.

Below P0 a case's score is the time it has waited, counted in targets: `(now - rank_from) / target`. It grows without
end, so nothing waits for ever while there is capacity, and it grows faster for the better classes. P0 stands outside
the comparison: it always comes first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

IMMEDIATE = 0
CLASSES = 5

# Of the claims below P0, each tenth takes the case that is longest overdue, whatever its class: under overload the
# score alone would leave the lowest class behind by days.
OVERDUE_TURN = 10

# How many cases at a head are looked at for one that this reviewer may have and nobody is busy with. A bound, so that a
# reviewer who is excluded from many cases costs no scan.
CANDIDATES = 64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

FirstAt = tuple[datetime | None, ...]
Targets = tuple[int | None, ...]


class Rank(NamedTuple):
    """A case's place: since when its score counts, at what target, and when it should be decided at the latest."""

    rank_from: datetime
    target_seconds: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Head:
    """The first case of those that share queue, class and target; among these the order by `rank_from` is the score's.

    Heads are per target as well as per class because a new policy may give a class another target while cases of the
    old one still wait.
    """

    queue: str
    priority: int
    target_seconds: int
    rank_from: datetime
    due_at: datetime
    case_id: UUID


def rank(first_at: FirstAt, targets: Targets) -> Rank:
    """The rank of a case from the earliest reception per class and the least target seen per class.

    The score is folded over those receptions in order of time: from each on it grows at the least target met so far,
    from where it stood. Because only the earliest receptions and the least targets enter, the order in which the
    reports arrived does not matter, and one more report can only raise the score and bring `due_at` forward.

    Raises:
        ValueError: no class has a reception, so there is no case.
    """
    steps = sorted((at, target) for at, target in zip(first_at, targets, strict=True) if at and target)
    if not steps:
        raise ValueError("a case has at least one report")
    due_at = min(at + timedelta(seconds=target) for at, target in steps)
    begun_at, target = steps[0]
    if all(next_target >= target for _, next_target in steps):
        return Rank(begun_at, target, due_at)
    since = Fraction(_microseconds(begun_at))
    for at, next_target in steps[1:]:
        if next_target < target:
            reached = _microseconds(at)
            since = reached - (reached - since) * Fraction(next_target, target)
            target = next_target
    return Rank(
        rank_from=_EPOCH + (since.numerator // since.denominator) * _MICROSECOND,
        target_seconds=target,
        due_at=due_at,
    )


def score(rank_from: datetime, target_seconds: int, now: datetime) -> float:
    """How long a case has waited, in targets: 1.0 is the moment it falls due if it was never lifted."""
    return (now - rank_from) / timedelta(seconds=target_seconds)


def in_order(heads: Iterable[Head], now: datetime) -> list[Head]:
    """The heads in the order they are to be tried: P0 first, then the highest score; equals by due time, then by id."""

    def key(head: Head) -> tuple[bool, float, datetime, UUID]:
        return (
            head.priority != IMMEDIATE,
            -score(head.rank_from, head.target_seconds, now),
            head.due_at,
            head.case_id,
        )

    return sorted(heads, key=key)


def is_overdue_turn(turn: int) -> bool:
    """Whether the `turn`-th claim below P0 (counted from 1) belongs to the longest overdue."""
    return turn % OVERDUE_TURN == 0


def longest_overdue(heads: Sequence[Head], now: datetime) -> Head | None:
    """Of the first-due cases below P0, the one that is overdue longest; None when none is overdue."""
    overdue = [head for head in heads if head.priority != IMMEDIATE and head.due_at < now]
    return min(overdue, key=lambda head: (head.due_at, head.case_id), default=None)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND

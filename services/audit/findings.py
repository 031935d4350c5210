"""What a verifier of the log can find: each problem with its kind and the entries it concerns."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MOST_TOLD: Final = 1_000


class Kind(StrEnum):
    """What is wrong; the words are part of the command's contract."""

    ALTERED = "altered"
    MISSING = "missing"
    INSERTED = "inserted"
    REORDERED = "reordered"
    CUT = "cut tail"
    FORKED = "forked"
    UNSIGNED = "unsigned"
    WRONG_KEY = "wrong key"
    ROLLED_BACK = "rolled back"
    GAP = "gap in time"
    DROPPED = "dropped checkpoint"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong from entry `index` on, up to and without `end` (None: it is that one entry or that size)."""

    index: int
    kind: Kind
    what: str
    end: int | None = None

    def told(self) -> dict[str, object]:
        """The problem as it is printed."""
        told: dict[str, object] = {"index": self.index, "kind": self.kind.value, "what": self.what}
        return told if self.end is None else {**told, "end": self.end}


class Findings:
    """The problems of a log: of so many that nobody would read them the first are kept, and the others counted."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self._kept: list[Problem] = []
        self.counts: Counter[Kind] = Counter()
        for problem in problems:
            self.add(problem)

    def __len__(self) -> int:
        return self.counts.total()

    def add(self, problem: Problem, most_told: int = MOST_TOLD) -> None:
        """Notes a problem; one of a sort that may be everywhere leaves room for others by a lower bound."""
        self.counts[problem.kind] += 1
        if len(self._kept) < most_told:
            self._kept.append(problem)

    def told(self) -> list[Problem]:
        """Those that are kept, in order of place."""
        return sorted(self._kept, key=lambda problem: problem.index)

    @property
    def untold(self) -> int:
        """How many more there are."""
        return len(self) - len(self._kept)

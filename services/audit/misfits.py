"""Entries whose leaf does not have the hash that the log kept of it: what was done to them, as far as it can be told.

A leaf that has the hash kept of another entry is that entry, at another place. Where all leaves from one place on fit
the hashes of their neighbours, something was put in before them or taken out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.audit.findings import Kind, Problem

MOST: Final = 4_096
# A place this close to the last that was noted may miss its counterpart.
_EDGE: Final = 64
_SHIFT: Final = 3
# Hashes are kept by so many; the last ones of a log are made when it is read.
_WIDTH: Final = 256


@dataclass(frozen=True, slots=True)
class Misfit:
    """An entry, the hash of its leaf, and the one kept of it."""

    index: int
    found: bytes
    kept: bytes


class Misfits:
    """Those of a log; beyond a bound they are only counted, for whatever was done began before."""

    def __init__(self) -> None:
        self._noted: list[Misfit] = []
        self.beyond = 0

    def __len__(self) -> int:
        return len(self._noted) + self.beyond

    def add(self, misfit: Misfit) -> None:
        """Notes one; indexes only rise."""
        if len(self._noted) < MOST:
            self._noted.append(misfit)
        else:
            self.beyond += 1

    def taken_since(self, index: int) -> list[Misfit]:
        """Removes those from this entry on, and returns them."""
        taken = [misfit for misfit in self._noted if misfit.index >= index]
        self._noted = [misfit for misfit in self._noted if misfit.index < index]
        return taken

    def named(self, size: int) -> Iterator[Problem]:
        """What was done, by index, in a log of that size."""
        shifts = _Shifts(self._noted)
        told = self._noted[:-_EDGE] if self.beyond else self._noted
        for at, misfit in enumerate(told):
            yield from shifts.named(at, misfit, size)
        if self.beyond:
            first = told[-1].index + 1
            what = f"{self.beyond + _EDGE} more entries from here on do not have the hashes that the log kept of them"
            yield Problem(first, Kind.ALTERED, what)

    def grown(self, size: int) -> int:
        """How many entries more than it had a log of that size has, as far as its last ones show it."""
        if not self._noted or self.beyond or self._noted[-1].index != size - 1:
            return 0
        shifts = _Shifts(self._noted)
        last = max((at for at, shift in enumerate(shifts.of) if shift), default=-1)
        return shifts.of[last] if last >= 0 and shifts.in_shift(last) else 0


class _Shifts:
    """How far each leaf stands from where the hash of it was kept: 0 where that is nowhere."""

    def __init__(self, noted: list[Misfit]) -> None:
        self._noted = noted
        kept_at = {misfit.kept: misfit.index for misfit in noted if misfit.kept}
        self._found = {misfit.found for misfit in noted}
        self.of = [misfit.index - kept_at.get(misfit.found, misfit.index) for misfit in noted]

    def in_shift(self, at: int) -> bool:
        """Whether the leaf moved together with its neighbours."""
        if not self.of[at]:
            return False
        start = end = at
        while start and end - start < _SHIFT and self._joined(start - 1, start):
            start -= 1
        while end + 1 < len(self.of) and end - start < _SHIFT and self._joined(end, end + 1):
            end += 1
        return end - start + 1 >= _SHIFT

    def named(self, at: int, misfit: Misfit, size: int) -> Iterator[Problem]:
        """What was done at this place; nothing if its leaf only moved because of what was done before it."""
        index, shift = misfit.index, self.of[at]
        before, after = self._around(at, -1), self._around(at, 1)
        moved = self.in_shift(at)
        if moved:
            lost = misfit.kept not in self._found
            fewer = (before or 0) - shift
            if lost and fewer > 0:
                what = "what belongs here is missing; the entries after it have moved up"
                yield Problem(index, Kind.MISSING, what, index + fewer)
            elif lost and shift > 0 and self._ends(at) and not _at_edge(index + 1, size):
                yield Problem(index, Kind.MISSING, "the entry that belongs here is missing")
            return
        if shift:
            what = f"the entry that stands here belongs at index {index - shift}"
            yield Problem(index, Kind.REORDERED, what)
        elif before is not None and before < 0 and any(map(self._ends, range(at, min(at - before, len(self.of))))):
            # It moved up with those before it; the hash kept of it stands behind the end of what is known.
            return
        elif after is not None and after > (before or 0):
            what = "an entry that the log did not write was put in here; those after it have moved down"
            yield Problem(index, Kind.INSERTED, what)
        else:
            what = "the leaf does not have the hash that the log kept of it"
            yield Problem(index, Kind.ALTERED, what)

    def _around(self, at: int, step: int) -> int | None:
        """The shift of the nearest neighbour on one side that moved with others; None if there is none."""
        place = at + step
        while (
            abs(place - at) <= _EDGE
            and 0 <= place < len(self.of)
            and self._noted[place].index == self._noted[place - step].index + step
        ):
            if self.of[place]:
                return self.of[place] if self.in_shift(place) else None
            place += step
        return None

    def _ends(self, at: int) -> bool:
        return at + 1 == len(self._noted) or self._noted[at + 1].index != self._noted[at].index + 1

    def _joined(self, one: int, other: int) -> bool:
        return self.of[one] == self.of[other] and self._noted[other].index == self._noted[one].index + 1


def _at_edge(index: int, size: int) -> bool:
    """Whether an entry is the log's end, or the first of those of which no hash was kept yet."""
    return index >= size or (index % _WIDTH == 0 and size - index < _WIDTH)

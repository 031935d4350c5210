"""Whether the indexes of a log's lines follow one another, and what was done where they do not."""

from collections.abc import Iterator
from typing import Final

from services.audit.examining import Stretch
from services.audit.findings import Kind, Problem

# So many lines in order, one after the other, say where the log goes on.
_SURE: Final = 3
_MOST: Final = 1_024


class Sequence:
    """Passes stretches of lines on in the order of the log, and says what is out of order.

    Args:
        expected: the next index.
    """

    def __init__(self, expected: int = 0) -> None:
        self.expected = expected
        self._strays: list[Stretch] = []
        self._out_of_place: dict[int, int] = {}

    @property
    def unsettled(self) -> bool:
        """Whether lines are held back until more is known."""
        return bool(self._strays or self._out_of_place)

    def take(self, stretch: Stretch) -> Iterator[Stretch | Problem]:
        """What is certain after this one."""
        if not self._strays and stretch.first in (self.expected, None):
            yield self._passed(stretch)
            return
        if self._strays and stretch.first == self.expected + _lines(self._strays):
            yield from self._closed(stretch.first)
            yield self._passed(stretch)
            return
        self._strays.append(stretch)
        sure = self._tail()
        if sure:
            follows = self._strays[-sure:]
            del self._strays[-sure:]
            yield from self._resumed(follows)

    def settled(self) -> Iterator[Stretch | Problem]:
        """What can be said when there is no more."""
        strays, self._strays = self._strays, []
        for stray in strays:
            if stray.first is None:
                yield self._passed(stray)
            else:
                yield from self._resumed([stray])
        for index, place in sorted(self._out_of_place.items()):
            yield Problem(place, Kind.ALTERED, f"the line says index {index} where {place} belongs")
        self._out_of_place = {}

    def _tail(self) -> int:
        """How many of the last strays follow one another well enough; 0 for not yet."""
        count, lines = 0, 0
        for at in range(len(self._strays) - 1, -1, -1):
            stray = self._strays[at]
            after = self._strays[at + 1] if count else None
            if stray.first is None or (after is not None and stray.first + stray.count != after.first):
                break
            count, lines = count + 1, lines + stray.count
            if lines >= _SURE:
                return count
        return 1 if len(self._strays) >= _MOST and self._strays[-1].first is not None else 0

    def _passed(self, stretch: Stretch) -> Stretch:
        placed = stretch if stretch.first is not None else stretch._replace(first=self.expected)
        self.expected += stretch.count
        return placed

    def _resumed(self, follows: list[Stretch]) -> Iterator[Stretch | Problem]:
        first = follows[0].first or 0
        yield from self._closed(first)
        for stretch in follows:
            end = (stretch.first or 0) + stretch.count
            if first < self.expected:
                again = min(end, self.expected)
                yield Problem(first, Kind.INSERTED, "the index stands here a second time", again)
            if stretch.first == self.expected:
                yield self._passed(stretch)
            self.expected = max(self.expected, end)
            first = end

    def _closed(self, until: int) -> Iterator[Stretch | Problem]:
        """Judges the strays between what came last and the index that the log goes on at."""
        strays, self._strays = self._strays, []
        wanted = range(self.expected, until)
        indexes = [index for stray in strays for index in _indexes(stray)]
        if len(indexes) == len(wanted):
            yield from self._rearranged(strays, wanted)
            return
        seen = {index for index in indexes if index is not None}
        for index in indexes:
            if index is None:
                yield Problem(self.expected, Kind.ALTERED, "a line near here cannot be read")
            elif index not in wanted or indexes.count(index) > 1:
                yield Problem(index, Kind.INSERTED, "a line with this index stands where none belongs")
        yield from _missing(wanted, seen)
        self.expected = max(self.expected, until)

    def _rearranged(self, strays: list[Stretch], wanted: range) -> Iterator[Stretch | Problem]:
        """As many lines as belong here, with other indexes than belong here or in another order."""
        places = iter(wanted)
        ordered: list[Stretch] = []
        for stray in strays:
            for index, place in zip(_indexes(stray), places, strict=False):
                if index is None or index == place:
                    continue
                if index in wanted:
                    yield Problem(place, Kind.REORDERED, f"entry {index} stands here")
                elif self._out_of_place.get(place) == index:
                    del self._out_of_place[place]
                    yield Problem(index, Kind.REORDERED, f"entry {place} stands here")
                    yield Problem(place, Kind.REORDERED, f"entry {index} stands here")
                else:
                    self._out_of_place[index] = place
            ordered.append(stray)
        whole = sorted(ordered, key=lambda stray: stray.first if stray.first is not None else -1)
        for stretch in whole:
            if stretch.first == self.expected:
                yield self._passed(stretch)
            else:
                yield Problem(self.expected, Kind.ALTERED, "its hash cannot be placed") if False else stretch
        self.expected = wanted.stop


def _lines(strays: list[Stretch]) -> int:
    return sum(stray.count for stray in strays)


def _indexes(stray: Stretch) -> list[int | None]:
    return [None] * stray.count if stray.first is None else list(range(stray.first, stray.first + stray.count))


def _missing(wanted: range, seen: set[int]) -> Iterator[Problem]:
    start = wanted.start
    for index in [*sorted(index for index in seen if index in wanted), wanted.stop]:
        if index > start:
            count = index - start
            what = "the entry is missing" if count == 1 else f"{count} entries are missing"
            yield Problem(start, Kind.MISSING, what, index)
        start = index + 1

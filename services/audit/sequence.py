"""Whether the indexes of a log's lines follow one another, and what was done where they do not."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from services.audit.examining import Odd, Stretch
from services.audit.findings import Kind, Problem

# So many lines in order, one after the other, say where the log goes on.
_SURE: Final = 3
_MOST_STRAYS: Final = 1_024
_MOST_GONE: Final = 4_096
_BROKEN: Final = Odd(b"", b"", "")


class Indexes:
    """Passes stretches of lines on in the order of the log, and says what is out of order.

    Args:
        expected: the next index.
    """

    def __init__(self, expected: int = 0) -> None:
        self.expected = expected
        self._strays: list[Stretch] = []
        # Which index a line says, by the one that belongs at its place; and indexes that no line has said yet.
        self._misplaced: dict[int, int] = {}
        self._gone: set[int] = set()

    @property
    def unsettled(self) -> bool:
        """Whether something is held back until more is known."""
        return bool(self._strays or self._misplaced or self._gone)

    def take(self, stretch: Stretch) -> Iterator[Stretch | Problem]:
        """What is certain after this one.

        A stretch without a segment and without a hash says that the log's hashes cannot be told from here on.
        """
        if not self._strays and stretch.first in (self.expected, None):
            yield self._passed(stretch)
        elif self._strays and stretch.first == self.expected + sum(stray.count for stray in self._strays):
            yield from self._closed(stretch.first)
            yield self._passed(stretch)
        else:
            self._strays.append(stretch)
            if sure := self._sure():
                follows = self._strays[-sure:]
                del self._strays[-sure:]
                yield from self._resumed(follows)

    def settled(self) -> Iterator[Stretch | Problem]:
        """What can be said when there is no more."""
        strays, self._strays = self._strays, []
        for stray in strays:
            if stray.first is None:
                yield self._passed(stray)
            elif self._misplaced.get(stray.first) == self.expected:
                yield from self._wrongly_numbered(stray.first, self.expected)
                self.expected += 1
            else:
                yield from self._resumed([stray])
        for place, said in self._misplaced.items():
            self._gone.discard(place)
            yield Problem(place, Kind.ALTERED, f"the line says index {said} where {place} belongs")
        yield from _missing(sorted(self._gone))

    def _sure(self) -> int:
        """How many of the last strays follow one another well enough; 0 for not yet."""
        lines = 0
        for count, stray in enumerate(reversed(self._strays), 1):
            after = self._strays[1 - count] if count > 1 else None
            if stray.first is None or (after is not None and stray.first + stray.count != after.first):
                break
            lines += stray.count
            if lines >= _SURE:
                return count
        return 1 if len(self._strays) >= _MOST_STRAYS and self._strays[-1].first is not None else 0

    def _passed(self, stretch: Stretch) -> Stretch:
        placed = stretch if stretch.first is not None else replace(stretch, first=self.expected)
        self.expected += stretch.count
        return placed

    def _resumed(self, follows: Iterable[Stretch]) -> Iterator[Stretch | Problem]:
        """Goes on with these, whichever index they say."""
        for stretch in follows:
            first = stretch.first or 0
            yield from self._closed(first)
            if first < self.expected:
                again = min(first + stretch.count, self.expected)
                yield from self._again(range(first, again))
                self.expected = max(self.expected, first + stretch.count)
            else:
                yield self._passed(stretch)

    def _closed(self, until: int) -> Iterator[Stretch | Problem]:
        """Judges the strays between what came last and the index that the log goes on at."""
        strays, self._strays = self._strays, []
        wanted = range(self.expected, max(self.expected, until))
        said = [index for stray in strays for index in _said(stray)]
        if not strays and not wanted:
            return
        if set(said) == set(wanted) and len(said) == len(wanted):
            for place, index in zip(wanted, said, strict=True):
                if place != index:
                    yield Problem(place, Kind.REORDERED, f"entry {index} stands here")
            for stray in sorted(strays, key=lambda stray: stray.first or 0):
                yield self._passed(stray)
            return
        yield Stretch(self.expected, 0, (), _BROKEN)
        yield from self._judged(said, wanted)
        self.expected = wanted.stop

    def _judged(self, said: list[int | None], wanted: range) -> Iterator[Problem]:
        """What lines that say these indexes are, where those wanted belong."""
        one_each = len(said) == len(wanted)
        left = set(wanted) if len(wanted) <= _MOST_STRAYS else None
        seen: set[int] = set()
        for at, index in enumerate(said):
            place = wanted[at] if one_each else wanted.start
            if index is None:
                yield Problem(place, Kind.ALTERED, "a line here cannot be read")
                seen.add(place)
            elif index in wanted and index not in seen:
                seen.add(index)
                if one_each and index != place:
                    yield Problem(place, Kind.REORDERED, f"entry {index} stands here")
            elif one_each:
                seen.add(place)
                yield from self._wrongly_numbered(index, place)
            else:
                yield from self._again(range(index, index + 1))
        if left is not None and len(self._gone) + len(left) <= _MOST_GONE:
            self._gone |= left - seen
        else:
            start = wanted.start
            for index in [*sorted(seen), wanted.stop]:
                yield from _gap(start, index)
                start = index + 1

    def _wrongly_numbered(self, index: int, place: int) -> Iterator[Problem]:
        if self._misplaced.get(index) == place:
            del self._misplaced[index]
            yield Problem(index, Kind.REORDERED, f"entry {place} stands here")
            yield Problem(place, Kind.REORDERED, f"entry {index} stands here")
        elif len(self._misplaced) < _MOST_GONE:
            self._misplaced[place] = index
        else:
            yield Problem(place, Kind.ALTERED, f"the line says index {index} where {place} belongs")

    def _again(self, indexes: range) -> Iterator[Problem]:
        """Lines that come after those that should follow them: late ones, or ones that were there already."""
        late = [index for index in indexes if index in self._gone] if len(indexes) <= _MOST_GONE else []
        self._gone.difference_update(late)
        for index in late:
            yield Problem(index, Kind.REORDERED, "the entry stands further on")
        if len(late) < len(indexes):
            fresh = [index for index in indexes if index not in set(late)] if late else indexes
            what = "a line with this index stands where none belongs"
            yield Problem(fresh[0], Kind.INSERTED, what, fresh[-1] + 1)


def _said(stray: Stretch) -> Iterable[int | None]:
    return [None] * stray.count if stray.first is None else range(stray.first, stray.first + stray.count)


def _missing(indexes: Iterable[int]) -> Iterator[Problem]:
    """Neighbours are told together."""
    start = end = -1
    for index in indexes:
        if index == end:
            end += 1
            continue
        yield from _gap(start, end)
        start, end = index, index + 1
    yield from _gap(start, end)


def _gap(start: int, end: int) -> Iterator[Problem]:
    if end > start:
        what = "the entry is missing" if end == start + 1 else f"{end - start} entries are missing"
        yield Problem(start, Kind.MISSING, what, end)

"""Checking a log's entries, in one pass and in bounded memory, against what vouches for them. No input, no output.

The tree is built twice where it must be: over the hashes of the leaves, and, from the first leaf on that does not have
the hash kept of it, over the kept ones. Whichever of the two a checkpoint vouches for tells which was altered.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from services.audit.evidence import Evidence, time_text
from services.audit.examining import Odd, Segment, Stretch
from services.audit.findings import Findings, Kind, Problem
from services.audit.misfits import Misfit, Misfits
from services.audit.sequence import Indexes
from services.audit.tree import HASH_BYTES, Frontier

GAP_SECONDS: Final = 300
# A broker's clock and that of the log's writer may differ by so much.
_CLOCKS_SECONDS: Final = 60
# Lines that are odd may be all there are, as where what stands beside leaves was shifted by one.
_MOST_ODD: Final = 100


class Standing(NamedTuple):
    """How far a log was found sound: what a later run goes on from.

    `good` is the largest size that was checked against a checkpoint; `opening` and `latest` are times of entries after
    it.
    """

    size: int
    peaks: tuple[bytes, ...]
    good: int
    opening: bytes
    latest: bytes


BEGINNING: Final = Standing(0, (), 0, b"", b"")


class Verdict(NamedTuple):
    """What came of it: entries read, how many of them a checkpoint vouches for, checkpoints read, and the problems."""

    entries: int
    covered: int
    checkpoints: int
    problems: Findings

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not len(self.problems)

    def told(self) -> dict[str, object]:
        """The verdict as it is printed."""
        return {
            "ok": self.ok,
            "entries": self.entries,
            "covered": self.covered,
            "checkpoints": self.checkpoints,
            "problems": [problem.told() for problem in self.problems.told()],
            "more_problems": self.problems.untold,
        }


class Verifier:
    """Takes what `examined` says of a log, piece by piece, from its first entry on.

    Args:
        evidence: what vouches for the log.
        gap_seconds: how long entries may wait for the checkpoint that covers them.
        start: where an earlier run left off.
    """

    def __init__(self, evidence: Evidence, *, gap_seconds: int = GAP_SECONDS, start: Standing = BEGINNING) -> None:
        self.problems = Findings(evidence.problems)
        self._evidence, self._gap_seconds = evidence, gap_seconds
        self._roots: defaultdict[int, set[bytes]] = defaultdict(set)
        self._times: dict[int, int] = {}
        for size, root, at in evidence.signed:
            self._roots[size].add(root)
            self._times[size] = min(at, self._times.get(size, at))
        self._sizes = evidence.sizes()
        self._indexes = Indexes(start.size)
        self._misfits = Misfits()
        self._odd: Problem | None = None
        self._leaves = Frontier(start.size, start.peaks)
        self._kept: Frontier | None = None
        self._good, self._opening, self._latest = start.good, start.opening, start.latest
        # Once entries are missing or a root does not hold, none after it can.
        self._checks = True
        if start.size == 0:
            self._check(0)

    @property
    def entries(self) -> int:
        """How many entries have been taken."""
        return self._indexes.expected

    def take(self, stretches: Sequence[Stretch]) -> None:
        """Goes on with the next piece."""
        for stretch in stretches:
            for taken in self._indexes.take(stretch):
                self._take(taken)

    def standing(self) -> Standing | None:
        """What a later run may go on from; None once something is wrong with the entries."""
        found = len(self.problems) > len(self._evidence.problems) or self._odd is not None
        if found or len(self._misfits) or self._indexes.unsettled:
            return None
        return Standing(self._leaves.size, tuple(self._leaves.peaks), self._good, self._opening, self._latest)

    def verdict(self) -> Verdict:
        """What came of it, when there is no more."""
        for taken in self._indexes.settled():
            self._take(taken)
        self._tell_odd()
        size = self.entries
        for problem in self._misfits.named(size):
            self.problems.add(problem)
        largest = self._sizes[-1] if self._sizes else 0
        if size < largest and size - self._misfits.grown(size) < largest:
            what = f"cut off: a checkpoint of {largest} entries was signed, and {size} are here"
            self.problems.add(Problem(size, Kind.CUT, what, largest))
        return Verdict(size, self._good, self._evidence.count, self.problems)

    def _take(self, taken: Stretch | Problem) -> None:
        if isinstance(taken, Problem):
            self.problems.add(taken)
            if taken.kind is not Kind.REORDERED:
                self._stop()
        elif taken.odd is None:
            for segment in taken.segments:
                self._grow(segment)
        else:
            self._misfit(taken.first or 0, taken.odd)

    def _misfit(self, index: int, odd: Odd) -> None:
        if odd.why:
            self._is_odd(index, odd.why)
        if not odd.found:
            self._stop()
            return
        if not odd.why:
            self._misfits.add(Misfit(index, odd.found, odd.kept))
            if self._checks and self._kept is None and len(odd.kept) == HASH_BYTES:
                self._kept = Frontier(self._leaves.size, self._leaves.peaks)
        if self._checks:
            kept = odd.kept if len(odd.kept) == HASH_BYTES else odd.found
            self._append(((0, odd.found),), ((0, kept),))
            self._check(index + 1)

    def _is_odd(self, index: int, why: str) -> None:
        """Neighbours that are odd in one way are one problem."""
        if self._odd is not None and (self._odd.end, self._odd.what) == (index, why):
            self._odd = replace(self._odd, end=index + 1)
        else:
            self._tell_odd()
            self._odd = Problem(index, Kind.ALTERED, why, index + 1)

    def _tell_odd(self) -> None:
        odd, self._odd = self._odd, None
        if odd is not None:
            self.problems.add(odd if odd.end != odd.index + 1 else replace(odd, end=None), _MOST_ODD)

    def _grow(self, segment: Segment) -> None:
        if not self._opening:
            self._opening = segment.opening
        self._latest = max(self._latest, segment.latest)
        if self._checks:
            self._append(segment.pieces, segment.pieces)
            self._check(segment.end)

    def _append(self, pieces: Sequence[tuple[int, bytes]], kept: Sequence[tuple[int, bytes]]) -> None:
        for frontier, new in ((self._leaves, pieces), (self._kept, kept)):
            if frontier is not None:
                for level, root in new:
                    if level:
                        frontier.append_complete(level, root)
                    else:
                        frontier.append(root)

    def _check(self, size: int) -> None:
        """Holds the log to the checkpoints of its size, if there are any."""
        roots = self._roots.get(size)
        if roots is None or not self._checks:
            return
        if self._leaves.root() in roots:
            for misfit in self._misfits.taken_since(self._good):
                what = "the hash that the log keeps of it was altered; the entry itself is the one that was signed"
                self.problems.add(Problem(misfit.index, Kind.ALTERED, what))
            self._kept = None
        elif self._kept is not None and self._kept.root() in roots:
            self._leaves, self._kept = self._kept, None
        else:
            what = f"another history than the one that the checkpoint of size {size} was signed for"
            self.problems.add(Problem(self._good, Kind.FORKED, what, size))
            self._checks = False
            return
        self._time(size)
        self._good, self._opening, self._latest = size, b"", b""

    def _time(self, size: int) -> None:
        """Holds the times of the entries since the last checkpoint to that of this one."""
        opening, latest = _seconds(self._opening), _seconds(self._latest)
        at = self._times[size]
        if latest is not None and latest > at + _CLOCKS_SECONDS:
            what = (
                f"entries are later, by {int(latest - at)} s, than the checkpoint of {time_text(at)} that covers them"
            )
            self.problems.add(Problem(self._good, Kind.GAP, what, size))
        if opening is None:
            return
        waited = at - max(opening, self._times.get(self._good, 0) if self._good else 0)
        if waited > self._gap_seconds:
            what = f"nothing vouched for them for {int(waited)} s, until the checkpoint of {time_text(at)}"
            self.problems.add(Problem(self._good, Kind.GAP, what, size))

    def _stop(self) -> None:
        """Checkpoints from here on cannot be held against a log that lacks entries; the problem that says so stands."""
        self._checks = False


def _seconds(text: bytes) -> float | None:
    try:
        return datetime.fromisoformat(text.decode()).timestamp()
    except ValueError:
        return None

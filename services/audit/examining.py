"""Reading a piece of an export: what its lines say is hashed, and set beside the hashes that the log kept of them.

This is where verifying spends its time, so lines are taken together, and one by one only where something is wrong.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import SEEK_CUR, BytesIO
from typing import BinaryIO, Final, NamedTuple

from services.audit.plain import first_index, leaf_hashes, leaf_of
from services.audit.tree import leaf_hash, subtrees

# A time is read of one entry in so many.
_SAMPLED: Final = 256
_TIME: Final = b'"time":"'
_TIME_LENGTH: Final = len("2026-11-23T08:00:00.000Z")
_DIFFERS: Final = "what the entry is found by or shown with says otherwise than its leaf: "
# Larger ones would have to be fetched from memory again, and be given back to the system and asked for anew.
_AT_ONCE_BYTES: Final = 128 << 10


class Odd(NamedTuple):
    """Of a line that does not hold: the hash of its leaf, the one kept of it; or why it cannot be read."""

    found: bytes
    kept: bytes
    why: str


class Segment(NamedTuple):
    """Neighbouring entries up to and without `end`: subtrees by level and root; times of the first, and the latest."""

    end: int
    pieces: tuple[tuple[int, bytes], ...]
    opening: bytes
    latest: bytes


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines with indexes one after the other: sound ones in segments, or a single odd one. `first` None: unreadable."""

    first: int | None
    count: int
    segments: tuple[Segment, ...]
    odd: Odd | None = None


def examined(file: BinaryIO, size: int, cuts: Sequence[int]) -> list[Stretch]:
    """What whole lines of an export say.

    Args:
        file: stands where the lines begin.
        size: how many bytes of it they are.
        cuts: sizes, in order, at which segments end, because somebody vouches for them.
    """
    start = file.tell()
    sound = _at_once(file, size, cuts)
    if sound is not None:
        return [sound]
    file.seek(start)
    return list(_one_by_one(file.read(size), cuts))


def _at_once(file: BinaryIO, size: int, cuts: Sequence[int]) -> Stretch | None:
    """What the lines say if nothing is wrong with them, else None."""
    at = None
    hashes: list[bytes] = []
    times: dict[int, bytes] = {}
    for block, lines in _lines(file, size):
        at = first_index(lines[0]) if at is None else at
        found = None if at is None else leaf_hashes(block, lines, at)
        if at is None or found is None:
            return None
        hashes += found
        end = at + len(lines)
        times |= {index: _time_of(leaf_of(lines[index - at])) for index in _sampled(at, end, cuts)}
        at = end
    if at is None:
        return None
    first = at - len(hashes)
    return Stretch(first, len(hashes), tuple(_segments(first, hashes, times, cuts)))


def _lines(file: BinaryIO, size: int) -> Iterator[tuple[bytes, list[bytes]]]:
    """Blocks and the lines that they begin with, so much that a processor keeps what is made of it close by."""
    while block := file.read(min(size, _AT_ONCE_BYTES)):
        lines = BytesIO(block).readlines()
        size -= len(block)
        if size and len(lines) > 1 and not block.endswith(b"\n"):
            part = len(lines.pop())
            file.seek(-part, SEEK_CUR)
            size += part
        yield block, lines


def _sampled(first: int, end: int, cuts: Sequence[int]) -> set[int]:
    """Whose times are read: a sample, and the entries around each cut; what for is coarser than entries follow."""
    inner = cuts[bisect_left(cuts, first) : bisect_right(cuts, end)]
    near = {place for cut in inner for place in (cut - 1, cut) if first <= place < end}
    return near.union(range(first, end, _SAMPLED), (end - 1,))


def _one_by_one(block: bytes, cuts: Sequence[int]) -> Iterator[Stretch]:
    """The same with each line that does not hold on its own."""
    sound: list[tuple[int, bytes, bytes]] = []
    lines = block.split(b"\n")
    if lines[-1]:
        lines[-1] += b" "  # its end was cut off, so it is not a line as they are written
    else:
        lines.pop()
    for line in lines:
        read = _line(line)
        if isinstance(read, Stretch) or (sound and read[0] != sound[-1][0] + 1):
            yield from _gathered(sound, cuts)
            sound = []
        if isinstance(read, Stretch):
            yield read
        else:
            sound.append(read)
    yield from _gathered(sound, cuts)


def _line(text: bytes) -> tuple[int, bytes, bytes] | Stretch:
    """Index, hash and leaf of a sound line, or what is wrong with it."""
    from services.audit.line import COMPARED, NoLine, line_of  # noqa: PLC0415 -- a log that holds does without the parser

    try:
        line = line_of(text)
    except NoLine as none:
        return Stretch(None, 1, (), Odd(b"", b"", f"the line cannot be read: {none}"))
    found = leaf_hash(line.leaf)
    if line.index < 0:
        return Stretch(None, 1, (), Odd(b"", b"", f"the line says index {line.index}"))
    if line.hash and found != line.hash:
        return Stretch(line.index, 1, (), Odd(found, line.hash, ""))
    if text != line.written():
        return Stretch(line.index, 1, (), Odd(found, line.hash, "the line is not written as the log writes it"))
    if line.differs:
        names = [name for name in COMPARED if name in line.differs]
        return Stretch(line.index, 1, (), Odd(found, line.hash, _DIFFERS + (", ".join(names) or "unknown columns")))
    return line.index, found, line.leaf


def _gathered(sound: Sequence[tuple[int, bytes, bytes]], cuts: Sequence[int]) -> Iterator[Stretch]:
    if sound:
        first = sound[0][0]
        times = {index: _time_of(sound[index - first][2]) for index in _sampled(first, first + len(sound), cuts)}
        segments = _segments(first, [found for _, found, _ in sound], times, cuts)
        yield Stretch(first, len(sound), tuple(segments))


def _segments(first: int, hashes: list[bytes], times: Mapping[int, bytes], cuts: Sequence[int]) -> Iterator[Segment]:
    end = first + len(hashes)
    inner = cuts[bisect_right(cuts, first) : bisect_left(cuts, end)]
    start = first
    for stop in (*inner, end):
        pieces = tuple(subtrees(start, hashes[start - first : stop - first]))
        latest = max(time for index, time in times.items() if start <= index < stop)
        yield Segment(stop, pieces, times[start], latest)
        start = stop


def _time_of(body: bytes) -> bytes:
    """The broker's time in a leaf: it stands near the end, behind all that people wrote."""
    place = body.rfind(_TIME)
    return body[place + len(_TIME) : place + len(_TIME) + _TIME_LENGTH] if place >= 0 else b""

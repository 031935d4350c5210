"""Reading a piece of an export: what its lines say is hashed, and set beside the hashes that the log kept of them.

This is where verifying spends its time, so lines are taken together, and one by one only where something is wrong.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec

from services.audit.tree import HASH_BYTES, complete_root, leaf_hash

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT

_LEAF: Final = b"\x00"
_TIME: Final = b'"time":"'
_TIME_LENGTH: Final = len("2026-11-23T08:00:00.000Z")
_MOST_TELLING: Final = 120
# What base64 ends in before its padding, in the one way to write it: the bits beyond the last byte are none.
_ENDS: Final = {b"==": frozenset(b"AQgw"), b"=": frozenset(b"AEIMQUYcgkosw048")}
_TAIL: Final = 3
_NEWLINE, _PADDING = b"\n="
_END: Final = b'"}\n'
# What stands around an index and a leaf in a line, and what the kept hash adds to it.
_FRAME: Final = b'{"index":,"leaf":""}\n'
_HASH_FRAME: Final = len(b'","hash":"') + 44
_HASH_TAIL: Final = len(b'X="}\n')
_AT_ONCE_BYTES: Final = 192 << 10


class _Line(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A line of an export; base64 is undone by the decoder. Tiles' entries come without the hash that is kept."""

    index: int
    leaf: bytes
    hash: bytes = b""


_DECODER: Final = msgspec.json.Decoder(_Line)


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


def examined(block: bytes, cuts: Sequence[int]) -> list[Stretch]:
    """What whole lines of an export say.

    Args:
        block: the lines.
        cuts: sizes, in order, at which segments end, because somebody vouches for them.
    """
    return _at_once(block, cuts) or list(_one_by_one(block, cuts))


def _at_once(block: bytes, cuts: Sequence[int]) -> list[Stretch] | None:
    """What the lines say if nothing is wrong with them, else None."""
    hashes, times = [], {}
    first = at = None
    place = 0
    while place < len(block):
        # As much as a processor's cache holds beside what is made of it.
        end = block.rfind(b"\n", place, place + _AT_ONCE_BYTES) + 1
        read = _read(block[place:end], at, cuts) if end > place else None
        if read is None:
            return None
        first, at = (read.first, read.first) if first is None or at is None else (first, at)
        hashes.append(read.hashes)
        times.update(read.times)
        at += len(read.hashes) // HASH_BYTES
        place = end
    if first is None or at is None:
        return None
    return [Stretch(first, at - first, tuple(_segments(first, b"".join(hashes), times, cuts)))]


class _Read(NamedTuple):
    """Sound lines: the first index, the leaves' hashes, and times of some of them by index."""

    first: int
    hashes: bytes
    times: dict[int, bytes]


def _read(block: bytes, expected: int | None, cuts: Sequence[int]) -> _Read | None:
    try:
        lines = _DECODER.decode_lines(block)
    except msgspec.MsgspecError:
        return None
    first, count = lines[0].index, len(lines)
    if first < 0 or (expected is not None and first != expected):
        return None
    if [line.index for line in lines] != list(range(first, first + count)):
        return None
    bodies = [line.leaf for line in lines]
    hashes = b"".join([sha256(_LEAF + body).digest() for body in bodies])
    kept = b"".join([line.hash for line in lines])
    if (kept and kept != hashes) or not _written_plainly(block, first, bodies, hashed=bool(kept)):
        return None
    return _Read(first, hashes, _times(first, bodies, cuts))


def _times(first: int, bodies: Sequence[bytes], cuts: Sequence[int]) -> dict[int, bytes]:
    """Times of a sample and of the entries around each cut; what they are for is coarser than entries follow."""
    end = first + len(bodies)
    inner = cuts[bisect_left(cuts, first) : bisect_right(cuts, end)]
    chosen = {*range(first, end, WIDTH), end - 1, *inner, *(cut - 1 for cut in inner)}
    return {index: _time_of(bodies[index - first]) for index in chosen if first <= index < end}


def _written_plainly(block: bytes, first: int, bodies: Sequence[bytes], *, hashed: bool) -> bool:
    """Whether each line has the length and the end that the log writes, and base64 its one form.

    The decoder passes over spaces between things, and over bits at the end of base64 that say nothing.
    """
    digits = len(str(first))
    last = first + len(bodies) - 1
    frame = len(_FRAME) + digits + (_HASH_FRAME if hashed else 0)
    sizes = [frame + (len(body) + 2) // 3 * 4 for body in bodies]
    if len(str(last)) != digits:
        sizes = [size + len(str(index)) - digits for index, size in enumerate(sizes, first)]
    ends = list(accumulate(sizes))
    if ends[-1] != len(block) or {block[end - 1] for end in ends} != {_NEWLINE}:
        return False
    behind = len(_END) + (_HASH_FRAME if hashed else 0)
    tails = {block[end - behind - _TAIL : end - behind] for end in ends}
    if hashed:
        tails |= {bytes((last, _PADDING)) for last in {block[end - _HASH_TAIL] for end in ends}}
    return all(map(_plain_end, tails))


def _plain_end(tail: bytes) -> bool:
    stripped = tail.rstrip(b"=")
    padding = tail[len(stripped) :]
    return not padding or (padding in _ENDS and bool(stripped) and stripped[-1] in _ENDS[padding])


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
    try:
        line = _DECODER.decode(text)
    except msgspec.MsgspecError as error:
        return Stretch(None, 1, (), Odd(b"", b"", f"the line cannot be read: {str(error)[:_MOST_TELLING]}"))
    found = leaf_hash(line.leaf)
    if line.index < 0:
        return Stretch(None, 1, (), Odd(b"", b"", f"the line says index {line.index}"))
    if line.hash and found != line.hash:
        return Stretch(line.index, 1, (), Odd(found, line.hash, ""))
    if text != msgspec.json.encode(line):
        return Stretch(line.index, 1, (), Odd(found, line.hash, "the line is not written as the log writes it"))
    return line.index, found, line.leaf


def _gathered(sound: Sequence[tuple[int, bytes, bytes]], cuts: Sequence[int]) -> Iterator[Stretch]:
    if sound:
        first = sound[0][0]
        hashes = b"".join([found for _, found, _ in sound])
        times = _times(first, [body for *_, body in sound], cuts)
        yield Stretch(first, len(sound), tuple(_segments(first, hashes, times, cuts)))


def _segments(first: int, hashes: bytes, times: Mapping[int, bytes], cuts: Sequence[int]) -> Iterator[Segment]:
    end = first + len(hashes) // HASH_BYTES
    inner = cuts[bisect_right(cuts, first) : bisect_left(cuts, end)]
    start = first
    for stop in (*inner, end):
        pieces = tuple(_pieces(start, hashes[(start - first) * HASH_BYTES : (stop - first) * HASH_BYTES]))
        latest = max(time for index, time in times.items() if start <= index < stop)
        yield Segment(stop, pieces, times[start], latest)
        start = stop


def _pieces(start: int, hashes: bytes) -> Iterator[tuple[int, bytes]]:
    """Single hashes up to where a subtree of 256 begins, the roots of such subtrees, and single hashes after them."""
    at, end = 0, len(hashes)
    whole = WIDTH * HASH_BYTES
    while at < end:
        if (start + at // HASH_BYTES) % WIDTH == 0 and end - at >= whole:
            yield HEIGHT, complete_root(hashes[at : at + whole])
            at += whole
        else:
            yield 0, hashes[at : at + HASH_BYTES]
            at += HASH_BYTES


def _time_of(body: bytes) -> bytes:
    """The broker's time in a leaf: it stands near the end, behind all that people wrote."""
    place = body.rfind(_TIME)
    return body[place + len(_TIME) : place + len(_TIME) + _TIME_LENGTH] if place >= 0 else b""

"""The tree cut into tiles as C2SP tlog-tiles has them: 256 hashes each, and how the log's right edge grows by them.

A tile of level L and number n holds the hashes of the nodes of tree level 8L from 256n on. A full one never changes, so
it is kept; of a partial one the hashes are found again: those of its entries at level 0, above it the roots of the full
tiles below.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from services.audit.tree import HASH_BYTES, Frontier, Node, complete_root

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
TILE_BYTES: Final = WIDTH * HASH_BYTES
# What the length before an entry in a bundle can say.
MOST_ENTRY_BYTES: Final = 0xFFFF

_NUMBER: Final = re.compile(r"(?:x[0-9]{3}/)*[0-9]{3}", re.ASCII)
_MOST_LEVEL: Final = 63
_MOST_DIGITS: Final = 18
# Those of a log of 67 million entries, but for the full ones at level 0: 8 MiB, and as much of what is found in them.
_MOST_KNOWN: Final = 1_024
# A node over so many hashes of its tile is remembered: of 30 in a tile, which are most of the work.
_LONG: Final = 16


class Tile(NamedTuple):
    """A full tile: its hashes as one string, and the root over them, which is a hash of the level above."""

    level: int
    number: int
    hashes: bytes
    root: bytes


class Place(NamedTuple):
    """Where a node lies: in the tile, from this hash on, so many hashes."""

    level: int
    number: int
    start: int
    length: int

    @property
    def spot(self) -> tuple[int, int]:
        """The tile's level and number."""
        return self.level, self.number


class Edge(NamedTuple):
    """The right edge of a log: its size, and of each level the hashes of the partial tile (which may be none)."""

    size: int = 0
    partial: tuple[bytes, ...] = ()

    def extended(self, leaves: Sequence[bytes]) -> tuple["Edge", list[Tile]]:
        """The edge after these entries' hashes, and the tiles that became full by them."""
        tiles: list[Tile] = []
        partial = list(self.partial)
        fresh = b"".join(leaves)
        level = 0
        while fresh:
            if level == len(partial):
                partial.append(b"")
            hashes = partial[level] + fresh
            full = len(hashes) // TILE_BYTES
            first = self.size >> HEIGHT * (level + 1)
            roots = []
            for at in range(full):
                cut = hashes[at * TILE_BYTES : (at + 1) * TILE_BYTES]
                roots.append(complete_root(cut))
                tiles.append(Tile(level, first + at, cut, roots[-1]))
            partial[level] = hashes[full * TILE_BYTES :]
            fresh = b"".join(roots)
            level += 1
        return Edge(self.size + len(leaves), tuple(partial)), tiles

    def root(self) -> bytes:
        """The root over the whole log."""
        return self.frontier().root()

    def frontier(self) -> Frontier:
        """The complete subtrees of the log, the largest first."""
        peaks = []
        for hashes in reversed(self.partial):
            start, count = 0, len(hashes) // HASH_BYTES
            while start < count:
                peak = 1 << ((count - start).bit_length() - 1)
                peaks.append(complete_root(hashes[start * HASH_BYTES : (start + peak) * HASH_BYTES]))
                start += peak
        return Frontier(self.size, peaks)


class KnownTiles:
    """Tiles of one tree by level and number, as they were read; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._tiles: dict[tuple[int, int], tuple[bytes, dict[Place, bytes]]] = {}

    def __contains__(self, spot: tuple[int, int]) -> bool:
        return spot in self._tiles

    def add(self, level: int, number: int, hashes: bytes) -> None:
        """Remembers a tile."""
        if len(self._tiles) >= _MOST_KNOWN:
            del self._tiles[next(iter(self._tiles))]
        self._tiles[level, number] = hashes, {}

    def hash_in(self, place: Place) -> bytes:
        """The hash of the node at a place of a known tile; of those that take long the second time for nothing."""
        hashes, found = self._tiles[place.spot]
        if place.length < _LONG:
            return hash_in(hashes, place)
        if place not in found:
            found[place] = hash_in(hashes, place)
        return found[place]


class Shelf:
    """The known tiles of the tree that is asked about most: that of the newest checkpoint.

    A checkpoint is signed over one tree, whose tiles cannot change any more, even where the database is set back and
    the log goes on otherwise: its next checkpoint is another one. `latest` is what is known
    of the one asked about last.
    """

    def __init__(self) -> None:
        self._note = ""
        self.latest = KnownTiles()

    def of(self, note: str) -> KnownTiles:
        """What is known of the tree of a checkpoint, of which another one is forgotten."""
        if note != self._note:
            self._note, self.latest = note, KnownTiles()
        return self.latest


def place_of(node: Node) -> Place:
    """Where a node's hash is found: in one tile, of which it may be computed."""
    level, above = divmod(node.level, HEIGHT)
    first = node.number << above
    return Place(level, first >> HEIGHT, first % WIDTH, 1 << above)


def hash_in(hashes: bytes, place: Place) -> bytes:
    """The hash of the node at a place, out of the hashes of its tile."""
    return complete_root(hashes[place.start * HASH_BYTES : (place.start + place.length) * HASH_BYTES])


def width_of(level: int, number: int, size: int) -> int:
    """How many hashes a tile has in a tree of that size: 256, less at the edge, 0 beyond it."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - number * WIDTH))


def bundle(entries: Sequence[bytes]) -> bytes:
    """Entries as a bundle: each after its length as two bytes, the larger one first."""
    return b"".join([part for body in entries for part in (len(body).to_bytes(2, "big"), body)])


def number_path(number: int) -> str:
    """A tile's number as its path: 1234067 is `x001/x234/067`."""
    parts = [f"{number % 1000:03d}"]
    while number := number // 1000:
        parts.append(f"x{number % 1000:03d}")
    return "/".join(reversed(parts))


def number_of(path: str) -> int | None:
    """The number that a path tells, None if it is no such path or not the one way to write it."""
    if _NUMBER.fullmatch(path) is None or len(path) > 2 * _MOST_DIGITS:
        return None
    number = int(path.replace("x", "").replace("/", ""))
    return number if number_path(number) == path else None


def tile_asked(path: str) -> tuple[int, int, int] | None:
    """Level, number and width of a tile by its path after `tile/`, -1 for `entries`; None if it is no such path."""
    kind, _, rest = path.partition("/")
    where, dot, partial = rest.partition(".p/")
    number = number_of(where)
    width = _decimal(partial, WIDTH - 1) if dot else WIDTH
    level = -1 if kind == "entries" else _decimal(kind, _MOST_LEVEL)
    if number is None or not width or level is None:
        return None
    return level, number, width


def _decimal(text: str, most: int) -> int | None:
    if not (text.isascii() and text.isdigit()) or (len(text) > 1 and text[0] == "0") or len(text) > len(str(most)):
        return None
    return int(text) if int(text) <= most else None

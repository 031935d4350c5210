"""SQL that reads the tree: whole tiles, and those of the edge out of what they consist of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.audit.leaf import Leaf
from services.audit.store import checkpoints, entries
from services.audit.tiles import HEIGHT, TILE_BYTES, WIDTH, Edge, KnownTiles, hash_in, place_of, width_of
from services.audit.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    Node,
    complete_root,
    consistency_nodes,
    fold,
    inclusion_nodes,
    leaf_hash,
    nodes_of,
    proof,
)
from services.runtime.bulk import fetch_rows

# Full tiles, by level and number, with the roots that the tiles above them are made of.
TILES: Final = text("""
    SELECT level, number, hashes, root FROM tiles
    JOIN unnest(CAST(:levels AS int[]), CAST(:numbers AS bigint[])) AS wanted (level, number) USING (level, number)
""")

# Full tiles of entries' hashes.
ENTRY_TILES: Final = text("SELECT number, hashes FROM tiles WHERE level = 0 AND number >= :first AND number < :end")

# The roots of some neighbouring tiles, which are hashes of a tile of the level above.
ROOTS: Final = text("""
    SELECT root FROM tiles WHERE level = :level AND number >= :first AND number < :end ORDER BY number
""")

# The last entry, and how many full tiles of entries there are.
SHAPE: Final = text("""
    SELECT (SELECT index FROM entries ORDER BY index DESC LIMIT 1),
           (SELECT number FROM tiles WHERE level = 0 ORDER BY number DESC LIMIT 1)
""")

# The newest checkpoint, an entry's leaf, and the full tiles that it is in: of entries, and if wanted the one above.
BESIDE_NEWEST: Final = """
    SELECT made.number, made.size, made.made_at, made.note, entries.leaf, own.hashes, above.hashes
    FROM (SELECT $1::bigint AS index) AS asked
    LEFT JOIN (SELECT * FROM checkpoints ORDER BY number DESC LIMIT 1) AS made ON true
    LEFT JOIN entries ON entries.index = asked.index
    LEFT JOIN tiles AS own ON own.level = 0 AND own.number = $2
    LEFT JOIN tiles AS above ON above.level = 1 AND above.number = $3
"""

Spot = tuple[int, int]

_NONE: Final[Mapping[Spot, bytes]] = MappingProxyType({})


class Torn(Exception):
    """The tables of the log do not fit one another; the text says where. Nothing may be appended to such a log."""


async def edge(connection: AsyncConnection, size: int) -> Edge:
    """The log's right edge at a size, out of its full tiles and the entries after them.

    Raises:
        Torn: entries or tiles are missing.
    """
    partial = []
    level = 0
    while size >> 8 * level:
        number, width = divmod(size >> 8 * level, WIDTH)
        partial.append(await _part(connection, level, number, width))
        level += 1
    return Edge(size, tuple(partial))


async def taken_up(connection: AsyncConnection, head: entries.Head) -> entries.Grown:
    """What an append goes on from: the edge at the log's head, once entries, tiles and head fit one another.

    Raises:
        Torn: they do not.
    """
    last, tile = (await connection.execute(SHAPE)).one()
    if (-1 if last is None else last) != head.size - 1:
        raise Torn(f"the log says it has {head.size} entries, but its last one has index {last}")
    if (-1 if tile is None else tile) != head.size // WIDTH - 1:
        raise Torn(f"a log of {head.size} entries has {head.size // WIDTH} full tiles, but the last has number {tile}")
    found = await edge(connection, head.size)
    if found.root() != head.root:
        raise Torn(f"the root over the {head.size} entries is not the one that was kept with them")
    return entries.Grown(found, head)


async def append(connection: AsyncConnection, leaves: Sequence[Leaf]) -> entries.Grown:
    """Appends to the log in the caller's transaction, by someone who remembers nothing of it.

    Raises:
        Torn: the log does not hold together.
    """
    return await entries.append(connection, leaves, await taken_up(connection, await entries.hold(connection)))


async def root(connection: AsyncConnection, size: int) -> bytes:
    """The root of the tree over the first `size` entries, of which the log has as many.

    Raises:
        Torn: entries or tiles are missing.
    """
    if size == 0:
        return EMPTY_ROOT
    nodes = nodes_of(0, size)
    known = await _hashes(connection, nodes, size, KnownTiles())
    return fold([known[node] for node in nodes])


async def inclusion(connection: AsyncConnection, index: int, size: int) -> list[bytes]:
    """The inclusion proof of an entry in the tree of that size.

    Raises:
        Torn: entries or tiles are missing.
    """
    return (await inclusions(connection, [index], size))[0]


async def inclusion_and_root(
    connection: AsyncConnection, index: int, size: int, known: KnownTiles, read: Mapping[Spot, bytes] = _NONE
) -> tuple[list[bytes], bytes]:
    """The inclusion proof of an entry in the tree of that size, and its root; tiles are read once for both.

    Args:
        connection: what they are read by.
        index: of the entry.
        size: of the tree.
        known: tiles of this very tree that need not be read again, and to which those that are read are added.
        read: full tiles that were read already.

    Raises:
        Torn: entries or tiles are missing.
    """
    path, peaks = inclusion_nodes(index, size), nodes_of(0, size)
    nodes = [*peaks, *(node for nodes in path for node in nodes)]
    # In an older tree than the log's a tile may not be full yet.
    full = {spot: tile for spot, tile in read.items() if width_of(*spot, size) == WIDTH}
    hashes = await _hashes(connection, nodes, size, known, full)
    return proof(path, hashes.__getitem__), fold([hashes[node] for node in peaks])


async def beside_newest(
    connection: AsyncConnection, index: int, known: KnownTiles
) -> tuple[checkpoints.Made | None, bytes | None, dict[Spot, bytes]]:
    """The newest checkpoint and an entry's leaf, None for what is not there, and the full tiles that it is in.

    Of these the one of entries, and the next above it unless that is known: a tree of ten million entries has 152 of
    those. The others are so few that they are soon known.
    """
    own, above = (0, index // WIDTH), (1, index // WIDTH**2)
    wanted = None if above in known else above[1]
    ((*made, leaf, first, second),) = await fetch_rows(connection, BESIDE_NEWEST, index, own[1], wanted)
    tiles = {spot: hashes for spot, hashes in ((own, first), (above, second)) if hashes is not None}
    return None if made[0] is None else checkpoints.Made(*made), leaf, tiles


async def inclusions(connection: AsyncConnection, indexes: Sequence[int], size: int) -> list[list[bytes]]:
    """The inclusion proofs of several entries; raises as `inclusion`."""
    paths = [inclusion_nodes(index, size) for index in indexes]
    known = await _hashes(connection, [node for path in paths for nodes in path for node in nodes], size, KnownTiles())
    return [proof(path, known.__getitem__) for path in paths]


async def consistency(connection: AsyncConnection, old: int, new: int) -> list[bytes]:
    """The proof that the tree of `old` entries is the beginning of the one of `new`; raises as `inclusion`."""
    path = consistency_nodes(old, new)
    known = await _hashes(connection, [node for nodes in path for node in nodes], new, KnownTiles())
    return proof(path, known.__getitem__)


async def tile(connection: AsyncConnection, level: int, number: int, width: int) -> bytes:
    """The first `width` hashes of a tile that the log has so many of.

    Raises:
        Torn: entries or tiles are missing.
    """
    found = await _tiles(connection, {(level, number): WIDTH}) if width == WIDTH else {}
    return found.get((level, number)) or await _part(connection, level, number, width)


async def kept_hashes(connection: AsyncConnection, start: int, end: int) -> dict[int, bytes]:
    """The hashes of entries in a range as their full tiles hold them, by index."""
    asked = {"first": start // WIDTH, "end": -(-end // WIDTH)}
    return {
        number * WIDTH + at: hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]
        for number, hashes in await connection.execute(ENTRY_TILES, asked)
        for at in range(WIDTH)
    }


async def torn_at(connection: AsyncConnection, start: int, end: int) -> set[int]:
    """Where tiles do not fit what they are made of: of those that end in a range of entries, the entries they end at.

    A tile has to be there, its root has to be over its hashes, and these the roots of the tiles below; whether those of
    entries are the entries' is not looked at. A whole log looked at in ranges has all its tiles looked at.
    """
    ends = dict(_ending(start, end))
    asked = {"levels": [level for level, _ in ends], "numbers": [number for _, number in ends]}
    rows = await connection.execute(TILES, asked) if ends else ()
    sound = set()
    for level, number, hashes, root in rows:
        if len(hashes) == TILE_BYTES and complete_root(hashes) == root:
            below = await _part(connection, level, number, WIDTH) if level else hashes
            if below == hashes:
                sound.add((level, number))
    return {last for spot, last in ends.items() if spot not in sound}


def _ending(start: int, end: int) -> Iterator[tuple[Spot, int]]:
    """The full tiles whose last entry lies in a range, each with that entry's index."""
    level = 0
    while (width := WIDTH << HEIGHT * level) <= end:
        for number in range(-(-(start + 1) // width) - 1, end // width):
            yield (level, number), (number + 1) * width - 1
        level += 1


async def _hashes(
    connection: AsyncConnection,
    nodes: Iterable[Node],
    size: int,
    known: KnownTiles,
    read: Mapping[Spot, bytes] = _NONE,
) -> dict[Node, bytes]:
    """The hashes of nodes that are complete in a tree of that size; what is known or was read is not read again."""
    places = {node: place_of(node) for node in nodes}
    found = {node: known.hash_in(place) for node, place in places.items() if place.spot in known}
    lacking = {place.spot for node, place in places.items() if node not in found}
    widths = {(level, number): width_of(level, number, size) for level, number in lacking}
    tiles = {spot: read[spot] for spot in lacking & read.keys()}
    tiles |= await _tiles(connection, {spot: width for spot, width in widths.items() if spot not in tiles})
    for (level, number), hashes in tiles.items():
        # Full tiles of entries are as many as there are entries by 256, and hardly one is asked for twice.
        if level > 0 or widths[level, number] < WIDTH:
            known.add(level, number, hashes)
    return found | {node: hash_in(tiles[place.spot], place) for node, place in places.items() if node not in found}


async def _tiles(connection: AsyncConnection, widths: Mapping[Spot, int]) -> dict[Spot, bytes]:
    """The tiles at these spots; of those that are partial as many hashes as they are to have."""
    whole = [spot for spot, width in widths.items() if width == WIDTH]
    found: dict[Spot, bytes] = {}
    if whole:
        asked = {"levels": [level for level, _ in whole], "numbers": [number for _, number in whole]}
        rows = await connection.execute(TILES, asked)
        found = {(level, number): hashes for level, number, hashes, _ in rows}
    for spot in whole:
        if spot not in found:
            raise Torn(f"tile {spot[1]} of level {spot[0]} is missing")
    for (level, number), width in widths.items():
        if width < WIDTH:
            found[level, number] = await _part(connection, level, number, width)
    return found


async def _part(connection: AsyncConnection, level: int, number: int, width: int) -> bytes:
    first = number * WIDTH
    if level == 0:
        rows = await entries.leaves(connection, first, first + width)
        hashes = [leaf_hash(leaf) for _, leaf in rows]
    else:
        asked = {"level": level - 1, "first": first, "end": first + width}
        hashes = list((await connection.execute(ROOTS, asked)).scalars())
    if len(hashes) != width:
        what = "entries" if level == 0 else f"tiles of level {level - 1}"
        raise Torn(f"of the {what} from {first} on, {width} should be there and {len(hashes)} are")
    return b"".join(hashes)

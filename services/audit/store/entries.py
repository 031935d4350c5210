"""SQL that appends to the log, and reads what is in it by index."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.audit.leaf import Leaf
from services.audit.store.erasing import OF_STAFF, erased, take_orders
from services.audit.store.holding import take_holds
from services.audit.tiles import Edge, Tile
from services.audit.tree import leaf_hash
from services.runtime.bulk import copy_rows

# Holds the log for this transaction: no other can append before it ends. Its size is the next index.
HOLD: Final = text("SELECT size, root FROM head FOR UPDATE")

# Of these events, the entries the log already has.
KNOWN: Final = text("SELECT identity FROM entries WHERE coalesce(event_id, identity) = ANY(CAST(:event_ids AS uuid[]))")

# Marks where minutes begin and end in the log; a minute that came before only ends later.
MARK: Final = text("""
    INSERT INTO minutes AS m (minute, first_index, last_index)
    SELECT * FROM unnest(CAST(:minutes AS timestamptz[]), CAST(:firsts AS bigint[]), CAST(:lasts AS bigint[]))
    ON CONFLICT (minute) DO UPDATE SET last_index = greatest(m.last_index, excluded.last_index)
""")

# Marks who did what in which span of the log.
NOTE_DOINGS: Final = text("""
    INSERT INTO doings (actor, span, type)
    SELECT * FROM unnest(CAST(:actors AS text[]), CAST(:spans AS bigint[]), CAST(:types AS text[]))
    ON CONFLICT DO NOTHING
""")

# Gives the log its new size and root.
GROW: Final = text("UPDATE head SET size = :size, root = :root")

# How many entries there are, without counting them, and the root over them.
HEAD: Final = text("SELECT size, root FROM head")

# Leaves of a range of indexes, in order.
LEAVES: Final = text("SELECT index, leaf FROM entries WHERE index >= :start AND index < :end ORDER BY index")

_ENTRY: Final = (
    "index", "identity", "event_id", "type", "at", "actor", "report_id", "case_id", "content_id", "source_id", "leaf",
)  # fmt: skip
_PRIVATE: Final = ("index", "salt", "part")
_TILE: Final = ("level", "number", "hashes", "root")

PLACES: Final = frozenset({"entries_pkey", "private_pkey", "tiles_pkey"})
"""What gives each entry and tile a place of its own. The writer alone counts places, so a second in one is foreign."""

# Entries that a search by actor or type looks through at once; see the migration that made `doings`.
SPAN_BITS: Final = 7
_MINUTE: Final = timedelta(minutes=1)


class Head(NamedTuple):
    """How many entries the log has, and the root over them."""

    size: int
    root: bytes


class Grown(NamedTuple):
    """The log's right edge as a transaction left it, and the head that goes with it."""

    edge: Edge
    head: Head


async def hold(connection: AsyncConnection) -> Head:
    """The log's head, which nobody else can move before this transaction ends."""
    return _head((await connection.execute(HOLD)).one_or_none())


async def head(connection: AsyncConnection) -> Head:
    """The log's head as it is committed."""
    return _head((await connection.execute(HEAD)).one_or_none())


def _head(row: Sequence[Any] | None) -> Head:
    """Without its one row the log says that it has nothing, and so does not hold together."""
    return Head(0, b"") if row is None else Head(row[0], row[1])


async def size(connection: AsyncConnection) -> int:
    """How many entries the log has."""
    return (await head(connection)).size


async def append(connection: AsyncConnection, leaves: Sequence[Leaf], grown: Grown) -> Grown:
    """Gives new leaves the next indexes, in the order given; those the log has already are passed by.

    All in the caller's transaction, which holds the head and has found it to be that of `grown`.
    """
    event_ids = [leaf.event_id or leaf.identity for leaf in leaves]
    known = set((await connection.execute(KNOWN, {"event_ids": event_ids})).scalars())
    fresh = []
    for leaf in leaves:
        if leaf.identity not in known:
            known.add(leaf.identity)
            fresh.append(leaf)
    if not fresh:
        return grown
    await _insert(connection, fresh, grown.head.size)
    edge, tiles = grown.edge.extended([leaf_hash(leaf.body) for leaf in fresh])
    head = Head(edge.size, edge.root())
    await _keep(connection, tiles)
    await connection.execute(GROW, head._asdict())
    return Grown(edge, head)


async def _keep(connection: AsyncConnection, tiles: Sequence[Tile]) -> None:
    """Keeps tiles that became full."""
    if tiles:
        await copy_rows(connection, "tiles", _TILE, tiles)


async def leaves(connection: AsyncConnection, start: int, end: int) -> list[tuple[int, bytes]]:
    """Index and leaf of the entries from `start` up to and without `end`."""
    rows = await connection.execute(LEAVES, {"start": start, "end": end})
    return [(index, leaf) for index, leaf in rows]


async def _insert(connection: AsyncConnection, leaves: Sequence[Leaf], first: int) -> None:
    placed = list(enumerate(leaves, first))
    await copy_rows(
        connection,
        "entries",
        _ENTRY,
        [
            (
                index, leaf.identity, leaf.event_id, leaf.type, leaf.at, leaf.actor,
                leaf.report_id, leaf.case_id, leaf.content_id, leaf.source_id, leaf.body,
            )
            for index, leaf in placed
        ],
    )  # fmt: skip
    await take_orders(connection, leaves)
    await take_holds(connection, leaves)
    private = [(index, leaf) for index, leaf in placed if leaf.part is not None]
    if private:
        # What is said of an erased report after its erasure is not kept either.
        gone = await erased(connection, {leaf.report_id for _, leaf in private if leaf.report_id is not None})
        apart = [
            (index, leaf.salt, leaf.part)
            for index, leaf in private
            if leaf.report_id not in gone or leaf.type in OF_STAFF
        ]
        await copy_rows(connection, "private", _PRIVATE, apart)
    await _mark(connection, leaves, first)


async def _mark(connection: AsyncConnection, leaves: Sequence[Leaf], first: int) -> None:
    minutes: dict[datetime, list[int]] = {}
    minute = end = leaves[0].at.min.replace(tzinfo=leaves[0].at.tzinfo)
    reach: list[int] = []
    for index, leaf in enumerate(leaves, first):
        if not minute <= leaf.at < end:
            minute = leaf.at.replace(second=0, microsecond=0)
            end = minute + _MINUTE
            reach = minutes.setdefault(minute, [index, index])
        reach[1] = index
    marks = sorted(minutes)
    await connection.execute(
        MARK,
        {"minutes": marks, "firsts": [minutes[m][0] for m in marks], "lasts": [minutes[m][1] for m in marks]},
    )
    doings = sorted({(leaf.actor, index >> SPAN_BITS, leaf.type) for index, leaf in enumerate(leaves, first)})
    actors, spans, types = zip(*doings, strict=True)
    await connection.execute(NOTE_DOINGS, {"actors": list(actors), "spans": list(spans), "types": list(types)})

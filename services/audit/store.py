"""All SQL of the log: appending to it, and searching it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.audit.leaf import Leaf
from services.runtime.database import PING, Database
from services.runtime.problems import DatabaseAway

# One writer of the log at a time; the lock goes with the session.
TAKE_TURN: Final = text("SELECT pg_try_advisory_lock(hashtext('jubao.audit.writer'))")

# Holds the log for this transaction: no other can append before it ends. Its size is the next index.
HOLD: Final = text("SELECT size FROM head FOR UPDATE")

# Of these entries, those the log already has.
KNOWN: Final = text("SELECT identity FROM entries WHERE identity = ANY(CAST(:identities AS uuid[]))")

# Appends entries, one array a column.
APPEND: Final = text("""
    INSERT INTO entries (index, identity, event_id, type, at, actor, report_id, case_id, content_id, source_id, leaf)
    SELECT * FROM unnest(
        CAST(:indexes AS bigint[]), CAST(:identities AS uuid[]), CAST(:event_ids AS uuid[]), CAST(:types AS text[]),
        CAST(:times AS timestamptz[]), CAST(:actors AS text[]), CAST(:report_ids AS uuid[]),
        CAST(:case_ids AS uuid[]), CAST(:content_ids AS text[]), CAST(:source_ids AS text[]), CAST(:leaves AS bytea[])
    )
""")

# Puts private parts beside their entries.
KEEP_APART: Final = text("""
    INSERT INTO private (index, salt, part)
    SELECT * FROM unnest(CAST(:indexes AS bigint[]), CAST(:salts AS bytea[]), CAST(:parts AS bytea[]))
""")

# Marks where the minutes of these entries begin and end in the log; a minute that came before only ends later.
MARK: Final = text("""
    INSERT INTO minutes AS m (minute, first_index, last_index)
    SELECT date_trunc('minute', e.at, 'UTC'), min(e.index), max(e.index)
    FROM unnest(CAST(:indexes AS bigint[]), CAST(:times AS timestamptz[])) AS e (index, at)
    GROUP BY 1 ORDER BY 1
    ON CONFLICT (minute) DO UPDATE SET last_index = greatest(m.last_index, excluded.last_index)
""")

# Gives the log its new size.
GROW: Final = text("UPDATE head SET size = :size")

# How many entries there are, without counting them.
SIZE: Final = text("SELECT size FROM head")

# The entries of some indexes, in order.
ENTRIES: Final = "SELECT index, leaf FROM entries WHERE {conditions} ORDER BY index LIMIT :limit"

# Entries of a report and entries of its cases: each branch reads one index in order and stops at the page's end. A
# case is a report's if one entry names both.
STORY: Final = """
    WITH cases AS MATERIALIZED (
        SELECT DISTINCT case_id FROM entries WHERE report_id = :report_id AND case_id IS NOT NULL
    ), page AS (
        (SELECT index FROM entries WHERE report_id = :report_id AND {conditions} ORDER BY index LIMIT :limit)
        UNION
        SELECT found.index FROM cases CROSS JOIN LATERAL (
            SELECT index FROM entries WHERE case_id = cases.case_id AND {conditions} ORDER BY index LIMIT :limit
        ) AS found
    )
    SELECT entries.index, entries.leaf FROM entries
    JOIN (SELECT index FROM page ORDER BY index LIMIT :limit) AS chosen USING (index)
    ORDER BY index
"""

# Each filter with its condition; all of them lie in one of the indexes, which are in order of index as pages are.
CONDITIONS: Final = {
    "after": "index > :after",
    "event_id": "(identity = :event_id OR event_id = :event_id)",
    "type": "type = :type",
    "case_id": "case_id = :case_id",
    "content_id": "content_id = :content_id",
    "source_id": "source_id = :source_id",
    "actor": "actor = :actor",
    "since": "at >= :since AND index >= :first_index",
    "until": "at < :until AND index <= :last_index",
}

# Between which indexes all entries of a time lie. A minute may begin before an earlier one in the log, where one topic
# was read later than another, so all minutes of the time count and not only its first and last.
BOUNDS: Final = text("""
    SELECT min(first_index), max(last_index) FROM minutes
    WHERE (CAST(:since AS timestamptz) IS NULL OR minute >= date_trunc('minute', CAST(:since AS timestamptz), 'UTC'))
    AND (CAST(:until AS timestamptz) IS NULL OR minute < CAST(:until AS timestamptz))
""")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search asks for; None means any. `since` is inclusive, `until` exclusive, `after` an index."""

    type: str | None = None
    report_id: UUID | None = None
    case_id: UUID | None = None
    content_id: str | None = None
    source_id: str | None = None
    actor: str | None = None
    event_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: int = -1


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append added: these leaves, in this order, from index `first` on without gaps."""

    first: int
    leaves: Sequence[Leaf]


async def append(connection: AsyncConnection, leaves: Sequence[Leaf]) -> Appended:
    """Gives new leaves the next indexes, in the order given; those the log has already are passed by.

    All in the caller's transaction: what rests on the order of the log is computed from the answer, in it as well.
    """
    size: int = (await connection.execute(HOLD)).scalar_one()
    first_of = {leaf.identity: leaf for leaf in reversed(leaves)}
    known = set((await connection.execute(KNOWN, {"identities": list(first_of)})).scalars())
    fresh = [leaf for leaf in leaves if leaf.identity not in known and first_of[leaf.identity] is leaf]
    if fresh:
        await _insert(connection, fresh, size)
    return Appended(size, fresh)


async def _insert(connection: AsyncConnection, leaves: Sequence[Leaf], first: int) -> None:
    indexes = list(range(first, first + len(leaves)))
    times = [leaf.at for leaf in leaves]
    await connection.execute(
        APPEND,
        {
            "indexes": indexes,
            "identities": [leaf.identity for leaf in leaves],
            "event_ids": [leaf.event_id for leaf in leaves],
            "types": [leaf.type for leaf in leaves],
            "times": times,
            "actors": [leaf.actor for leaf in leaves],
            "report_ids": [leaf.report_id for leaf in leaves],
            "case_ids": [leaf.case_id for leaf in leaves],
            "content_ids": [leaf.content_id for leaf in leaves],
            "source_ids": [leaf.source_id for leaf in leaves],
            "leaves": [leaf.body for leaf in leaves],
        },
    )
    kept = [(index, leaf) for index, leaf in zip(indexes, leaves, strict=True) if leaf.part is not None]
    if kept:
        await connection.execute(
            KEEP_APART,
            {
                "indexes": [index for index, _ in kept],
                "salts": [leaf.salt for _, leaf in kept],
                "parts": [leaf.part for _, leaf in kept],
            },
        )
    await connection.execute(MARK, {"indexes": indexes, "times": times})
    await connection.execute(GROW, {"size": first + len(leaves)})


async def size(connection: AsyncConnection) -> int:
    """How many entries the log has."""
    count: int = (await connection.execute(SIZE)).scalar_one()
    return count


async def search(connection: AsyncConnection, wanted: Wanted, limit: int) -> list[tuple[int, bytes]]:
    """Index and leaf of the first `limit` entries after `wanted.after` that fit, in order of index."""
    bounds: tuple[int, int] | None = None
    if wanted.since or wanted.until:
        first, last = (await connection.execute(BOUNDS, {"since": wanted.since, "until": wanted.until})).one()
        if first is None or last is None:
            return []
        bounds = first, last
    statement, values = asked(wanted, bounds)
    rows = await connection.execute(text(statement), values | {"limit": limit})
    return [(index, bytes(leaf)) for index, leaf in rows]


def asked(wanted: Wanted, bounds: tuple[int, int] | None) -> tuple[str, dict[str, object]]:
    """The statement of a search and its values, but for `limit`; `bounds` are the indexes its time lies between."""
    values: dict[str, object] = {name: value for name in CONDITIONS if (value := getattr(wanted, name)) is not None}
    conditions = " AND ".join(CONDITIONS[name] for name in values)
    if bounds is not None:
        values |= {"first_index": bounds[0]} if wanted.since else {}
        values |= {"last_index": bounds[1]} if wanted.until else {}
    if wanted.report_id is None:
        return ENTRIES.format(conditions=conditions), values
    return STORY.format(conditions=conditions), values | {"report_id": wanted.report_id}


class Turn:
    """The turn to write the log, which the connection has until it ends."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def take(self) -> bool:
        """Whether the turn is ours now; false while another process has it."""
        async with self._connection.begin():
            return bool(await self._connection.scalar(TAKE_TURN))

    async def confirm(self) -> None:
        """Raises when the connection, and the turn with it, is lost."""
        async with self._connection.begin():
            await self._connection.execute(PING)


@asynccontextmanager
async def turn_to_write(database: Database) -> AsyncIterator[Turn]:
    """A connection that can take the turn, and gives it away at the end of the block.

    Raises:
        DatabaseAway: it cannot be reached, or the connection was lost.
    """
    try:
        async with database.session() as connection:
            try:
                yield Turn(connection)
            finally:
                # The pool would keep the session, and the lock with it.
                await connection.invalidate()
    except (SQLAlchemyError, TimeoutError) as error:
        raise DatabaseAway from error

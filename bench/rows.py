"""The rows that a run leaves in the database, table by table: what makes two contestants' work comparable."""

from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

_TABLES = """
    SELECT schemaname AS schema, tablename AS name FROM pg_tables
    WHERE schemaname IN ('triage', 'review', 'outcomes', 'audit', 'obvious') AND tablename <> 'alembic_version'
    ORDER BY 1, 2
"""

# How many rows they have depends on how long a run takes, on how many partitions there are, or on which topic was read
# before which, not on the records.
INDEPENDENT = frozenset({
    "audit.checkpoints", "audit.doings", "audit.keys", "audit.minutes",
    "audit.offsets", "review.offsets", "triage.offsets",
})  # fmt: skip

# A start leaves an entry or two, which may be what a tile of 256 wants to be full; and not every queue and class comes
# up among few records.
MAY_DIFFER = {"audit.tiles": 2, "review.heads": 5}


@dataclass(frozen=True, slots=True)
class Uneven:
    """A table in which two contestants left different numbers of rows."""

    table: str
    ours: int
    theirs: int


async def counted(connection: asyncpg.Connection) -> dict[str, int]:
    """Rows of every table by `schema.name`."""
    tables = await connection.fetch(_TABLES)
    return {
        f"{t['schema']}.{t['name']}": await connection.fetchval(f'SELECT count(*) FROM {t["schema"]}."{t["name"]}"')
        for t in tables
    }


async def table_bytes(connection: asyncpg.Connection) -> dict[str, int]:
    """Bytes on disk of every table with its indexes."""
    tables = await connection.fetch(_TABLES)
    return {
        f"{t['schema']}.{t['name']}": await connection.fetchval(
            "SELECT pg_total_relation_size($1::regclass)", f"{t['schema']}.{t['name']}"
        )
        for t in tables
    }


def growth(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What came in between two counts, for tables in which anything did."""
    grown = {table: count - before.get(table, 0) for table, count in after.items()}
    return {table: count for table, count in grown.items() if count}


def uneven(ours: Mapping[str, int], theirs: Mapping[str, int]) -> list[Uneven]:
    """The tables in which the two grew by different numbers of rows."""
    tables = sorted((ours.keys() | theirs.keys()) - INDEPENDENT)
    return [
        Uneven(table, ours.get(table, 0), theirs.get(table, 0))
        for table in tables
        if abs(ours.get(table, 0) - theirs.get(table, 0)) > MAY_DIFFER.get(table, 0)
    ]

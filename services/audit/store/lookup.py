"""SQL of what entries are found by and shown with, beside their leaves: columns, marks and private parts."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.audit.store.entries import SPAN_BITS
from services.runtime.bulk import fetch_rows

Beside = Any
"""A row of an entry with all its columns, for signatures outside of the store."""

COLUMNS: Final = ("event_id", "at", "type", "actor", "report_id", "case_id", "content_id", "source_id")
"""What an entry is found by, in the order in which `BESIDE` gives it, between index and leaf and salt and part."""

# Entries of a range of indexes, in order, with all that is kept beside the leaf.
BESIDE: Final = """
    SELECT e.index, e.leaf, coalesce(e.event_id, e.identity) AS event_id, e.at, e.type, e.actor, e.report_id, e.case_id,
           e.content_id, e.source_id, p.salt, p.part
    FROM entries AS e LEFT JOIN private AS p ON p.index = e.index AND p.index >= $1 AND p.index < $2
    WHERE e.index >= $1 AND e.index < $2 ORDER BY e.index
"""

# Who did what in some neighbouring spans of the log.
DOINGS: Final = "SELECT actor, span, type FROM doings WHERE span >= $1 AND span <= $2"

# Between which indexes the entries of some minutes lie.
MINUTES: Final = "SELECT minute, first_index, last_index FROM minutes WHERE minute = ANY($1::timestamptz[])"

# Of entries without their private part, those of which no erasure took it: none of their report or of their case.
LOST: Final = """
    SELECT e.index FROM entries AS e
    LEFT JOIN LATERAL (
        SELECT 1 AS found FROM erased WHERE erased.report_id = e.report_id
    ) AS of_report ON true
    LEFT JOIN LATERAL (
        SELECT 1 AS found FROM erased WHERE of_report.found IS NULL
        AND erased.report_id IN (SELECT o.report_id FROM entries AS o WHERE o.case_id = e.case_id) LIMIT 1
    ) AS of_case ON true
    WHERE e.index = ANY($1::bigint[]) AND of_report.found IS NULL AND of_case.found IS NULL
"""


async def beside(connection: AsyncConnection, start: int, end: int) -> Sequence[Beside]:
    """The entries from `start` up to and without `end`, with what is kept beside their leaves."""
    return await fetch_rows(connection, BESIDE, start, end)


async def doings(connection: AsyncConnection, start: int, end: int) -> set[tuple[str, int, str]]:
    """Actor, span and type of what is marked for the spans of a range of indexes."""
    return {tuple(row) for row in await fetch_rows(connection, DOINGS, start >> SPAN_BITS, end >> SPAN_BITS)}


async def minutes(connection: AsyncConnection, wanted: Iterable[datetime]) -> dict[datetime, tuple[int, int]]:
    """First and last index by minute, of those minutes that are marked."""
    return {minute: (first, last) for minute, first, last in await fetch_rows(connection, MINUTES, list(wanted))}


async def lost(connection: AsyncConnection, indexes: Sequence[int]) -> set[int]:
    """Of entries without their private part, those that no erasure took it from."""
    return {index for (index,) in await fetch_rows(connection, LOST, indexes)} if indexes else set()

"""SQL that reads one entry with what it hides, or how that went."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

Shown = Row[Any]
"""A row of an entry, for signatures outside of the store."""

# An entry with its private part, where it has one.
ENTRY: Final = text("""
    SELECT e.leaf, e.report_id, e.case_id, p.salt, p.part FROM entries AS e LEFT JOIN private AS p USING (index)
    WHERE e.index = :index
""")

# By which erasure an entry's private part went: that of its report, or the first of its case.
GONE: Final = text("""
    SELECT erasure_id, at FROM erased WHERE report_id = :report_id
    OR report_id IN (SELECT report_id FROM entries WHERE case_id = :case_id) ORDER BY at LIMIT 1
""")


async def entry(connection: AsyncConnection, index: int) -> Row[Any] | None:
    """An entry with its private part; salt and part are None where it has none."""
    return (await connection.execute(ENTRY, {"index": index})).one_or_none()


async def gone(connection: AsyncConnection, report_id: UUID | None, case_id: UUID | None) -> Row[Any] | None:
    """By which erasure, and when, what was private in an entry of this report or case went."""
    return (await connection.execute(GONE, {"report_id": report_id, "case_id": case_id})).first()

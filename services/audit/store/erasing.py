"""SQL of erasures and legal holds, and of the private parts that they are about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.decision import MADE
from schemas.erasure import DISCLOSED, HOLD_LIFTED, HOLD_PLACED, ORDERED, REPORTS_AN_ORDER
from schemas.outcome import REACHED
from schemas.vocabulary import Basis
from services.audit.leaf import Leaf
from services.audit.store.holding import TAKE_TURNS

Noted = Row[Any]
"""A row of an erasure, for signatures outside of the store."""

# Their private part is staff's own ground, not the report's, though they name the report.
OF_STAFF: Final = (ORDERED, HOLD_PLACED, HOLD_LIFTED, DISCLOSED)

# Notes down what is wanted.
WANT: Final = text("""
    INSERT INTO erasures (erasure_id, basis, reporter, content_id, ground, ordered_by, ordered_at, found_at)
    VALUES (:erasure_id, :basis, :reporter, :content_id, :ground, :ordered_by, :at, :found_at)
""")

# Adds reports to an erasure.
ADD_REPORTS: Final = text("""
    INSERT INTO erasure_reports (erasure_id, report_id)
    SELECT CAST(:erasure_id AS uuid), report_id FROM unnest(CAST(:report_ids AS uuid[])) AS found (report_id)
    ON CONFLICT DO NOTHING
""")

# The oldest erasure that is not told in full and that nobody else has in hand.
OPEN: Final = text("""
    SELECT erasure_id, basis, reporter, content_id, ground, ordered_by, next_index, found_at, parts
    FROM erasures WHERE told_at IS NULL ORDER BY ordered_at LIMIT 1 FOR UPDATE SKIP LOCKED
""")

# Private parts in a range of the log that hold some bytes, each with its report.
PARTS_WITH: Final = text("""
    SELECT e.report_id, p.part FROM private AS p JOIN entries AS e USING (index)
    WHERE p.index >= :start AND p.index < :end AND position(CAST(:needle AS bytea) IN p.part) > 0
        AND e.report_id IS NOT NULL
""")

# Reports about an item, by the next entries that name both. Which entries are next, the index alone says; without
# OFFSET the planner may read the log in order and look for the item in it.
OF_CONTENT: Final = text("""
    SELECT entries.index AS place, entries.report_id FROM (
        SELECT index FROM (
            SELECT index FROM entries WHERE content_id = :content_id AND index >= :start OFFSET 0
        ) AS left_over ORDER BY index LIMIT :most
    ) AS next_ones JOIN entries USING (index) ORDER BY index
""")

# How far an erasure has looked through the log.
LOOKED: Final = text("UPDATE erasures SET next_index = :next_index WHERE erasure_id = :erasure_id")

# All reports of an erasure are known; whose they were is forgotten.
FOUND: Final = text("UPDATE erasures SET found_at = :at, reporter = NULL WHERE erasure_id = :erasure_id")

# The next reports of an erasure that no service was told of.
NEXT_REPORTS: Final = text("""
    SELECT report_id FROM erasure_reports WHERE erasure_id = :erasure_id AND part IS NULL AND hold_id IS NULL
    ORDER BY report_id LIMIT :most
""")

# Which of these reports are on hold: themselves, by their item or by their source.
HELD: Final = text("""
    SELECT wanted.report_id, h.hold_id FROM unnest(CAST(:report_ids AS uuid[])) AS wanted (report_id)
    CROSS JOIN LATERAL (
        SELECT hold_id FROM holds WHERE lifted_at IS NULL AND (
            report_id = wanted.report_id
            OR content_id IN (SELECT content_id FROM entries WHERE report_id = wanted.report_id)
            OR source_id IN (SELECT source_id FROM entries WHERE report_id = wanted.report_id)
        ) ORDER BY placed_at LIMIT 1
    ) AS h
""")

# Notes which hold stopped which reports.
STOP: Final = text("""
    UPDATE erasure_reports AS r SET hold_id = stopped.hold_id
    FROM unnest(CAST(:report_ids AS uuid[]), CAST(:hold_ids AS uuid[])) AS stopped (report_id, hold_id)
    WHERE r.erasure_id = :erasure_id AND r.report_id = stopped.report_id
""")

# Notes in which part the services are told of which reports.
PLACE: Final = text("""
    UPDATE erasure_reports SET part = :part
    WHERE erasure_id = :erasure_id AND report_id = ANY(CAST(:report_ids AS uuid[]))
""")

# Counts a part of an erasure.
COUNT_PART: Final = text("UPDATE erasures SET parts = :part WHERE erasure_id = :erasure_id")

# Every report of an erasure was told of, or is on hold.
TOLD: Final = text("UPDATE erasures SET told_at = :at WHERE erasure_id = :erasure_id")

# Remembers that reports are erased; the first erasure counts.
REMEMBER: Final = text("""
    INSERT INTO erased (report_id, erasure_id, at)
    SELECT report_id, CAST(:erasure_id AS uuid), CAST(:at AS timestamptz)
    FROM unnest(CAST(:report_ids AS uuid[])) AS gone (report_id)
    ON CONFLICT (report_id) DO NOTHING
""")

# Which of these reports are erased.
ERASED: Final = text("SELECT report_id FROM erased WHERE report_id = ANY(CAST(:report_ids AS uuid[]))")

# The private parts of reports' entries, and those of the decisions on their cases.
PRIVATE_OF: Final = text("""
    SELECT e.index AS place, e.type, p.part FROM entries AS e JOIN private AS p USING (index)
    WHERE e.report_id = ANY(CAST(:report_ids AS uuid[])) AND e.type <> ALL(CAST(:of_staff AS text[]))
    UNION ALL
    SELECT d.index AS place, d.type, p.part FROM (
        SELECT DISTINCT case_id FROM entries
        WHERE report_id = ANY(CAST(:report_ids AS uuid[])) AND case_id IS NOT NULL
    ) AS cases JOIN entries AS d ON d.case_id = cases.case_id AND d.type = :made JOIN private AS p ON p.index = d.index
""")

# Erases private parts with their salts.
ERASE: Final = text("DELETE FROM private WHERE index = ANY(CAST(:indexes AS bigint[]))")

# An erasure as it stands.
ERASURE: Final = text("""
    SELECT erasure_id, basis, content_id, ordered_by, ordered_at, found_at, parts, told_at,
        (SELECT count(*) FROM erasure_reports AS r WHERE r.erasure_id = e.erasure_id) AS reports
    FROM erasures AS e WHERE erasure_id = :erasure_id
""")

# What stopped reports of an erasure.
STOPPED: Final = text("""
    SELECT h.hold_id, h.content_id, h.report_id, h.source_id, count(*) AS reports
    FROM erasure_reports AS r JOIN holds AS h USING (hold_id)
    WHERE r.erasure_id = :erasure_id GROUP BY h.hold_id ORDER BY h.hold_id
""")

# The entries of events.
OF_EVENTS: Final = text("""
    SELECT coalesce(event_id, identity) AS id, leaf FROM entries
    WHERE coalesce(event_id, identity) = ANY(CAST(:event_ids AS uuid[]))
""")

# Up to where retention has seen to a class; the row is made, and held, for whoever sees to it next.
RETAINED: Final = text("""
    INSERT INTO retentions (class, next_index) VALUES (:class, 0)
    ON CONFLICT (class) DO UPDATE SET next_index = retentions.next_index RETURNING next_index
""")

# Moves that on.
RETAIN: Final = text("UPDATE retentions SET next_index = :next_index WHERE class = :class")

# The next entries of the log with what retention asks of them.
AGED: Final = text("""
    SELECT index AS place, at, report_id, CASE WHEN type = :reached THEN leaf END AS leaf FROM entries
    WHERE index >= :start ORDER BY index LIMIT :most
""")

_INDEXES_A_STEP: Final = 100_000
_ENTRIES_A_STEP: Final = 10_000


@dataclass(frozen=True, slots=True)
class Want:
    """What is to be erased. `reporter` or `content_id` are still to be looked for; `reports` are known."""

    erasure_id: UUID
    basis: Basis
    ground: str
    ordered_by: str
    at: datetime
    reporter: str | None = None
    content_id: str | None = None
    reports: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """Reports that the services are now to be told of, and how many private parts went with them here."""

    erasure_id: UUID
    number: int
    basis: Basis
    content_id: str | None
    ground: str
    ordered_by: str
    reports: Sequence[UUID]
    count: int


@dataclass(frozen=True, slots=True)
class Aged:
    """Reports that retention is over for, and whether there may be more."""

    reports: Sequence[UUID]
    more: bool


async def want(connection: AsyncConnection, wanted: Want) -> None:
    """Notes an erasure down; it is carried out in steps."""
    known = wanted.reporter is None and wanted.content_id is None
    await connection.execute(
        WANT,
        {
            "erasure_id": wanted.erasure_id, "basis": wanted.basis.value, "reporter": wanted.reporter,
            "content_id": wanted.content_id, "ground": wanted.ground, "ordered_by": wanted.ordered_by, "at": wanted.at,
            "found_at": wanted.at if known else None,
        },
    )  # fmt: skip
    if wanted.reports:
        await _add(connection, wanted.erasure_id, wanted.reports)


async def open_erasure(connection: AsyncConnection) -> Row[Any] | None:
    """The erasure that is to be carried on, held until the transaction ends."""
    return (await connection.execute(OPEN)).one_or_none()


async def look(connection: AsyncConnection, erasure: Row[Any], size: int, at: datetime) -> None:
    """Looks through the next stretch of a log of that size for the reports of an erasure."""
    if erasure.basis == Basis.REPORTER:
        found, reached = await _by_reporter(connection, erasure, size)
    else:
        found, reached = await _by_content(connection, erasure, size)
    await _add(connection, erasure.erasure_id, found)
    erasure_id = {"erasure_id": erasure.erasure_id}
    await connection.execute(LOOKED, {**erasure_id, "next_index": reached})
    if reached >= size:
        await connection.execute(FOUND, {**erasure_id, "at": at})


async def _by_reporter(connection: AsyncConnection, erasure: Row[Any], size: int) -> tuple[list[UUID], int]:
    end = min(size, erasure.next_index + _INDEXES_A_STEP)
    # Parts are canonical JSON, so the name stands in them in this one way; what a text quotes has other quotes.
    needle = b'"reporter":' + orjson.dumps(erasure.reporter)
    rows = await connection.execute(PARTS_WITH, {"start": erasure.next_index, "end": end, "needle": needle})
    return [report_id for report_id, part in rows if orjson.loads(part).get("reporter") == erasure.reporter], end


async def _by_content(connection: AsyncConnection, erasure: Row[Any], size: int) -> tuple[list[UUID], int]:
    bound = {"content_id": erasure.content_id, "start": erasure.next_index, "most": _ENTRIES_A_STEP}
    rows = (await connection.execute(OF_CONTENT, bound)).all()
    reached = rows[-1].place + 1 if len(rows) == _ENTRIES_A_STEP else size
    return [row.report_id for row in rows if row.report_id is not None], reached


async def _add(connection: AsyncConnection, erasure_id: UUID, reports: Iterable[UUID]) -> None:
    await connection.execute(ADD_REPORTS, {"erasure_id": erasure_id, "report_ids": sorted(set(reports))})


async def next_part(connection: AsyncConnection, erasure: Row[Any], at: datetime) -> Part | None:
    """Takes the next reports of an erasure that no hold stops, and erases what the log keeps of them.

    The caller holds the log's head, so that nothing is appended about them meanwhile. None where there are no more.
    """
    await connection.execute(TAKE_TURNS)
    of_this = {"erasure_id": erasure.erasure_id}
    wanted = list((await connection.execute(NEXT_REPORTS, {**of_this, "most": REPORTS_AN_ORDER})).scalars())
    held = {row.report_id: row.hold_id for row in await connection.execute(HELD, {"report_ids": wanted})}
    if held:
        await connection.execute(STOP, {**of_this, "report_ids": list(held), "hold_ids": list(held.values())})
    reports = [report_id for report_id in wanted if report_id not in held]
    number = erasure.parts
    count = 0
    if reports:
        number += 1
        bound = {**of_this, "report_ids": reports, "part": number, "at": at}
        await connection.execute(REMEMBER, bound)
        await connection.execute(PLACE, bound)
        await connection.execute(COUNT_PART, bound)
        count = await _erase(connection, reports)
    if len(wanted) < REPORTS_AN_ORDER:
        await connection.execute(TOLD, {**of_this, "at": at})
    if not reports:
        return None
    return Part(
        erasure.erasure_id, number, Basis(erasure.basis), erasure.content_id, erasure.ground, erasure.ordered_by,
        reports, count,
    )  # fmt: skip


async def _erase(connection: AsyncConnection, reports: Sequence[UUID]) -> int:
    bound = {"report_ids": list(reports), "of_staff": list(OF_STAFF), "made": MADE}
    rows = (await connection.execute(PRIVATE_OF, bound)).all()
    quoted = {pair for row in rows if row.type != MADE for pair in quotes(row.part)}
    # A decision's part is the reviewer's own words; it goes only if it repeats what one of these reports said.
    indexes = {row.place for row in rows if row.type != MADE or not quoted.isdisjoint(quotes(row.part))}
    return (await connection.execute(ERASE, {"indexes": sorted(indexes)})).rowcount


async def take_orders(connection: AsyncConnection, leaves: Iterable[Leaf]) -> None:
    """Carries out orders as they are logged; only after a restore from a backup is there anything left to do."""
    for leaf in leaves:
        if leaf.type == ORDERED and leaf.part is not None:
            erasure_id = orjson.loads(leaf.body)["detail"]["erasure_id"]
            reports = [UUID(report_id) for report_id in orjson.loads(leaf.part)["reports"]]
            await connection.execute(REMEMBER, {"erasure_id": erasure_id, "report_ids": reports, "at": leaf.at})
            await _erase(connection, reports)


def quotes(part: bytes) -> set[tuple[str, str]]:
    """The texts of a report that a private part repeats as inputs of its ruling, each with its path."""
    return {(path, value) for path, value in orjson.loads(part).get("inputs") or () if isinstance(value, str) and value}


async def erased(connection: AsyncConnection, reports: Iterable[UUID]) -> set[UUID]:
    """Which of these reports are erased."""
    return set((await connection.execute(ERASED, {"report_ids": list(reports)})).scalars())


async def erasure(connection: AsyncConnection, erasure_id: UUID) -> Row[Any] | None:
    """An erasure as it stands."""
    return (await connection.execute(ERASURE, {"erasure_id": erasure_id})).one_or_none()


async def stopped(connection: AsyncConnection, erasure_id: UUID) -> Sequence[Row[Any]]:
    """The holds that stop reports of an erasure, each with how many."""
    return (await connection.execute(STOPPED, {"erasure_id": erasure_id})).all()


async def answers(connection: AsyncConnection, event_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Of these answers those that the log has, each with the count that it gives."""
    rows = await connection.execute(OF_EVENTS, {"event_ids": list(event_ids)})
    return {UUID(bytes=row.id.bytes): orjson.loads(row.leaf)["detail"]["count"] for row in rows}


async def aged(connection: AsyncConnection, priority: str, before: datetime, most: int) -> Aged:
    """Reports of a class whose outcome is older than a time, by the next entries of the log; each is given once."""
    start = (await connection.execute(RETAINED, {"class": priority})).scalar_one()
    rows = (await connection.execute(AGED, {"start": start, "most": most, "reached": REACHED})).all()
    # What is younger ends the walk; of entries a little out of order the next walk takes the rest.
    old = rows[: _first_young(rows, before)]
    found = [
        row.report_id for row in old if row.leaf is not None and orjson.loads(row.leaf)["detail"]["class"] == priority
    ]
    gone = await erased(connection, found)
    if old:
        await connection.execute(RETAIN, {"class": priority, "next_index": old[-1].place + 1})
    return Aged([report_id for report_id in found if report_id not in gone], len(old) == most)


def _first_young(rows: Sequence[Row[Any]], before: datetime) -> int:
    return next((place for place, row in enumerate(rows) if row.at >= before), len(rows))

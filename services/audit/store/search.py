"""SQL that finds entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.activity import VIEWED
from schemas.case import CaseChange
from schemas.erasure import DISCLOSED, HOLD_LIFTED, HOLD_PLACED, ORDERED
from schemas.outcome import REACHED
from services.audit.store.entries import SPAN_BITS
from services.audit.store.kinds import OfKinds, by_kind

# Entries by event, by what a source has to do with, by time, or all there are, in order.
ENTRIES: Final = "SELECT index, leaf FROM entries WHERE {conditions} ORDER BY index LIMIT :limit"

# A report's cases: a case is a report's if one entry names both.
CASES: Final = "SELECT DISTINCT case_id AS owner FROM entries WHERE report_id = :report_id AND case_id IS NOT NULL"

# Of a report's cases one. Without OFFSET the planner may look through all entries of that case for the report.
THAT_CASE: Final = f"SELECT owner FROM ({CASES} OFFSET 0) AS cases WHERE owner = :case_id"

# Entries of a report itself.
OWN: Final = "(SELECT index FROM entries WHERE report_id = :report_id AND {conditions} ORDER BY index LIMIT :limit)"

# Entries of a report and of its cases that have to do with a source, which an index knows by source and case.
STORY_OF_SOURCE: Final = f"""
    WITH cases AS MATERIALIZED ({CASES}), page AS (
        {OWN}
        UNION
        SELECT found.index FROM cases CROSS JOIN LATERAL (
            SELECT index FROM entries WHERE case_id = cases.owner AND {{conditions}} ORDER BY index LIMIT :limit
        ) AS found
        ORDER BY index LIMIT :limit
    )
    SELECT entries.index, entries.leaf FROM page JOIN entries USING (index) ORDER BY index
"""

# Of an event's entries those of a report or of its cases.
OF_STORY: Final = f"(report_id = :report_id OR case_id IN ({CASES}))"

# The entries of a report's own way. Looks, disclosures, holds and orders of erasure are none of it: they name staff,
# and receipts go to reporters.
OF_REPORT: Final = text("""
    SELECT index, leaf FROM entries WHERE report_id = :report_id AND type <> ALL(CAST(:staffs AS text[]))
    ORDER BY index LIMIT :limit
""")

# The entries of a report's cases that concern no single report: claims and their ends, decisions. Of what reports do to
# a case there may be tens of thousands, so those kinds are not read.
OF_ITS_CASES: Final = text(
    by_kind(OfKinds("case_id", CASES, "report_id IS NULL", of_kinds="kinds.type <> ALL(CAST(:of_reports AS text[]))"))
)

# By which erasure, and in which part of it, a report was erased.
ERASED_BY: Final = text("""
    SELECT erasure_id, part FROM erased JOIN erasure_reports USING (erasure_id, report_id)
    WHERE report_id = :report_id AND part IS NOT NULL
""")

# The entries of some events.
OF_EVENTS: Final = text("""
    SELECT index, leaf FROM entries WHERE coalesce(event_id, identity) = ANY(CAST(:event_ids AS uuid[])) ORDER BY index
""")

# How a source stood before an entry: the last change of it until then. Changes of sources are rare, and the spans that
# have some are few; of those before the last so many spans nothing is known.
SOURCE_BEFORE: Final = text(f"""
    SELECT found.index, found.leaf
    FROM (
        SELECT DISTINCT span FROM doings
        WHERE type = 'jubao.source.changed.v1' AND span <= CAST(:before AS bigint) >> {SPAN_BITS}
        ORDER BY span DESC LIMIT :spans
    ) AS wanted CROSS JOIN LATERAL (
        SELECT index, leaf FROM entries
        WHERE index >= wanted.span << {SPAN_BITS} AND index < (wanted.span + 1) << {SPAN_BITS}
        AND index < :before AND source_id = :source_id AND type = 'jubao.source.changed.v1'
    ) AS found
    ORDER BY found.index DESC LIMIT 1
""")

# The next spans of the log in which an actor did something, or a type occurs, or both.
SPANS: Final = """
    SELECT DISTINCT span FROM doings WHERE {conditions} AND span >= :first_span AND span <= :last_span
    ORDER BY span LIMIT :spans
"""

# The entries of some spans. Without OFFSET the planner may read the log in order of index and look for spans in it.
IN_SPANS: Final = """
    SELECT found.index, found.leaf
    FROM unnest(CAST(:spans AS bigint[])) AS wanted (span) CROSS JOIN LATERAL (
        SELECT index, leaf FROM entries
        WHERE index >= wanted.span << {bits} AND index < (wanted.span + 1) << {bits} AND {conditions}
        OFFSET 0
    ) AS found
    ORDER BY found.index LIMIT :limit
"""

# Each filter with its condition.
CONDITIONS: Final = {
    "after": "index > :after",
    "event_id": "coalesce(event_id, identity) = :event_id",
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

# What members of staff do with a report, beside deciding its case.
_STAFFS: Final = [VIEWED, DISCLOSED, HOLD_PLACED, HOLD_LIFTED, ORDERED]
# What names a case because of one report.
_OF_REPORTS: Final = [
    REACHED,
    *(c.event_type for c in (CaseChange.OPENED, CaseChange.JOINED, CaseChange.LIFTED, CaseChange.ATTACHED)),
]
# Whose entries an index has by kind, each with its type; of two of these the first is read.
_OWNERS: Final = {"case_id": "uuid", "content_id": "text", "source_id": "text"}
# What narrows the entries of a kind, beside whose they are.
_OF_TIME: Final = ("after", "since", "until")
_FIRST_SPANS: Final = 2
_MOST_SPANS: Final = 64
_MOST_SOURCE_SPANS: Final = 256
_NO_END: Final = (1 << 63) - 1


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


async def search(connection: AsyncConnection, wanted: Wanted, limit: int) -> list[tuple[int, bytes]]:
    """Index and leaf of the first `limit` entries after `wanted.after` that fit, in order of index."""
    bounds: tuple[int, int] | None = None
    if wanted.since or wanted.until:
        first, last = (await connection.execute(BOUNDS, {"since": wanted.since, "until": wanted.until})).one()
        if first is None or last is None:
            return []
        bounds = first, last
    if is_walk(wanted):
        return await _walk(connection, wanted, bounds, limit)
    statement, values = asked(wanted, bounds)
    rows = await connection.execute(text(statement), values | {"limit": limit})
    return [(index, leaf) for index, leaf in rows]


async def of_report(connection: AsyncConnection, report_id: UUID, limit: int) -> list[tuple[int, bytes]]:
    """Index and leaf of the first `limit` entries of a report's own way, without others of its cases and staff."""
    values = {"report_id": report_id, "limit": limit, "staffs": _STAFFS}
    rows = await connection.execute(OF_REPORT, values)
    return [(index, leaf) for index, leaf in rows]


async def of_its_cases(connection: AsyncConnection, report_id: UUID, limit: int) -> list[tuple[int, bytes]]:
    """Index and leaf of the first `limit` entries of a report's cases that concern no single report."""
    values = {"report_id": report_id, "limit": limit, "of_reports": _OF_REPORTS}
    rows = await connection.execute(OF_ITS_CASES, values)
    return [(index, leaf) for index, leaf in rows]


async def erased_by(connection: AsyncConnection, report_id: UUID) -> list[tuple[UUID, int]]:
    """The erasures of a report, each with the part that named it; none if it was not erased."""
    rows = await connection.execute(ERASED_BY, {"report_id": report_id})
    return [(erasure_id, part) for erasure_id, part in rows]


async def of_events(connection: AsyncConnection, event_ids: Sequence[UUID]) -> list[tuple[int, bytes]]:
    """Index and leaf of the entries of some events, few enough to be listed."""
    rows = await connection.execute(OF_EVENTS, {"event_ids": list(event_ids)})
    return [(index, leaf) for index, leaf in rows]


async def source_before(connection: AsyncConnection, source_id: str, before: int) -> list[tuple[int, bytes]]:
    """Index and leaf of the last change of a source before an entry; none if it is further back than we look."""
    values = {"source_id": source_id, "before": before, "spans": _MOST_SOURCE_SPANS}
    return [(index, leaf) for index, leaf in await connection.execute(SOURCE_BEFORE, values)]


def is_walk(wanted: Wanted) -> bool:
    """Whether only actor or type narrow a search, which have no index of entries but one of spans."""
    named = (wanted.report_id, wanted.case_id, wanted.content_id, wanted.source_id, wanted.event_id)
    return (wanted.actor is not None or wanted.type is not None) and all(name is None for name in named)


def asked(wanted: Wanted, bounds: tuple[int, int] | None) -> tuple[str, dict[str, object]]:
    """The statement of a search and its values, but for `limit`; `bounds` are the indexes its time lies between."""
    conditions, values = _conditions(wanted, bounds)
    owners = [name for name in _OWNERS if getattr(wanted, name) is not None]
    if wanted.report_id is not None:
        values |= {"report_id": wanted.report_id}
        if wanted.event_id is not None:
            return ENTRIES.format(conditions=f"{conditions} AND {OF_STORY}"), values
        if wanted.source_id is not None:
            return STORY_OF_SOURCE.format(conditions=conditions), values
        cases = CASES if wanted.case_id is None else THAT_CASE
        return by_kind(_of_kinds(wanted, "case_id", cases)._replace(beside=OWN.format(conditions=conditions))), values
    if wanted.event_id is not None or not owners or (wanted.source_id is not None and len(owners) > 1):
        return ENTRIES.format(conditions=conditions), values
    return by_kind(_of_kinds(wanted, owners[0], f"SELECT CAST(:{owners[0]} AS {_OWNERS[owners[0]]}) AS owner")), values


def _of_kinds(wanted: Wanted, name: str, owners: str) -> OfKinds:
    reach = ["index > :after"]
    reach += ["index >= :first_index"] if wanted.since else []
    reach += ["index <= :last_index"] if wanted.until else []
    return OfKinds(
        name,
        owners,
        " AND ".join(CONDITIONS[name] for name in _OF_TIME if getattr(wanted, name) is not None),
        typed=wanted.type is not None,
        acted=wanted.actor is not None,
        item=" AND ".join(reach) if wanted.content_id is not None and name != "content_id" else "",
    )


def asked_spans(wanted: Wanted) -> tuple[str, dict[str, object]]:
    """The statement that finds spans for a search by actor or type, and its values, but for the range and number."""
    named = {"actor": wanted.actor, "type": wanted.type}
    values: dict[str, object] = {name: value for name, value in named.items() if value is not None}
    return SPANS.format(conditions=" AND ".join(CONDITIONS[name] for name in values)), values


def asked_in_spans(wanted: Wanted, bounds: tuple[int, int] | None) -> tuple[str, dict[str, object]]:
    """The statement that reads spans for a search, and its values, but for `spans` and `limit`."""
    conditions, values = _conditions(wanted, bounds)
    return IN_SPANS.format(bits=SPAN_BITS, conditions=conditions), values


def _conditions(wanted: Wanted, bounds: tuple[int, int] | None) -> tuple[str, dict[str, object]]:
    values: dict[str, object] = {name: value for name in CONDITIONS if (value := getattr(wanted, name)) is not None}
    conditions = " AND ".join(CONDITIONS[name] for name in values)
    if bounds is not None:
        values |= {"first_index": bounds[0]} if wanted.since else {}
        values |= {"last_index": bounds[1]} if wanted.until else {}
    return conditions, values


async def _walk(
    connection: AsyncConnection, wanted: Wanted, bounds: tuple[int, int] | None, limit: int
) -> list[tuple[int, bytes]]:
    """Reads a few spans, then more at a time, until the page is full: where matches are dense, two are enough."""
    low, high = bounds or (0, _NO_END)
    first, last = max(wanted.after + 1, low) >> SPAN_BITS, high >> SPAN_BITS
    find, naming = asked_spans(wanted)
    read, values = asked_in_spans(wanted, bounds)
    found: list[tuple[int, bytes]] = []
    count = _FIRST_SPANS
    while True:
        span_range = {"first_span": first, "last_span": last, "spans": count}
        spans = list((await connection.execute(text(find), naming | span_range)).scalars())
        if spans:
            rows = await connection.execute(text(read), values | {"spans": spans, "limit": limit - len(found)})
            found += [(index, leaf) for index, leaf in rows]
        if len(found) == limit or len(spans) < count:
            return found
        first, count = spans[-1] + 1, min(count * 2, _MOST_SPANS)

"""SQL that erases what review keeps of reports: their text, who made them, and what a case repeats of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.review.redaction import (
    content_of,
    erased_digest,
    erased_reporter,
    redacted_content,
    redacted_report,
    redacted_ruling,
    redacted_snapshots,
    snapshot_of,
)
from services.review.store.changes import keep_to_indexes

# Remembers that reports are erased.
REMEMBER: Final = text("""
INSERT INTO erased (report_id, erasure_id)
SELECT report_id, CAST(:erasure_id AS uuid) FROM unnest(CAST(:report_ids AS uuid[])) AS gone (report_id)
ON CONFLICT DO NOTHING
""")

# The first transaction that cannot have begun before now.
NEXT_TRANSACTION: Final = text("SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)")

# The oldest transaction that writes and has not ended.
OLDEST_TRANSACTION: Final = text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")

# Which of these reports are erased.
ERASED: Final = text("SELECT report_id FROM erased WHERE report_id = ANY(CAST(:report_ids AS uuid[]))")

# The cases of reports, locked in the one order, the open ones first.
LOCK_CASES: Final = text("""
SELECT case_id, lead_report_id, teller_report_id, ruling, content, snapshots FROM cases
WHERE case_id IN (
    SELECT case_id FROM reports WHERE report_id = ANY(CAST(:report_ids AS uuid[]))
    UNION SELECT case_id FROM reports WHERE aside_of = ANY(CAST(:report_ids AS uuid[])))
ORDER BY state = 'decided', content_id
FOR NO KEY UPDATE
""")

# The reports themselves, with those that made room for one of them.
REPORTS: Final = text("""
SELECT report_id, case_id, data FROM reports WHERE report_id = ANY(CAST(:report_ids AS uuid[]))
UNION ALL SELECT report_id, case_id, data FROM reports WHERE aside_of = ANY(CAST(:report_ids AS uuid[]))
""")

# Takes from reports what they say and who made them.
REDACT: Final = text("""
UPDATE reports AS r SET data = n.data, digest = n.digest, reporter = n.reporter
FROM unnest(CAST(:report_id AS uuid[]), CAST(:data AS text[]), CAST(:digest AS bytea[]), CAST(:reporter AS bytea[]))
    AS n (report_id, data, digest, reporter)
WHERE r.report_id = n.report_id
""")

# Takes from a case what it repeats of its reports.
REDACT_CASE: Final = text("""
UPDATE cases SET ruling = :ruling, content = :content, snapshots = CAST(:snapshots AS text[]), trace = NULL
WHERE case_id = :case_id
""")

# The best description of a case's item that is left, as `joining.Teller` orders them.
NEXT_TELLER: Final = text("""
SELECT report_id, received_at, attested, data FROM reports AS r
WHERE case_id = :case_id AND NOT EXISTS (
    SELECT FROM erased AS e WHERE e.report_id = r.report_id OR e.report_id = r.aside_of)
ORDER BY NOT attested, received_at, report_id LIMIT 1
""")

# Lets another report describe a case's item.
RETELL: Final = text("""
UPDATE cases SET teller_report_id = :report_id, teller_received_at = :received_at, teller_hearsay = :hearsay
WHERE case_id = :case_id
""")


async def remember(connection: AsyncConnection, erasure_id: UUID, reports: Collection[UUID]) -> None:
    """Lets nothing more in of reports; whatever began to come in before may still be written."""
    await connection.execute(REMEMBER, {"erasure_id": erasure_id, "report_ids": sorted(reports)})


async def next_transaction(connection: AsyncConnection) -> int:
    """The number below which all transactions are that may not know what was committed before this one."""
    number: int = (await connection.execute(NEXT_TRANSACTION)).scalar_one()
    return number


async def oldest_transaction(connection: AsyncConnection) -> int:
    """The number of the oldest transaction that may still write."""
    number: int = (await connection.execute(OLDEST_TRANSACTION)).scalar_one()
    return number


async def erased(connection: AsyncConnection, reports: Iterable[UUID]) -> set[UUID]:
    """Which of these reports are erased."""
    return set((await connection.execute(ERASED, {"report_ids": list(reports)})).scalars())


async def erase(connection: AsyncConnection, reports: Collection[UUID]) -> int:
    """Erases what is kept of remembered reports; how many rows of reports and cases were changed."""
    await keep_to_indexes(connection)
    wanted = {"report_ids": sorted(reports)}
    cases = (await connection.execute(LOCK_CASES, wanted)).all()
    rows = (await connection.execute(REPORTS, wanted)).all()
    of_case: dict[UUID, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        of_case[row.case_id].append(row)
    await connection.execute(
        REDACT,
        {
            "report_id": [row.report_id for row in rows],
            "data": [redacted_report(row.data) for row in rows],
            "digest": [erased_digest(row.report_id) for row in rows],
            "reporter": [erased_reporter(row.report_id) for row in rows],
        },
    )
    for case in cases:
        await _redact_case(connection, case, of_case[case.case_id])
    return len(rows) + len(cases)


async def _redact_case(connection: AsyncConnection, case: Row[Any], gone: Sequence[Row[Any]]) -> None:
    ids = {row.report_id for row in gone}
    snapshots = list(case.snapshots)
    for row in gone:
        snapshots = redacted_snapshots(snapshots, snapshot_of(row.data))
    content = case.content
    if case.teller_report_id in ids:
        content = await _told_by_another(connection, case)
    await connection.execute(
        REDACT_CASE,
        {
            "case_id": case.case_id,
            "ruling": redacted_ruling(case.ruling) if case.lead_report_id in ids else case.ruling,
            "content": content,
            "snapshots": snapshots,
        },
    )


async def _told_by_another(connection: AsyncConnection, case: Row[Any]) -> str:
    row = (await connection.execute(NEXT_TELLER, {"case_id": case.case_id})).one_or_none()
    if row is None:
        return redacted_content(case.content)
    told = {"case_id": case.case_id, "report_id": row.report_id, "received_at": row.received_at}
    await connection.execute(RETELL, {**told, "hearsay": not row.attested})
    return content_of(row.data)

"""Leases as rows, for all who grant, move or end them. Every caller holds the case's lock."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.review.leasing import Lease, Terms

# The leases of cases whose rows are locked, so that these cannot change any more.
OF_CASES = text("""
SELECT case_id, token, fence, reviewer, claimed_at, expires_at, claimed_event, ends_by
FROM leases WHERE case_id = ANY(CAST(:case_ids AS uuid[]))
""")

# The lease of a case whose row is locked, if it has one, beside the clock at this moment.
OF_CASE_NOW = text("""
SELECT clock_timestamp(), l.case_id, l.token, l.fence, l.reviewer, l.claimed_at, l.expires_at, l.claimed_event,
       l.ends_by
FROM (SELECT CAST(:case_id AS uuid) AS case_id) AS wanted LEFT JOIN leases AS l ON l.case_id = wanted.case_id
""")

# Brings ends forward.
CUT = text("""
UPDATE leases SET expires_at = n.expires_at, ends_by = n.ends_by
FROM unnest(CAST(:case_id AS uuid[]), CAST(:expires_at AS timestamptz[]), CAST(:ends_by AS timestamptz[]))
    AS n (case_id, expires_at, ends_by)
WHERE leases.case_id = n.case_id
""")


async def leases_of(connection: AsyncConnection, case_ids: Sequence[UUID]) -> list[Lease]:
    """The leases of these cases."""
    if not case_ids:
        return []
    return [Lease(*row) for row in await connection.execute(OF_CASES, {"case_ids": list(case_ids)})]


async def lease_now(connection: AsyncConnection, case_id: UUID) -> tuple[Lease | None, datetime]:
    """The lease of a case, if any, and the database's clock, both after the case's lock was had."""
    at, *lease = (await connection.execute(OF_CASE_NOW, {"case_id": case_id})).one()
    return (Lease(*lease) if lease[0] else None), at


async def cut_leases(
    connection: AsyncConnection, case_ids: Sequence[UUID], at: datetime, terms: Terms
) -> dict[UUID, tuple[int, datetime]]:
    """Has the leases of these cases, which a P0 report has joined, end soon; the fence and new end of each."""
    leases = await leases_of(connection, case_ids)
    if not leases:
        return {}
    caps = {lease.case_id: terms.cut_by(lease, at) for lease in leases}
    ends = {lease.case_id: (lease.fence, min(lease.expires_at, caps[lease.case_id])) for lease in leases}
    await connection.execute(
        CUT,
        {
            "case_id": list(caps),
            "expires_at": [ends[case_id][1] for case_id in caps],
            "ends_by": list(caps.values()),
        },
    )
    return ends

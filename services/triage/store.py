"""All SQL of triage: policies that were in force, and the places of reports in their source's day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.triage.classing import Policy

# A dead letter may be put back for a month; its place in the day must still be known then.
_KEPT: Final = timedelta(days=40)

# Remembers a policy that comes into force for the first time; gives nothing when its version is known already.
REMEMBER: Final = text("""
    INSERT INTO policies (policy, version, sha256, text) VALUES (:policy, :version, :sha256, :text)
    ON CONFLICT (policy, version) DO NOTHING
    RETURNING version
""")

# The digest under which a version is known.
KNOWN_DIGEST: Final = text("SELECT sha256 FROM policies WHERE policy = :policy AND version = :version")

# Locks the days in one order, making those that are missing, and gives how far each is used.
LOCK_DAYS: Final = text("""
    INSERT INTO quota_days (source_id, day, used)
    SELECT source_id, day, 0 FROM unnest(CAST(:sources AS uuid[]), CAST(:days AS date[])) AS wanted (source_id, day)
    ORDER BY source_id, day
    ON CONFLICT (source_id, day) DO UPDATE SET used = quota_days.used
    RETURNING source_id, day, used
""")

# The places that some reports have already, whatever day they were given on.
KNOWN_PLACES: Final = text("""
    SELECT source_id, report_id, ordinal FROM quota_places
    JOIN unnest(CAST(:sources AS uuid[]), CAST(:reports AS uuid[])) AS wanted (source_id, report_id)
        USING (source_id, report_id)
""")

# Gives reports their places.
PLACE: Final = text("""
    INSERT INTO quota_places (source_id, report_id, day, ordinal)
    SELECT * FROM unnest(
        CAST(:sources AS uuid[]), CAST(:reports AS uuid[]), CAST(:days AS date[]), CAST(:ordinals AS int[])
    )
""")

# Moves the days on by the places given.
USE_DAYS: Final = text("""
    UPDATE quota_days SET used = now_used.used
    FROM unnest(CAST(:sources AS uuid[]), CAST(:days AS date[]), CAST(:used AS int[]))
        AS now_used (source_id, day, used)
    WHERE quota_days.source_id = now_used.source_id AND quota_days.day = now_used.day
""")

# Forgets the places of days long gone.
FORGET_PLACES: Final = text("DELETE FROM quota_places WHERE day < :oldest")

# Forgets those days themselves.
FORGET_DAYS: Final = text("DELETE FROM quota_days WHERE day < :oldest")


@dataclass(frozen=True, slots=True, order=True)
class PlaceWanted:
    """A report that takes a place in its source's day."""

    source_id: UUID
    report_id: UUID
    day: date


async def remember_policy(connection: AsyncConnection, policy: Policy) -> tuple[bool, str]:
    """Whether the policy is new here, and the digest that its version stands for."""
    found = await connection.execute(
        REMEMBER,
        {"policy": policy.name, "version": policy.version, "sha256": policy.sha256, "text": policy.text},
    )
    if found.one_or_none() is not None:
        return True, policy.sha256
    known = await connection.execute(KNOWN_DIGEST, {"policy": policy.name, "version": policy.version})
    return False, str(known.scalar_one())


async def take_places(connection: AsyncConnection, wanted: Sequence[PlaceWanted]) -> dict[tuple[UUID, UUID], int]:
    """Which report of its source's day each is, from 1, by source and report; a report keeps the place it once had.

    Places are given in the order of `wanted`. The days' rows stay locked to the end of the transaction.
    """
    if not wanted:
        return {}
    days = sorted({(w.source_id, w.day) for w in wanted})
    sources, dates = [source for source, _ in days], [day for _, day in days]
    locked = await connection.execute(LOCK_DAYS, {"sources": sources, "days": dates})
    used = {(row.source_id, row.day): int(row.used) for row in locked}
    first = {(w.source_id, w.report_id): w for w in reversed(wanted)}
    known = await connection.execute(
        KNOWN_PLACES, {"sources": [source for source, _ in first], "reports": [report for _, report in first]}
    )
    places = {(row.source_id, row.report_id): int(row.ordinal) for row in known}
    fresh: list[tuple[PlaceWanted, int]] = []
    for want in wanted:
        key = (want.source_id, want.report_id)
        if key not in places:
            used[want.source_id, want.day] += 1
            places[key] = used[want.source_id, want.day]
            fresh.append((want, places[key]))
    if fresh:
        await _place(connection, fresh)
        await connection.execute(USE_DAYS, {"sources": sources, "days": dates, "used": [used[day] for day in days]})
    if any(ordinal == 1 for _, ordinal in fresh):
        oldest = min(dates) - _KEPT
        await connection.execute(FORGET_PLACES, {"oldest": oldest})
        await connection.execute(FORGET_DAYS, {"oldest": oldest})
    return places


async def _place(connection: AsyncConnection, fresh: Sequence[tuple[PlaceWanted, int]]) -> None:
    await connection.execute(
        PLACE,
        {
            "sources": [want.source_id for want, _ in fresh],
            "reports": [want.report_id for want, _ in fresh],
            "days": [want.day for want, _ in fresh],
            "ordinals": [ordinal for _, ordinal in fresh],
        },
    )

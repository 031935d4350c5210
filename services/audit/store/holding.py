"""SQL of legal holds."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.erasure import HOLD_LIFTED, HOLD_PLACED
from services.audit.leaf import Leaf

Kept = Row[Any]
"""A row of a hold, for signatures outside of the store."""

# Orders and holds take turns, so that a hold either stops an order or comes after it.
TAKE_TURNS: Final = text("SELECT pg_advisory_xact_lock(hashtext('jubao.audit.holds'))")

# Places a hold.
PLACE_HOLD: Final = text("""
    INSERT INTO holds (hold_id, content_id, report_id, source_id, ground, placed_by, placed_at)
    VALUES (:hold_id, :content_id, :report_id, :source_id, :ground, :actor, :at)
""")

# Remembers a hold that the log tells of; one that is known stays as it is.
REMEMBER_HOLD: Final = text(f"{PLACE_HOLD.text} ON CONFLICT (hold_id) DO NOTHING")

# A hold, held.
HOLD_OF: Final = text("""
    SELECT hold_id, content_id, report_id, source_id, ground, placed_by, placed_at, lifted_by, lifted_at
    FROM holds WHERE hold_id = :hold_id FOR UPDATE
""")

# Lifts a hold that stands.
LIFT: Final = text("""
    UPDATE holds SET lifted_by = :actor, lifted_at = :at WHERE hold_id = :hold_id AND lifted_at IS NULL
""")

# What a hold had stopped goes on.
GO_ON: Final = text("""
    WITH freed AS (
        UPDATE erasure_reports SET hold_id = NULL WHERE hold_id = :hold_id RETURNING erasure_id
    )
    UPDATE erasures SET told_at = NULL WHERE erasure_id IN (SELECT erasure_id FROM freed)
""")

_OF_HOLDS: Final = frozenset({HOLD_PLACED, HOLD_LIFTED})

# Holds, the newest first.
HOLDS: Final = text("""
    SELECT hold_id, content_id, report_id, source_id, ground, placed_by, placed_at, lifted_by, lifted_at
    FROM holds WHERE hold_id < :before ORDER BY hold_id DESC LIMIT :most
""")


async def place_hold(connection: AsyncConnection, hold: dict[str, object]) -> None:
    """Places a hold: after orders that are being given, before all later ones."""
    await connection.execute(TAKE_TURNS)
    await connection.execute(PLACE_HOLD, hold)


async def take_holds(connection: AsyncConnection, leaves: Iterable[Leaf]) -> None:
    """Takes up holds as they are logged; only a log that was begun anew, or restored, does not know them already."""
    for leaf in leaves:
        if leaf.type not in _OF_HOLDS or leaf.part is None:
            continue
        hold_id = UUID(orjson.loads(leaf.body)["detail"]["hold_id"])
        if leaf.type == HOLD_LIFTED:
            await lift(connection, hold_id, leaf.actor, leaf.at)
            continue
        about = {"content_id": leaf.content_id, "report_id": leaf.report_id, "source_id": leaf.source_id}
        told = {"hold_id": hold_id, "actor": leaf.actor, "at": leaf.at, "ground": orjson.loads(leaf.part)["ground"]}
        await connection.execute(TAKE_TURNS)
        await connection.execute(REMEMBER_HOLD, about | told)


async def hold_of(connection: AsyncConnection, hold_id: UUID) -> Row[Any] | None:
    """A hold, held until the transaction ends."""
    await connection.execute(TAKE_TURNS)
    return (await connection.execute(HOLD_OF, {"hold_id": hold_id})).one_or_none()


async def lift(connection: AsyncConnection, hold_id: UUID, actor: str, at: datetime) -> None:
    """Lifts a hold; what it stopped goes on."""
    await connection.execute(LIFT, {"hold_id": hold_id, "actor": actor, "at": at})
    await connection.execute(GO_ON, {"hold_id": hold_id})


async def holds(connection: AsyncConnection, before: UUID, most: int) -> Sequence[Row[Any]]:
    """A page of holds, the newest first."""
    return (await connection.execute(HOLDS, {"before": before, "most": most})).all()

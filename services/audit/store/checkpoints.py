"""SQL of what was signed, of the keys that sign, and of the log's name."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.audit.keys import DatedKey
from services.audit.note import Key, key_of

# Keeps a checkpoint.
KEEP: Final = text("INSERT INTO checkpoints (size, made_at, note) VALUES (:size, :made_at, :note)")

# The newest checkpoint.
NEWEST: Final = text("SELECT number, size, made_at, note FROM checkpoints ORDER BY number DESC LIMIT 1")

# Checkpoints in the order of their making.
AFTER: Final = text("""
    SELECT number, size, made_at, note FROM checkpoints WHERE number > :number ORDER BY number LIMIT :limit
""")

# The log's name in its checkpoints.
ORIGIN: Final = text("SELECT origin FROM head")

# Gives the log its name; a second one is refused by a trigger.
NAME: Final = text("UPDATE head SET origin = :origin")

# All keys, in the order in which they began to sign.
KEYS: Final = text("SELECT vkey, since, until FROM keys ORDER BY since, vkey")

# A key begins to sign.
BEGIN: Final = text("INSERT INTO keys (vkey, since) VALUES (:vkey, :since) ON CONFLICT (vkey) DO NOTHING")

# A key no longer signs.
END: Final = text("UPDATE keys SET until = greatest(:until, since) WHERE vkey = :vkey AND until IS NULL")


class Made(NamedTuple):
    """A checkpoint as it was published; `number` counts them."""

    number: int
    size: int
    made_at: datetime
    note: str


async def keep(connection: AsyncConnection, size: int, made_at: datetime, note: str) -> None:
    """Keeps a checkpoint."""
    await connection.execute(KEEP, {"size": size, "made_at": made_at, "note": note})


async def newest(connection: AsyncConnection) -> Made | None:
    """The newest checkpoint, None before the first."""
    row = (await connection.execute(NEWEST)).one_or_none()
    return None if row is None else Made(*row)


async def after(connection: AsyncConnection, number: int, limit: int) -> list[Made]:
    """The next checkpoints after one of that number (0: from the first on), in the order of their making."""
    return [Made(*row) for row in await connection.execute(AFTER, {"number": number, "limit": limit})]


async def origin(connection: AsyncConnection) -> str | None:
    """The log's name, None before it has one."""
    found: str | None = await connection.scalar(ORIGIN)
    return found


async def name(connection: AsyncConnection, origin: str) -> None:
    """Gives the log its name, for good."""
    await connection.execute(NAME, {"origin": origin})


async def keys(connection: AsyncConnection) -> list[DatedKey]:
    """The keys that sign or once signed, in the order in which they began."""
    return [DatedKey(key_of(vkey), since, until) for vkey, since, until in await connection.execute(KEYS)]


async def change_keys(connection: AsyncConnection, signing: Sequence[Key], at: datetime) -> list[DatedKey]:
    """Notes which keys sign from now on: new ones begin, the others end. Returns all, as they stand then."""
    known = {key: until for key, _, until in await keys(connection)}
    for key in signing:
        if key not in known:
            await connection.execute(BEGIN, {"vkey": str(key), "since": at})
    for key, until in known.items():
        if until is None and key not in signing:
            await connection.execute(END, {"vkey": str(key), "until": at})
    return await keys(connection)

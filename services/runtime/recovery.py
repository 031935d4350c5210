"""What a restored engine may need before services start: offsets forgotten, or a service's schema set aside."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from services.runtime.database import Fault, address, fault_of, sqlstate
from services.runtime.migrate import migrated_services
from services.runtime.problems import DatabaseAway
from services.runtime.settings import Settings

ResultT = TypeVar("ResultT")

_CONNECT_SECONDS = 5.0

# Which of the services have tables by now.
KEPT = text(
    "SELECT table_schema FROM information_schema.tables WHERE table_name = 'offsets' AND table_schema = ANY(:services)"
)

# Whether there is a schema.
PRESENT = text("SELECT 1 FROM information_schema.schemata WHERE schema_name = :schema")

# The time in a schema's new name.
STAMP = text("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD\"_\"HH24MISS')")


class RecoveryRefused(Exception):
    """It cannot be done; the text says why."""


async def forget_offsets(settings: Settings) -> dict[str, int]:
    """Makes every topic be read from its beginning at the next start; how many partitions each service forgot.

    Open dead letters go as well: their records were on the broker that is gone, and their places are about to be taken
    by other records. No service may run.

    Raises:
        DatabaseAway: it does not answer.
        RecoveryRefused: the login may not.
    """

    async def work(connection: AsyncConnection) -> dict[str, int]:
        services = sorted((await connection.execute(KEPT, {"services": migrated_services()})).scalars())
        forgotten = {}
        for service in services:
            await connection.execute(text(f"DELETE FROM {service}.dead"))
            forgotten[service] = (await connection.execute(text(f"DELETE FROM {service}.offsets"))).rowcount
        return forgotten

    return await _changed(settings, work)


async def set_aside(settings: Settings, service: str) -> str:
    """Renames a service's schema, so that `jubao db upgrade` makes it an empty one; the old one's new name.

    Raises:
        DatabaseAway: it does not answer.
        RecoveryRefused: there is no such schema, or the login may not.
    """

    async def work(connection: AsyncConnection) -> str:
        if await connection.scalar(PRESENT, {"schema": service}) is None:
            raise RecoveryRefused(f"there is no schema {service}")
        name = f"{service}_{await connection.scalar(STAMP)}"
        await connection.execute(text(f"ALTER SCHEMA {service} RENAME TO {name}"))
        return name

    return await _changed(settings, work)


async def _changed(settings: Settings, work: Callable[[AsyncConnection], Awaitable[ResultT]]) -> ResultT:
    engine = create_async_engine(address(settings), connect_args={"timeout": _CONNECT_SECONDS})
    try:
        async with engine.begin() as connection:
            return await work(connection)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        if fault_of(error) is Fault.AWAY:
            raise DatabaseAway from error
        raise RecoveryRefused(f"nothing was changed: the database refuses it, SQLSTATE {sqlstate(error)}") from error
    finally:
        await engine.dispose()

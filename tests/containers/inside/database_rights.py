"""Run in a service's container: what its own login may really do in each schema; printed as JSON.

Usage: python - SCHEMAS, a JSON list.
"""

import asyncio
import json
import sys

import asyncpg

from services.runtime.database import address
from services.runtime.settings import Settings

# The catalogue is everybody's to read, so the tables of all schemas are known by name.
TABLES = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'
"""


async def allowed(connection: asyncpg.Connection, statement: str) -> bool:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return False
    finally:
        await transaction.rollback()
    return True


async def main() -> None:
    schemas = json.loads(sys.argv[1])
    dsn = address(Settings()).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn)
    tables = [tuple(row) for row in await connection.fetch(TABLES) if row[0] in schemas]
    deleting = [(schema, f'DELETE FROM {schema}."{table}" WHERE false') for schema, table in tables]
    reading = [(schema, f'SELECT 1 FROM {schema}."{table}"') for schema, table in tables]
    told = {
        "user": await connection.fetchval("SELECT session_user"),
        "superuser": await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = session_user"),
        "seen": sorted({schema for schema, _ in tables}),
        "reads": sorted({schema for schema, statement in reading if await allowed(connection, statement)}),
        "writes": sorted({schema for schema, statement in deleting if await allowed(connection, statement)}),
        "becomes": [s for s in schemas if await allowed(connection, f"SET ROLE jubao_{s}")],
        "makes": [s for s in schemas if await allowed(connection, f"CREATE TABLE {s}.mine (x int)")],
    }
    print(json.dumps(told))  # noqa: T201 -- its answer
    await connection.close()


asyncio.run(main())

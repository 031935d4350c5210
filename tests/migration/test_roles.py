"""Each service's role reaches its own schema and no other, and the log's role cannot change the log."""

import asyncpg
import pytest

from tests.migration.conftest import Connecting

SERVICES = ("audit", "intake", "outcomes", "review", "triage")
FOREIGN = [(one, other) for one in SERVICES for other in SERVICES if one != other]

TABLES = "SELECT c.relname FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' ORDER BY 1"


async def tables_of(dsn: str, schema: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch(TABLES, schema)]
    finally:
        await connection.close()


@pytest.mark.parametrize(("service", "other"), FOREIGN, ids=lambda name: name)
async def test_no_service_reads_anothers_tables(
    as_service: Connecting, migrated_dsn: str, service: str, other: str
) -> None:
    """A service's role is refused at every table of another service, for reading and for writing."""
    tables = await tables_of(migrated_dsn, other)
    assert len(tables) > 4
    for table in tables:
        for statement in (f"SELECT * FROM {other}.{table}", f"DELETE FROM {other}.{table}"):
            async with as_service(service) as connection:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)


@pytest.mark.parametrize("service", SERVICES)
async def test_service_reads_its_own_tables(as_service: Connecting, migrated_dsn: str, service: str) -> None:
    """A service's role reads every table of its own schema by its bare name."""
    async with as_service(service) as connection:
        for table in await tables_of(migrated_dsn, service):
            await connection.execute(f"SELECT * FROM {table}")


@pytest.mark.parametrize("service", SERVICES)
async def test_role_can_be_nobody_else(as_service: Connecting, service: str) -> None:
    """A service's role cannot log in, is member of no role, and may make neither roles, databases nor tables."""
    async with as_service(service) as connection:
        row = await connection.fetchrow(
            "SELECT rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication, "
            "(SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid) FROM pg_roles r WHERE rolname = $1",
            f"jubao_{service}",
        )
        assert tuple(row) == (False, False, False, False, False, False, 0)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("CREATE TABLE mine (x int)")


@pytest.mark.parametrize("service", SERVICES)
async def test_role_cannot_touch_its_version(as_service: Connecting, service: str) -> None:
    """A service can read which version its schema is at, and cannot say another."""
    async with as_service(service) as connection:
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE alembic_version SET version_num = '9999'")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET actor = 'nobody'",
        "DELETE FROM entries",
        "TRUNCATE entries",
        "ALTER TABLE entries DISABLE TRIGGER ALL",
        "DROP TABLE entries",
        "UPDATE private SET part = 'changed'",
        "TRUNCATE private",
        "DELETE FROM erased",
        "UPDATE erased SET at = now()",
        "DELETE FROM holds",
        "DELETE FROM head",
        "INSERT INTO head (size) VALUES (0)",
        "DELETE FROM minutes",
    ],
)
async def test_audit_cannot_change_the_log(as_service: Connecting, statement: str) -> None:
    """The log's role has no right to change or remove an entry, its private part, or the log's size and index."""
    async with as_service("audit") as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit.entries SET actor = 'nobody'", "DELETE FROM audit.entries", "TRUNCATE audit.entries"]
)
async def test_owner_is_stopped_too(migrated_dsn: str, statement: str) -> None:
    """Whoever has every right is stopped by a trigger from changing an entry."""
    connection = await asyncpg.connect(migrated_dsn)
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never changed or removed"):
            await connection.execute(statement)
    finally:
        await connection.close()

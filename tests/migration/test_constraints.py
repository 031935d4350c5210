"""The tables themselves refuse rows that cannot be, whatever a service's code believes."""

import asyncpg
import pytest

from services.runtime.migrate import migrated_services
from tests.migration.conftest import Connecting
from tests.migration.rows import BAD, BAD_RUNTIME, GOOD, NEEDS, ODD, RUNTIME, SECOND, UNIQUE, Row

SERVICES = sorted(GOOD)
TABLES = [(service, table) for service in SERVICES for table in GOOD[service]]

OWN_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r'"


async def put(connection: asyncpg.Connection, table: str, row: Row) -> None:
    columns = ", ".join(f'"{name}"' for name in row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", *row.values())


async def put_needed(connection: asyncpg.Connection, service: str, table: str) -> None:
    """What the table's good row leans on."""
    if needed := NEEDS.get((service, table)):
        await put(connection, needed, GOOD[service][needed])


def named(value: object) -> str | None:
    if isinstance(value, dict):
        return ",".join(f"{name}={str(item)[:16]}" for name, item in value.items()) or "the same"
    return None


@pytest.mark.parametrize(("service", "table"), TABLES)
async def test_good_row(as_service: Connecting, service: str, table: str) -> None:
    """The row that the bad ones are made from is taken, from the service's own role."""
    async with as_service(service) as connection:
        await put_needed(connection, service, table)
        await put(connection, table, GOOD[service][table])


@pytest.mark.parametrize(("service", "table", "change"), ODD, ids=named)
async def test_odd_row(as_service: Connecting, service: str, table: str, change: Row) -> None:
    """A row that looks odd and can be is taken."""
    async with as_service(service) as connection:
        await put_needed(connection, service, table)
        await put(connection, table, GOOD[service][table] | change)


@pytest.mark.parametrize(("service", "table", "change", "state"), BAD, ids=named)
async def test_bad_row(as_service: Connecting, service: str, table: str, change: Row, state: str) -> None:
    """A row that cannot be is refused for its own reason."""
    async with as_service(service) as connection:
        await put_needed(connection, service, table)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
            await put(connection, table, GOOD[service][table] | change)
    assert refused.value.sqlstate == state


@pytest.mark.parametrize(("service", "table", "change", "both"), SECOND, ids=named)
async def test_second_row(as_service: Connecting, service: str, table: str, change: Row, *, both: bool) -> None:
    """Of what there may be one, a second is refused; of what there may be two, it is taken."""
    async with as_service(service) as connection:
        await put_needed(connection, service, table)
        await put(connection, table, GOOD[service][table])
        if both:
            await put(connection, table, GOOD[service][table] | change)
            return
        with pytest.raises(asyncpg.UniqueViolationError) as refused:
            await put(connection, table, GOOD[service][table] | change)
    assert refused.value.sqlstate == UNIQUE


async def test_one_lease_token_for_one_case(as_service: Connecting) -> None:
    """Two cases cannot be leased or decided with one token."""
    good = GOOD["review"]
    other = {"case_id": good["history"]["event_id"]}
    for table in ("leases", "decisions"):
        async with as_service("review") as connection:
            await put(connection, "cases", good["cases"])
            await put(connection, "cases", good["cases"] | other | {"content_id": "v_2"})
            await put(connection, table, good[table])
            with pytest.raises(asyncpg.UniqueViolationError):
                await put(connection, table, good[table] | other)


@pytest.mark.parametrize(("table", "change", "state"), BAD_RUNTIME, ids=named)
async def test_bad_runtime_row(as_service: Connecting, table: str, change: Row, state: str) -> None:
    """Every service's offsets, dead rows and outbox refuse what cannot be, and take the row it was made from."""
    for service in SERVICES:
        async with as_service(service) as connection:
            await put(connection, table, RUNTIME[table])
            with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
                await put(connection, table, RUNTIME[table] | {"topic": "cases.v1"} | change)
        assert refused.value.sqlstate == state


@pytest.mark.parametrize("service", SERVICES)
async def test_place_is_dead_once(as_service: Connecting, service: str) -> None:
    """A record's place has one dead row and a partition one offset."""
    for table in ("dead", "offsets"):
        async with as_service(service) as connection:
            await put(connection, table, RUNTIME[table])
            with pytest.raises(asyncpg.UniqueViolationError):
                await put(connection, table, RUNTIME[table])


async def test_log_has_one_head(as_service: Connecting, migrated_dsn: str) -> None:
    """There is one row that says how long the log is, it is never negative, and even the owner cannot add another."""
    async with as_service("audit") as connection:
        assert await connection.fetchval("SELECT count(*) FROM head") == 1
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only grows"):
            await connection.execute("UPDATE head SET size = -1")
    owner = await asyncpg.connect(migrated_dsn)
    try:
        for statement in ("INSERT INTO audit.head (size) VALUES (0)", "INSERT INTO audit.head VALUES (false, 0)"):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await owner.execute(statement)
    finally:
        await owner.close()


async def test_every_table_is_tried(migrated_dsn: str) -> None:
    """Every table of every service has a good row in this test, but the log's head, which holds its only one."""
    owner = await asyncpg.connect(migrated_dsn)
    try:
        for service in migrated_services():
            found = {row[0] for row in await owner.fetch(OWN_TABLES, service)}
            assert found - {"alembic_version", "head"} == {*GOOD[service], *RUNTIME}
    finally:
        await owner.close()


def test_every_table_has_bad_rows() -> None:
    """No table is without a row that it refuses."""
    tried = {(service, table) for service, table, *_ in (*BAD, *[row for row in SECOND if not row[3]])}
    assert set(TABLES) - tried == set()

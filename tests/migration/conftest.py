"""Databases of a test's own on the run's PostgreSQL, and connections to them as a service has."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from services.runtime.migrate import upgrade
from services.runtime.settings import Settings

Connecting = Callable[[str], AbstractAsyncContextManager[asyncpg.Connection]]


@asynccontextmanager
async def made_database(postgres_dsn: str) -> AsyncIterator[str]:
    """The address of an empty database that is there for as long as the block lasts."""
    name = f"migration_{uuid4().hex[:12]}"
    server = await asyncpg.connect(postgres_dsn)
    try:
        await server.execute(f"CREATE DATABASE {name}")
        yield f"{postgres_dsn.rpartition('/')[0]}/{name}"
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await server.close()


@pytest.fixture
async def fresh_dsn(postgres_dsn: str) -> AsyncIterator[str]:
    """An empty database of this test's own."""
    async with made_database(postgres_dsn) as dsn:
        yield dsn


@pytest.fixture(scope="module")
async def migrated_dsn(postgres_dsn: str) -> AsyncIterator[str]:
    """A database of this module's own with all tables; tests leave no row in it."""
    async with made_database(postgres_dsn) as dsn:
        await upgrade(Settings.model_validate({"database": dsn}))
        yield dsn


@pytest.fixture
def as_service(migrated_dsn: str) -> Connecting:
    """Connections that have a service's role and see its schema, as its processes' have; nothing is committed."""

    @asynccontextmanager
    async def connected(service: str) -> AsyncIterator[asyncpg.Connection]:
        settings = {"role": f"jubao_{service}", "search_path": service}
        connection = await asyncpg.connect(migrated_dsn, server_settings=settings)
        transaction = connection.transaction()
        await transaction.start()
        try:
            yield connection
        finally:
            await transaction.rollback()
            await connection.close()

    return connected


@pytest.fixture
def at_the_first_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Upgrades stop at 0001 until this is undone."""
    steps = ScriptDirectory._upgrade_revs
    with monkeypatch.context() as patched:
        patched.setattr(ScriptDirectory, "_upgrade_revs", lambda self, _, at: steps(self, "0001", at))
        yield patched

"""Pooled connections whose server went away, with a word or without one: the next transaction does not meet them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Self
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from services.runtime import pooling
from services.runtime.bulk import fetch_rows
from services.runtime.database import Connection, Database
from services.runtime.identity import new_id
from services.runtime.settings import Settings

_POOL = 3


class Firewall:
    """What stands before PostgreSQL and forgets connections without a word: what is sent by them then is refused."""

    def __init__(self, dsn: str) -> None:
        self._to = urlsplit(dsn)
        self._known: set[asyncio.StreamWriter] = set()
        self._port = 0
        self.carried = 0
        self.silent = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._known:
            writer.transport.abort()

    def before(self, dsn: str) -> str:
        parts = urlsplit(dsn)
        account = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{account}@127.0.0.1:{self._port}").geturl()

    def forget(self) -> None:
        self._known.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.carried += 1
        far_reader, far_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._known.add(writer)

        async def answers() -> None:
            with contextlib.suppress(OSError):
                while chunk := await far_reader.read(65_536):
                    writer.write(chunk)
            writer.close()

        answering = asyncio.create_task(answers())
        with contextlib.suppress(OSError):
            while (chunk := await reader.read(65_536)) and writer in self._known:
                if not self.silent:
                    far_writer.write(chunk)
        writer.transport.abort()
        far_writer.transport.abort()
        await answering


@pytest.fixture
async def role(postgres_dsn: str) -> AsyncIterator[str]:
    name = f"p{new_id().hex[-12:]}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE ROLE jubao_{name}")
    yield name
    await connection.execute(f"DROP ROLE jubao_{name}")
    await connection.close()


def settings_of(dsn: str) -> Settings:
    return Settings(database=SecretStr(dsn), kafka="127.0.0.1:9", database_pool=_POOL)


async def process_id(connection: Connection) -> int:
    ((found,),) = await fetch_rows(connection, "SELECT pg_backend_pid()")
    return int(found)


async def at_once(database: Database, count: int) -> set[int]:
    """The servers of transactions that all run together."""
    together = asyncio.Barrier(count)

    async def work(connection: Connection) -> int:
        found = await process_id(connection)
        await together.wait()
        return found

    return set(await asyncio.gather(*(database.transact(work) for _ in range(count))))


async def test_connections_that_the_server_ended_are_not_handed_out(postgres_dsn: str, role: str) -> None:
    """After all servers of a pool are ended, as many transactions as it has connections run at their first try."""
    database = Database(settings_of(postgres_dsn), role)
    before = await at_once(database, _POOL)
    assert len(before) == _POOL
    connection = await asyncpg.connect(postgres_dsn)
    for process in before:
        assert await connection.fetchval("SELECT pg_terminate_backend($1, 5000)", process)
    await connection.close()
    after = await at_once(database, _POOL)
    assert len(after) == _POOL
    assert not before & after
    await database.close()


async def test_a_connection_that_was_forgotten_is_opened_anew(
    postgres_dsn: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that rested is asked before it is used, and made anew where nobody knows it any more."""
    monkeypatch.setattr(pooling, "_RESTED_SECONDS", 0.05)
    async with Firewall(postgres_dsn) as firewall:
        database = Database(settings_of(firewall.before(postgres_dsn)), role)
        before = await database.transact(process_id)
        await asyncio.sleep(0.1)
        assert await database.transact(process_id) == before
        firewall.forget()
        await asyncio.sleep(0.1)
        assert await database.transact(process_id) != before
        assert firewall.carried == 2
        await database.close()


async def test_a_connection_in_use_is_not_asked(postgres_dsn: str, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions that follow one another share a connection and ask it nothing between them."""
    asked: list[object] = []
    monkeypatch.setattr("sqlalchemy.dialects.postgresql.asyncpg.dialect.do_ping", lambda *of: asked.append(of))
    database = Database(settings_of(postgres_dsn), role)
    assert len({await database.transact(process_id) for _ in range(5)}) == 1
    assert not asked
    await database.close()


async def test_closing_does_not_wait_for_a_silent_server(postgres_dsn: str, role: str) -> None:
    """Connections whose server no longer says anything, not even goodbye, are given up after seconds."""
    async with Firewall(postgres_dsn) as firewall:
        database = Database(settings_of(firewall.before(postgres_dsn)), role)
        await database.transact(process_id)
        firewall.silent = True
        async with asyncio.timeout(30):
            await database.close()

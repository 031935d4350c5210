"""What tests of consumers share: a database of their own, workers for as long as a block lasts, waiting, looking."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.runtime.administration import create_topics
from services.runtime.migrate import upgrade
from services.runtime.process import Process, Unit
from services.runtime.settings import Settings

PATIENCE_SECONDS = 60


async def own_settings(prefix: str, postgres_dsn: str, kafka_address: str) -> Settings:
    """Settings with a new database, all tables in it, and the topics."""
    name = f"{prefix}_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    made = Settings.model_validate({"database": f"{postgres_dsn.rpartition('/')[0]}/{name}", "kafka": kafka_address})
    await upgrade(made)
    await create_topics(made)
    return made


@asynccontextmanager
async def running(settings: Settings, unit: Callable[[Process], Unit]) -> AsyncIterator[Process]:
    """A process whose workers run for as long as the block lasts."""
    process = Process(settings)
    workers = unit(process).workers
    for worker in workers:
        await worker.start()
    try:
        yield process
    finally:
        for worker in reversed(workers):
            await worker.stop()
        await process.close()


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await check():
            await asyncio.sleep(0.1)


async def rows_of(process: Process, service: str, statement: str, **values: Any) -> Sequence[Any]:
    async def work(connection: AsyncConnection) -> Sequence[Any]:
        return (await connection.execute(text(statement), values)).all()

    return await process.database(service).transact(work)

"""The broker and the database of a stage."""

import asyncio
import logging

import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.schema import CreateSchema

from bench.obvious.settings import Settings
from bench.obvious.tables import Base

REPORTS, TRIAGED, CASES = "reports.public.v1", "triage.public.v1", "cases.v1"


def make_broker(settings: Settings) -> KafkaBroker:
    """A broker that waits for every acknowledgement; two log lines a message would be its greatest cost."""
    return KafkaBroker(settings.kafka, acks="all", enable_idempotence=True, log_level=logging.DEBUG)


def make_engine(settings: Settings) -> AsyncEngine:
    """An engine over asyncpg."""
    return create_async_engine(make_url(settings.database).set(drivername="postgresql+asyncpg"))


def make_sessions(settings: Settings) -> async_sessionmaker[AsyncSession]:
    """Sessions whose objects can still be read after the commit."""
    return async_sessionmaker(make_engine(settings), expire_on_commit=False)


async def create_tables(settings: Settings) -> None:
    """Makes the schema and its tables."""
    engine = make_engine(settings)
    async with engine.begin() as connection:
        await connection.execute(CreateSchema("obvious", if_not_exists=True))
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


def run(broker: KafkaBroker) -> None:
    """Runs a stage until it is told to stop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(FastStream(broker).run(log_level=logging.WARNING))

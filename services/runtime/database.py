"""One service's way to PostgreSQL: its own role, its own schema, and a verdict on each error."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from enum import Enum
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.runtime.pooling import keep_alive
from services.runtime.problems import DatabaseAway
from services.runtime.secretfiles import secret
from services.runtime.settings import Settings

ResultT = TypeVar("ResultT")

# What a transaction is handed on as, and what goes wrong in it: services name both without the library behind.
Connection = AsyncConnection
DatabaseError = SQLAlchemyError

_MOST_TRIES = 8
_FIRST_PAUSE_SECONDS = 0.01
_CONNECT_SECONDS = 3
_CLOSE_SECONDS = 5
# A statement that takes longer than this is stuck: the longest honest one, a batch of 10,000 records, takes seconds.
_STATEMENT_MILLISECONDS = 60_000

# A harmless question that shows whether the database answers.
PING = text("SELECT 1")


def address(settings: Settings) -> URL:
    """Where the database is and as whom to log in, with the password from its file where one is named.

    Raises:
        SecretUnusable: the file cannot be read.
    """
    url = make_url(settings.database.get_secret_value()).set(drivername="postgresql+asyncpg")
    if settings.database_password_file is None:
        return url
    return url.set(password=secret(settings, "database_password_file"))


class Fault(Enum):
    """Who must react to a database error."""

    REPEAT = "repeat"  # deadlock or serialization: the same work again
    AWAY = "away"  # connection, resources, shutdown: wait until it is back
    REFUSED = "refused"  # data or integrity: this input, nothing else
    BROKEN = "broken"  # anything else: a defect of ours


_REPEATED = frozenset({"40P01", "40001", "55P03"})


def sqlstate(error: BaseException) -> str:
    """The five-character SQLSTATE of an error, empty where it has none."""
    origin = getattr(error, "orig", None) or error
    state = getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)
    return state if isinstance(state, str) else ""


def constraint_of(error: BaseException) -> str:
    """The name of the constraint that refused a row, empty where there is none."""
    cause: BaseException | None = getattr(error, "orig", None) or error
    while cause is not None:
        name = getattr(cause, "constraint_name", None)
        if isinstance(name, str):
            return name
        cause = cause.__cause__
    return ""


def fault_of(error: BaseException) -> Fault:
    """Sorts an error by who must react; classes of SQLSTATE from PostgreSQL's appendix A."""
    state = sqlstate(error)
    if state in _REPEATED:
        return Fault.REPEAT
    if state[:2] in {"22", "23"}:
        return Fault.REFUSED
    if state[:2] in {"08", "53", "57"}:
        return Fault.AWAY
    if isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error, InterfaceError)):
        return Fault.AWAY
    if isinstance(error, (PoolTimeout, OSError, TimeoutError)):
        return Fault.AWAY
    return Fault.BROKEN


class Database:
    """Connections of one service: they log in as the DSN says, take the service's role and see its schema alone.

    Args:
        settings: whose `database` is the address and `database_pool` the most connections.
        service: the schema's name; the role is `jubao_<service>`.
    """

    def __init__(self, settings: Settings, service: str) -> None:
        self.service = service
        self._patience_seconds = settings.answer_timeout_seconds
        self._given_up: set[asyncio.Task[Any]] = set()
        self._engine: AsyncEngine = create_async_engine(
            address(settings),
            pool_size=settings.database_pool,
            max_overflow=0,
            pool_timeout=settings.answer_timeout_seconds,
            # An error is logged with its statement, never with the values that were bound to it.
            hide_parameters=True,
            connect_args={
                "timeout": _CONNECT_SECONDS,
                "server_settings": {
                    "role": f"jubao_{service}",
                    "search_path": service,
                    "application_name": f"jubao-{service}",
                    "statement_timeout": str(_STATEMENT_MILLISECONDS),
                    "idle_in_transaction_session_timeout": str(_STATEMENT_MILLISECONDS),
                    "jit": "off",
                },
            },
        )
        keep_alive(self._engine)
        self._apart = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._snapshot = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back when it raises. Errors pass as they are."""
        async with self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that only reads, and sees the database as its first statement did.

        For what compares tables with one another that somebody else writes to meanwhile.
        """
        async with self._snapshot.begin() as connection:
            yield connection

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncConnection]:
        """One connection for as long as the block lasts, for what belongs to a session, such as an advisory lock.

        The session ends with the block: a connection that went back to the pool would keep its locks.
        """
        async with self._engine.connect() as connection:
            try:
                yield connection
            finally:
                await connection.invalidate()

    async def transact(self, work: Callable[[AsyncConnection], Awaitable[ResultT]]) -> ResultT:
        """Runs `work` in a transaction; repeats it whole after a deadlock, so `work` may run more than once.

        Raises:
            DatabaseAway: the database did not answer within the time a caller is kept waiting.
        """
        return await self._in_time(self._repeated(self._engine, work))

    async def apart(self, work: Callable[[AsyncConnection], Awaitable[ResultT]]) -> ResultT:
        """Runs `work` like `transact`, but each statement is a transaction of its own.

        For what is asked often and needs no more: to read what never changes, and then to write with one statement.
        Beginning and ending a transaction are two round trips, and that much is half of such a call.
        """
        return await self._in_time(self._repeated(self._apart, work))

    async def answers(self) -> bool:
        """Whether the database answers a question now."""
        try:
            await self._in_time(self._ping())
        except (DatabaseAway, SQLAlchemyError):
            return False
        return True

    async def _repeated(self, engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[ResultT]]) -> ResultT:
        for attempt in range(_MOST_TRIES):
            try:
                async with engine.begin() as connection:
                    return await work(connection)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                fault = fault_of(error)
                if fault is Fault.AWAY:
                    raise DatabaseAway from error
                if fault is not Fault.REPEAT or attempt == _MOST_TRIES - 1:
                    raise
                await asyncio.sleep(pause_seconds(attempt, _FIRST_PAUSE_SECONDS, 1.0))
        raise AssertionError  # pragma: no cover -- the last attempt returns or raises

    async def _ping(self) -> None:
        try:
            async with self._engine.connect() as connection:
                await connection.execute(PING)
        except (OSError, TimeoutError) as error:
            raise DatabaseAway from error

    async def _in_time(self, doing: Coroutine[Any, Any, ResultT]) -> ResultT:
        """What is done, or DatabaseAway when the time is over.

        A connection whose server is silent takes seconds to give up; that happens behind the caller's back.
        """
        task = asyncio.ensure_future(doing)
        try:
            done, _ = await asyncio.wait({task}, timeout=self._patience_seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            self._given_up.add(task)
            task.add_done_callback(self._forget)
            raise DatabaseAway
        return task.result()

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._given_up.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as seen: the caller was told that the database is away

    async def close(self) -> None:
        """Gives all connections back; those whose server does not answer are given up after seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._engine.dispose()


def pause_seconds(attempt: int, first_seconds: float, most_seconds: float) -> float:
    """Exponential backoff with jitter: half to the whole of `first * 2**attempt`, never above `most`."""
    longest: float = min(most_seconds, first_seconds * 2.0 ** min(attempt, 30))
    return random.uniform(0.5, 1.0) * longest  # noqa: S311 -- jitter, not a secret

"""The turn to write the log: a lock of the database's that one session has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.runtime.database import PING, Database
from services.runtime.problems import DatabaseAway

# One writer of the log at a time; the lock goes with the session.
TAKE_TURN: Final = text("SELECT pg_try_advisory_lock(hashtext('jubao.audit.writer'))")


class Turn:
    """The turn to write the log, which the connection has until it ends."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def take(self) -> bool:
        """Whether the turn is ours now; false while another process has it."""
        async with self._connection.begin():
            return bool(await self._connection.scalar(TAKE_TURN))

    async def confirm(self) -> None:
        """Raises when the connection, and the turn with it, is lost."""
        async with self._connection.begin():
            await self._connection.execute(PING)


@asynccontextmanager
async def turn_to_write(database: Database) -> AsyncIterator[Turn]:
    """A connection that can take the turn, and gives it away at the end of the block.

    Raises:
        DatabaseAway: it cannot be reached, or the connection was lost.
    """
    try:
        async with database.session() as connection:
            try:
                yield Turn(connection)
            finally:
                # The pool would keep the session, and the lock with it.
                await connection.invalidate()
    except (SQLAlchemyError, TimeoutError) as error:
        raise DatabaseAway from error

"""Rows by the page, past SQLAlchemy: COPY into tables that take a row for every record, and plain reading."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from asyncpg import DataError, InterfaceError, PostgresError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

# SQLAlchemy begins a transaction with its first statement; a COPY before that would commit by itself.
BEGIN = text("SELECT 1")

# How SQLAlchemy names a connection whose every statement is a transaction of its own.
_LEVEL, _APART = "isolation_level", "AUTOCOMMIT"


class Unwritable(Exception):
    """A value that its column's type cannot hold, found before it was sent: SQLSTATE class 22, as a server says it."""

    sqlstate = "22000"


async def copy_rows(
    connection: AsyncConnection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Adds rows to a table in the transaction in hand, for about half of what INSERT costs the server and the client.

    Args:
        connection: in its transaction; its search path finds the table.
        table: a name of ours, never from outside.
        columns: those that each row gives, in this order.
        rows: their values, as the driver takes them.

    Raises:
        DBAPIError: a row is refused, as INSERT would; there is no ON CONFLICT, so the transaction is then lost.
    """
    driver = await _begun(connection)
    with _told_as_sqlalchemy(driver, f"COPY {table}"):
        await driver.copy_records_to_table(table, columns=columns, records=rows)


async def write_rows(connection: AsyncConnection, statement: str, *values: object) -> None:
    """Runs a statement that writes, with values for `$1` and so on, in the transaction in hand if there are any.

    Raises:
        DBAPIError: as any statement would.
    """
    apart = connection.sync_connection is not None and connection.sync_connection.get_execution_options().get(_LEVEL)
    driver = await (_driver(connection) if apart == _APART else _begun(connection))
    with _told_as_sqlalchemy(driver, statement):
        await driver.fetch(statement, *values)


async def fetch_rows(connection: AsyncConnection, statement: str, *values: object) -> list[Any]:
    """The rows of a statement with values for `$1` and so on; outside a transaction it is one of its own.

    Raises:
        DBAPIError: as any statement would.
    """
    driver = await _driver(connection)
    with _told_as_sqlalchemy(driver, statement):
        found: list[Any] = await driver.fetch(statement, *values)
    return found


async def _begun(connection: AsyncConnection) -> Any:  # noqa: ANN401 -- asyncpg has no types
    driver = await _driver(connection)
    if not driver.is_in_transaction():
        await connection.execute(BEGIN)
    return driver


async def _driver(connection: AsyncConnection) -> Any:  # noqa: ANN401 -- asyncpg has no types
    return (await connection.get_raw_connection()).driver_connection


@contextmanager
def _told_as_sqlalchemy(driver: Any, statement: str) -> Iterator[None]:  # noqa: ANN401 -- asyncpg has no types
    """The driver's errors under the names that every caller sorts them by, without the values that were bound."""
    try:
        yield
    except DataError as error:
        raise DBAPIError(statement, None, Unwritable(str(error)), hide_parameters=True) from None
    except (PostgresError, InterfaceError) as error:
        lost = driver.is_closed()
        raise DBAPIError(statement, None, error, hide_parameters=True, connection_invalidated=lost) from error

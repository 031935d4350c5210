"""Whether a pooled connection still leads to its server, found out without asking the server each time.

SQLAlchemy's own answer (`pool_pre_ping`) is a transaction of three round trips before every one of ours, which was a
third of what a short request waited for. A server that goes away says so: the driver has seen the end of the
connection before anyone wants it again. Only what ends in silence, by a firewall that forgets idle connections, is
found by asking, and so what has rested is asked.
"""

from time import monotonic
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine

# Firewalls forget after minutes; under load no connection rests for as long as this.
_RESTED_SECONDS: Final = 5.0
_SINCE: Final = "rests_since"


def keep_alive(engine: AsyncEngine) -> None:
    """Has the pool of an asyncpg engine open a connection anew, and forget the others, where one was lost."""
    dialect = engine.sync_engine.dialect

    @event.listens_for(engine.sync_engine, "checkin")
    def rests(_: object, record: Any) -> None:  # noqa: ANN401 -- a record of the pool
        record.info[_SINCE] = monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def is_wanted(connection: Any, record: Any, _: object) -> None:  # noqa: ANN401 -- asyncpg's, in SQLAlchemy's adapter
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError
        since = record.info.pop(_SINCE, None)
        if since is not None and monotonic() - since > _RESTED_SECONDS:
            try:
                dialect.do_ping(connection)
            except (dialect.loaded_dbapi.Error, OSError) as error:
                raise InvalidatePoolError from error

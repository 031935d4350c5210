"""The figures behind the overload alarm, and its memory of when it was last raised."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.review.overload import Load
from services.review.store.changes import keep_to_indexes
from services.runtime.outbox import Message, enqueue

# What came and what was decided below P0 in the last hour, and the earliest due time that waits there.
LOAD = text("""
SELECT statement_timestamp() AS at,
    count(*) FILTER (WHERE change = 'opened' AND class > 0) - count(*) FILTER (WHERE change = 'lifted' AND class = 0),
    count(*) FILTER (WHERE change = 'decided' AND class > 0),
    (SELECT min(first.due_at) FROM (SELECT DISTINCT queue FROM heads) AS q CROSS JOIN LATERAL (
        SELECT due_at FROM ready WHERE queue = q.queue AND class > 0 ORDER BY due_at, case_id LIMIT 1) AS first)
FROM history WHERE at > statement_timestamp() - interval '1 hour'
""")

# Takes the right to raise an alarm: one process gets it, once an hour.
TAKE = text("""
INSERT INTO alarms (code, raised_at) VALUES (:code, :at)
ON CONFLICT (code) DO UPDATE SET raised_at = excluded.raised_at
WHERE alarms.raised_at <= excluded.raised_at - interval '1 hour'
""")


async def load(connection: AsyncConnection) -> Load:
    """The last hour below P0."""
    await keep_to_indexes(connection)
    return Load(*(await connection.execute(LOAD)).one())


async def raise_once(connection: AsyncConnection, code: str, at: datetime, message: Message) -> bool:
    """Publishes an alarm unless it was raised within the hour; whether it did."""
    result = await connection.execute(TAKE, {"code": code, "at": at})
    if result.rowcount == 0:
        return False
    await enqueue(connection, [message])
    return True

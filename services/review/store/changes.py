"""What every change of a case writes: its row of history, its event, and its place in the ready queue.

One lock order holds everywhere: offsets, cases by content id, ready, heads, leases. Whoever calls anything here holds
the lock of the case's row.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.case import CaseChange
from services.review.events import Change, case_message
from services.runtime.bulk import copy_rows
from services.runtime.database import sqlstate
from services.runtime.outbox import enqueue

# Tables are small at one moment and large at the next, and a plan that was kept from the small moment would read the
# large table whole; so every transaction's plans are made as if that always were dear.
INDEXED = text("SET LOCAL enable_seqscan = off")

# The database's clock, read after the locks were had: now() would be the transaction's start.
CLOCK = text("SELECT clock_timestamp()")

# Puts cases into the ready queue, or moves them in it, as their rows say.
PUT_READY = text("""
INSERT INTO ready (case_id, queue, class, target_seconds, rank_from, due_at, received_at)
SELECT case_id, queue, class, target_seconds, rank_from, due_at,
       least(first_at[1], first_at[2], first_at[3], first_at[4], first_at[5])
FROM cases WHERE case_id = ANY(CAST(:case_ids AS uuid[])) AND state = 'queued'
ON CONFLICT (case_id) DO UPDATE SET
    queue = excluded.queue, class = excluded.class, target_seconds = excluded.target_seconds,
    rank_from = excluded.rank_from, due_at = excluded.due_at, received_at = excluded.received_at
""")

# Makes sure that a claim finds the heads; sorted, so that two batches cannot wait for each other.
PUT_HEADS = text("""
INSERT INTO heads (queue, class, target_seconds)
SELECT * FROM unnest(CAST(:queue AS text[]), CAST(:class AS smallint[]), CAST(:target_seconds AS integer[]))
    AS h (queue, class, target_seconds)
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
""")

_HISTORY = (
    "case_id", "version", "at", "actor", "change", "from_state", "to_state", "class", "queue", "why", "fence",
    "expires_at", "report_id", "event_id",
)  # fmt: skip

# A plain join or an answer to a late report changes nothing that its case's history tells; it is an event only.
_UNIQUE_VIOLATION = "23505"

_WITHOUT_HISTORY = frozenset({CaseChange.JOINED, CaseChange.ATTACHED})


class Overtaken(Exception):
    """Another lane wrote the same report or item between our look and our writing; the next look will see it."""

    sqlstate = "40001"


@contextmanager
def overtaken() -> Iterator[None]:
    """Has the whole batch done again when a row is there already: it was not when the batch looked for it."""
    try:
        yield
    except DBAPIError as error:
        if sqlstate(error) != _UNIQUE_VIOLATION:
            raise
        raise DBAPIError("", None, Overtaken(), hide_parameters=True) from error


async def keep_to_indexes(connection: AsyncConnection) -> None:
    """Begins a transaction of review's."""
    await connection.execute(INDEXED)


async def clock(connection: AsyncConnection) -> datetime:
    """The database's clock at this moment."""
    at: datetime = (await connection.execute(CLOCK)).scalar_one()
    return at


async def record(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Writes the history and the events of changes, in the order given."""
    await add_history(connection, changes)
    # The decision itself is on decisions.v1.
    await enqueue(connection, [case_message(change) for change in changes if change.change is not CaseChange.DECIDED])


async def add_history(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Writes rows of history for changes of state, class or lease."""
    rows = [_row(change) for change in changes if change.change not in _WITHOUT_HISTORY]
    if rows:
        await copy_rows(connection, "history", _HISTORY, rows)


def _row(change: Change) -> tuple[object, ...]:
    return (
        change.case_id,
        change.version,
        change.at,
        change.actor,
        change.change,
        change.from_state,
        change.to_state,
        change.priority,
        change.queue,
        change.why,
        change.fence,
        change.expires_at,
        change.report_id,
        change.event_id,
    )


async def put_ready(connection: AsyncConnection, case_ids: Sequence[UUID]) -> None:
    """Puts those of the cases that are queued where their rank says."""
    if case_ids:
        await connection.execute(PUT_READY, {"case_ids": list(case_ids)})


async def put_heads(connection: AsyncConnection, heads: Iterable[tuple[str, int, int]]) -> None:
    """Remembers which (queue, class, target seconds) there are."""
    known = sorted(set(heads))
    if known:
        queues, classes, targets = zip(*known, strict=True)
        await connection.execute(
            PUT_HEADS, {"queue": list(queues), "class": list(classes), "target_seconds": list(targets)}
        )

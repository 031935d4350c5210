"""Erasures, as review carries them out: nothing more is let in of the reports, then what is kept of them goes."""

import asyncio
from collections.abc import Sequence
from typing import Final

from schemas.envelope import CONTENT_TYPE
from schemas.erasure import ErasureOrdered, answer_to
from schemas.topics import ERASURES, Topic
from services.review.store import erasing
from services.runtime.batch import Item, Record, Refused, Rejection, decode_event
from services.runtime.clock import Clock
from services.runtime.database import Connection, Database
from services.runtime.outbox import Message, enqueue, event_bytes
from services.runtime.problems import DatabaseAway

_SERVICE: Final = "review"
_HEADERS: Final = (("content-type", CONTENT_TYPE.encode()),)
_LOOK_SECONDS: Final = 0.02
_PATIENCE_SECONDS: Final = 30.0


class Erasures:
    """The stage that erases, and answers each order with a count.

    Args:
        database: review's, for what must be committed before a batch is written.
        clock: for the time of its answers.
    """

    group = "review.erasures"
    topics: tuple[Topic, ...] = (ERASURES,)
    wait_milliseconds = 200

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def decode(self, record: Record) -> ErasureOrdered | None:
        """The order of a record; None for what else is on the topic, and for what its keeper makes a dead letter of."""
        try:
            return decode_event(record, ErasureOrdered, ERASURES)
        except Refused:
            return None

    async def prepare(self, items: Sequence[Item[ErasureOrdered | None]]) -> None:
        """Lets nothing more in of the reports, and waits for what was being let in.

        Reports are taken in by others at the same time, who look once at what is erased. Neither lane stands still for
        it: whoever began after this was committed knows, and the rest has ended when this returns.
        """
        orders = _orders(items)
        if not orders:
            return

        async def remember(connection: Connection) -> None:
            for ordered in orders:
                await erasing.remember(connection, ordered.data.erasure_id, ordered.data.reports)

        await self._database.transact(remember)
        begun = await self._database.transact(erasing.next_transaction)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while await self._database.transact(erasing.oldest_transaction) < begun:  # noqa: ASYNC110 -- it polls
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError as late:
            raise DatabaseAway from late

    async def write(self, connection: Connection, items: Sequence[Item[ErasureOrdered | None]]) -> Sequence[Rejection]:
        """Erases, and answers in the same transaction."""
        for ordered in _orders(items):
            count = await erasing.erase(connection, ordered.data.reports)
            done = answer_to(ordered, _SERVICE, count, self._clock.now())
            key = str(ordered.data.erasure_id).encode()
            message = Message(ERASURES.name, key, event_bytes(done), done.id, ordered.id, _HEADERS)
            await enqueue(connection, [message])
        return ()


def _orders(items: Sequence[Item[ErasureOrdered | None]]) -> list[ErasureOrdered]:
    return [item.value for item in items if item.value is not None]

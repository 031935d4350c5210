"""Erasures, as intake carries them out: it kept no text, but digests that would confirm a guess."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from schemas.envelope import CONTENT_TYPE
from schemas.erasure import ErasureOrdered, answer_to
from schemas.topics import ERASURES, Topic
from services.intake import store
from services.runtime.background import Background
from services.runtime.batch import BatchConsumer, Item, Record, Refused, Rejection, decode_event
from services.runtime.broker import Subscription
from services.runtime.clock import Clock
from services.runtime.database import Connection, pause_seconds
from services.runtime.health import Health
from services.runtime.outbox import Message, enqueue, event_bytes
from services.runtime.problems import Unavailable
from services.runtime.process import Process

_SERVICE: Final = "intake"
_HEADERS: Final = (("content-type", CONTENT_TYPE.encode()),)
_MOST_PAUSE_SECONDS: Final = 5.0


class Erasures:
    """The stage that erases, and answers each order with a count.

    Args:
        clock: for the time of its answers.
    """

    group = "intake.erasures"
    topics: tuple[Topic, ...] = (ERASURES,)
    wait_milliseconds = 200

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def decode(self, record: Record) -> ErasureOrdered | None:
        """The order of a record; None for what else is on the topic, and for what its keeper makes a dead letter of."""
        try:
            return decode_event(record, ErasureOrdered, ERASURES)
        except Refused:
            return None

    async def prepare(self, items: Sequence[Item[ErasureOrdered | None]]) -> None:
        """Nothing needs the network."""

    async def write(self, connection: Connection, items: Sequence[Item[ErasureOrdered | None]]) -> Sequence[Rejection]:
        """Erases, and answers in the same transaction."""
        for item in items:
            if item.value is None:
                continue
            ordered = item.value
            count = await store.erase(connection, ordered.data.reports)
            done = answer_to(ordered, _SERVICE, count, self._clock.now())
            key = str(ordered.data.erasure_id).encode()
            message = Message(ERASURES.name, key, event_bytes(done), done.id, ordered.id, _HEADERS)
            await enqueue(connection, [message])
        return ()


class Eraser(Background):
    """Runs the stage beside the HTTP app. A broker that is away keeps erasures waiting and nothing else."""

    def __init__(self, process: Process) -> None:
        super().__init__("intake.eraser")
        database = process.database(_SERVICE)
        self._consumer = BatchConsumer(process.settings, database, Erasures(process.clock))

    def health(self) -> Health:
        """Healthy while it runs: reports are to be taken whether or not erasures are read."""
        trouble = self._stopped_for()
        return Health(healthy=not trouble, detail=trouble or self._consumer.health().detail)

    def subscriptions(self) -> Sequence[Subscription]:
        """What it reads by."""
        return self._consumer.subscriptions()

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                await self._consumer.start()
            except (Unavailable, OSError):
                await asyncio.sleep(pause_seconds(attempt, 0.2, _MOST_PAUSE_SECONDS))
                attempt += 1
            else:
                break
        try:
            await asyncio.Event().wait()
        finally:
            # Within the stop of this worker: the batch in hand is finished.
            with suppress(Unavailable):
                await asyncio.shield(self._consumer.stop())

"""Every record of every topic becomes an entry: one consumer, one writer, whatever is delivered twice."""

import os
from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.topics import Topic
from services.audit.leaf import SALT_BYTES, Leaf
from services.audit.reading import LOGGED, Reader
from services.audit.standing import Standing
from services.audit.store import entries
from services.runtime.batch import Item, Record, Rejection
from services.runtime.database import Connection, DatabaseError, constraint_of

_KEPT_DEAD: Final = frozenset(topic.name for topic in LOGGED if topic.keeper == "audit")
_ORDER: Final = {topic.name: place for place, topic in enumerate(LOGGED)}
_SALTS_AT_ONCE: Final = 512


class Entry(NamedTuple):
    """A record's leaf; `unreadable` says why it is no event of its topic, where it is not."""

    leaf: Leaf
    unreadable: str | None


class Salts:
    """Random salts, each given out once; the system is asked for many at a time."""

    def __init__(self) -> None:
        self._fresh: list[bytes] = []

    def next(self) -> bytes:
        """32 bytes that nobody can know."""
        if not self._fresh:
            drawn = os.urandom(SALT_BYTES * _SALTS_AT_ONCE)
            self._fresh = [drawn[at : at + SALT_BYTES] for at in range(0, len(drawn), SALT_BYTES)]
        return self._fresh.pop()


class Log:
    """The stage that appends to the log. No record dies here alone: what cannot be read is logged as unreadable.

    Of the topics that nobody else keeps, an unreadable record dies as well, so that it can be looked at and put back.

    Args:
        standing: judges the log whenever it is not as this stage left it.
    """

    group = "audit"
    topics: tuple[Topic, ...] = LOGGED
    wait_milliseconds = 200

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._readers = {topic.name: Reader(topic) for topic in LOGGED}
        self._salts = Salts()
        self._grown: entries.Grown | None = None

    def decode(self, record: Record) -> Entry:
        """The record's leaf, under a new salt; it never refuses."""
        return Entry(*self._readers[record.topic].leaf_or_unreadable(record, record.value, self._salts.next()))

    async def prepare(self, items: Sequence[Item[Entry]]) -> None:
        """Nothing needs the network."""

    async def write(self, connection: Connection, items: Sequence[Item[Entry]]) -> Sequence[Rejection]:
        """Appends in the order in which the broker took the records; of one moment, causes' topics come first."""
        ordered = sorted(
            items,
            key=lambda item: (item.record.at, _ORDER[item.record.topic], item.record.partition, item.record.offset),
        )
        try:
            self._grown = await entries.append(
                connection, [item.value.leaf for item in ordered], await self._at(connection)
            )
        except DatabaseError as error:
            # No record is at fault here, so none may die of it.
            if (constraint := constraint_of(error)) in entries.PLACES:
                raise self._standing.occupied(constraint) from error
            raise
        self._standing.wrote(self._grown.head)
        return [
            Rejection(item.record, item.value.unreadable)
            for item in items
            if item.value.unreadable is not None and item.record.topic in _KEPT_DEAD
        ]

    async def _at(self, connection: Connection) -> entries.Grown:
        """Where the log stands, held. What was remembered counts only if the head says the same.

        It does not after an append whose transaction was rolled back, nor where somebody else has touched the log.
        """
        head = await entries.hold(connection)
        if self._grown is None or self._grown.head != head:
            self._grown = await self._standing.examined(connection, head)
        return self._grown

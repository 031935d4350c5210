"""Every record of every topic becomes an entry: one consumer, one writer, whatever is delivered twice."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.topics import TOPICS, Topic
from services.audit import store
from services.audit.leaf import SALT_BYTES, Leaf
from services.audit.reading import Reader
from services.runtime.batch import Item, Record, Rejection
from services.runtime.database import Connection

_KEPT_DEAD: Final = frozenset(topic.name for topic in TOPICS if topic.keeper == "audit")
_ORDER: Final = {topic.name: place for place, topic in enumerate(TOPICS)}


@dataclass(frozen=True, slots=True)
class Entry:
    """A record's leaf; `unreadable` says why it is no event of its topic, where it is not."""

    leaf: Leaf
    unreadable: str | None


class Log:
    """The stage that appends to the log. No record dies here alone: what cannot be read is logged as unreadable.

    Of the topics that nobody else keeps, an unreadable record dies as well, so that it can be looked at and put back.
    """

    group = "audit"
    topics: tuple[Topic, ...] = TOPICS
    wait_milliseconds = 200

    def __init__(self) -> None:
        self._readers = {topic.name: Reader(topic) for topic in TOPICS}

    def decode(self, record: Record) -> Entry:
        """The record's leaf, under a new salt; it never refuses."""
        reader = self._readers[record.topic]
        return Entry(*reader.leaf_or_unreadable(record, record.value, os.urandom(SALT_BYTES)))

    async def prepare(self, items: Sequence[Item[Entry]]) -> None:
        """Nothing needs the network."""

    async def write(self, connection: Connection, items: Sequence[Item[Entry]]) -> Sequence[Rejection]:
        """Appends in the order in which the broker took the records; of one moment, causes' topics come first."""
        ordered = sorted(
            items,
            key=lambda item: (item.record.at, _ORDER[item.record.topic], item.record.partition, item.record.offset),
        )
        await store.append(connection, [item.value.leaf for item in ordered])
        return [
            Rejection(item.record, item.value.unreadable)
            for item in items
            if item.value.unreadable is not None and item.record.topic in _KEPT_DEAD
        ]

"""What is read from Kafka and what is sent to it, as plain values.

Named tuples rather than data classes: a batch makes thousands of them, and a frozen data class with seven fields takes
five times as long to make.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Record(NamedTuple):
    """One raw Kafka record; `at` is the broker's append time in UTC, since every topic is set to keep that."""

    topic: str
    partition: int
    offset: int
    at: datetime
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def place(self) -> Place:
        """The partition it was read from."""
        return Place(self.topic, self.partition)

    def header(self, name: str) -> bytes | None:
        """The first header of that name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Message(NamedTuple):
    """A record to send. `event_id` and `cause_id` let the relay keep causes before effects."""

    topic: str
    key: bytes | None
    value: bytes
    event_id: UUID
    cause_id: UUID | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None

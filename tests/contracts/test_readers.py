"""The services that read a topic read the stored examples of its events."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.registry import EVENTS, STRICTER, model_on
from schemas.topics import TOPICS, Topic
from services.audit.reading import LOGGED, Reader
from services.runtime.batch import Record, Refused, decode_event

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"


def examples_on(topic: Topic, event: str) -> list[Path]:
    """The examples that may be on a topic: on the flagged lane's only what is flagged."""
    stem, _, version = event.rpartition(".")
    found = sorted((EXAMPLES / stem / version).glob("*.json"))
    return [path for path in found if (topic.name, event) not in STRICTER or path.name.startswith("flagged")]


RECORDS = [
    pytest.param(topic, event, path, id=f"{topic.name} {path.parts[-3]} {path.stem}")
    for topic in TOPICS
    for event in topic.events
    for path in examples_on(topic, event)
]


def record_of(topic: Topic, value: bytes) -> Record:
    return Record(topic.name, 0, 0, datetime(2026, 11, 23, 8, 0, 1, tzinfo=UTC), b"key", value, ())


# The checkpoints that vouch for the log are no entries of it.
LOGGED_RECORDS = [record for record in RECORDS if record.values[0] in LOGGED]


@pytest.mark.parametrize(("topic", "event", "path"), RECORDS)
def test_consumer_decodes(topic: Topic, event: str, path: Path) -> None:
    """What every consumer decodes records by takes the example as its topic's event."""
    decoded = decode_event(record_of(topic, path.read_bytes()), model_on(topic, event), topic)
    assert decoded.type == event


@pytest.mark.parametrize(("topic", "event", "path"), LOGGED_RECORDS)
def test_audit_logs(topic: Topic, event: str, path: Path) -> None:
    """Audit makes an entry of the example's own type of it, and finds nothing unreadable."""
    record = record_of(topic, path.read_bytes())
    leaf, unreadable = Reader(topic).leaf_or_unreadable(record, record.value, os.urandom(32))
    assert unreadable is None
    assert leaf.type == event


@pytest.mark.parametrize("topic", LOGGED, ids=lambda topic: topic.name)
def test_foreign_event_is_refused(topic: Topic) -> None:
    """An event of another topic is refused by the topic's models, and unreadable to audit."""
    for foreign in set(EVENTS) - set(topic.events):
        value = examples_of(foreign)
        for event in topic.events:
            with pytest.raises(Refused, match="type"):
                decode_event(record_of(topic, value), model_on(topic, event), topic)
        _, unreadable = Reader(topic).leaf_or_unreadable(record_of(topic, value), value, os.urandom(32))
        assert unreadable is not None


def examples_of(event: str) -> bytes:
    stem, _, version = event.rpartition(".")
    return (EXAMPLES / stem / version / "full.json").read_bytes()

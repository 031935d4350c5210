"""The table of topics agrees with itself and with the contract that producers outside hold."""

from collections import Counter

import pytest

from schemas.report import MAX_VALUE_BYTES
from schemas.topics import CHECKPOINTS, DEAD_EXTRA_BYTES, TOPICS, Topic, dead_topics, topic_named

SERVICES = {"intake", "triage", "review", "outcomes", "audit"}
MIB = 1024 * 1024

each_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def test_names_are_unique() -> None:
    """No two topics, dead-letter topics included, have one name."""
    counted = Counter(topic.name for topic in (*TOPICS, *dead_topics()))
    assert [name for name, count in counted.items() if count > 1] == []


def test_topics_are_those_of_the_contract() -> None:
    """The topics are the ones that this issue's services speak by."""
    assert {topic.name for topic in TOPICS} == {
        "reports.public.v1", "reports.flagged.v1", "triage.public.v1", "triage.flagged.v1", "cases.v1",
        "decisions.v1", "outcomes.v1", "activity.v1", "sources.v1", "erasures.v1", "checkpoints.v1",
    }  # fmt: skip


kept_topics = pytest.mark.parametrize(
    "topic", [topic for topic in TOPICS if topic is not CHECKPOINTS], ids=lambda topic: topic.name
)


def test_checkpoints_are_apart() -> None:
    """What vouches for the log is no entry of it, has no dead letters, and is kept for ever, every record."""
    assert "audit" not in CHECKPOINTS.consumers
    assert CHECKPOINTS.producers == ("audit",)
    assert CHECKPOINTS.read_back
    assert (CHECKPOINTS.keeper, CHECKPOINTS.dead, CHECKPOINTS.retention) == (None, None, None)
    assert not CHECKPOINTS.compacted


@kept_topics
def test_keeper_reads_its_topic(topic: Topic) -> None:
    """Whoever keeps a topic's dead letters is one of its consumers and a service."""
    assert topic.keeper in topic.consumers
    assert topic.keeper in SERVICES


@kept_topics
def test_audit_reads_every_topic(topic: Topic) -> None:
    """Audit consumes every topic but its own checkpoints."""
    assert "audit" in topic.consumers


@each_topic
def test_topic_is_possible(topic: Topic) -> None:
    """A topic has producers, events, a key and partitions, and a value fits its record with room for headers."""
    assert topic.producers
    assert topic.events
    assert len(set(topic.events)) == len(topic.events)
    assert topic.key
    assert topic.partitions > 0
    assert topic.max_value_bytes < topic.max_record_bytes
    assert topic.name.endswith(".v1")
    assert topic.about.endswith(".")


@kept_topics
def test_what_is_compacted_is_kept(topic: Topic) -> None:
    """A compacted topic keeps its newest records for ever, every other forgets after a time."""
    assert topic.compacted == (topic.retention is None)


@kept_topics
def test_dead_topic_takes_the_whole_record(topic: Topic) -> None:
    """A dead-letter topic takes a record of its topic with a mebibyte of headers more."""
    dead = {found.name: found for found in dead_topics()}
    assert topic.dead is not None
    assert dead[topic.dead].max_record_bytes == topic.max_record_bytes + DEAD_EXTRA_BYTES
    assert dead[topic.dead].producers == (topic.keeper,)


def test_dead_topics_have_no_dead_topics() -> None:
    """A dead letter cannot die again on its way."""
    assert all(topic.dead is None for topic in dead_topics())


@pytest.mark.parametrize("name", ["reports.public.v1", "reports.flagged.v1"])
def test_report_topics_hold_the_promised_sizes(name: str) -> None:
    """The report topics take 4 MiB, their dead-letter topics 5, and a value over 256 KiB is dead."""
    topic = topic_named(name)
    dead = next(found for found in dead_topics() if found.name == f"{name}.dead")
    assert topic.max_record_bytes == 4 * MIB
    assert dead.max_record_bytes == 5 * MIB
    assert topic.max_value_bytes == MAX_VALUE_BYTES == 256 * 1024


@pytest.mark.parametrize(("public", "flagged"), [("reports.public.v1", "reports.flagged.v1"),
                                                 ("triage.public.v1", "triage.flagged.v1")])  # fmt: skip
def test_lanes_carry_the_same(public: str, flagged: str) -> None:
    """The two lanes of a hop carry the same events by the same key to the same consumers."""
    one, other = topic_named(public), topic_named(flagged)
    assert (one.events, one.key, one.consumers) == (other.events, other.key, other.consumers)


def test_topic_named_refuses_others() -> None:
    """A name that is in no row raises KeyError with it."""
    with pytest.raises(KeyError, match="private"):
        topic_named("reports.private.v1")

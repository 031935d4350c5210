"""The AsyncAPI document says what the services do on Kafka: the table of topics, seen from their brokers."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from schemas.envelope import CONTENT_TYPE
from schemas.registry import EVENTS, STRICTER
from schemas.topics import TOPICS, Topic, dead_topics
from services.cli import units
from services.cli.contracts import asyncapi, built, documents
from services.runtime.broker import Subscribed
from services.runtime.process import Unit

SERVICES = {"intake", "triage", "review", "outcomes", "audit"}
DOCUMENT: dict[str, Any] = json.loads((documents.FOLDER / "asyncapi" / "jubao.json").read_bytes())
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
EXAMPLES = [
    pytest.param(name, example, id=f"{name} {example['name']}")
    for name, message in MESSAGES.items()
    for example in message["examples"]
]
each_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


@pytest.fixture(scope="session")
def made() -> Mapping[str, Unit]:
    """Every unit as `jubao serve` builds it."""
    return built.units_by_name()


@pytest.fixture(scope="session")
def holds() -> Callable[[Mapping[str, Any], Any], list[str]]:
    """What is wrong with a value by a schema of the document."""

    def errors(schema: Mapping[str, Any], value: Any) -> list[str]:
        whole = {"allOf": [schema], "components": DOCUMENT["components"]}
        return [error.message for error in Draft7Validator(whole, format_checker=FormatChecker()).iter_errors(value)]

    return errors


def users(action: str, address: str) -> set[str]:
    """The services that do this with a topic."""
    return {
        key.partition(".")[0]
        for key, operation in DOCUMENT["operations"].items()
        if (operation["action"], operation["channel"]["$ref"]) == (action, f"#/channels/{address}")
    }


def test_brokers_say_what_is_stored(made: Mapping[str, Unit]) -> None:
    """The stored document is what the units' brokers and the contracts give."""
    assert asyncapi.document(made) == DOCUMENT


@each_topic
def test_who_reads_a_topic_is_its_row(topic: Topic) -> None:
    """The services whose brokers read a topic are the consumers of its row."""
    assert users("receive", topic.name) == set(topic.consumers) & SERVICES


@each_topic
def test_who_writes_a_topic_is_its_row(topic: Topic) -> None:
    """The services with a unit that publishes to a topic are the producers of its row."""
    assert users("send", topic.name) == set(topic.producers) & SERVICES


@pytest.mark.parametrize("topic", dead_topics(), ids=lambda topic: topic.name)
def test_who_writes_dead_letters_is_the_keeper(topic: Topic) -> None:
    """Each dead-letter topic is written by its one keeper and read by no service."""
    assert (users("send", topic.name), users("receive", topic.name)) == (set(topic.producers), set())


def test_units_have_groups_of_their_own(made: Mapping[str, Unit]) -> None:
    """No two consumers share a group, within a unit or across, so that no lane takes another's partitions."""
    consumers = [w for unit in made.values() for w in unit.workers if isinstance(w, Subscribed) and w.subscriptions()]
    named = {group for unit in made.values() for group in asyncapi.groups(unit).values()}
    assert len(named) == len(consumers)
    assert set(made) == set(units.UNITS)


@pytest.mark.parametrize("topic", [*TOPICS, *dead_topics()], ids=lambda topic: topic.name)
def test_channel_is_its_row(topic: Topic) -> None:
    """A channel has the partitions, retention, sizes, key and events of its topic's row."""
    channel = DOCUMENT["channels"][topic.name]
    kafka = channel["bindings"]["kafka"]
    kept = kafka["topicConfiguration"]
    assert (channel["address"], kafka["topic"], kafka["partitions"]) == (topic.name, topic.name, topic.partitions)
    assert kept["cleanup.policy"] == ["compact" if topic.compacted else "delete"]
    for_ever = None if topic.compacted else -1
    assert kept.get("retention.ms") == (topic.retention.total_seconds() * 1000 if topic.retention else for_ever)
    assert kept["max.message.bytes"] == topic.max_record_bytes
    assert channel["x-key"] == topic.key
    assert set(channel["messages"]) == ({"dead"} if topic.name.endswith(".dead") else set(topic.events))


def test_there_is_a_channel_for_each_topic() -> None:
    """The channels are the table's topics and their dead-letter topics, and no others."""
    assert set(DOCUMENT["channels"]) == {topic.name for topic in (*TOPICS, *dead_topics())}


def test_there_is_a_message_for_each_event() -> None:
    """The messages are the registry's events, the stricter ones beside them, and the dead letter."""
    stricter = {f"{event}.on.{topic}" for topic, event in STRICTER}
    assert set(MESSAGES) == set(EVENTS) | stricter | {"dead"}


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_example_fits_its_message(
    name: str, example: dict[str, Any], holds: Callable[[Mapping[str, Any], Any], list[str]]
) -> None:
    """An example's payload and headers fit the schemas of their message."""
    assert holds(MESSAGES[name]["payload"], example["payload"]) == []
    assert holds(MESSAGES[name]["headers"], example["headers"]) == []


def test_examples_are_the_stored_ones() -> None:
    """Every stored example of an event is an example of its message."""
    for event in EVENTS:
        stored = {path.stem: json.loads(path.read_bytes()) for path in asyncapi.examples_of(event)}
        assert {example["name"]: example["payload"] for example in MESSAGES[event]["examples"]} == stored


def test_a_payload_that_does_not_fit_is_seen(holds: Callable[[Mapping[str, Any], Any], list[str]]) -> None:
    """The document's schema of a report refuses one without category, and one of another event."""
    message = MESSAGES["jubao.report.submitted.v1"]
    payload = json.loads(json.dumps(message["examples"][0]["payload"]))
    del payload["data"]["category"]
    assert holds(message["payload"], payload) == ["'category' is a required property"]
    assert holds(message["payload"], MESSAGES["jubao.decision.made.v1"]["examples"][0]["payload"]) != []


def test_the_flagged_lane_shows_its_attestation() -> None:
    """The flagged lane's message has the attestation header, and its example is a detached JWS of EdDSA with a kid."""
    [strict] = [message for name, message in MESSAGES.items() if name.endswith(".on.reports.flagged.v1")]
    for example in strict["examples"]:
        protected, empty, signature = example["headers"]["attestation"].split(".")
        header = json.loads(base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))
        assert (header["alg"], empty, len(base64.urlsafe_b64decode(signature + "=="))) == ("EdDSA", "", 64)
        assert header["kid"]
    assert "attestation" not in MESSAGES["jubao.report.submitted.v1"]["headers"]["properties"]
    assert DOCUMENT["defaultContentType"] == CONTENT_TYPE


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads() -> None:
    """Each reference of the document leads to something in it."""
    for reference in references(DOCUMENT):
        found: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found

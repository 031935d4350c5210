"""One AsyncAPI 3.0 document for the whole system, made by FastStream from the units' own brokers.

FastStream knows channels, operations and groups. What it cannot know, since our handlers take raw bytes, is put in here
from the table of topics and the registry of events: payloads, keys, headers, retention, dead letters, examples.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import schemas
from schemas.envelope import CONTENT_TYPE
from schemas.generate import schema_of
from schemas.registry import STRICTER, model_on
from schemas.topics import REPORTS_FLAGGED, TOPICS, Topic, dead_topics
from services.cli.contracts import headers
from services.runtime.description import ASYNCAPI_VERSION, asyncapi, groups
from services.runtime.process import Unit

VERSION: Final = "1"
_BINDING: Final = "0.5.0"
_EXAMPLES: Final = Path(schemas.__file__).parent / "examples"
_DEAD: Final = "dead"
_FIRST: Final = frozenset({"full", "minimal"})
_ABOUT: Final = """\
Reports about content, on their way to a decision, as events on Apache Kafka. Each operation is one that a service of
Jubao does: what it *receives* a partner may send, where the topic's `x-producers` name other producers or attesters;
what it *sends* a partner may read, where `x-consumers` name the platform. The other topics are between the services.

Records are CloudEvents 1.0 in structured JSON; those that Jubao writes are compressed with LZ4. Time on every topic is
the broker's (`LogAppendTime`). A record that does not fit goes once, whole, to the dead-letter topic that
`x-dead-letters` names; its neighbours go through.
How to send a report, step by step: docs/producers.md."""


def document(made: Mapping[str, Unit]) -> dict[str, Any]:
    """The document of these units, by their names."""
    spoken = {name: asyncapi(unit, title=name, version=VERSION) for name, unit in made.items()}
    reading = {name: groups(unit) for name, unit in made.items()}
    components: dict[str, Any] = {"messages": {}, "schemas": {}, "securitySchemes": _security()}
    channels = {topic.name: _channel(topic, components) for topic in TOPICS}
    channels |= {topic.name: _dead_channel(topic, components) for topic in dead_topics()}
    operations = {
        f"{unit}.{action}.{address}": _operation(unit, action, address, reading[unit].get(address), channels[address])
        for unit, described in spoken.items()
        for action, address in sorted(_said(described))
    }
    operations |= dict(_dead_operations(reading, channels))
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "id": "urn:jubao:events",
        "info": {"title": "Jubao events", "version": VERSION, "description": _ABOUT, "license": {"name": "Apache-2.0"}},
        "defaultContentType": CONTENT_TYPE,
        "servers": _servers(),
        "channels": channels,
        "operations": operations,
        "components": components,
    }


def _servers() -> dict[str, Any]:
    bootstrap = {"bootstrap": {"default": "localhost:9092", "description": "HOST:PORT of any broker."}}
    return {
        "embedded": {
            "host": "{bootstrap}",
            "protocol": "kafka",
            "description": "The stack of `jubao up`, which prints the address; without sign-in, on this machine alone.",
            "variables": bootstrap,
        },
        "deployed": {
            "host": "{bootstrap}",
            "protocol": "kafka",
            "description": "A deployment: a user for each producer, who may write what the table of topics says.",
            "variables": bootstrap,
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
        },
    }


def _security() -> dict[str, Any]:
    said = "SASL/SCRAM: user and password come from the operator."
    return {"scram": {"type": "scramSha512", "description": said}}


def _said(described: Mapping[str, Any]) -> set[tuple[str, str]]:
    """What FastStream's document says that a unit does: action and topic."""
    addresses = {key: channel["address"] for key, channel in described["channels"].items()}
    return {
        (operation["action"], addresses[operation["channel"]["$ref"].removeprefix("#/channels/")])
        for operation in described["operations"].values()
    }


def _channel(topic: Topic, components: dict[str, Any]) -> dict[str, Any]:
    names = {event: _message(topic, event, components) for event in topic.events}
    return {
        "address": topic.name,
        "title": topic.name,
        "description": topic.about,
        "messages": {event: {"$ref": f"#/components/messages/{name}"} for event, name in names.items()},
        "bindings": _bindings(topic),
        "x-key": topic.key,
        "x-producers": list(topic.producers),
        "x-consumers": list(topic.consumers),
        **({"x-dead-letters": {"topic": topic.dead, "by": topic.keeper}} if topic.dead else {}),
        "x-most-value-bytes": topic.max_value_bytes,
    }


def _bindings(topic: Topic) -> dict[str, Any]:
    kept: dict[str, Any] = {"cleanup.policy": ["compact" if topic.compacted else "delete"]}
    if topic.retention is not None:
        kept["retention.ms"] = int(topic.retention.total_seconds() * 1000)
    elif not topic.compacted:
        kept["retention.ms"] = -1  # for ever
    kept["max.message.bytes"] = topic.max_record_bytes
    return {
        "kafka": {
            "topic": topic.name,
            "partitions": topic.partitions,
            "topicConfiguration": kept,
            "bindingVersion": _BINDING,
        }
    }


def _message(topic: Topic, event: str, components: dict[str, Any]) -> str:
    """Puts an event's message into the components, once for all topics that ask the same of it; its name there."""
    strict = (topic.name, event) in STRICTER
    name = f"{event}.on.{topic.name}" if strict else event
    if name in components["messages"]:
        return name
    schema = schema_of(event, model_on(topic, event), topic.name if strict else None)
    _put_schema(name, schema, components["schemas"])
    attested = topic is REPORTS_FLAGGED
    components["messages"][name] = {
        "name": event,
        "title": event,
        "summary": schema["description"],
        "contentType": CONTENT_TYPE,
        "headers": headers.of_event(attested=attested),
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "correlationId": {"location": "$message.payload#/correlationid"},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": _BINDING}},
        "examples": [
            {"name": path.stem, "headers": headers.example(attested=attested), "payload": json.loads(path.read_bytes())}
            for path in examples_of(event)
            if not strict or path.stem.startswith("flagged")
        ],
    }
    return name


def examples_of(event: str) -> list[Path]:
    """The stored examples of an event: the whole first, then the smallest, then others."""
    stem, _, version = event.rpartition(".")
    return sorted((_EXAMPLES / stem / version).glob("*.json"), key=lambda path: (path.stem not in _FIRST, path.stem))


def _put_schema(name: str, schema: Mapping[str, Any], into: dict[str, Any]) -> None:
    """Puts a schema and what it refers to among the components.

    Raises:
        ValueError: two models of one name say different things.
    """
    parts = {**schema.get("$defs", {}), name: {k: v for k, v in schema.items() if k not in {"$schema", "$id", "$defs"}}}
    for part, said in parts.items():
        moved = json.loads(json.dumps(said).replace("#/$defs/", "#/components/schemas/"))
        if into.setdefault(part, moved) != moved:
            raise ValueError(f"two models are named {part} and differ")


def _dead_channel(topic: Topic, components: dict[str, Any]) -> dict[str, Any]:
    components["messages"][_DEAD] = {
        "name": _DEAD,
        "title": "A dead letter",
        "summary": "A record that did not fit: its bytes, key and headers as they came, and four headers more.",
        "headers": headers.of_dead_letter(),
        "payload": {"description": "Whatever the record held; it need not be JSON."},
        "examples": [{"name": _DEAD, "headers": headers.dead_letter_example(), "payload": "not JSON"}],
    }
    return {
        "address": topic.name,
        "title": topic.name,
        "description": topic.about,
        "messages": {_DEAD: {"$ref": f"#/components/messages/{_DEAD}"}},
        "bindings": _bindings(topic),
        "x-key": topic.key,
        "x-producers": list(topic.producers),
        "x-consumers": list(topic.consumers),
    }


def _operation(unit: str, action: str, address: str, group: str | None, channel: Mapping[str, Any]) -> dict[str, Any]:
    said = f"{unit} {action}s {address}"
    made: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{address}"},
        "summary": said if group or action == "send" else f"{said}, whole, without a group",
        "messages": [{"$ref": f"#/channels/{address}/messages/{message}"} for message in channel["messages"]],
        "tags": [{"name": unit.partition(".")[0]}],
    }
    if group:
        made["bindings"] = {"kafka": {"groupId": {"type": "string", "const": group}, "bindingVersion": _BINDING}}
    return made


def _dead_operations(
    reading: Mapping[str, Mapping[str, str]], channels: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What keepers send to dead-letter topics; the consumer does that for every stage, so the table says who."""
    for unit, read in reading.items():
        for topic in TOPICS:
            if topic.dead and topic.name in read and topic.keeper == unit.partition(".")[0]:
                yield f"{unit}.send.{topic.dead}", _operation(unit, "send", topic.dead, None, channels[topic.dead])

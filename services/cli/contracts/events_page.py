"""docs/contracts/events.md: every topic and event, read off the AsyncAPI document."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from schemas import vocabulary
from schemas.envelope import Event
from schemas.vocabulary import Word
from services.cli.contracts import markdown
from services.cli.contracts.fields import Fields
from services.cli.contracts.markdown import UP

_ABOUT: Final = f"""\
# Events on Kafka

Written by `python -m services.cli.contracts` from the AsyncAPI document ([jubao.json](asyncapi/jubao.json)), which says
the same for machines. How to send a report, with code that runs: [producers.md]({UP}/producers.md). How an event may
change: [schemas/README.md]({UP}/{UP}/schemas/README.md#how-an-event-grows).

A record's value is one CloudEvents 1.0 event in structured JSON, UTF-8: the envelope below, with `data` as the event's
own. `data` refuses fields that it does not know; unknown attributes of the envelope pass and are not kept. A field that
is not required may be absent or null. Headers hold the bytes of their text. Jubao compresses its records with LZ4."""
_DEAD_ABOUT: Final = """\
A record that does not fit goes once to the dead-letter topic of its topic, by the one service that keeps it: value, key
and headers as they came, and these headers beside them. Its neighbours go through. An operator looks at it with
`jubao dead list` and sends it again with `jubao dead replay`."""


def events_page(document: Mapping[str, Any]) -> str:
    """The page."""
    components = document["components"]
    live = {name: channel for name, channel in document["channels"].items() if not name.endswith(".dead")}
    reader = Fields(components["schemas"])
    return markdown.page(
        [
            _ABOUT,
            "## Topics",
            _topics(live),
            "## Who reads and writes",
            _operations(document),
            "## The envelope",
            _envelope(),
            "## Events",
            *_events(live, components, reader),
            "## Dead letters",
            _DEAD_ABOUT,
            markdown.fields(reader.rows(components["messages"]["dead"]["headers"])),
            "## Words",
            *_words(),
        ]
    )


def _topics(channels: Mapping[str, Any]) -> str:
    head = ("Topic", "What is on it", "Events", "Key", "Partitions", "Kept", "Largest value", "Dead letters")
    return markdown.table(head, (_topic(name, channel) for name, channel in channels.items()))


def _topic(name: str, channel: Mapping[str, Any]) -> tuple[str, ...]:
    kafka = channel["bindings"]["kafka"]
    dead = channel.get("x-dead-letters")
    return (
        f"`{name}`",
        channel["description"],
        ", ".join(f"[{_short(event)}](#{anchor(event)})" for event in _messages(channel)),
        channel["x-key"],
        str(kafka["partitions"]),
        _kept(kafka["topicConfiguration"].get("retention.ms")),
        f"{channel['x-most-value-bytes'] // 1024} KiB",
        f"`{dead['topic']}`, by {dead['by']}" if dead else "none",
    )


def _kept(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "the newest of each key"
    return "for ever" if milliseconds < 0 else f"{timedelta(milliseconds=milliseconds).days} days"


def _operations(document: Mapping[str, Any]) -> str:
    found: dict[str, dict[str, list[str]]] = {}
    for key, operation in document["operations"].items():
        address = operation["channel"]["$ref"].removeprefix("#/channels/")
        unit = key.partition(f".{operation['action']}.")[0]
        found.setdefault(address, {"send": [], "receive": []})[operation["action"]].append(f"`{unit}`")
    others = {name: _others(channel) for name, channel in document["channels"].items()}
    rows = (
        (f"`{name}`", ", ".join([*said["send"], *others[name][0]]), ", ".join([*said["receive"], *others[name][1]]))
        for name in document["channels"]
        if (said := found.get(name))
    )
    return markdown.table(("Topic", "Written by", "Read by"), rows)


def _others(channel: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Who writes and reads that is no service: the platform, attesters, the command line."""
    services = {"intake", "triage", "review", "outcomes", "audit"}
    return tuple([name for name in channel[side] if name not in services] for side in ("x-producers", "x-consumers"))  # type: ignore[return-value] # two sides


def _envelope() -> str:
    whole = Event.model_json_schema()
    return markdown.fields(Fields(whole["$defs"]).rows(whole))


def _messages(channel: Mapping[str, Any]) -> dict[str, str]:
    return {event: said["$ref"].rpartition("/")[2] for event, said in channel["messages"].items()}


def _events(channels: Mapping[str, Any], components: Mapping[str, Any], reader: Fields) -> Iterator[str]:
    places: dict[str, list[str]] = {}
    for name, channel in channels.items():
        for message in _messages(channel).values():
            places.setdefault(message, []).append(name)
    told: dict[str, str] = {}
    for name, topics in places.items():
        message, schema = components["messages"][name], components["schemas"][name]
        yield f"### {name}"
        on = ", ".join(f"`{topic}`" for topic in topics)
        yield f"{message['summary']} On {on}, keyed by {channels[topics[0]]['x-key']}."
        table = markdown.fields(reader.rows(schema["properties"]["data"]))
        first = told.setdefault(table, name)
        yield f"`data` as of [{_short(first)}](#{anchor(first)})." if first != name else table
        if attestation := message["headers"]["properties"].get("attestation"):
            yield f"Header `attestation`: {attestation['description']}"
        for example in message["examples"]:
            yield markdown.folded(f"Example: {example['name']}", markdown.shown_json(example["payload"]))


def _words() -> Iterator[str]:
    yield "Each word with its sentence, in English and in Chinese. A word may be added; none is renamed or taken away."
    for kind in vars(vocabulary).values():
        if isinstance(kind, type) and issubclass(kind, Word) and kind is not Word:
            yield f"### {kind.__name__}"
            rows = ((f"`{word.value}`", word.sentence, word.sentence_zh) for word in kind)
            yield markdown.table(("Word", "Meaning", "含义"), rows)


def _short(event: str) -> str:
    return event.removeprefix("jubao.")


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return heading.lower().replace(".", "").replace(" ", "-")

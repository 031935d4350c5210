"""Writes what is made from the models and the topics table: `python -m schemas.generate [--check]`.

JSON Schemas (draft 2020-12) for producers in other languages, and the table of topics in README.md. With `--check`
nothing is written: each file that differs from what would be written is named, and the exit code is 1.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from schemas.case import CaseChange
from schemas.envelope import Event
from schemas.registry import EVENTS, STRICTER, types_of
from schemas.topics import TOPICS, Topic

FOLDER: Final = Path(__file__).parent
README: Final = "README.md"

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_BEGIN: Final = "<!-- topics: written by `python -m schemas.generate` -->"
_END: Final = "<!-- end of topics -->"
_HEAD: Final = ("topic", "events", "key", "producers", "consumers", "partitions", "kept", "dead letters")
_CHANGES: Final[Mapping[str, str]] = {change.event_type: change.sentence for change in CaseChange}


def schema_file(event: str, topic: str | None = None) -> str:
    """Where an event's schema stands, from this folder; `topic` where that topic asks for more than others."""
    return f"json/{event}.schema.json" if topic is None else f"json/{event}.on.{topic}.schema.json"


def schema_of(event: str, model: type[Event[Any]], topic: str | None = None) -> dict[str, Any]:
    """The JSON Schema of one event type: what the model takes, by wire names, held to this very type."""
    made = model.model_json_schema(by_alias=True, mode="validation")
    said = [made.pop("description"), *([_CHANGES[event]] if event in _CHANGES else [])]
    if len(types_of(model)) > 1:
        made["properties"]["type"] = {"const": event, "title": "Type", "type": "string"}
    place = event if topic is None else f"{event}:{topic}"
    head = {"$schema": _DIALECT, "$id": f"urn:jubao:schema:{place}", "title": event, "description": " ".join(said)}
    return head | {key: value for key, value in made.items() if key != "title"}


def topics_table() -> str:
    """The table of topics in Markdown, one line for each event of a topic."""
    lines = [_line(_HEAD), _line("-" * len(word) for word in _HEAD)]
    for topic in TOPICS:
        for place, event in enumerate(topic.events):
            lines.append(_line(_cells(topic, event) if place == 0 else ("", f"`{event}`", *[""] * (len(_HEAD) - 2))))
    return "\n".join(lines)


def generated() -> dict[str, str]:
    """Every generated file: its path from this folder, and the text it must have.

    Raises:
        ValueError: README.md has lost the two comments between which the table goes.
    """
    files = {schema_file(event): _text(schema_of(event, model)) for event, model in EVENTS.items()}
    for (topic, event), model in STRICTER.items():
        files[schema_file(event, topic)] = _text(schema_of(event, model, topic))
    before, begin, rest = (FOLDER / README).read_text("utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{README} needs the lines {_BEGIN!r} and {_END!r}, with the table of topics between them")
    return files | {README: f"{before}{begin}\n\n{topics_table()}\n\n{end}{after}"}


def drifted() -> list[str]:
    """The generated files that differ from what the models say, are missing, or belong to no event any more."""
    files = generated()
    differing = [name for name, text in files.items() if not _holds(FOLDER / name, text)]
    return sorted(differing + [name for name in _present() if name not in files])


def write() -> None:
    """Makes all generated files what they must be, and removes those of events that are no more."""
    files = generated()
    for name in _present():
        if name not in files:
            (FOLDER / name).unlink()
    for name, text in files.items():
        path = FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 written or nothing to write, 1 drift, 2 wrong use."""
    if not arguments:
        write()
        return 0
    if list(arguments) != ["--check"]:
        sys.stderr.write("usage: python -m schemas.generate [--check]\n")
        return 2
    differing = drifted()
    for name in differing:
        sys.stderr.write(f"schemas/{name} is not what the models say; run `python -m schemas.generate`\n")
    return 1 if differing else 0


def _cells(topic: Topic, event: str) -> tuple[str, ...]:
    return (
        f"`{topic.name}`",
        f"`{event}`",
        topic.key,
        ", ".join(topic.producers),
        ", ".join(topic.consumers),
        str(topic.partitions),
        "the newest of each key" if topic.compacted else _days(topic.retention),
        f"`{topic.dead}` by {topic.keeper}" if topic.dead else "none",
    )


def _days(kept: timedelta | None) -> str:
    return "for ever" if kept is None else f"{kept.days} days"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _present() -> list[str]:
    return [path.relative_to(FOLDER).as_posix() for path in sorted((FOLDER / "json").glob("*"))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What was released is read by today's readers, and what today's producers write is what was promised then."""

import json
import os
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from schemas import topics
from schemas.registry import EVENTS, STRICTER, model_on
from schemas.topics import REPORTS_FLAGGED, REPORTS_PUBLIC, TOPICS, Topic
from schemas.vocabulary import Lane
from services.audit.reading import Reader
from services.outcomes.consume import Outcomes
from services.review import consume as review
from services.runtime.batch import Record
from services.runtime.clock import SystemClock
from services.runtime.outbox import event_bytes
from services.runtime.settings import Settings
from services.triage.consume import arrival_of

SCHEMAS = Path(__file__).parents[2] / "schemas"
RELEASES = sorted((SCHEMAS / "released").iterdir())
TODAY = SCHEMAS / "examples"


def events_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """The examples of a folder with their event types."""
    for path in sorted(folder.glob("*/v*/*.json")):
        yield f"{path.parts[-3]}.{path.parts[-2]}", path


def topics_of(event: str, path: Path) -> Iterator[Topic]:
    """The topics on which an example may be: on the flagged lane's only what is flagged."""
    for topic in TOPICS:
        if event in topic.events and ((topic.name, event) not in STRICTER or path.name.startswith("flagged")):
            yield topic


RELEASED = [
    pytest.param(topic, event, path, id=f"{release.name} {topic.name} {path.parts[-3]} {path.stem}")
    for release in RELEASES
    for event, path in events_of(release / "examples")
    for topic in topics_of(event, path)
]
PROMISES = [
    pytest.param(schema, id=f"{schema.parts[-3]} {schema.name.removesuffix('.schema.json')}")
    for release in RELEASES
    for schema in sorted((release / "json").glob("*.json"))
]


def record_of(topic: Topic, value: bytes) -> Record:
    return Record(topic.name, 0, 0, datetime(2026, 11, 23, 9, tzinfo=UTC), b"key", value, ())


def readers_of(topic: Topic) -> Iterator[Any]:
    """How each service but audit reads a topic, by the function that its consumer calls."""
    if topic in {REPORTS_PUBLIC, REPORTS_FLAGGED}:
        model, lane = model_on(topic, topic.events[0]), Lane.FLAGGED if topic is REPORTS_FLAGGED else Lane.PUBLIC
        yield lambda record: arrival_of(record, model, topic, lane)  # type: ignore[arg-type] # both are of a report
    if topic in {topics.TRIAGE_PUBLIC, topics.TRIAGE_FLAGGED}:
        yield (review.flagged if topic is topics.TRIAGE_FLAGGED else review.public)(Settings()).decode
    if topic in Outcomes.topics:
        yield Outcomes(SystemClock()).decode


def test_something_was_released() -> None:
    """There is a frozen copy of each released version, the present one included, with examples and schemas."""
    version = tomllib.loads((SCHEMAS.parent / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert {"0.1.0", version} <= {release.name for release in RELEASES}
    for release in RELEASES:
        assert list((release / "examples").glob("*/v*/*.json"))
        assert list((release / "json").glob("*.json"))


@pytest.mark.parametrize(("topic", "event", "path"), RELEASED)
def test_todays_readers_read_it(topic: Topic, event: str, path: Path) -> None:
    """An example of a released version is decoded by every consumer of its topic, and logged as what it is."""
    record = record_of(topic, path.read_bytes())
    readers = list(readers_of(topic))
    assert len(readers) == len(set(topic.consumers) & {"triage", "review", "outcomes"}) - (topic is topics.SOURCES)
    for read in readers:
        assert read(record) is not None
    leaf, unreadable = Reader(topic).leaf_or_unreadable(record, record.value, os.urandom(32))
    assert (unreadable, leaf.type) == (None, event)


@pytest.mark.parametrize(("topic", "event", "path"), RELEASED)
def test_it_still_says_the_same(topic: Topic, event: str, path: Path) -> None:
    """A released example, read and written again today, has every field it had, and none has another value."""
    model = model_on(topic, event)
    given = json.loads(path.read_bytes())["data"]
    written = json.loads(event_bytes(model.model_validate_json(path.read_bytes())))["data"]
    for place, value in leaves(given):
        assert same(dict(leaves(written))[place], value), place


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each value within a JSON value that holds no others, by its place; null and empty ones are left out."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{place}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{place}[{number}]")
    elif value is not None:
        yield place, value


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, or two spellings of one moment."""
    if one == other:
        return True
    return datetime.fromisoformat(one) == datetime.fromisoformat(other)


@pytest.mark.parametrize("path", PROMISES)
def test_what_is_written_today_keeps_the_promise(path: Path) -> None:
    """A released schema takes today's examples without the fields that were added since, as it took its own."""
    promise = Draft202012Validator(json.loads(path.read_bytes()), format_checker=FormatChecker())
    event, _, strict = path.name.removesuffix(".schema.json").partition(".on.")
    assert event in EVENTS
    known = names_of(json.loads(path.read_bytes()))
    for found, example in events_of(TODAY):
        if found == event and (not strict or example.name.startswith("flagged")):
            written = json.loads(event_bytes(EVENTS[event].model_validate_json(example.read_bytes())))
            written["data"] = only(written["data"], known)
            assert [error.message for error in promise.iter_errors(written)] == []


def names_of(schema: Any) -> set[str]:
    """Every field that a schema names, wherever."""
    if isinstance(schema, dict):
        inner = {name for value in schema.values() for name in names_of(value)}
        return inner | set(schema.get("properties", {}))
    return {name for value in schema for name in names_of(value)} if isinstance(schema, list) else set()


def only(value: Any, known: set[str], *, free: bool = False) -> Any:
    """A JSON value without the fields that a schema does not name; a ruling's inputs have names of their own."""
    if isinstance(value, dict):
        return {name: only(v, known, free=name == "inputs") for name, v in value.items() if free or name in known}
    return [only(inner, known) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", PROMISES)
def test_todays_schema_takes_nothing_away(path: Path) -> None:
    """Every field, word and definition of a released schema is in today's, none became required, no bound narrower."""
    today = json.loads((SCHEMAS / "json" / path.name).read_bytes())
    then = json.loads(path.read_bytes())
    for name, old in {"": then, **then["$defs"]}.items():
        new = today["$defs"][name] if name else today
        assert narrowed(old, new) == [], name


def narrowed(old: Any, new: Any, place: str = "") -> list[str]:
    """Where a schema takes less than another did."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return []
    found = [f"{place}.{name} is gone" for name in set(old.get("properties", {})) - set(new.get("properties", {}))]
    found += [f"{place}.{name} is required now" for name in set(new.get("required", ())) - set(old.get("required", ()))]
    found += [f"{place}: the word {word} is gone" for word in set(old.get("enum", ())) - set(new.get("enum", ()))]
    for bound, sign in (("minLength", 1), ("minItems", 1), ("minimum", 1), ("maxLength", -1), ("maxItems", -1)):
        if bound in new and (bound not in old or sign * new[bound] > sign * old[bound]):
            found.append(f"{place}: {bound} is {new[bound]}")
    for word in ("type", "pattern", "format", "const", "$ref"):
        if new.get(word) != old.get(word) and word in new:
            found.append(f"{place}: {word} is {new[word]}")
    for name, inner in old.get("properties", {}).items():
        found += narrowed(inner, new.get("properties", {}).get(name), f"{place}.{name}")
    for number, inner in enumerate(old.get("anyOf", ())):
        found += narrowed(inner, dict(enumerate(new.get("anyOf", ()))).get(number), f"{place}|{number}")
    return found + narrowed(old.get("items"), new.get("items"), f"{place}[]")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"properties": {"a": {}}}, {"properties": {}}, ".a is gone"),
        ({"properties": {"a": {}}}, {"properties": {"a": {}}, "required": ["a"]}, ".a is required now"),
        ({"properties": {"a": {"maxLength": 9}}}, {"properties": {"a": {"maxLength": 8}}}, ".a: maxLength is 8"),
        ({"properties": {"a": {}}}, {"properties": {"a": {"minLength": 1}}}, ".a: minLength is 1"),
        ({"enum": ["x", "y"]}, {"enum": ["x"]}, ": the word y is gone"),
        ({"items": {"type": "string"}}, {"items": {"type": "integer"}}, "[]: type is integer"),
    ],
)
def test_what_narrows_is_seen(old: dict[str, Any], new: dict[str, Any], said: str) -> None:
    """A field taken away, a new requirement, a narrower bound, a lost word and another type are each named."""
    assert narrowed(old, new) == [said]
    assert narrowed(old, old) == narrowed({}, {"properties": {"a": {}}}) == []


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_released_examples_are_still_stored(release: Path) -> None:
    """An example that was released stands among today's, byte for byte: none is ever edited."""
    for path in sorted((release / "examples").rglob("*.json")):
        assert (TODAY / path.relative_to(release / "examples")).read_bytes() == path.read_bytes()

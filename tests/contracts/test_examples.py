"""The stored examples are records that were promised to be readable for ever; each is held to model and JSON Schema."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from schemas.envelope import Event
from schemas.registry import EVENTS, STRICTER, model_on
from schemas.topics import REPORTS_FLAGGED, TOPICS
from services.runtime.outbox import event_bytes

SCHEMAS = Path(__file__).parents[2] / "schemas"
EXAMPLES = sorted((SCHEMAS / "examples").glob("*/v*/*.json"))
IDS = ["/".join(path.relative_to(SCHEMAS / "examples").parts) for path in EXAMPLES]
MINIMAL = [path for path in EXAMPLES if path.stem.endswith("minimal")]
STRICT = {event: model for (_, event), model in STRICTER.items()}

each_example = pytest.mark.parametrize("path", EXAMPLES, ids=IDS)


def readings(path: Path) -> Iterator[tuple[type[Event[Any]], str]]:
    """The models that an example must fit, with the names of their schema files."""
    event = type_of(path)
    yield EVENTS[event], event
    if path.name.startswith("flagged"):
        yield STRICT[event], f"{event}.on.{REPORTS_FLAGGED.name}"


def type_of(path: Path) -> str:
    return f"{path.parts[-3]}.{path.parts[-2]}"


def parts_of(value: object) -> Iterator[BaseModel]:
    """Every model within a value, the value itself first."""
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from parts_of(getattr(value, name))
    elif isinstance(value, list):
        for item in value:
            yield from parts_of(item)


def fields_given(value: BaseModel) -> set[tuple[str, str]]:
    return {
        (type(part).__name__, name)
        for part in parts_of(value)
        for name in part.model_fields_set
        if getattr(part, name) is not None
    }


@each_example
def test_example_stands_where_its_type_says(path: Path) -> None:
    """An example's folders are its event and version."""
    assert json.loads(path.read_bytes())["type"] == type_of(path)


@each_example
def test_example_fits_its_model(path: Path) -> None:
    """An example is a record that its event's model takes."""
    for model, _ in readings(path):
        assert model.model_validate_json(path.read_bytes()).type == type_of(path)


@each_example
def test_example_fits_its_json_schema(path: Path, validator: Callable[[str], Draft202012Validator]) -> None:
    """An example is a record that its event's stored JSON Schema takes."""
    for _, schema in readings(path):
        assert [error.message for error in validator(schema).iter_errors(json.loads(path.read_bytes()))] == []


@each_example
def test_example_round_trips(path: Path, validator: Callable[[str], Draft202012Validator]) -> None:
    """An example written again is the same event, fits the JSON Schema, and a third writing gives the same bytes."""
    for model, schema in readings(path):
        read = model.model_validate_json(path.read_bytes())
        written = event_bytes(read)
        again = model.model_validate_json(written)
        assert again == read
        assert event_bytes(again) == written
        assert validator(schema).is_valid(json.loads(written))


@each_example
def test_example_loses_nothing_when_written(path: Path) -> None:
    """Every field of an example's data that has a value is in what is written of it, under the same name."""
    for model, _ in readings(path):
        written = json.loads(event_bytes(model.model_validate_json(path.read_bytes())))
        assert names(json.loads(path.read_bytes())["data"]) <= names(written["data"])


def names(value: object, place: str = "") -> set[str]:
    if isinstance(value, dict):
        given = {key: item for key, item in value.items() if item is not None}
        inner = {name for key, item in given.items() for name in names(item, f"{place}.{key}")}
        return {f"{place}.{key}" for key in given} | inner
    if isinstance(value, list):
        return {name for index, item in enumerate(value) for name in names(item, f"{place}.{index}")}
    return set()


@each_example
def test_example_says_nothing_that_is_refused_elsewhere(path: Path) -> None:
    """An example's own unknown attributes are CloudEvents extensions: lower-case letters and digits at the top."""
    known = set(Event.model_fields)
    assert all(name.isalnum() and name == name.lower() for name in set(json.loads(path.read_bytes())) - known)


@pytest.mark.parametrize("event", sorted({event for topic in TOPICS for event in topic.events}))
def test_each_event_has_a_minimal_and_a_full_example(event: str) -> None:
    """Every event of the topics table has at least the examples `minimal` and `full`."""
    stem, _, version = event.rpartition(".")
    names_there = {path.stem for path in (SCHEMAS / "examples" / stem / version).glob("*.json")}
    assert {"minimal", "full"} <= names_there


@pytest.mark.parametrize("path", MINIMAL, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_minimal_example_is_minimal(path: Path) -> None:
    """A minimal example without any one field of its data is refused by the strictest model that takes it."""
    *_, (model, _) = readings(path)
    record = json.loads(path.read_bytes())
    for field in record["data"]:
        less = record | {"data": {name: value for name, value in record["data"].items() if name != field}}
        with pytest.raises(ValidationError):
            model.model_validate_json(json.dumps(less))


def test_examples_show_every_field() -> None:
    """Every field of every model that is part of an event's data has a value in some example."""
    shown: set[tuple[str, str]] = set()
    models: dict[str, type[BaseModel]] = {}
    for path in EXAMPLES:
        for model, _ in readings(path):
            data = model.model_validate_json(path.read_bytes()).data
            shown |= fields_given(data)
            models |= {type(part).__name__: type(part) for part in parts_of(data)}
    wanted = {(name, field) for name, model in models.items() for field in model.model_fields}
    assert wanted - shown == set()


def test_flagged_topic_asks_for_more() -> None:
    """An ordinary report's example is refused on the flagged lane's topic, and a flagged one is taken on both."""
    strict = model_on(REPORTS_FLAGGED, "jubao.report.submitted.v1")
    folder = SCHEMAS / "examples" / "jubao.report.submitted" / "v1"
    with pytest.raises(ValidationError):
        strict.model_validate_json((folder / "full.json").read_bytes())
    flagged = (folder / "flagged-full.json").read_bytes()
    taken = EVENTS["jubao.report.submitted.v1"].model_validate_json(flagged)
    assert event_bytes(strict.model_validate_json(flagged)) == event_bytes(taken)

"""What is generated from models and topics is what is stored, and is a proper JSON Schema."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas import generate
from schemas.registry import EVENTS, STRICTER, model_on, types_of
from schemas.report import SUBMITTED, FlaggedSubmitted
from schemas.topics import REPORTS_FLAGGED, TOPICS, dead_topics
from schemas.vocabulary import FLAGGED_KINDS

FILES = sorted((generate.FOLDER / "json").glob("*.json"))
FLAGGED_SCHEMA = "json/jubao.report.submitted.v1.on.reports.flagged.v1.schema.json"


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the generated files that the generator takes for the stored ones."""
    (tmp_path / "json").mkdir()
    for path in FILES:
        (tmp_path / "json" / path.name).write_bytes(path.read_bytes())
    (tmp_path / generate.README).write_bytes((generate.FOLDER / generate.README).read_bytes())
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    return tmp_path


def test_nothing_has_drifted() -> None:
    """The stored schemas and the table of topics are what `python -m schemas.generate` would write."""
    assert generate.drifted() == []


def test_generating_twice_gives_the_same() -> None:
    """Generated text does not depend on the run."""
    assert generate.generated() == generate.generated()


def test_check_passes_on_what_was_written(copied: Path) -> None:
    """After writing, the check finds nothing, and leaves what it found."""
    assert generate.main([]) == 0
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    assert generate.main(["--check"]) == 0
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / FLAGGED_SCHEMA).write_text("{}"),
        lambda folder: (folder / FLAGGED_SCHEMA).unlink(),
        lambda folder: (folder / FLAGGED_SCHEMA).write_bytes((folder / FLAGGED_SCHEMA).read_bytes() + b"\n"),
    ],
    ids=["changed", "missing", "one newline more"],
)
def test_check_names_the_file(copied: Path, capsys: pytest.CaptureFixture[str], harm: Any) -> None:
    """A schema that was changed or lost makes the check fail with its name, and writing mends it."""
    harm(copied)
    assert generate.main(["--check"]) == 1
    assert f"schemas/{FLAGGED_SCHEMA} " in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.drifted() == []


def test_check_names_a_schema_of_no_event(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A schema of an event that is no more is drift, and writing removes it."""
    stray = copied / "json" / "jubao.report.forgotten.v1.schema.json"
    stray.write_text("{}")
    assert generate.main(["--check"]) == 1
    assert stray.name in capsys.readouterr().err
    generate.main([])
    assert not stray.exists()


def test_check_names_a_table_by_hand(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table of topics that was edited by hand is drift."""
    readme = copied / generate.README
    readme.write_text(readme.read_text("utf-8").replace("| 8 |", "| 9 |", 1), "utf-8")
    assert generate.main(["--check"]) == 1
    assert "schemas/README.md" in capsys.readouterr().err


def test_wrong_use_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown argument writes nothing and exits with 2."""
    assert generate.main(["--write"]) == 2
    assert "usage" in capsys.readouterr().err


def test_lost_marks_are_said(copied: Path) -> None:
    """A README without the table's marks is refused with what is missing."""
    (copied / generate.README).write_text("# The contracts\n")
    with pytest.raises(ValueError, match="needs the lines"):
        generate.generated()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_schema_is_a_schema(path: Path) -> None:
    """Each stored schema is valid draft 2020-12 with id, title and description, and every reference in it leads."""
    schema = json.loads(path.read_bytes())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert re.fullmatch(r"urn:jubao:schema:[a-z0-9_.:]+", schema["$id"])
    assert schema["title"] == schema["properties"]["type"]["const"]
    assert schema["description"]
    assert {reference.removeprefix("#/$defs/") for reference in references(schema)} == set(schema["$defs"])


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_ids_are_unique() -> None:
    """No two schemas have the same id."""
    ids = [json.loads(path.read_bytes())["$id"] for path in FILES]
    assert len(set(ids)) == len(ids)


def test_each_event_has_model_and_schema() -> None:
    """Every event of the topics table has a model in the registry and a schema file, and there are no others."""
    events = {event for topic in TOPICS for event in topic.events}
    assert set(EVENTS) == events
    stricter = {generate.schema_file(event, topic) for topic, event in STRICTER}
    assert {f"json/{path.name}" for path in FILES} == {generate.schema_file(event) for event in events} | stricter


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_model_takes_its_own_type_alone(event: str) -> None:
    """The registry's model of an event names that event's type among its own, spelled as a versioned jubao type."""
    assert event in types_of(EVENTS[event])
    assert re.fullmatch(r"jubao(\.[a-z_]+){2}\.v[1-9]\d*", event)


def test_model_on_topic() -> None:
    """The flagged topic has its own model of a report, other topics the event's, and a foreign event is refused."""
    for topic in TOPICS:
        for event in topic.events:
            expected = STRICTER.get((topic.name, event), EVENTS[event])
            assert model_on(topic, event) is expected
    assert model_on(REPORTS_FLAGGED, SUBMITTED) is FlaggedSubmitted
    with pytest.raises(KeyError):
        model_on(REPORTS_FLAGGED, "jubao.report.triaged.v1")


def test_flagged_schema_names_the_flagged_kinds() -> None:
    """The kinds that the flagged lane's schema lists are the vocabulary's flagged kinds."""
    schema = json.loads((generate.FOLDER / FLAGGED_SCHEMA).read_bytes())
    source = schema["$defs"]["FlaggedReport"]["allOf"][0]["properties"]["source"]["properties"]
    assert set(source["kind"]["enum"]) == {kind.value for kind in FLAGGED_KINDS}


def test_table_names_every_topic() -> None:
    """Every topic, event and dead-letter topic stands in the README's table."""
    table = generate.topics_table()
    for topic in (*TOPICS, *dead_topics()):
        assert f"`{topic.name}`" in table
    for event in EVENTS:
        assert f"`{event}`" in table

"""What is generated into docs/contracts is what is stored there, and its pages lead where they say."""

import re
from pathlib import Path
from typing import Any

import pytest

from schemas.registry import EVENTS
from schemas.topics import TOPICS
from services.cli.contracts import __main__ as command
from services.cli.contracts import documents
from services.cli.contracts.fields import Fields

PAGES = sorted(documents.FOLDER.glob("*.md"))
STORED = documents.FOLDER


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """The files that the code gives now."""
    return documents.generated()


@pytest.fixture
def copied(tmp_path: Path, made: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the generator takes for the stored one; what it gives is made once for all tests."""
    monkeypatch.setattr(documents, "FOLDER", tmp_path)
    monkeypatch.setattr(documents, "generated", lambda: made)
    documents.write()
    (tmp_path / "README.md").write_text("by hand")
    return tmp_path


def test_nothing_has_drifted(made: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The stored documents and pages are what `python -m services.cli.contracts` would write."""
    monkeypatch.setattr(documents, "generated", lambda: made)
    assert documents.drifted() == []


def test_generating_twice_gives_the_same(made: dict[str, str]) -> None:
    """Generated text does not depend on the run."""
    assert documents.generated() == made


@pytest.mark.parametrize("name", ["asyncapi/jubao.json", "openapi/intake.json", "events.md", "http-review.md"])
def test_check_names_the_file(copied: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A file that was changed or lost makes the check fail with its name, and writing mends it."""
    assert command.main(["--check"]) == 0
    (copied / name).write_bytes((copied / name).read_bytes() + b"\n")
    assert command.main(["--check"]) == 1
    assert f"docs/contracts/{name} " in capsys.readouterr().err
    (copied / name).unlink()
    assert command.main(["--check"]) == 1
    assert command.main([]) == 0
    assert command.main(["--check"]) == 0


def test_a_file_of_nobody_is_named_and_removed(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page of a service that is no more is drift; writing removes it and leaves what is written by hand."""
    stray = copied / "http-forgotten.md"
    stray.write_text("gone")
    assert command.main(["--check"]) == 1
    assert stray.name in capsys.readouterr().err
    assert command.main([]) == 0
    assert not stray.exists()
    assert (copied / "README.md").read_text() == "by hand"


def test_wrong_use_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown argument writes nothing and exits with 2."""
    assert command.main(["--write"]) == 2
    assert "usage" in capsys.readouterr().err


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads(page: Path) -> None:
    """Each link of a page leads to a file that is there, and to a heading that it has."""
    links = re.findall(r"\]\(([^)\s]*)\)", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL))
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_events_page_tells_of_every_topic_and_event() -> None:
    """The page of events names each topic and has a heading for each event."""
    page = (STORED / "events.md").read_text("utf-8")
    for topic in TOPICS:
        assert f"| `{topic.name}` | {topic.about} |" in page
    for event in EVENTS:
        assert f"\n### {event}\n" in page


@pytest.mark.parametrize(
    ("schema", "kind", "bounds"),
    [
        ({"type": "string", "minLength": 1, "maxLength": 2_000}, "text", "1 to 2,000 characters"),
        ({"type": "string", "format": "uuid"}, "UUID", ""),
        ({"type": "string", "pattern": "^x$"}, "text", "`^x$`"),
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 9}, "integer", "≥ 0 and < 9"),
        ({"type": "boolean", "default": False}, "true or false", "default `false`"),
        ({"const": "1.0"}, '`"1.0"`', ""),
        ({"anyOf": [{"$ref": "#/components/schemas/Colour"}, {"type": "null"}]}, "[Colour](#colour)", ""),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Colour"}, "minItems": 1},
         "list of [Colour](#colour)", "at least 1 items"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "text or integer", ""),
        ({"type": "string", "enum": ["a", "b"]}, "word", "`a`, `b`"),
        ({}, "anything", ""),
    ],
)  # fmt: skip
def test_a_field_is_told_in_words(schema: dict[str, Any], kind: str, bounds: str) -> None:
    """A field's type and bounds are read off its schema, a reference and `or null` seen through."""
    colour = {"Colour": {"title": "Colour", "type": "string", "enum": ["red", "blue"]}}
    [row] = Fields(colour).rows({"properties": {"field": schema}, "required": ["field"]})
    assert (row.place, row.kind, row.bounds, row.required) == ("field", kind, bounds, True)


def test_inner_fields_are_told_by_their_places() -> None:
    """The fields of an inner object, and of a list's items, follow by dotted places."""
    inner = {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}
    schema = {"properties": {"a": inner, "c": {"type": "array", "items": inner}}}
    assert [(row.place, row.required) for row in Fields({}).rows(schema)] == [
        ("a", False), ("a.b", True), ("c", False), ("c[].b", True),
    ]  # fmt: skip

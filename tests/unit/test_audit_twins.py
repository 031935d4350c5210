"""The doubles that records are read with: what they make of a record is what its model makes of it."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, field_validator

import schemas
from schemas.topics import Topic
from services.audit.disclosure import FAMILIES
from services.audit.reading import LOGGED, Reader
from services.runtime.broker import Record
from services.runtime.twins import NoTwin, Twin, Unlike

EXAMPLES = Path(schemas.__file__).parent / "examples"
SALT = bytes(range(32))
AT = datetime(2026, 11, 23, 8, 0, 1, 250_000, tzinfo=UTC)
DOUBLED = [topic for topic in LOGGED if len(FAMILIES[topic.name]) == 1]


@cache
def readers(topic: Topic) -> tuple[Reader, Reader]:
    """A reader with its double, and one with the model alone."""
    quick, sure = Reader(topic), Reader(topic)
    sure._twin = None
    return quick, sure


@cache
def examples(topic: Topic) -> list[dict[str, Any]]:
    """The released examples of a topic's event, and each as our own writers would write it."""
    found = []
    for name in topic.events:
        folder = EXAMPLES / name.rpartition(".")[0]
        for path in sorted(folder.glob("v1/*.json")):
            (family,) = FAMILIES[topic.name]
            example = json.loads(path.read_text("utf-8"))
            try:
                written = family.model.model_validate(example)
            except ValueError:
                continue
            found += [example, written.model_dump(mode="json", by_alias=True, exclude_none=True)]
    assert found, topic.name
    return found


def spots(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield (*path, key)
        yield from spots(child, (*path, key))


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 5, 10**20, 1.0, 1.5, "", " ", "a b", "\x00", "x" * 201, "x" * 6_000, "é" * 200,
        [], {}, "user", "police", "P0", "P9", "NO", "2026-11-23T08:00:00Z", "2026-02-29T08:00:00.000000Z",
        "2024-02-29T08:00:00Z", "2026-11-31T08:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T08:00:60Z",
        "2026-11-23T08:00:00.1234567Z",
        "2026-11-23T08:00:00.123Z", "2026-11-23T08:00:00+08:00", "2026-11-23 08:00:00Z", "1999-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z", "9998-12-31T23:59:59.999999Z", "2026-W47-1T08:00:00.000000Z", 1_700_000_000,
        "0192f0c0-0000-7000-8000-000000000001", "0192F0C0-0000-7000-8000-000000000001", "\u2028",
        "0192f0c000007000800000000000000a", "{0192f0c0-0000-7000-8000-000000000001}", "v_1\n", "CN-31\n", "ab" * 32,
        "ab" * 32 + "\n", "😀" * 200,
    ]
)  # fmt: skip


@given(data=st.data(), topic=st.sampled_from(DOUBLED))
@settings(max_examples=600, deadline=None)
def test_a_double_says_what_its_model_says(data: st.DataObject, topic: Topic) -> None:
    """Of any record, with any of its values replaced, removed or added to, both ways of reading make the same entry."""
    event = copy.deepcopy(data.draw(st.sampled_from(examples(topic))))
    for _ in range(data.draw(st.integers(0, 2))):
        way = data.draw(st.sampled_from(list(spots(event)) or [()]))
        holder: Any = event
        for step in way[:-1]:
            holder = holder[step]
        match data.draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace" if way:
                holder[way[-1]] = data.draw(ODD)
            case "remove" if way and isinstance(holder, dict):
                del holder[way[-1]]
            case "add" if isinstance(holder, dict):
                holder[data.draw(st.sampled_from(["extra", "class", "actor", "reporter"]))] = data.draw(ODD)
    value = json.dumps(event, ensure_ascii=data.draw(st.booleans())).encode()
    assert_same(topic, value)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_broken_bytes_are_read_alike(data: st.DataObject) -> None:
    """A byte changed, dropped or put in anywhere, inside text that is passed by as well, makes no difference either."""
    topic = data.draw(st.sampled_from(DOUBLED))
    value = json.dumps(data.draw(st.sampled_from(examples(topic))), ensure_ascii=False).encode()
    at = data.draw(st.integers(0, len(value) - 1))
    inserted = data.draw(
        st.sampled_from([b"", b"\xff", b'"', b"\\", b"\\ud800", b"\\u0000", b",", b"}", b"\x00", b" "])
    )
    assert_same(topic, value[:at] + inserted + value[at + data.draw(st.integers(0, 1)) :])


def assert_same(topic: Topic, value: bytes) -> None:
    place = Record(topic.name, 0, 1, AT, None, value, ())
    quick, sure = readers(topic)
    assert quick.leaf_or_unreadable(place, value, SALT) == sure.leaf_or_unreadable(place, value, SALT)


@pytest.mark.parametrize("topic", DOUBLED, ids=lambda topic: str(topic.name))
def test_what_we_write_is_read_by_the_double(topic: Topic) -> None:
    """Events in the form of our own writers never need the model: otherwise the double would be of no use."""
    (family,) = FAMILIES[topic.name]
    twin = Twin(family.model)
    for example in examples(topic):
        written = family.model.model_validate(example).model_dump_json(by_alias=True, exclude_none=True).encode()
        assert str(twin.read(written).id) == example["id"]


def test_a_double_of_what_it_does_not_know_is_not_made() -> None:
    """A field with a check that the double would not hold to is an error when the process starts."""

    class Doubled(BaseModel):
        number: Annotated[int, BeforeValidator(lambda value: value)]

    class Checked(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def _even(cls, value: int) -> int:
            return value

    class Odd(BaseModel):
        number: complex

    for model in (Doubled, Checked, Odd):
        with pytest.raises(NoTwin):
            Twin(model)


def test_a_double_refuses_nul() -> None:
    """NUL, in whatever field, is left to the model."""

    class Said(BaseModel):
        text: str

    assert Twin(Said).read(b'{"text":"a"}').text == "a"
    with pytest.raises(Unlike):
        Twin(Said).read(rb'{"text":"a\u0000"}')

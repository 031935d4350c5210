"""Reads YAML into plain nodes that know their line and column, so that each mistake in a policy has its place.

Only what a policy needs: mappings, lists and scalars of one document. Anchors, aliases and tags are refused, which
also ends every way for a small text to become a large value.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    NodeEvent,
    ScalarEvent,
)
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from services.triage.mistake import Mistake

MOST_BYTES: Final = 256 * 1024
_MOST_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column, both from 1."""

    line: int
    column: int

    def mistake(self, what: str, *, further: int = 0) -> Mistake:
        """A mistake here, or so many characters further in the same line."""
        return Mistake(self.line, self.column + further, what)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as it was written; `plain` is false in quotes, `inline` is false where it spans lines."""

    place: Place
    text: str
    plain: bool
    inline: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A list."""

    place: Place
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping, where the key stands, and its value."""

    key: str
    place: Place
    value: "Node"


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys with values, in the order written; a key that is written twice is in `entries` once and in `repeated`."""

    place: Place
    entries: tuple[Entry, ...]
    repeated: tuple[Entry, ...]

    def get(self, key: str) -> Entry | None:
        """The entry of a key, if there is one."""
        return next((entry for entry in self.entries if entry.key == key), None)


Node = Scalar | Listing | Mapping


def read(text: str) -> tuple[Node | None, list[Mistake]]:
    """The document's root, or why there is none. Duplicate keys are told by the mapping, not here."""
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        return None, [Mistake(1, 1, f"the file is larger than {MOST_BYTES // 1024} KiB")]
    try:
        refused = list(_refused_events(text))
        if refused:
            return None, refused
        root = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        return None, [_syntax(error, text)]
    if root is None:
        return None, [Mistake(1, 1, "the file is empty; begin with name, version, classes and rules")]
    mistakes: list[Mistake] = []
    node = _node(root, mistakes)
    return (None, mistakes) if mistakes else (node, [])


def _refused_events(text: str) -> Iterator[Mistake]:
    """Aliases, anchors, tags, a second document and deep nesting, found before any of them is built."""
    depth = documents = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        place = _place(event)
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                yield place.mistake("a second document begins here; a policy is one")
                return
        if isinstance(event, AliasEvent):
            yield place.mistake("aliases (*name) are not part of a policy; write the value out")
        elif isinstance(event, NodeEvent) and event.anchor is not None:
            yield place.mistake("anchors (&name) are not part of a policy; write the value out")
        if isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag is not None:
            yield place.mistake("tags (!name) are not part of a policy")
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _MOST_DEPTH:
            yield place.mistake(f"nested deeper than {_MOST_DEPTH} levels")
            return


def _place(marked: Any) -> Place:  # noqa: ANN401 -- ruamel's events and nodes share marks, not a type
    mark = marked.start_mark
    return Place(mark.line + 1, mark.column + 1)


def _syntax(error: YAMLError, text: str) -> Mistake:
    """YAML's own complaint, at the place of the problem or, failing that, of its context."""
    if isinstance(error, ReaderError):
        before = text[: error.position]
        column = len(before) - before.rfind("\n")
        return Mistake(before.count("\n") + 1, column, "a character that YAML does not allow stands here")
    if isinstance(error, MarkedYAMLError):
        # A bracket or quote that is never closed is noticed lines later; the author must go to where it opened.
        unclosed = "end of stream" in (error.problem or "") or "while parsing a flow" in (error.context or "")
        mark = (error.context_mark if unclosed else None) or error.problem_mark or error.context_mark
        what = error.problem or error.context or "not valid YAML"
        return Mistake(mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, f"not valid YAML: {what}")
    return Mistake(1, 1, "not valid YAML")


def _node(raw: Any, mistakes: list[Mistake]) -> Node:  # noqa: ANN401 -- ruamel's nodes share no typed base
    """Turns a composed node into ours; its depth is bounded by the check of events."""
    place = _place(raw)
    if isinstance(raw, MappingNode):
        return _mapping(raw, place, mistakes)
    if isinstance(raw, SequenceNode):
        return Listing(place, tuple(_node(item, mistakes) for item in raw.value))
    if isinstance(raw, ScalarNode):
        inline = raw.start_mark.line == raw.end_mark.line
        return Scalar(place, str(raw.value), plain=raw.style in (None, ""), inline=inline)
    raise TypeError(type(raw).__name__)


def _mapping(raw: MappingNode, place: Place, mistakes: list[Mistake]) -> Mapping:
    entries: dict[str, Entry] = {}
    repeated: list[Entry] = []
    for raw_key, raw_value in raw.value:
        key = _node(raw_key, mistakes)
        if not isinstance(key, Scalar):
            mistakes.append(key.place.mistake("a key is a single word"))
            continue
        entry = Entry(key.text, key.place, _node(raw_value, mistakes))
        if key.text in entries:
            repeated.append(entry)
        else:
            entries[key.text] = entry
    return Mapping(place, tuple(entries.values()), tuple(repeated))

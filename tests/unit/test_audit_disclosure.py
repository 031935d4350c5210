"""What the log shows of every event family, what it commits to, and that it never shows more."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import schemas
from schemas import topics
from schemas.activity import FilterName
from schemas.topics import Topic
from services.audit.disclosure import FAMILIES
from services.audit.leaf import UNREADABLE, commitment
from services.audit.reading import LOGGED, Reader
from services.audit.search import Filters
from services.review.http import CaseFilter

CANARY = "CANARY-7f3a"
SALT = bytes(range(32))
REPORT, CASE, DECISION, CAUSE, EVENT = (f"0192f0c0-0000-7000-8000-00000000000{n}" for n in range(1, 6))


@dataclass(frozen=True)
class Place:
    """A record's place, without a broker."""

    topic: str
    partition: int = 3
    offset: int = 41
    at: datetime = datetime(2026, 11, 23, 8, 0, 1, 250_000, tzinfo=UTC)


def ruling() -> dict[str, Any]:
    return {
        "policy": "default",
        "version": "2026-11",
        "rule": "police_in_remit",
        "inputs": {"source.kind": "police", "source.reports_today": 17, "report.keyword": f"{CANARY} input"},
    }


def report() -> dict[str, Any]:
    return {
        "report_id": REPORT,
        "channel": "police_one_click",
        "reporter": f"{CANARY} reporter",
        "occurred_at": "2026-11-23T07:00:00.000001Z",
        "source": {"kind": "police", "id": "src-1"},
        "content": {
            "id": "v_7301",
            "type": "video",
            "author": f"{CANARY} author",
            "url": f"https://example.org/{CANARY}",
            "language": f"{CANARY} language",
            "region": "CN-31",
            "excerpt": f"{CANARY} 摘录",
            "snapshot": {"ref": f"{CANARY} ref", "sha256": "ab" * 32},
        },
        "category": "scams_and_fraud",
        "keyword": f"{CANARY} keyword",
        "explanation": f"{CANARY} 说明",
        "legal_ground": f"{CANARY} 法律依据",
        "addressed_agency": f"{CANARY} agency",
        "endorses": "0192f0c0-0000-7000-8000-0000000000e1",
        "territory": "CN-44",
    }


def triaged() -> dict[str, Any]:
    return {
        "report": report(),
        "digest": "cd" * 32,
        "lane": "flagged",
        "received_at": "2026-11-23T07:00:00.000002Z",
        "attestation": {"key_id": "key-1", "attester": "intake", "source_id": "src-1", "standing": "good"},
        "class": "P0",
        "queue": "police",
        "target_seconds": 900,
        "ruling": ruling(),
        "note": f"{CANARY} note",
    }


def case_changed() -> dict[str, Any]:
    return {
        "case_id": CASE,
        "kind": "report",
        "version": 5,
        "content_id": "v_7301",
        "at": "2026-11-23T07:00:00.000003Z",
        "actor": "anna",
        "from_state": "queued",
        "to_state": "claimed",
        "why": "claim",
        "class": "P0",
        "queue": "police",
        "due_at": "2026-11-23T07:15:00.000004Z",
        "report_count": 12,
        "report_id": REPORT,
        "ruling": ruling(),
        "fence": 23,
        "expires_at": "2026-11-23T07:25:00.000005Z",
        "previous_case_id": "0192f0c0-0000-7000-8000-0000000000c1",
    }


def decision() -> dict[str, Any]:
    return {
        "decision_id": DECISION,
        "case_id": CASE,
        "content_id": "v_7301",
        "class": "P1",
        "queue": "police",
        "ruling": ruling(),
        "finding": {
            "verdict": "illegal",
            "violates": "刑法第二百六十六条",
            "actions": ["remove", "demote"],
            "reason": f"{CANARY} 理由",
        },
        "decided_by": "anna",
        "decided_at": "2026-11-23T07:20:00.000006Z",
        "part": 2,
        "parts": 3,
        "late": True,
        "reports": [
            {
                "report_id": REPORT,
                "received_at": "2026-11-23T07:00:00.000002Z",
                "source_kind": "police",
                "source_id": "src-1",
            }
        ],
    }


def outcome() -> dict[str, Any]:
    return {
        "report_id": REPORT,
        "case_id": CASE,
        "decision_id": DECISION,
        "content_id": "v_7301",
        "class": "P2",
        "verdict": "against_terms",
        "violates": "R-7",
        "actions": ["label"],
        "statement": "against_terms.label",
        "source_kind": "police",
        "source_id": "src-1",
        "received_at": "2026-11-23T07:00:00.000002Z",
        "decided_at": "2026-11-23T07:20:00.000006Z",
        "late": True,
    }


def source() -> dict[str, Any]:
    return {
        "source_id": "0192f0c0-0000-7000-8000-0000000000d1",
        "version": 9,
        "change": "key_revoked",
        "actor": "root",
        "kind": "police",
        "name": f"{CANARY} name",
        "agency": f"{CANARY} agency",
        "parent": f"{CANARY} parent",
        "region": "CN-31",
        "categories": ["violence"],
        "quota_per_day": 40,
        "time_zone": "Asia/Urumqi",
        "status": "suspended",
        "keys": [{"key_id": "key-1", "public_key": "A" * 43, "revoked_at": "2026-11-23T07:00:00.000007Z"}],
    }


def attester() -> dict[str, Any]:
    return {
        "name": "platform-backend",
        "version": 4,
        "change": "added",
        "actor": "root",
        "key": {"key_id": "key-2", "public_key": "B" * 43, "revoked_at": "2026-11-23T07:00:00.000008Z"},
        "kinds": ["government"],
        "verdicts": True,
    }


def alert() -> dict[str, Any]:
    return {
        "code": "bad_attestation",
        "what": f"{CANARY} what",
        "lane": "flagged",
        "report_id": REPORT,
        "content_id": "v_7301",
        "source_id": "src-1",
        "key_id": "key-3",
    }


def policy_loaded() -> dict[str, Any]:
    return {"policy": "default", "version": "2026-11", "sha256": "ef" * 32, "actor": "triage"}


def viewed() -> dict[str, Any]:
    return {
        "actor": "zhao",
        "role": "auditor",
        "what": "search",
        "answered": 7,
        "filters": ["report_id", "source_id"],
        "first": 12,
        "last": 31,
        "report_id": REPORT,
        "case_id": CASE,
        "content_id": "v_7301",
        "source_id": "src-1",
    }


def ordered() -> dict[str, Any]:
    return {
        "erasure_id": CAUSE,
        "part": 1,
        "basis": "content",
        "content_id": "v_7301",
        "ordered_by": "supervisor-1",
        "ground": f"{CANARY} ground",
        "reports": [REPORT],
    }


def done() -> dict[str, Any]:
    return {"erasure_id": CAUSE, "part": 1, "service": "review", "count": 2}


def hold_changed() -> dict[str, Any]:
    return {
        "hold_id": CAUSE,
        "content_id": "v_7301",
        "report_id": REPORT,
        "source_id": "src-1",
        "actor": "supervisor-1",
        "ground": f"{CANARY} ground",
    }


def disclosed() -> dict[str, Any]:
    return {"index": 7, "actor": "auditor-1", "report_id": REPORT, "ground": f"{CANARY} ground"}


# One event of each type with every field given, so that a field which is forgotten somewhere is seen to be.
SAMPLES: list[tuple[Topic, str, dict[str, Any]]] = [
    (topics.REPORTS_PUBLIC, "jubao.report.submitted.v1", report()),
    (topics.REPORTS_FLAGGED, "jubao.report.submitted.v1", report()),
    (topics.TRIAGE_PUBLIC, "jubao.report.triaged.v1", triaged()),
    (topics.TRIAGE_FLAGGED, "jubao.report.triaged.v1", triaged()),
    *((topics.CASES, name, case_changed()) for name in topics.CASES.events),
    (topics.DECISIONS, "jubao.decision.made.v1", decision()),
    (topics.OUTCOMES, "jubao.outcome.reached.v1", outcome()),
    (topics.ACTIVITY, "jubao.activity.alert.v1", alert()),
    (topics.ACTIVITY, "jubao.activity.policy_loaded.v1", policy_loaded()),
    (topics.ACTIVITY, "jubao.activity.viewed.v1", viewed()),
    (topics.SOURCES, "jubao.source.changed.v1", source()),
    (topics.SOURCES, "jubao.attester.changed.v1", attester()),
    (topics.ERASURES, "jubao.erasure.ordered.v1", ordered()),
    (topics.ERASURES, "jubao.erasure.done.v1", done()),
    (topics.ERASURES, "jubao.hold.placed.v1", hold_changed()),
    (topics.ERASURES, "jubao.hold.lifted.v1", hold_changed()),
    (topics.ERASURES, "jubao.entry.disclosed.v1", disclosed()),
]
READERS = {topic.name: Reader(topic) for topic in LOGGED}
each_sample = pytest.mark.parametrize(("topic", "name", "data"), SAMPLES, ids=[f"{t.name} {n}" for t, n, _ in SAMPLES])


def event(name: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": EVENT,
        "source": "app-backend",
        "type": name,
        "time": "2026-11-23T07:00:00.000009Z",
        "subject": REPORT,
        "datacontenttype": "application/json",
        "correlationid": REPORT,
        "causationid": CAUSE,
        "data": data,
    }


def record(name: str, data: dict[str, Any]) -> bytes:
    return json.dumps(event(name, data), ensure_ascii=False).encode()


def paths(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every scalar of a JSON value with its path."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from paths(value, (*at, key))
    else:
        yield at, node


def values(node: Any) -> list[Any]:
    return [value for _, value in paths(node)]


def models_in(kind: Any) -> Iterator[type[BaseModel]]:
    """The models that a field's type holds, however wrapped."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    elif get_origin(kind) in {Union, UnionType, Annotated, list}:
        for inner in get_args(kind):
            yield from models_in(inner)


def missing(model: type[BaseModel], data: Any, at: str = "") -> Iterator[str]:
    """The fields of a model that a sample does not give."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key not in data:
            yield f"{at}{key}"
            continue
        for inner in models_in(field.annotation):
            given = data[key][0] if isinstance(data[key], list) else data[key]
            yield from missing(inner, given, f"{at}{key}.")


@each_sample
def test_samples_give_every_field(topic: Topic, name: str, data: dict[str, Any]) -> None:
    """The samples of this file fill in every field of their models, so the tests below see all fields there are."""
    family = next(f for f in FAMILIES[topic.name] if name in f.types)
    assert list(missing(family.model, event(name, data))) == []


def test_every_event_of_every_topic_is_declared() -> None:
    """No event of the topics table is without its place in the log."""
    declared = {(topic, name) for topic, families in FAMILIES.items() for f in families for name in f.types}
    assert declared == {(topic.name, name) for topic in LOGGED for name in topic.events}
    assert {(t.name, n) for t, n, _ in SAMPLES} == declared


@each_sample
def test_no_field_is_forgotten(topic: Topic, name: str, data: dict[str, Any]) -> None:
    """Each value of an event is shown or committed to; a triaged report is bound by its digest instead."""
    leaf = READERS[topic.name].leaf(Place(topic.name), record(name, data), SALT)
    kept = values(orjson.loads(leaf.body)) + (values(orjson.loads(leaf.part)) if leaf.part else [])
    for path, value in paths(data):
        if path[0] == "report" and topic.name.startswith("triage."):
            continue
        assert value in kept, path


@each_sample
def test_private_text_is_committed_to_and_not_shown(topic: Topic, name: str, data: dict[str, Any]) -> None:
    """What names or quotes a person is nowhere in the leaf or its search columns, and the commitment binds it."""
    leaf = READERS[topic.name].leaf(Place(topic.name), record(name, data), SALT)
    shown = [leaf.body.decode(), leaf.actor, leaf.content_id or "", leaf.source_id or ""]
    assert not any(CANARY in text for text in shown)
    body = orjson.loads(leaf.body)
    if leaf.part is None:
        assert "commitment" not in body
        assert leaf.salt is None
        assert CANARY not in json.dumps(data)
    else:
        assert leaf.salt == SALT
        assert body["commitment"] == commitment(SALT, leaf.part)
        assert body["commitment"] != commitment(SALT, leaf.part + b" ")
        assert body["commitment"] != commitment(bytes(32), leaf.part)


PRIVATE_PATHS = [
    (topic, name, path) for topic, name, data in SAMPLES for path, value in paths(data) if CANARY in str(value)
]


@given(st.sampled_from(PRIVATE_PATHS), st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40))
def test_leaf_and_part_are_canonical_json(where: tuple[Topic, str, tuple[Any, ...]], text: str) -> None:
    """Whatever text an event holds, leaf and private part are the bytes that RFC 8785 gives."""
    topic, name, path = where
    leaf, _ = READERS[topic.name].leaf_or_unreadable(
        Place(topic.name), record(name, put(topic, name, path, CANARY + text)), SALT
    )
    assert rfc8785.dumps(orjson.loads(leaf.body)) == leaf.body
    assert leaf.part is None or rfc8785.dumps(orjson.loads(leaf.part)) == leaf.part
    assert CANARY.encode() not in leaf.body


def put(topic: Topic, name: str, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The sample's data with one value replaced."""
    data = copy.deepcopy(next(d for t, n, d in SAMPLES if t == topic and n == name))
    node: Any = data
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return data


# Where the contract allows free-looking text that is meant to be shown: ids, names of staff, codes of our own rules.
SHOWN = {
    ("content", "id"), ("report", "content", "id"), ("content_id",), ("source_id",), ("key_id",), ("source", "id"),
    ("report", "source", "id"), ("actor",), ("decided_by",), ("ordered_by",), ("why",), ("queue",), ("policy",),
    ("version",), ("sha256",), ("statement",), ("violates",), ("finding", "violates"), ("ruling", "policy"),
    ("ruling", "version"), ("ruling", "rule"), ("attestation", "key_id"), ("attestation", "attester"),
    ("attestation", "source_id"), ("name",), ("keys", 0, "key_id"), ("key", "key_id"), ("content", "region"),
    ("territory",), ("region",),
}  # fmt: skip
ELSEWHERE = [
    (topic, name, path)
    for topic, name, data in SAMPLES
    for path, _ in paths(data)
    if path not in SHOWN or (path == ("name",) and name == "jubao.source.changed.v1")
]
MISPLACED = [CANARY, [CANARY], {CANARY: CANARY}, {"id": CANARY}]


@given(st.sampled_from(ELSEWHERE), st.sampled_from(MISPLACED), st.booleans())
def test_misplaced_text_is_never_shown(
    where: tuple[Topic, str, tuple[Any, ...]], value: Any, replaces_parent: bool
) -> None:
    """Text where the contract has none makes the record unreadable or is committed to; it is in no leaf or reason."""
    topic, name, path = where
    at = path[:-1] if replaces_parent and len(path) > 1 else path
    leaf, reason = READERS[topic.name].leaf_or_unreadable(
        Place(topic.name), record(name, put(topic, name, at, value)), SALT
    )
    assert CANARY.encode() not in leaf.body
    assert CANARY not in (reason or "")
    assert (leaf.type == UNREADABLE) == (reason is not None)


@each_sample
def test_unknown_field_is_unreadable_and_unnamed(topic: Topic, name: str, data: dict[str, Any]) -> None:
    """A field that the contract does not have makes a record unreadable, and its name is not repeated."""
    leaf, reason = READERS[topic.name].leaf_or_unreadable(
        Place(topic.name), record(name, {**data, CANARY: CANARY}), SALT
    )
    assert leaf.type == UNREADABLE
    assert reason is not None
    assert reason.endswith("data.*: extra_forbidden")
    assert CANARY.encode() not in leaf.body


def test_known_words_of_a_ruling_are_shown() -> None:
    """A ruling's inputs are shown where they are numbers or words of the vocabulary, so the log says why."""
    leaf = READERS["triage.flagged.v1"].leaf(
        Place("triage.flagged.v1"), record("jubao.report.triaged.v1", triaged()), SALT
    )
    assert orjson.loads(leaf.body)["detail"]["inputs"] == {"source.kind": "police", "source.reports_today": 17}
    assert leaf.part is not None
    assert orjson.loads(leaf.part)["inputs"] == [["report.keyword", f"{CANARY} input"]]


def test_inputs_with_odd_paths_are_not_shown() -> None:
    """A path that is no plain dotted word goes to the private part with its value."""
    data = triaged()
    data["ruling"]["inputs"] = {f"{CANARY} 路径": 3}
    leaf = READERS["triage.public.v1"].leaf(Place("triage.public.v1"), record("jubao.report.triaged.v1", data), SALT)
    assert CANARY.encode() not in leaf.body
    assert leaf.part is not None
    assert orjson.loads(leaf.part)["inputs"] == [[f"{CANARY} 路径", 3]]


EXAMPLES = [
    path
    for path in sorted((Path(schemas.__file__).parent / "examples").rglob("*.json"))
    if path.parent.parent.name != "jubao.log.checkpoint"
]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_stored_example_has_a_leaf(path: Path) -> None:
    """Each example that is kept for ever is an entry, on every topic that carries its type; a checkpoint is none."""
    example = json.loads(path.read_bytes())
    carriers = [topic for topic in LOGGED if example["type"] in topic.events]
    leaves = [READERS[topic.name].leaf_or_unreadable(Place(topic.name), path.read_bytes(), SALT) for topic in carriers]
    assert [reason for _, reason in leaves].count(None) >= 1
    assert all(rfc8785.dumps(orjson.loads(leaf.body)) == leaf.body for leaf, _ in leaves)


@pytest.mark.parametrize("filters", [Filters, CaseFilter])
def test_every_filter_has_a_name_that_a_look_may_tell(filters: type[BaseModel]) -> None:
    """The filters of a search and of a list of cases are all among the names that the event of a look takes."""
    names = {field.alias or name for name, field in filters.model_fields.items()} - {"cursor", "limit"}
    assert names <= set(get_args(FilterName))

"""How a triaged event becomes what review takes in."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.topics import TRIAGE_PUBLIC
from schemas.triage import ReportTriaged
from services.review import consume
from services.review.consume import flagged, public
from services.review.joining import Arrival, reporter_digest
from services.runtime.batch import Record, Refused
from services.runtime.outbox import event_bytes
from services.runtime.settings import Settings
from services.runtime.twins import Unlike

REPORT = UUID(int=1)
TRACE = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"


def event(report: dict[str, Any] | None = None, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(UUID(int=2)),
        "source": "triage",
        "type": "jubao.report.triaged.v1",
        "time": "2026-11-23T08:00:00Z",
        "subject": str(REPORT),
        "datacontenttype": "application/json",
        "data": {
            "report": {
                "report_id": str(REPORT),
                "channel": "one_click",
                "reporter": "u_1",
                "occurred_at": "2026-11-23T08:00:00Z",
                "source": {"kind": "user"},
                "content": {"id": "v_1", "type": "video"},
                "category": "scams_and_fraud",
            }
            | (report or {}),
            "digest": "0" * 64,
            "lane": "public",
            "received_at": "2026-11-23T08:00:01Z",
            "class": "P3",
            "queue": "general",
            "target_seconds": 86_400,
            "ruling": {"policy": "default", "version": "1", "rule": "rest", "inputs": {"report.keyword": None}},
        }
        | data,
    }


def taken(document: dict[str, Any]) -> Arrival:
    value = json.dumps(document, ensure_ascii=False).encode()
    record = Record(
        TRIAGE_PUBLIC.name, 0, 0, datetime(2026, 11, 23, tzinfo=UTC), b"v_1", value, (("traceparent", TRACE),)
    )
    return public(Settings()).decode(record)


def test_what_is_shown_is_kept_as_it_was_written() -> None:
    """Report, content and ruling are kept with the fields they came with, also those without a value."""
    arrival = taken(event({"explanation": "骗子 \U0001f600"}))
    assert json.loads(arrival.data) == event({"explanation": "骗子 \U0001f600"})["data"]["report"]
    assert json.loads(arrival.content) == {"id": "v_1", "type": "video"}
    assert json.loads(arrival.ruling)["inputs"] == {"report.keyword": None}
    assert (arrival.priority, arrival.rule, arrival.trace) == (3, "rest", TRACE)


@pytest.mark.parametrize(
    ("report", "name"),
    [
        ({}, "u_1"),
        ({"reporter": None, "source": {"kind": "police", "id": "s_1"}}, "s_1"),
        ({"reporter": "officer", "source": {"kind": "police", "id": "s_1"}}, "officer"),
        ({"reporter": None, "source": {"kind": "government"}}, "government"),
    ],
)
def test_a_reporter_is_whoever_is_named_first(report: dict[str, Any], name: str) -> None:
    """The named reporter counts once per case, else the source, else its kind; only a digest of the name is kept."""
    arrival = taken(event(report))
    assert arrival.reporter == reporter_digest(name)
    assert len(arrival.reporter) == 16


def test_the_actor_is_a_source_only_if_somebody_vouched_for_it() -> None:
    """An unattested report acts by its kind, whatever id it claims; an attested one by its source."""
    police = {"reporter": None, "source": {"kind": "police", "id": "s_1"}}
    attestation = {"key_id": "k", "attester": "intake", "source_id": "s_1", "standing": "good"}
    assert taken(event(police)).actor == "police"
    assert taken(event(police, attestation=attestation)).actor == "s_1"
    assert taken(event()).actor == "user"


def test_snapshots_are_compared_whatever_their_letters_case() -> None:
    """Digests in capitals and in small letters are the same digest."""
    content = {"id": "v_1", "type": "video", "snapshot": {"sha256": "AB" * 32}}
    assert taken(event({"content": content})).snapshot == "ab" * 32


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"class": "P0"}, "nothing is P0 without an attestation"),
        ({"class": "P7"}, "class"),
        ({"target_seconds": 0}, "target_seconds"),
        ({"target_seconds": 2**31}, "target_seconds: more than a year"),
        ({"queue": "a\x00b"}, "queue"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(change: dict[str, Any], reason: str) -> None:
    """A triaged event that breaks the contract is refused with a reason that names the place."""
    with pytest.raises(Refused, match=reason):
        taken(event(**change))


ODD: list[Any] = [
    None, True, 0, 3.0, 2**31, 2**70, "", " ", "NO", "\x00", "x" * 300, [], {}, "user", "police", "P0", "P1",
    "2026-02-29T08:00:00Z", "2026-11-23T08:00:00+08:00", "2026-11-23T08:00:00.5Z", "1999-12-31T23:59:59Z",
    "0192F0C0-0000-7000-8000-000000000001", "ab" * 32, "AB" * 32, "\u2028", "\U0001f600",
]  # fmt: skip


def places(value: Any, holder: Any = None, key: Any = None) -> Iterator[tuple[Any, Any]]:
    """Every value inside, as what holds it and under which key."""
    if holder is not None:
        yield holder, key
    for inner, child in value.items() if isinstance(value, dict) else ():
        yield from places(child, value, inner)


@given(st.data())
@settings(max_examples=500, deadline=None)
def test_the_quick_way_says_what_the_model_says(data: st.DataObject) -> None:
    """Of a record with any of its values replaced, removed or added to, the quick way makes the model's arrival."""
    snapshot = {"content": {"id": "v_1", "type": "video", "snapshot": {"ref": "s", "sha256": "AB" * 32}}}
    police = {"reporter": None, "source": {"kind": "police", "id": "s_1"}}
    vouched = {"attestation": {"key_id": "k", "attester": "a", "source_id": "s_1", "standing": "good"}, "class": "P0"}
    document = copy.deepcopy(data.draw(st.sampled_from([event(), event(snapshot), event(police, **vouched)])))
    for _ in range(data.draw(st.integers(0, 2))):
        holder, key = data.draw(st.sampled_from(list(places(document))))
        match data.draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                holder[key] = data.draw(st.sampled_from(ODD))
            case "remove":
                holder.pop(key, None)
            case _:
                holder[data.draw(st.sampled_from(["extra", "note", "reporter"]))] = data.draw(st.sampled_from(ODD))
    value = json.dumps(document, ensure_ascii=data.draw(st.booleans())).encode()
    try:
        quick = consume._quickly(value, TRACE)
    except Unlike:
        return
    slow = consume.arrival_of(ReportTriaged.model_validate_json(value), value, TRACE)
    assert as_read(quick) == as_read(slow)


def as_read(arrival: Arrival) -> tuple[object, ...]:
    """An arrival with its kept texts as a reader of JSON has them."""
    return arrival._replace(data=json.loads(arrival.data), ruling=json.loads(arrival.ruling))


def test_what_triage_writes_is_read_the_quick_way() -> None:
    """The quick way takes an event as triage writes it, or it would be of no use; what is kept is cut out of it."""
    written = event_bytes(ReportTriaged.model_validate(event({"explanation": "骗子"})))
    quick = consume._quickly(written, None)
    assert quick.data.encode() in written
    assert quick.ruling.encode() in written


def test_the_lanes_are_groups_of_their_own() -> None:
    """Each lane has its own topic and consumer group, so that one cannot hold the other up."""
    one, other = flagged(Settings()), public(Settings())
    assert (one.group, other.group) == ("review.flagged", "review.public")
    assert [t.name for t in (*one.topics, *other.topics)] == ["triage.flagged.v1", "triage.public.v1"]

"""The form of leaves: identity, times, what has no form, and records that are no events."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from schemas import topics
from services.audit.leaf import UNREADABLE, Unfit, canonical, commitment, moment, unreadable
from services.audit.reading import Reader

SALT = bytes(32)
EVENT = "0192f0c0-0000-7000-8000-00000000000a"
REPORT = "0192f0c0-0000-7000-8000-000000000001"


@dataclass(frozen=True)
class Place:
    """A record's place, without a broker."""

    topic: str
    partition: int = 0
    offset: int = 0
    at: datetime = datetime(2026, 11, 23, 8, 0, 1, tzinfo=UTC)


def submitted(**changes: Any) -> bytes:
    data = {
        "report_id": REPORT,
        "channel": "one_click",
        "reporter": "u_1",
        "occurred_at": "2026-11-23T08:00:00Z",
        "source": {"kind": "user"},
        "content": {"id": "v_1", "type": "video"},
        "category": "violence",
    }
    return envelope("jubao.report.submitted.v1", {**data, **changes})


def envelope(name: str, data: dict[str, Any], **changes: Any) -> bytes:
    event = {
        "specversion": "1.0",
        "id": EVENT,
        "source": "app-backend",
        "type": name,
        "time": "2026-11-23T16:00:00+08:00",
        "subject": REPORT,
        "data": data,
    }
    return json.dumps({**event, **changes}).encode()


def policy(**changes: Any) -> bytes:
    data = {"policy": "default", "version": "1", "sha256": "0", "actor": "triage"}
    return envelope("jubao.activity.policy_loaded.v1", {**data, **changes})


public, activity, cases = Reader(topics.REPORTS_PUBLIC), Reader(topics.ACTIVITY), Reader(topics.CASES)
ON_PUBLIC, ON_ACTIVITY = Place("reports.public.v1"), Place("activity.v1")

scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8"))
keys = st.text(st.characters(codec="ascii"), max_size=8)
objects = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=12)


@given(st.dictionaries(keys, objects))
def test_canonical_bytes_are_those_of_rfc_8785(value: dict[str, object]) -> None:
    """Objects with ASCII keys and without floats have the same bytes as the library of the standard gives."""
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


def test_large_integers_have_no_canonical_form() -> None:
    """An integer that a double cannot hold is refused, as RFC 8785 wants."""
    with pytest.raises(Unfit):
        canonical({"n": 2**53})


def test_commitment_is_hmac_sha256() -> None:
    """The commitment is the HMAC-SHA256 that anyone can compute with another tool (RFC 4231, test case 2)."""
    assert commitment(b"Jefe", b"what do ya want for nothing?") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_the_same_record_again_has_the_same_identity() -> None:
    """A record of a report topic delivered or produced again is the same entry, wherever it lands."""
    first = public.leaf(ON_PUBLIC, submitted(), SALT)
    again = public.leaf(Place("reports.public.v1", partition=5, offset=9), submitted(), SALT)
    assert first.identity == again.identity
    assert str(first.event_id) == EVENT


def test_other_content_under_the_same_event_id_is_another_entry() -> None:
    """On topics that others produce to, two contents under one event id are both logged."""
    first = public.leaf(ON_PUBLIC, submitted(), SALT)
    other = public.leaf(ON_PUBLIC, submitted(category="self_harm"), SALT)
    assert first.identity != other.identity
    assert first.event_id == other.event_id


def test_our_own_events_are_known_by_their_ids() -> None:
    """On topics of our own services the first event of an id is the entry, whatever a second one says."""
    first, second = activity.leaf(ON_ACTIVITY, policy(), SALT), activity.leaf(ON_ACTIVITY, policy(version="2"), SALT)
    assert str(first.identity) == str(second.identity) == EVENT
    assert first.event_id is None


def test_times_have_one_written_form() -> None:
    """Event times are UTC with microseconds, the broker's time is UTC with milliseconds."""
    body = orjson.loads(public.leaf(ON_PUBLIC, submitted(), SALT).body)
    assert body["event_time"] == "2026-11-23T08:00:00.000000Z"
    assert body["time"] == "2026-11-23T08:00:01.000Z"


def test_a_time_outside_the_calendar_is_unfit() -> None:
    """A time that has no year in UTC is refused rather than ending the consumer."""
    with pytest.raises(Unfit):
        moment(datetime.fromisoformat("9999-12-31T23:59:59-12:00"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "json_invalid"),
        (b"\xff\xfe", "json_invalid"),
        (b"[]", "model_type"),
        (b"[" * 100_000, "json_invalid"),
        (submitted(category="nonsense"), "data.category: enum"),
        (submitted(explanation="a\0b"), "data.explanation: string_pattern_mismatch"),
        (submitted(explanation="x" * 5_001), "data.explanation: string_too_long"),
        (submitted(report_id="no"), "data.report_id: uuid_parsing"),
        (submitted(occurred_at="9999-12-31T23:59:59-12:00"), "data.occurred_at: timestamp_late"),
        (submitted().replace(b'"u_1"', b'"\\ud800"'), "json_invalid"),
        (b"x" * (256 * 1024 + 1), "larger than 262144 bytes"),
        (envelope("jubao.report.triaged.v1", {}), "type: literal_error"),
    ],
)
def test_unreadable_records_say_why(value: bytes, reason: str) -> None:
    """A record that is no event of its topic is an entry with place and reason, under an identity of its place."""
    leaf, why = public.leaf_or_unreadable(Place("reports.public.v1", 2, 7), value, SALT)
    assert (leaf.type, why) == (UNREADABLE, reason)
    body = orjson.loads(leaf.body)
    assert body["detail"] == {"reason": reason}
    assert (body["topic"], body["partition"], body["offset"]) == ("reports.public.v1", 2, 7)
    assert leaf.part is None
    assert rfc8785.dumps(body) == leaf.body


def test_unreadable_records_are_told_apart_by_place() -> None:
    """The same bad bytes at two places are two entries, and at one place one."""
    first, second = Place("activity.v1", offset=1), Place("activity.v1", offset=2)
    assert unreadable(first, "r").identity == unreadable(first, "r").identity != unreadable(second, "r").identity


@pytest.mark.parametrize(
    ("reader", "value", "reason"),
    [
        (activity, policy(version=5), "data.version: string_type"),
        (activity, policy().replace(b"policy_loaded", b"other"), "union_tag_invalid"),
        (cases, envelope("jubao.case.decided.v1", {}), "type: literal_error"),
    ],
)
def test_wrong_events_of_our_own_topics_are_unreadable(reader: Reader, value: bytes, reason: str) -> None:
    """Events of our own topics that do not fit are refused with the place of the mistake."""
    _, why = reader.leaf_or_unreadable(ON_ACTIVITY, value, SALT)
    assert why is not None
    assert why.endswith(reason)


def test_a_number_out_of_range_is_unreadable() -> None:
    """A number that canonical JSON cannot hold makes the record unreadable instead of stopping the log."""
    data = {
        "source_id": REPORT, "version": 2**60, "change": "added", "actor": "root", "kind": "police", "name": "n",
        "status": "active", "keys": [],
    }  # fmt: skip
    _, why = Reader(topics.SOURCES).leaf_or_unreadable(
        Place("sources.v1"), envelope("jubao.source.changed.v1", data), SALT
    )
    assert why == "a number or a time is out of range"


def test_extension_attributes_are_not_kept() -> None:
    """Attributes beside the contract's pass and leave no trace in leaf or private part."""
    value = envelope("jubao.report.submitted.v1", json.loads(submitted())["data"], traceparent="00-secret")
    leaf = public.leaf(ON_PUBLIC, value, SALT)
    assert b"secret" not in leaf.body + (leaf.part or b"")


def test_the_actor_is_never_the_reporter() -> None:
    """A public report's actor is its producer."""
    assert public.leaf(ON_PUBLIC, submitted(), SALT).actor == "app-backend"

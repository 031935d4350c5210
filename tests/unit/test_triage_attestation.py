"""Attestations: only the right key over the right bytes counts, and nothing else on the flagged lane is privileged."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.activity import AlertRaised
from schemas.source import AttesterChanged, SourceChanged
from schemas.triage import ReportTriaged
from schemas.vocabulary import AlertCode, Standing
from services.runtime.batch import Item, Record, Refused
from services.runtime.outbox import Message
from services.triage import attestation, policy_file
from services.triage.attestation import AttestationRefused
from services.triage.consume import Flagged, Public
from services.triage.sourcebook import SourceBook
from services.triage.standing import lies_in, local_day
from services.triage.store import PlaceWanted

AT = datetime(2026, 11, 23, 8, 0, 1, tzinfo=UTC)
INTAKE, BACKEND, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
POLICE = UUID("00000000-0000-7000-8000-00000000000a")
POLICY = policy_file.in_force(None)


def b64(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def sign(key: Ed25519PrivateKey, header: dict[str, Any], value: bytes) -> bytes:
    encoded = b64(json.dumps(header).encode())
    return encoded + b".." + b64(key.sign(encoded + b"." + b64(value)))


def by_intake(value: bytes, **changes: Any) -> bytes:
    header = {
        "alg": "EdDSA",
        "kid": "intake-1",
        "source": str(POLICE),
        "kind": "police",
        "standing": "good",
        "received_at": "2026-11-23T08:00:00.500Z",
        **changes,
    }
    return sign(INTAKE, {name: part for name, part in header.items() if part is not None}, value)


def by_backend(value: bytes, **changes: Any) -> bytes:
    return sign(BACKEND, {"alg": "EdDSA", "kid": "backend-1", **changes}, value)


def attester(key_id: str, key: Ed25519PrivateKey, kinds: Sequence[str], **changes: Any) -> AttesterChanged:
    revoked_at = changes.pop("revoked_at", None)
    data = {
        "name": key_id,
        "version": 1,
        "change": "added",
        "actor": "root",
        "key": {
            "key_id": key_id,
            "public_key": b64(key.public_key().public_bytes_raw()).decode(),
            "revoked_at": revoked_at,
        },
        "kinds": list(kinds),
        **changes,
    }
    return AttesterChanged.model_validate(envelope("jubao.attester.changed.v1", data))


def source(**changes: Any) -> SourceChanged:
    data = {
        "source_id": str(POLICE),
        "version": 1,
        "change": "added",
        "actor": "root",
        "kind": "police",
        "name": "上海网警",
        "status": "active",
        "keys": [],
        **changes,
    }
    return SourceChanged.model_validate(envelope("jubao.source.changed.v1", data))


def envelope(type_: str, data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "test",
        "type": type_,
        "time": "2026-11-23T08:00:00Z",
        "subject": "x",
        "data": data,
        **changes,
    }


def submitted(**changes: Any) -> bytes:
    report_id = changes.pop("report_id", str(uuid4()))
    content = {"id": "v_1", "type": "video", **changes.pop("content", {})}
    data = {
        "report_id": report_id,
        "channel": "police_one_click",
        "occurred_at": "2026-11-23T08:00:00Z",
        "source": {"kind": "police", "id": str(POLICE)},
        "category": "scams_and_fraud",
        "explanation": "canary-explanation",
        "legal_ground": "canary-ground",
        **changes,
        "content": content,
    }
    event = envelope("jubao.report.submitted.v1", data, subject=report_id)
    return json.dumps(event, ensure_ascii=False).encode()


class Shelf:
    """A registry that is at its end already."""

    def __init__(self, *events: SourceChanged | AttesterChanged) -> None:
        self.book = SourceBook()
        self.asked = 0
        for event in events:
            self.book.take(event)

    async def catch_up(self) -> None:
        self.asked += 1


KNOWN = (
    attester("intake-1", INTAKE, ["police", "trusted_flagger", "government"], verdicts=True),
    attester("backend-1", BACKEND, ["police"]),
    source(),
)


def record(value: bytes, token: bytes | None = None, *, topic: str = "reports.flagged.v1", at: datetime = AT) -> Record:
    headers = ((("attestation", token),) if token is not None else ()) + (("traceparent", b"x"),)
    return Record(topic, 0, 7, at, b"any", value, headers)


class Lane:
    """The flagged stage with its neighbours at hand: what it publishes, and the places it gives."""

    def __init__(self, *events: SourceChanged | AttesterChanged, places: int = 1) -> None:
        self.sent: list[Message] = []
        self.shelf = Shelf(*(events or KNOWN))
        self.wanted: list[PlaceWanted] = []
        self.first_place = places

    async def publish(self, messages: Sequence[Message]) -> None:
        self.sent += messages

    async def take_places(self, wanted: Sequence[PlaceWanted]) -> dict[tuple[UUID, UUID], int]:
        self.wanted += wanted
        return {(w.source_id, w.report_id): n for n, w in enumerate(wanted, self.first_place)}

    def run(self, *records: Record) -> list[tuple[ReportTriaged, AlertRaised | None]]:
        stage = Flagged(POLICY, self.publish, self.shelf, self.take_places)  # type: ignore[arg-type] # a shelf will do
        items = [Item(r, stage.decode(r)) for r in records]
        self.sent.clear()
        asyncio.run(stage.prepare(items))
        alerts = {
            a.data.report_id: a for a in (AlertRaised.model_validate_json(m.value) for m in self.of("activity.v1"))
        }
        triaged = [ReportTriaged.model_validate_json(m.value) for m in self.of("triage.flagged.v1")]
        return [(t, alerts.get(t.data.report.report_id)) for t in triaged]

    def of(self, topic: str) -> list[Message]:
        return [m for m in self.sent if m.topic == topic]


def ruled(token_of: Any, *events: Any, places: int = 1, **changes: Any) -> tuple[ReportTriaged, AlertRaised | None]:
    value = submitted(**changes)
    token = token_of(value) if token_of else None
    return Lane(*events, places=places).run(record(value, token))[0]


def test_attested_police_report_is_immediate() -> None:
    """A police report with intake's good verdict over its bytes is P0, with its ruling and intake's reception time."""
    triaged, alert = ruled(by_intake)
    data = triaged.data
    assert alert is None
    assert (data.priority, data.ruling.rule, data.target_seconds, data.note) == ("P0", "police_immediate", 900, None)
    assert data.attestation is not None
    assert (data.attestation.attester, data.attestation.standing) == ("intake-1", Standing.GOOD)
    assert data.received_at == triaged.time == datetime(2026, 11, 23, 8, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("standing", "priority"),
    [("over_quota", "P1"), ("out_of_territory", "P1"), ("unknown", "P1"), ("suspended", "P3"), ("good", "P0")],
)
def test_verdict_of_intake_is_taken_at_its_word(standing: str, priority: str) -> None:
    """What intake signed about the source decides, and the report says why it lost its class."""
    triaged, _ = ruled(lambda value: by_intake(value, standing=standing))
    assert triaged.data.priority == priority
    assert (triaged.data.note is None) == (standing == "good")


BAD = {
    "none at all": (None, AlertCode.NO_ATTESTATION),
    "empty": (lambda _: b"", AlertCode.BAD_ATTESTATION),
    "one part": (lambda _: b"abc", AlertCode.BAD_ATTESTATION),
    "with its payload": (lambda v: by_intake(v).replace(b"..", b"." + b64(v) + b"."), AlertCode.BAD_ATTESTATION),
    "four parts": (lambda v: by_intake(v) + b".x", AlertCode.BAD_ATTESTATION),
    "too long": (lambda v: by_intake(v, extra="x" * 5_000), AlertCode.BAD_ATTESTATION),
    "header is no JSON": (lambda _: b64(b"{") + b".." + b64(b"s" * 64), AlertCode.BAD_ATTESTATION),
    "header is a list": (lambda _: b64(b"[]") + b".." + b64(b"s" * 64), AlertCode.BAD_ATTESTATION),
    "header nests": (lambda _: b64(b"[" * 3_000) + b".." + b64(b"s" * 64), AlertCode.BAD_ATTESTATION),
    "other bytes": (lambda v: by_intake(v + b" "), AlertCode.BAD_ATTESTATION),
    "signature cut": (lambda v: by_intake(v)[:-2], AlertCode.BAD_ATTESTATION),
    "signature padded": (lambda v: by_intake(v) + b"==", AlertCode.BAD_ATTESTATION),
    "other key, known kid": (
        lambda v: sign(STRANGER, {"alg": "EdDSA", "kid": "backend-1"}, v),
        AlertCode.BAD_ATTESTATION,
    ),
    "unknown kid": (lambda v: sign(STRANGER, {"alg": "EdDSA", "kid": "who"}, v), AlertCode.UNKNOWN_ATTESTER),
    "kid with a space": (lambda v: by_intake(v, kid="a b"), AlertCode.BAD_ATTESTATION),
    "no kid": (lambda v: by_intake(v, kid=None), AlertCode.BAD_ATTESTATION),
    "alg none": (lambda v: by_intake(v, alg="none"), AlertCode.BAD_ATTESTATION),
    "alg HS256": (lambda v: by_intake(v, alg="HS256"), AlertCode.BAD_ATTESTATION),
    "alg in lower case": (lambda v: by_intake(v, alg="eddsa"), AlertCode.BAD_ATTESTATION),
    "crit": (lambda v: by_intake(v, crit=["b64"]), AlertCode.BAD_ATTESTATION),
    "b64": (lambda v: by_intake(v, b64=False), AlertCode.BAD_ATTESTATION),
    "another source": (lambda v: by_intake(v, source=str(uuid4())), AlertCode.BAD_ATTESTATION),
    "another kind": (lambda v: by_intake(v, kind="government"), AlertCode.BAD_ATTESTATION),
    "no verdict": (lambda v: by_intake(v, standing=None), AlertCode.BAD_ATTESTATION),
    "no such verdict": (lambda v: by_intake(v, standing="splendid"), AlertCode.BAD_ATTESTATION),
    "no reception": (lambda v: by_intake(v, received_at=None), AlertCode.BAD_ATTESTATION),
    "reception is no time": (lambda v: by_intake(v, received_at="now"), AlertCode.BAD_ATTESTATION),
}


@pytest.mark.parametrize(("token_of", "code"), BAD.values(), ids=BAD.keys())
def test_report_without_valid_attestation_is_handled_as_public_with_an_alert(token_of: Any, code: AlertCode) -> None:
    """Whatever is wrong with its attestation, a report is not P0, not lost, stays on its lane, and raises an alert."""
    triaged, alert = ruled(token_of)
    assert (triaged.data.priority, triaged.data.attestation, triaged.data.lane) == ("P3", None, "flagged")
    assert triaged.data.received_at == AT
    assert triaged.data.note
    assert alert is not None
    assert alert.data.code is code
    assert alert.causationid == triaged.causationid
    assert (alert.correlationid, alert.data.content_id) == (triaged.data.report.report_id, "v_1")


def test_repeated_member_in_the_header_is_refused() -> None:
    """A header that says a thing twice could be read in two ways, so it is read in none."""
    encoded = b64(b'{"alg":"EdDSA","kid":"x","kid":"intake-1"}')
    with pytest.raises(AttestationRefused):
        attestation.read(encoded + b".." + b64(b"s" * 64))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_changed_byte_undoes_an_attestation(data: st.DataObject) -> None:
    """Change one byte of the record or of the token, and the report is not P0."""
    value = submitted(report_id="0192f0c1-2f00-7000-8000-000000000001")
    token = by_intake(value)
    where = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != token[where]))
    changed = token[:where] + bytes([other]) + token[where + 1 :]
    triaged, alert = Lane().run(record(value, changed))[0]
    assert triaged.data.priority != "P0"
    assert alert is not None
    spaced = value.replace(b'": ', b'":  ', 1)
    assert Lane().run(record(spaced, token))[0][0].data.priority != "P0"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="eyJ.-_A9=", max_size=80).map(str.encode))
def test_any_token_is_read_or_refused(token: bytes) -> None:
    """No header value whatever makes the reader fail in another way, and no chance bytes are an attestation."""
    with pytest.raises(AttestationRefused):
        attestation.read(token)


def test_backend_with_known_police_is_immediate() -> None:
    """A registered attester's police report is P0 when the registry finds nothing against its source."""
    triaged, alert = ruled(by_backend)
    assert (triaged.data.priority, alert) == ("P0", None)
    assert triaged.data.received_at == AT


def test_unknown_source_is_urgent_and_told_why() -> None:
    """A source that the registry does not name is P1 with the reason, once the registry was read to its end."""
    lane = Lane(KNOWN[0], KNOWN[1])
    value = submitted()
    triaged, alert = lane.run(record(value, by_backend(value)))[0]
    assert (triaged.data.priority, triaged.data.note) == ("P1", Standing.UNKNOWN.sentence)
    assert alert is None
    assert lane.shelf.asked == 1


def test_registry_is_not_asked_again_where_all_is_known() -> None:
    """The usual batch costs no question to the broker."""
    lane = Lane()
    value = submitted()
    lane.run(record(value, by_backend(value)), record(submitted()))
    assert lane.shelf.asked == 0


@pytest.mark.parametrize(
    ("events", "changes", "priority", "code"),
    [
        ((source(status="suspended"),), {}, "P3", AlertCode.SUSPENDED_SOURCE),
        ((source(kind="government"),), {}, "P3", AlertCode.ATTESTER_KIND),
        ((attester("backend-1", BACKEND, ["government"]),), {}, "P3", AlertCode.ATTESTER_KIND),
        ((attester("backend-1", BACKEND, ["police"], revoked_at="2026-11-01T00:00:00Z"),), {}, "P3",
         AlertCode.UNKNOWN_ATTESTER),
        ((source(region="CN-31"),), {"content": {"region": "CN-31-0104"}}, "P0", None),
        ((source(region="CN-31"),), {"content": {"region": "CN-11"}}, "P1", None),
        ((source(region="CN-31"),), {"content": {"region": "CN-11"}, "territory": "CN-31"}, "P0", None),
        ((source(region="CN-31"),), {}, "P0", None),
        ((), {"content": {"region": "CN-11"}}, "P0", None),
        ((source(quota_per_day=3),), {}, "P0", None),
        ((source(quota_per_day=2),), {}, "P1", None),
        ((source(quota_per_day=0),), {}, "P1", None),
    ],
)  # fmt: skip
def test_source_of_a_backend_is_judged_by_the_registry(
    events: tuple[Any, ...], changes: dict[str, Any], priority: str, code: AlertCode | None
) -> None:
    """Status, kind, territory and quota are judged by the latest word of the registry; here it is the third report."""
    newer = tuple(e.model_copy(update={"data": e.data.model_copy(update={"version": 2})}) for e in events)
    triaged, alert = ruled(by_backend, *KNOWN, *newer, places=3, **changes)
    assert triaged.data.priority == priority
    assert (alert.data.code if alert else None) == code


def test_expertise_counts_for_trusted_flaggers_alone() -> None:
    """A trusted flagger outside its categories is P2; police are not bound to categories."""
    categories = ["protection_of_minors"]
    flagger = (
        KNOWN[0],
        attester("backend-1", BACKEND, ["trusted_flagger"]),
        source(kind="trusted_flagger", categories=categories),
    )
    by_flagger = {"source": {"kind": "trusted_flagger", "id": str(POLICE)}, "channel": "web_form"}
    assert ruled(by_backend, *flagger, **by_flagger)[0].data.priority == "P2"
    assert ruled(by_backend, *flagger, **by_flagger, category="protection_of_minors")[0].data.priority == "P1"
    assert ruled(by_backend, KNOWN[0], KNOWN[1], source(categories=categories))[0].data.priority == "P0"


def test_places_are_taken_only_for_those_with_a_quota_that_intake_did_not_count() -> None:
    """A suspended source, one without a quota, and what intake attested take no place in a day."""
    value = submitted()
    for events, token in (
        ((source(version=2, status="suspended", quota_per_day=5),), by_backend(value)),
        ((), by_backend(value)),
        ((source(version=2, quota_per_day=5),), by_intake(value)),
    ):
        lane = Lane(*KNOWN, *events)
        lane.run(record(value, token))
        assert lane.wanted == []


def test_day_of_a_quota_is_the_sources_own() -> None:
    """A report at 23:30 UTC is of the next day in Shanghai, and of the same day in London."""
    late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    assert local_day(late, "Asia/Shanghai").isoformat() == "2026-11-24"
    assert local_day(late, "Europe/London").isoformat() == "2026-11-23"
    assert local_day(late, "Nowhere/Land").isoformat() == "2026-11-24"
    assert local_day(late, "../../etc/passwd").isoformat() == "2026-11-24"


@pytest.mark.parametrize(
    ("place", "region", "within"),
    [
        ("CN-31", "CN-31", True),
        ("CN-31-0104", "CN-31", True),
        ("cn-31", "CN-31", True),
        ("CN-310", "CN-31", False),
        ("CN", "CN-31", False),
        ("CN-11", "CN-31", False),
        ("CN-31", "CN", True),
    ],
)
def test_territory_goes_by_whole_parts_of_the_code(place: str, region: str, within: bool) -> None:
    """A region lies in another if the other's parts begin its own."""
    assert lies_in(place, region) is within


def test_older_word_on_a_source_never_replaces_a_newer_one() -> None:
    """A change that is told again after later ones does not undo them."""
    book = SourceBook()
    for event in (source(version=3, status="suspended"), source(version=2), source(version=3, status="suspended")):
        book.take(event)
    found = book.source(str(POLICE).upper())
    assert found is not None
    assert (found.version, found.status) == (3, "suspended")


def test_record_that_comes_twice_is_the_same_event() -> None:
    """Triage may publish a record again after a crash: id, key and bytes are equal, but for the trace's span."""
    value = submitted()
    lane = Lane()
    first = lane.run(record(value, by_intake(value))), [(m.key, m.value, m.event_id) for m in lane.sent]
    again = lane.run(record(value, by_intake(value))), [(m.key, m.value, m.event_id) for m in lane.sent]
    assert first == again
    plain = lane.run(record(value))[0][0]
    assert plain.id != first[0][0][0].id


def test_equal_reports_have_equal_digests_and_other_ones_other() -> None:
    """The digest goes by what the data says, not by how it is written."""
    report_id = str(uuid4())
    one = submitted(report_id=report_id, reporter="张")
    spelled = json.dumps(json.loads(one), ensure_ascii=True, indent=1, sort_keys=True).encode()
    spelled = spelled.replace(b"2026-11-23T08:00:00Z", b"2026-11-23T16:00:00+08:00")
    other = submitted(report_id=report_id, reporter="李")
    lane = Lane()
    digests = [t.data.digest for t, _ in lane.run(record(one), record(spelled), record(other))]
    assert digests[0] == digests[1] != digests[2]


def test_public_lane_has_no_privilege_for_any_words_or_headers() -> None:
    """A public record that calls itself police and carries a valid attestation is handled like everybody's."""
    sent: list[Message] = []

    async def publish(messages: Sequence[Message]) -> None:
        sent.extend(messages)

    value = submitted()
    stage = Public(POLICY, publish)
    given_record = record(value, by_intake(value), topic="reports.public.v1")
    asyncio.run(stage.prepare([Item(given_record, stage.decode(given_record))]))
    triaged = ReportTriaged.model_validate_json(sent[0].value)
    assert [m.topic for m in sent] == ["triage.public.v1"]
    assert (triaged.data.priority, triaged.data.attestation) == ("P3", None)
    assert triaged.data.received_at == triaged.time == AT
    assert sent[0].key == b"v_1"
    assert sent[0].cause_id == triaged.causationid
    assert {name for name, _ in sent[0].headers} == {"content-type", "traceparent"}


def test_trace_goes_on_and_the_attestation_stays_behind() -> None:
    """What triage publishes is in the trace of what it read, and its own word needs no attestation."""
    value = submitted()
    trace = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
    came = Record(
        "reports.flagged.v1", 0, 1, AT, None, value, (("attestation", by_intake(value)), ("traceparent", trace))
    )
    lane = Lane()
    lane.run(came)
    headers = dict(lane.sent[0].headers)
    assert headers["traceparent"].startswith(b"00-" + b"a" * 32)
    assert "attestation" not in headers


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{" + b" " * (256 * 1024) + b"}", "bytes"),
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
        (submitted(occurred_at="2026-11-23T09:00:02Z"), "more than an hour after"),
        (submitted(occurred_at="9998-12-31T23:59:59-12:00"), "occurred_at"),
        (submitted(legal_ground=None), "legal_ground"),
        (submitted(explanation=None), "explanation"),
        (submitted(source={"kind": "user"}, reporter="u"), "flagged lane"),
        (submitted(source={"kind": "police"}), "flagged lane"),
        (submitted(category="fraud"), "category"),
        (submitted(colour="red"), "data"),
    ],
)
def test_record_that_does_not_fit_is_refused_with_its_reason(value: bytes, reason: str) -> None:
    """What does not fit the flagged lane's contract dies with a reason that names the place and quotes nothing."""
    stage = Flagged(POLICY, None, Shelf(), None)  # type: ignore[arg-type] # decode uses none of them
    with pytest.raises(Refused, match=reason) as refused:
        stage.decode(record(value))
    assert "canary" not in refused.value.reason


def test_report_an_hour_early_is_taken() -> None:
    """Clocks differ: what occurred just an hour after its reception still fits."""
    stage = Flagged(POLICY, None, Shelf(), None)  # type: ignore[arg-type] # decode uses none of them
    edge = (AT + timedelta(hours=1)).isoformat()
    assert stage.decode(record(submitted(occurred_at=edge))).report.occurred_at == AT + timedelta(hours=1)


def test_alert_holds_nothing_of_the_reports_words() -> None:
    """An alert goes into the log for good, so explanation and ground are not in it."""
    value = submitted()
    lane = Lane()
    lane.run(record(value))
    assert b"canary" not in lane.of("activity.v1")[0].value

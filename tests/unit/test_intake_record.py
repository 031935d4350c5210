"""The records that intake makes of reports."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.report import FlaggedStatement, FlaggedSubmitted, Report, Submitted
from schemas.topics import REPORTS_FLAGGED, REPORTS_PUBLIC
from schemas.vocabulary import SourceKind, Standing
from services.intake.attestation import AttestingKey, Vouched
from services.intake.record import flagged_message, public_message
from services.intake.store import Submission

REPORT_ID, EVENT_ID, SOURCE_ID = (UUID(f"01935000-0000-7000-8000-00000000000{n}") for n in (1, 2, 3))
AT = datetime(2026, 11, 23, 8, 0, 0, 123_000, tzinfo=UTC)
FIXED = Submission(REPORT_ID, EVENT_ID, "account:app", bytes(32), AT)
KEY = AttestingKey(Ed25519PrivateKey.generate())
VOUCHED = Vouched(SOURCE_ID, SourceKind.POLICE, Standing.GOOD, AT)


def statement(**changes: Any) -> dict[str, Any]:
    return {
        "channel": "police_one_click",
        "occurred_at": "2026-11-23T15:59:00+08:00",
        "content": {"id": "v_7301", "type": "video"},
        "category": "scams_and_fraud",
        "explanation": "冒充客服诱导转账。",
        "legal_ground": "《刑法》第二百六十六条",
    } | changes


def test_a_public_record_is_its_contract() -> None:
    """The record is the event of the contract, keyed by the content, named and timed as it was fixed."""
    report = Report.model_validate(statement() | {"report_id": REPORT_ID, "source": {"kind": "police"}})
    message = public_message(report, FIXED, None)
    event = Submitted.model_validate_json(message.value)
    assert (message.topic, message.key, message.event_id) == (REPORTS_PUBLIC.name, b"v_7301", EVENT_ID)
    assert (event.id, event.subject, event.correlationid, event.time) == (EVENT_ID, str(REPORT_ID), REPORT_ID, AT)
    assert event.data == report
    assert event.causationid is None
    assert dict(message.headers)["content-type"] == b"application/cloudevents+json"


def test_a_flagged_record_names_its_source_and_is_attested() -> None:
    """Intake sets report id and source; the attestation is over the value as it stands in the message."""
    said = FlaggedStatement.model_validate(statement())
    message = flagged_message(said, FIXED, VOUCHED, KEY, None)
    event = FlaggedSubmitted.model_validate_json(message.value)
    assert message.topic == REPORTS_FLAGGED.name
    assert event.data.source.model_dump(mode="json") == {"kind": "police", "id": str(SOURCE_ID)}
    assert event.data.report_id == REPORT_ID
    assert dict(message.headers)["attestation"] == KEY.attest(message.value, VOUCHED)


def test_the_same_report_makes_the_same_bytes() -> None:
    """Spelled otherwise, in another order or with explicit nulls, a repeat makes the same record."""
    once = flagged_message(FlaggedStatement.model_validate(statement()), FIXED, VOUCHED, KEY, None)
    otherwise = dict(reversed(list(statement(occurred_at="2026-11-23T07:59:00.000Z", keyword=None).items())))
    again = flagged_message(FlaggedStatement.model_validate_json(orjson.dumps(otherwise)), FIXED, VOUCHED, KEY, None)
    assert again.value == once.value
    assert dict(again.headers)["attestation"] == dict(once.headers)["attestation"]


def test_the_callers_trace_goes_on() -> None:
    """The trace id of the caller's request is that of the record."""
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = dict(flagged_message(FlaggedStatement.model_validate(statement()), FIXED, VOUCHED, KEY, trace).headers)
    assert headers["traceparent"].startswith(b"00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert headers["traceparent"] != trace


def test_the_longest_report_fits_its_topic() -> None:
    """Whatever the contract allows makes a record below the topic's bound, so nothing taken can die of size."""
    # A control character is one character of a field and six bytes of JSON.
    wide = "\x01"
    longest = FlaggedStatement.model_validate(
        statement(
            reporter=wide * 200,
            content={
                "id": "\U0001f4a9" * 200,
                "type": "live",
                "author": wide * 200,
                "url": wide * 2_048,
                "language": wide * 64,
                "region": "A" * 32,
                "excerpt": wide * 10_000,
                "snapshot": {"ref": wide * 2_048, "sha256": "0" * 64},
            },
            keyword=wide * 64,
            explanation=wide * 5_000,
            legal_ground=wide * 500,
            addressed_agency=wide * 200,
            endorses=str(REPORT_ID),
            territory="A" * 32,
        )
    )
    message = flagged_message(longest, FIXED, VOUCHED, KEY, None)
    assert len(message.value) < REPORTS_FLAGGED.max_value_bytes
    assert FlaggedSubmitted.model_validate_json(message.value).data.explanation == wide * 5_000

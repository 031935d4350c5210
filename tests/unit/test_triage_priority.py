"""The triaged event is written from parts: its bytes are those that the contract's own models would write."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.report import FlaggedSubmitted, Submitted
from schemas.topics import REPORTS_FLAGGED, REPORTS_PUBLIC
from schemas.triage import Attestation, ReportTriaged, Ruling
from schemas.vocabulary import FLAGGED_KINDS, AlertCode, Category, Channel, ContentType, Lane, SourceKind, Standing
from services.runtime.batch import Refused
from services.runtime.broker import Record
from services.runtime.writing import event_bytes
from services.triage import consume, policy_file
from services.triage.attestation import AttestationRefused
from services.triage.classing import ClassTerms, Policy
from services.triage.consume import arrival_of
from services.triage.inputs import SourceFacts
from services.triage.priority import Arrival, UnattestedImmediate, triaged
from services.triage.standing import Verdict, unattested

AT = datetime(2026, 11, 23, 8, 0, 1, 2_000, tzinfo=UTC)
POLICY = policy_file.in_force(None)

# Quotes, backslashes, controls, other planes, what HTML or JavaScript would escape: whatever a text may hold but NUL.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
NAMES = TEXTS.filter(bool)
IDENTIFIERS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" "), min_size=1, max_size=40)
MOMENTS = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 -- hypothesis adds the zone
    datetime(2026, 11, 23),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(-timedelta(hours=3, minutes=30))]),
)
# The forms that most senders write, which the lean double reads, and the others, which are left to the model.
TIMES = MOMENTS.map(datetime.isoformat) | st.builds(
    lambda moment, timespec: f"{moment.isoformat(timespec=timespec)}Z",
    st.datetimes(datetime(2020, 1, 1), datetime(2026, 11, 23)),  # noqa: DTZ001 -- the zone is written behind it
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
ABSENT: Any = st.none()

CONTENTS = st.fixed_dictionaries(
    {"id": IDENTIFIERS, "type": st.sampled_from([t.value for t in ContentType])},
    optional={
        "author": ABSENT | NAMES,
        "url": ABSENT | TEXTS,
        "language": st.sampled_from(["zh", "en"]),
        "region": ABSENT | st.sampled_from(["CN-31", "GB"]),
        "excerpt": TEXTS,
        "snapshot": st.fixed_dictionaries({"sha256": st.sampled_from(["ab" * 32, "AB" * 32])}, optional={"ref": TEXTS}),
    },
)
REPORTS = st.fixed_dictionaries(
    {
        "report_id": st.uuids().map(str) | st.uuids().map(lambda u: str(u).upper()),
        "channel": st.sampled_from([c.value for c in Channel]),
        "reporter": NAMES,
        "occurred_at": TIMES,
        "source": st.fixed_dictionaries(
            {"kind": st.sampled_from([k.value for k in SourceKind])}, optional={"id": IDENTIFIERS}
        ),
        "content": CONTENTS,
        "category": st.sampled_from([c.value for c in Category]),
    },
    optional={
        "keyword": NAMES,
        "explanation": TEXTS,
        "legal_ground": NAMES,
        "addressed_agency": ABSENT | NAMES,
        "endorses": st.uuids().map(str),
        "territory": st.just("CN-31"),
    },
)
REFUSALS = st.builds(lambda code: AttestationRefused(code, code.sentence, "key-1"), st.sampled_from(list(AlertCode)))
ATTESTED = st.builds(
    Attestation, key_id=IDENTIFIERS, attester=NAMES, source_id=IDENTIFIERS, standing=st.sampled_from(list(Standing))
)


REPORT: dict[str, Any] = {
    "report_id": "7f6c2a50-0000-4000-8000-00000000abcd",
    "channel": "one_click",
    "reporter": "u_1",
    "occurred_at": "2026-11-23T05:00:00Z",
    "source": {"kind": "user"},
    "content": {"id": "v_1", "type": "video"},
    "category": "violence",
}


def written(report: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "app-backend",
            "type": "jubao.report.submitted.v1",
            "time": "2026-11-23T05:00:00Z",
            "subject": report["report_id"],
            "data": report,
        }
    )


def arrival(report: dict[str, Any], lane: Lane = Lane.PUBLIC) -> Arrival:
    record = Record("reports.public.v1", 0, 7, AT, b"k", written(report), ())
    return arrival_of(record, Submitted, REPORTS_PUBLIC, lane)


def verdicts(came: Arrival, attestation: Attestation | None, refused: AttestationRefused | None) -> Verdict:
    if attestation is None:
        return unattested(came.report, came.at, refused)
    facts = SourceFacts(came.report.source.kind, *[True] * 6)
    return Verdict(facts, came.at - timedelta(milliseconds=500), attestation)


@given(REPORTS, st.sampled_from(list(Lane)), st.none() | ATTESTED, st.none() | REFUSALS)
def test_the_bytes_are_those_of_the_contracts_models(
    report: dict[str, Any], lane: Lane, attestation: Attestation | None, refused: AttestationRefused | None
) -> None:
    """Read by the contract and written again by its models, the event is the same to the byte, and tells the report."""
    came = arrival(report, lane)
    verdict = verdicts(came, attestation, refused)
    event_id, value = triaged(POLICY, came, verdict)
    event = ReportTriaged.model_validate_json(value)
    assert event_bytes(event) == value
    assert event.id == event_id
    assert (event.causationid, event.correlationid) == (came.submitted.id, came.report.report_id)
    assert (event.subject, event.time) == (str(came.report.report_id), verdict.received_at)
    assert event.data.report == Submitted.model_validate_json(written(report)).data
    assert (event.data.digest, event.data.lane, event.data.received_at) == (came.digest, lane, verdict.received_at)
    assert event.data.attestation == verdict.attestation
    silent = verdict.refused is None and (attestation is None or attestation.standing is Standing.GOOD)
    assert (event.data.note is None) == silent


@given(REPORTS, st.sampled_from([k.value for k in FLAGGED_KINDS]))
def test_a_report_is_written_as_its_model_writes_it(report: dict[str, Any], kind: str) -> None:
    """Read by the double or by the model, on either lane, a report's JSON is its model's and the digest is of that."""
    flagged = report | {"source": {"kind": kind, "id": "s_1"}, "explanation": "e", "legal_ground": "g"}
    for model, topic, given_report in (
        (Submitted, REPORTS_PUBLIC, report),
        (FlaggedSubmitted, REPORTS_FLAGGED, flagged),
    ):
        value = written(given_report)
        came = arrival_of(Record(topic.name, 0, 7, AT, b"k", value, ()), model, topic, Lane.PUBLIC)
        read = model.model_validate_json(value).data
        assert came.written == event_bytes(read)
        canonical = orjson.dumps(read.model_dump(mode="json", exclude_none=True), option=orjson.OPT_SORT_KEYS)
        assert came.digest == hashlib.sha256(canonical).hexdigest()


@pytest.mark.parametrize("time", ["2026-11-23T05:00:00Z", "2026-11-23T13:00:00+08:00"])
def test_what_the_double_leaves_to_the_model_is_read(time: str) -> None:
    """A report with an extension of its sender's, or a time with a zone, is read all the same, and by its time."""
    value = written(REPORT | {"occurred_at": time}).replace(b'"specversion"', b'"traceid":"x","specversion"')
    late = Record("reports.public.v1", 0, 7, AT - timedelta(hours=5), b"k", value, ())
    with pytest.raises(Refused, match="occurred_at"):
        arrival_of(late, Submitted, REPORTS_PUBLIC, Lane.PUBLIC)
    assert arrival_of(late._replace(at=AT), Submitted, REPORTS_PUBLIC, Lane.PUBLIC).digest == arrival(REPORT).digest


def test_the_double_reads_the_usual_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report as platforms send it is not validated twice: the model is not asked."""
    monkeypatch.setattr(consume, "decode_event", None)
    assert arrival(REPORT).report.reporter == "u_1"


def test_the_same_report_in_other_words_is_the_same_event() -> None:
    """Spaces, order of names, absent or null, the zone of a time and capitals of an id make no other event."""
    other = dict(reversed(REPORT.items())) | {
        "report_id": REPORT["report_id"].upper(),
        "occurred_at": "2026-11-23T13:00:00+08:00",
        "keyword": None,
    }
    one, two = arrival(REPORT), arrival(other)
    assert one.digest == two.digest
    assert one.written == two.written


class Careless(Policy):
    """A policy whose evaluation lets anything be P0."""

    def class_of(self, facts: object) -> Any:
        del facts
        ruling = Ruling(policy="p", version="1", rule="r", inputs={})
        return type("Classed", (), {"terms": ClassTerms("P0", 900, "q"), "ruling": ruling, "written": b""})


def test_no_defect_of_the_policy_makes_an_unattested_p0() -> None:
    """What the contract's model refused is refused here: a P0 without attestation is never written."""
    careless = object.__new__(Careless)
    came = arrival(REPORT)
    with pytest.raises(UnattestedImmediate):
        triaged(careless, came, unattested(came.report, came.at))

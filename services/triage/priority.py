"""A report gets its class: the event that triage puts on the next topic, and the alert if its attestation failed.

Pure: equal records give equal events with equal ids, so a record that is handled twice is one event.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from schemas.activity import ALERT, Alert, AlertRaised
from schemas.envelope import derived_id
from schemas.report import FlaggedSubmitted, Report, Submitted
from schemas.triage import TRIAGED, ReportTriaged, Triaged
from schemas.vocabulary import Lane, Standing
from services.triage.classing import Policy
from services.triage.inputs import Facts
from services.triage.standing import Verdict

SOURCE: Final = "jubao/triage"
_DIGEST_IN_ID: Final = 16


@dataclass(frozen=True, slots=True)
class Arrival:
    """A report as it came: the event, its lane, the broker's time, and the digest of its data."""

    submitted: Submitted | FlaggedSubmitted
    lane: Lane
    at: datetime
    digest: str

    @property
    def report(self) -> Report:
        """What is reported."""
        return self.submitted.data


def digest_of(report: Report) -> str:
    """SHA-256 of the report's data in canonical JSON, in hex: two reports of one id are the same if these are."""
    canonical = orjson.dumps(report.model_dump(mode="json", exclude_none=True), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()


def triage(policy: Policy, arrival: Arrival, verdict: Verdict) -> ReportTriaged:
    """The report with its class, queue and ruling."""
    report, attestation = arrival.report, verdict.attestation
    classed = policy.class_of(Facts(report, arrival.lane, verdict.facts))
    data = {
        "report": report,
        "digest": arrival.digest,
        "lane": arrival.lane,
        "received_at": verdict.received_at,
        "attestation": attestation,
        "class": classed.terms.name,
        "queue": classed.queue,
        "target_seconds": classed.terms.target_seconds,
        "ruling": classed.ruling,
        "note": _note(verdict),
    }
    vouched = "attested" if attestation else "plain"
    return ReportTriaged(
        specversion="1.0",
        id=derived_id(arrival.submitted.id, "triaged", arrival.lane, vouched, arrival.digest[:_DIGEST_IN_ID]),
        source=SOURCE,
        type=TRIAGED,
        time=verdict.received_at,
        subject=str(report.report_id),
        correlationid=report.report_id,
        causationid=arrival.submitted.id,
        data=Triaged.model_validate(data),
    )


def alert(arrival: Arrival, verdict: Verdict) -> AlertRaised | None:
    """What a person should be told of an attestation that did not count; None where all is well."""
    refused = verdict.refused
    if refused is None:
        return None
    report = arrival.report
    return AlertRaised(
        specversion="1.0",
        id=derived_id(arrival.submitted.id, "alert", refused.code, arrival.digest[:_DIGEST_IN_ID]),
        source=SOURCE,
        type=ALERT,
        time=verdict.received_at,
        subject=str(report.report_id),
        correlationid=report.report_id,
        causationid=arrival.submitted.id,
        data=Alert(
            code=refused.code,
            what=refused.why,
            lane=arrival.lane,
            report_id=report.report_id,
            content_id=report.content.id,
            source_id=report.source.id,
            key_id=refused.key_id,
        ),
    )


def _note(verdict: Verdict) -> str | None:
    """What a flagged source is told when it lost its precedence, so that it never meets silence."""
    if verdict.refused is not None:
        return verdict.refused.why
    if verdict.attestation is not None and verdict.attestation.standing is not Standing.GOOD:
        return verdict.attestation.standing.sentence
    return None

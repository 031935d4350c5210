"""The records that intake puts on the two lanes: the same bytes whenever they are made of the same report."""

from schemas.envelope import CONTENT_TYPE
from schemas.report import (
    SUBMITTED,
    FlaggedReport,
    FlaggedStatement,
    FlaggedSubmitted,
    Report,
    ReportSource,
    Submitted,
)
from schemas.topics import REPORTS_FLAGGED, REPORTS_PUBLIC, Topic
from services.intake.attestation import HEADER, AttestingKey, Vouched
from services.intake.store import Submission
from services.runtime.outbox import Message, event_bytes
from services.runtime.trace import HEADER as TRACE_HEADER
from services.runtime.trace import continued

_EVENT_SOURCE = "intake"


def public_message(report: Report, fixed: Submission, trace: bytes | None) -> Message:
    """The record of a report that nobody vouches for."""
    event = Submitted(
        specversion="1.0",
        id=fixed.event_id,
        source=_EVENT_SOURCE,
        type=SUBMITTED,
        time=fixed.received_at,
        subject=str(report.report_id),
        correlationid=report.report_id,
        data=report,
    )
    return _message(REPORTS_PUBLIC, report, fixed, event_bytes(event), _plain_headers(trace))


def flagged_message(
    statement: FlaggedStatement, fixed: Submission, vouched: Vouched, key: AttestingKey, trace: bytes | None
) -> Message:
    """The record of a proven source's report, with intake's attestation over exactly its value."""
    report = FlaggedReport(
        report_id=fixed.report_id,
        source=ReportSource(kind=vouched.kind, id=str(vouched.source_id)),
        **statement.model_dump(),
    )
    event = FlaggedSubmitted(
        specversion="1.0",
        id=fixed.event_id,
        source=_EVENT_SOURCE,
        type=SUBMITTED,
        time=fixed.received_at,
        subject=str(report.report_id),
        correlationid=report.report_id,
        data=report,
    )
    value = event_bytes(event)
    headers = (*_plain_headers(trace), (HEADER, key.attest(value, vouched)))
    return _message(REPORTS_FLAGGED, report, fixed, value, headers)


def _plain_headers(trace: bytes | None) -> tuple[tuple[str, bytes], ...]:
    return (("content-type", CONTENT_TYPE.encode()), (TRACE_HEADER, continued(trace)))


def _message(
    topic: Topic, report: Report, fixed: Submission, value: bytes, headers: tuple[tuple[str, bytes], ...]
) -> Message:
    return Message(topic.name, report.content.id.encode(), value, fixed.event_id, None, headers)

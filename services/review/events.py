"""The records that review publishes, made of what was just written. The bytes are those of the models in `schemas`.

They are put together without the models because a batch makes thousands; a test holds them to the models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import orjson

from schemas.activity import ALERT, Alert, AlertRaised
from schemas.case import CaseChange
from schemas.decision import MADE, REPORTS_A_PART, AnsweredReport, Finding
from schemas.envelope import CONTENT_TYPE, derived_id, parts_of
from schemas.topics import ACTIVITY, CASES, DECISIONS
from schemas.vocabulary import AlertCode, CaseKind, CaseState, PriorityClass
from services.review.joining import OpenCase, Step
from services.review.overload import Load
from services.runtime.outbox import Message, event_bytes
from services.runtime.trace import HEADER, continued

SOURCE = "review"

_KIND = CaseKind.REPORT.value
_TYPES = {change: change.event_type for change in CaseChange}
_JOINED = CaseChange.JOINED.event_type
_CONTENT_TYPE = CONTENT_TYPE.encode()
_LABELS = tuple(priority.label for priority in PriorityClass)


class Change(NamedTuple):
    """One change of one case, as its history and the log both tell it.

    `priority` is a number, `ruling` JSON text, `trace` the traceparent of the report behind it.
    """

    case_id: UUID
    content_id: str
    version: int
    at: datetime
    actor: str
    change: CaseChange
    from_state: CaseState | None
    to_state: CaseState
    why: str
    priority: int
    queue: str
    due_at: datetime
    report_count: int
    event_id: UUID
    cause_id: UUID
    report_id: UUID | None = None
    ruling: str | None = None
    fence: int | None = None
    expires_at: datetime | None = None
    previous_case_id: UUID | None = None
    trace: bytes | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A decision as it is published: what was found on which case, by whom, when."""

    decision_id: UUID
    case_id: UUID
    content_id: str
    priority: int
    queue: str
    ruling: str
    finding: Finding
    decided_by: str
    decided_at: datetime
    trace: bytes | None


def label(priority: int) -> str:
    """A class as it is written: `P0` to `P4`."""
    return _LABELS[priority]


def change_id(case_id: UUID, change: CaseChange, version: int) -> UUID:
    """The id of a change that no report caused: a case's version is had once."""
    return derived_id(case_id, change.value, str(version))


def change_of(case: OpenCase, step: Step, at: datetime, cut_to: tuple[int, datetime] | None = None) -> Change:
    """What a report did to its case; `cut_to` is the fence and the new end of a lease that ends early for it."""
    arrival, lifted = step.arrival, step.change is CaseChange.LIFTED
    told = step.change is not CaseChange.JOINED
    fence, expires_at = cut_to if cut_to and lifted and step.standing.priority == 0 else (None, None)
    return Change(
        case_id=case.case_id,
        content_id=case.content_id,
        version=step.version,
        at=at,
        actor=arrival.actor,
        change=step.change,
        from_state=None if step.change is CaseChange.OPENED else case.state,
        to_state=case.state,
        why="better_class" if lifted else arrival.rule,
        priority=step.standing.priority,
        queue=step.standing.lead.queue,
        due_at=step.standing.rank.due_at,
        report_count=step.report_count,
        event_id=step.event_id,
        cause_id=arrival.event_id,
        report_id=arrival.report_id,
        ruling=arrival.ruling if told else None,
        fence=fence,
        expires_at=expires_at,
        previous_case_id=case.previous_case_id if step.change is CaseChange.OPENED else None,
        trace=arrival.trace,
    )


def case_message(change: Change) -> Message:
    """The record of a change, for `cases.v1`."""
    case_id, at = str(change.case_id), _text(change.at)
    data: dict[str, object] = {
        "case_id": case_id,
        "kind": _KIND,
        "version": change.version,
        "content_id": change.content_id,
        "at": at,
        "actor": change.actor,
        "from_state": change.from_state,
        "to_state": change.to_state,
        "why": change.why,
        "class": _LABELS[change.priority],
        "queue": change.queue,
        "due_at": _text(change.due_at),
        "report_count": change.report_count,
    }
    if change.report_id is not None:
        data["report_id"] = change.report_id
    if change.ruling is not None:
        data["ruling"] = orjson.Fragment(change.ruling)
    if change.fence is not None:
        data["fence"] = change.fence
    if change.expires_at is not None:
        data["expires_at"] = _text(change.expires_at)
    if change.previous_case_id is not None:
        data["previous_case_id"] = str(change.previous_case_id)
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": change.event_id,
        "source": SOURCE,
        "type": _TYPES[change.change],
        "time": at,
        "subject": case_id,
        "datacontenttype": "application/json",
        "causationid": change.cause_id,
        "data": data,
    }
    if change.report_id is not None:
        event["correlationid"] = change.report_id
    headers = _headers(change.trace)
    return Message(CASES.name, case_id.encode(), _written(event), change.event_id, change.cause_id, headers)


def join_message(case: OpenCase, step: Step, at: datetime) -> Message:
    """What `case_message` makes of a plain join, without the way through `Change`: batches mostly consist of them."""
    case_id, moment, arrival, standing = str(case.case_id), _text(at), step.arrival, step.standing
    data = {
        "case_id": case_id,
        "kind": _KIND,
        "version": step.version,
        "content_id": case.content_id,
        "at": moment,
        "actor": arrival.actor,
        "from_state": case.state,
        "to_state": case.state,
        "why": arrival.rule,
        "class": _LABELS[standing.lead.priority],
        "queue": standing.lead.queue,
        "due_at": _text(standing.rank.due_at),
        "report_count": step.report_count,
        "report_id": arrival.report_id,
    }
    event = {
        "specversion": "1.0",
        "id": step.event_id,
        "source": SOURCE,
        "type": _JOINED,
        "time": moment,
        "subject": case_id,
        "datacontenttype": "application/json",
        "causationid": arrival.event_id,
        "data": data,
        "correlationid": arrival.report_id,
    }
    headers = _headers(arrival.trace)
    return Message(CASES.name, case_id.encode(), _written(event), step.event_id, arrival.event_id, headers)


def decision_messages(
    made: Made, reports: Sequence[AnsweredReport], *, cause_id: UUID, first: int, parts: int
) -> list[Message]:
    """The records of a decision, for `decisions.v1`: one for each 500 reports that it answers.

    Args:
        made: the decision.
        reports: those of its case that these parts answer; all parts but the last are full.
        cause_id: the claim of the lease.
        first: the number of the first of these parts, from 1.
        parts: how many the decision has.
    """
    shared = _shared(made, late=False, parts=parts)
    return [
        _part(made, shared, number, part, ("part", str(number)), at=made.decided_at, cause_id=cause_id)
        for number, part in enumerate(parts_of(reports, REPORTS_A_PART), start=first)
    ]


def late_messages(made: Made, reports: Sequence[AnsweredReport], *, at: datetime, cause_id: UUID) -> list[Message]:
    """The records that answer late reports with a decision there is; their parts count by themselves.

    Args:
        made: the decision.
        reports: those that came late.
        at: when they are answered.
        cause_id: the first one's triaged event.
    """
    cut = parts_of(reports, REPORTS_A_PART)
    shared = _shared(made, late=True, parts=len(cut))
    # They are told apart by the report each begins with: a case can be answered late many times.
    return [
        _part(made, shared, number, part, ("late", str(part[0].report_id)), at=at, cause_id=cause_id)
        for number, part in enumerate(cut, start=1)
    ]


def _shared(made: Made, *, late: bool, parts: int) -> dict[str, object]:
    return {
        "decision_id": made.decision_id,
        "case_id": made.case_id,
        "content_id": made.content_id,
        "class": _LABELS[made.priority],
        "queue": made.queue,
        "ruling": orjson.Fragment(made.ruling),
        "finding": made.finding.model_dump(mode="json", exclude_none=True),
        "decided_by": made.decided_by,
        "decided_at": _text(made.decided_at),
        "parts": parts,
        "late": late,
    }


def _part(
    made: Made,
    shared: Mapping[str, object],
    number: int,
    reports: Sequence[AnsweredReport],
    stage: tuple[str, str],
    *,
    at: datetime,
    cause_id: UUID,
) -> Message:
    event_id = derived_id(made.decision_id, *stage)
    data = {**shared, "part": number, "reports": [_answered(report) for report in reports]}
    case_id = str(made.case_id)
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": MADE,
        "time": _text(at),
        "subject": case_id,
        "datacontenttype": "application/json",
        "causationid": cause_id,
        "data": data,
    }
    return Message(DECISIONS.name, case_id.encode(), _written(event), event_id, cause_id, _headers(made.trace))


def alarm(load: Load, event_id: UUID) -> Message:
    """The alert of an overload, for `activity.v1`."""
    event = AlertRaised(
        specversion="1.0",
        id=event_id,
        source=SOURCE,
        type=ALERT,
        time=load.at,
        subject=AlertCode.OVERLOAD.value,
        data=Alert(
            code=AlertCode.OVERLOAD,
            what=f"In the last hour {load.arrived} cases came below P0 and {load.decided} were decided; "
            f"the longest overdue is {load.overdue_minutes} minutes past its time. More reviewers are needed.",
        ),
    )
    return Message(ACTIVITY.name, AlertCode.OVERLOAD.value.encode(), event_bytes(event), event_id, None, _headers(None))


def _answered(report: AnsweredReport) -> dict[str, object]:
    answered: dict[str, object] = {
        "report_id": report.report_id,
        "received_at": _text(report.received_at),
        "source_kind": report.source_kind,
    }
    if report.source_id is not None:
        answered["source_id"] = report.source_id
    return answered


def _written(event: Mapping[str, object]) -> bytes:
    # Ids that were read from the database are of asyncpg's own kind of UUID, which orjson does not know.
    return orjson.dumps(event, default=str)


def _headers(trace: bytes | None) -> tuple[tuple[str, bytes], ...]:
    return (("content-type", _CONTENT_TYPE), (HEADER, continued(trace)))


@lru_cache(maxsize=4_096)
def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

"""The records of review are those of the models in schemas."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import orjson
import pytest

from schemas.activity import AlertRaised
from schemas.case import CaseChange, CaseEvent
from schemas.decision import REPORTS_A_PART, AnsweredReport, DecisionMade, Finding
from schemas.vocabulary import Action, AlertCode, CaseState, SourceKind
from services.review.events import (
    Change,
    Made,
    alarm,
    case_message,
    change_of,
    decision_messages,
    join_message,
    late_messages,
)
from services.review.joining import Arrival, new_case
from services.review.overload import Load
from services.runtime.outbox import event_bytes

AT = datetime(2026, 11, 23, 8, 0, 0, 120, tzinfo=UTC)
RULING = (
    '{"policy":"default","version":"1","rule":"rest","inputs":{"report.category":"violence","report.keyword":null}}'
)
CHANGE = Change(
    case_id=UUID(int=1),
    content_id="v_七",
    version=3,
    at=AT,
    actor="李",
    change=CaseChange.CLAIMED,
    from_state=CaseState.QUEUED,
    to_state=CaseState.CLAIMED,
    why="claim",
    priority=0,
    queue="general",
    due_at=AT + timedelta(hours=1),
    report_count=2,
    event_id=UUID(int=2),
    cause_id=UUID(int=3),
)
CHANGES = [
    CHANGE,
    CHANGE._replace(fence=4, expires_at=AT.astimezone(timezone(timedelta(hours=8)))),
    CHANGE._replace(change=CaseChange.LIFTED, report_id=UUID(int=9), ruling=RULING),
    CHANGE._replace(change=CaseChange.OPENED, from_state=None, previous_case_id=UUID(int=8), report_id=UUID(int=9)),
]
MADE = Made(
    decision_id=UUID(int=5),
    case_id=UUID(int=1),
    content_id="v_七",
    priority=2,
    queue="general",
    ruling=RULING,
    finding=Finding(verdict="illegal", violates="刑法 第一条", actions=[Action.REMOVE], reason="看过了"),
    decided_by="李",
    decided_at=AT,
    trace=b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01",
)


def answered(count: int) -> list[AnsweredReport]:
    return [
        AnsweredReport(report_id=UUID(int=n), received_at=AT, source_kind=SourceKind.POLICE, source_id=f"s_{n}")
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.change)
def test_a_change_is_written_as_the_model_writes_it(change: Change) -> None:
    """The bytes of a change hold what CaseEvent makes of them, no more and no less."""
    message = case_message(change)
    event = CaseEvent.model_validate_json(message.value)
    written = orjson.loads(message.value)
    modelled = orjson.loads(event_bytes(event))
    if change.from_state is None:
        assert written["data"].pop("from_state") is None
    if change.ruling is not None:
        assert written["data"]["ruling"]["inputs"].pop("report.keyword") is None
        modelled["data"]["ruling"]["inputs"].pop("report.keyword", None)
    assert written == modelled
    assert (event.id, event.causationid, event.correlationid) == (change.event_id, change.cause_id, change.report_id)
    assert event.type == change.change.event_type
    assert message.key == str(change.case_id).encode()


@pytest.mark.parametrize("trace", [None, MADE.trace])
def test_a_plain_join_is_told_as_every_change_is(trace: bytes | None) -> None:
    """The short way of joins makes the very record that the common way makes, but for the span of its trace."""
    report = Arrival(
        report_id=UUID(int=21), event_id=UUID(int=22), content_id='v_"七"', digest=b"d" * 32, attested=True, priority=2,
        target_seconds=14_400, queue="general", received_at=AT, source_kind="police", source_id="s_1",
        reporter=b"r" * 16, rule="rest", snapshot=None, data="{}", ruling=RULING, trace=trace,
    )  # fmt: skip
    case = new_case(report.content_id, None)
    case.state = CaseState.CLAIMED
    case.take(report)
    case.take(report._replace(report_id=UUID(int=23), event_id=UUID(int=24), priority=4, queue="other"))
    joined, usual = (join_message(case, case.steps[1], AT), case_message(change_of(case, case.steps[1], AT)))
    assert orjson.loads(joined.value) == orjson.loads(usual.value)
    assert joined._replace(value=b"", headers=()) == usual._replace(value=b"", headers=())
    assert dict(joined.headers).keys() == dict(usual.headers).keys()
    CaseEvent.model_validate_json(joined.value)


@pytest.mark.parametrize("count", [1, REPORTS_A_PART, REPORTS_A_PART + 1, 3 * REPORTS_A_PART])
def test_a_decision_is_cut_into_parts_of_five_hundred(count: int) -> None:
    """Each part is a valid event of at most 500 reports; together they answer every report once."""
    reports = answered(count)
    parts = -(-count // REPORTS_A_PART)
    messages = decision_messages(MADE, reports, cause_id=UUID(int=7), first=1, parts=parts)
    events = [DecisionMade.model_validate_json(message.value) for message in messages]
    assert [r for event in events for r in event.data.reports] == reports
    assert [event.data.part for event in events] == list(range(1, len(events) + 1))
    assert {event.data.parts for event in events} == {len(events)} == {parts}
    assert len({event.id for event in events}) == len(events)
    assert all(event.data.finding == MADE.finding and not event.data.late for event in events)


def test_late_answers_have_ids_of_their_own() -> None:
    """Two late answers with one decision, and the decision itself, are three events; the same one again is the same."""
    whole = decision_messages(MADE, answered(1), cause_id=UUID(int=7), first=1, parts=1)
    one = late_messages(MADE, answered(1), at=AT, cause_id=UUID(int=7))
    other = late_messages(MADE, answered(2)[1:], at=AT, cause_id=UUID(int=7))
    again = late_messages(MADE, answered(1), at=AT, cause_id=UUID(int=7))
    assert len({whole[0].event_id, one[0].event_id, other[0].event_id}) == 3
    assert one[0].event_id == again[0].event_id
    assert DecisionMade.model_validate_json(one[0].value).data.late


def test_records_continue_the_reports_trace() -> None:
    """A record's traceparent has the trace of the report behind it and a span of its own."""
    headers = dict(late_messages(MADE, answered(1), at=AT, cause_id=UUID(int=7))[0].headers)
    assert headers["content-type"] == b"application/cloudevents+json"
    assert headers["traceparent"].split(b"-")[1] == b"a" * 32
    assert headers["traceparent"] != MADE.trace


class TestOverload:
    """When the alarm is due, and what it says."""

    def test_it_is_overload_only_when_more_comes_and_something_is_overdue(self) -> None:
        """More arrivals than decisions raise the alarm only once a case below P0 is past its time."""
        past, ahead = AT - timedelta(minutes=90), AT + timedelta(minutes=1)
        assert Load(AT, 10, 9, past).is_overload
        assert not Load(AT, 10, 10, past).is_overload
        assert not Load(AT, 10, 9, ahead).is_overload
        assert not Load(AT, 10, 9, None).is_overload

    def test_the_alarm_names_the_figures(self) -> None:
        """The alert is a valid event whose text holds what came, what was decided and how late the latest is."""
        event = AlertRaised.model_validate_json(alarm(Load(AT, 10, 9, AT - timedelta(minutes=90)), UUID(int=4)).value)
        assert event.data.code is AlertCode.OVERLOAD
        assert "10 cases" in event.data.what
        assert "90 minutes" in event.data.what

"""Decisions become outcomes, one a report; what is said of sources is kept to know them by their keys."""

from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, RootModel

from schemas import topics
from schemas.decision import AnsweredReport, DecisionMade
from schemas.envelope import CONTENT_TYPE, derived_id
from schemas.outcome import REACHED, Outcome, OutcomeReached
from schemas.source import AttesterChanged, SourceChanged
from schemas.topics import Topic
from services.outcomes import store
from services.outcomes.wording import statement_code
from services.runtime import trace
from services.runtime.batch import Item, Record, Rejection, decode_event
from services.runtime.clock import Clock
from services.runtime.database import Connection
from services.runtime.outbox import Message, enqueue, event_bytes

_SOURCE: Final = "outcomes"
_STAGE: Final = "outcome"


class SourcesEvent(RootModel[Annotated[SourceChanged | AttesterChanged, Field(discriminator="type")]]):
    """Either event of `sources.v1`."""


Said = DecisionMade | SourceChanged | AttesterChanged


class Outcomes:
    """The stage that gives each report of a decision its outcome, and tells it.

    Args:
        clock: for the time of the events it makes.
    """

    group = "outcomes"
    topics: tuple[Topic, ...] = (topics.DECISIONS, topics.SOURCES)
    wait_milliseconds = 100

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def decode(self, record: Record) -> Said:
        """A decision's part, or what is said of a source or attester."""
        if record.topic == topics.SOURCES.name:
            return decode_event(record, SourcesEvent, topics.SOURCES).root
        return decode_event(record, DecisionMade, topics.DECISIONS)

    async def prepare(self, items: Sequence[Item[Said]]) -> None:
        """Nothing needs the network."""

    async def write(self, connection: Connection, items: Sequence[Item[Said]]) -> Sequence[Rejection]:
        """Keeps keys and outcomes; each report's first outcome is told, in the same transaction."""
        sources = [item.value.data for item in items if isinstance(item.value, SourceChanged)]
        if sources:
            await store.take_sources(connection, sources)
        made = [(item.record, item.value) for item in items if isinstance(item.value, DecisionMade)]
        if made:
            fresh = await store.reach(connection, [event.data for _, event in made])
            await enqueue(connection, self._told(made, fresh))
        return []

    def _told(self, made: Sequence[tuple[Record, DecisionMade]], fresh: set[UUID]) -> list[Message]:
        messages = []
        untold = set(fresh)
        for record, event in made:
            for answered in event.data.reports:
                if answered.report_id in untold:
                    untold.remove(answered.report_id)
                    messages.append(_message(record, self._outcome(event, answered)))
        return messages

    def _outcome(self, event: DecisionMade, answered: AnsweredReport) -> OutcomeReached:
        decision, finding = event.data, event.data.finding
        return OutcomeReached(
            specversion="1.0",
            id=derived_id(event.id, _STAGE, str(answered.report_id)),
            source=_SOURCE,
            type=REACHED,
            time=self._clock.now(),
            subject=str(answered.report_id),
            correlationid=answered.report_id,
            causationid=event.id,
            data=Outcome.model_validate(
                {
                    "report_id": answered.report_id,
                    "case_id": decision.case_id,
                    "decision_id": decision.decision_id,
                    "content_id": decision.content_id,
                    "class": decision.priority,
                    "verdict": finding.verdict,
                    "violates": finding.violates,
                    "actions": finding.actions,
                    "statement": statement_code(finding.verdict, finding.actions),
                    "source_kind": answered.source_kind,
                    "source_id": answered.source_id,
                    "received_at": answered.received_at,
                    "decided_at": decision.decided_at,
                    "late": decision.late,
                }
            ),
        )


def _message(record: Record, event: OutcomeReached) -> Message:
    return Message(
        topic=topics.OUTCOMES.name,
        key=str(event.data.report_id).encode(),
        value=event_bytes(event),
        event_id=event.id,
        cause_id=event.causationid,
        headers=(
            ("content-type", CONTENT_TYPE.encode()),
            (trace.HEADER, trace.continued(trace.of_headers(record.headers))),
        ),
    )

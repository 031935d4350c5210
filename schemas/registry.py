"""Which model holds which event: the one mapping that tests, generated schemas and AsyncAPI go by."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from schemas.activity import AlertRaised, PolicyLoaded, Viewed
from schemas.case import CaseEvent
from schemas.checkpoint import CheckpointMade
from schemas.decision import DecisionMade
from schemas.envelope import Event
from schemas.erasure import EntryDisclosed, ErasureDone, ErasureOrdered, HoldLifted, HoldPlaced
from schemas.outcome import OutcomeReached
from schemas.report import SUBMITTED, FlaggedSubmitted, Submitted
from schemas.source import AttesterChanged, SourceChanged
from schemas.topics import REPORTS_FLAGGED, Topic
from schemas.triage import ReportTriaged

_MODELS: tuple[type[Event[Any]], ...] = (
    Submitted,
    ReportTriaged,
    CaseEvent,
    DecisionMade,
    OutcomeReached,
    AlertRaised,
    PolicyLoaded,
    Viewed,
    SourceChanged,
    AttesterChanged,
    CheckpointMade,
    ErasureOrdered,
    ErasureDone,
    HoldPlaced,
    HoldLifted,
    EntryDisclosed,
)


def types_of(model: type[Event[Any]]) -> tuple[str, ...]:
    """The event types that a model takes, read off its own `type` field so that they stand in one place."""
    return get_args(model.model_fields["type"].annotation)


EVENTS: Mapping[str, type[Event[Any]]] = MappingProxyType(
    {name: model for model in _MODELS for name in types_of(model)}
)

# A topic that asks more of an event than the event's other topics do; all that it takes, the model above takes too.
STRICTER: Mapping[tuple[str, str], type[Event[Any]]] = MappingProxyType(
    {(REPORTS_FLAGGED.name, SUBMITTED): FlaggedSubmitted}
)


def model_on(topic: Topic, event: str) -> type[Event[Any]]:
    """The model of an event as a topic takes it.

    Raises:
        KeyError: the topic does not carry that event.
    """
    if event not in topic.events:
        raise KeyError(event)
    return STRICTER.get((topic.name, event)) or EVENTS[event]

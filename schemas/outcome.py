"""What a reporter hears: `jubao.outcome.reached.v1` on `outcomes.v1`, one record a report."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from schemas.envelope import Contract, Event
from schemas.text import Code, Identifier, Text, Timestamp
from schemas.triage import ClassName
from schemas.vocabulary import Action, SourceKind, Verdict

REACHED = "jubao.outcome.reached.v1"


class Outcome(Contract):
    """The end of one report, without the reviewer's words or name; `statement` is a code for a page's words."""

    report_id: UUID
    case_id: UUID
    decision_id: UUID
    content_id: Identifier
    priority: Annotated[ClassName, Field(alias="class", serialization_alias="class")]
    verdict: Verdict
    violates: Annotated[Text, Field(max_length=200)] | None = None
    actions: Annotated[list[Action], Field(default_factory=list)]
    statement: Code
    source_kind: SourceKind
    source_id: Identifier | None = None
    received_at: Timestamp
    decided_at: Timestamp
    late: bool = False


class OutcomeReached(Event[Outcome]):
    """A report has its outcome; key: the report's id."""

    type: Literal["jubao.outcome.reached.v1"]

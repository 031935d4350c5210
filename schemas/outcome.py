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

    report_id: UUID = Field(description="The report.")
    case_id: UUID = Field(description="Its case.")
    decision_id: UUID = Field(description="The decision that answers it.")
    content_id: Identifier = Field(description="The reported item.")
    priority: Annotated[ClassName, Field(alias="class", serialization_alias="class")] = Field(
        description="The case's class."
    )
    verdict: Verdict = Field(description="What was found.")
    violates: Annotated[Text, Field(max_length=200)] | None = Field(
        None, description="The law, or the code of the platform's rule."
    )
    actions: Annotated[list[Action], Field(default_factory=list)] = Field(description="What is done.")
    statement: Code = Field(description="A code for a page's words: the verdict with the weightiest action.")
    source_kind: SourceKind = Field(description="Who reported.")
    source_id: Identifier | None = Field(None, description="The source's id.")
    received_at: Timestamp = Field(description="When the report was received.")
    decided_at: Timestamp = Field(description="When it was decided.")
    late: bool = Field(default=False, description="Whether the report came after the decision.")


class OutcomeReached(Event[Outcome]):
    """A report has its outcome; key: the report's id."""

    type: Literal["jubao.outcome.reached.v1"]

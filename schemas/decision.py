"""What a reviewer decided: `jubao.decision.made.v1` on `decisions.v1`, in parts of at most 500 reports."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Contract, Event
from schemas.text import Code, Identifier, Name, Text, Timestamp
from schemas.triage import ClassName, Ruling
from schemas.vocabulary import Action, SourceKind, Verdict

MADE = "jubao.decision.made.v1"
REPORTS_A_PART = 500


class Finding(Contract):
    """What is decided, whoever asks: verdict, the rule broken, what is done, and why in a person's words.

    Law or rule and at least one action go with a violation, neither with `no_violation`.
    """

    # What the validator below holds, for readers of the JSON Schema.
    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"verdict": {"const": "no_violation"}}},
            "then": {"properties": {"violates": {"type": "null"}, "actions": {"maxItems": 0}}},
            "else": {
                "required": ["violates", "actions"],
                "properties": {"violates": {"type": "string"}, "actions": {"minItems": 1, "uniqueItems": True}},
            },
        }
    )

    verdict: Verdict = Field(description="What the reviewer found.")
    violates: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        None, description="The law, or the code of the platform's rule."
    )
    actions: Annotated[list[Action], Field(default_factory=list, max_length=9)] = Field(
        description="What is done, each action once."
    )
    reason: Annotated[Text, Field(min_length=1, max_length=5_000)] = Field(description="Why, in the reviewer's words.")

    @model_validator(mode="after")
    def _violation_has_rule_and_action(self) -> Self:
        if len(set(self.actions)) != len(self.actions):
            raise PydanticCustomError("actions_repeat", "actions holds an action twice; name each once")
        if self.verdict is Verdict.NO_VIOLATION:
            if self.violates is not None or self.actions:
                raise PydanticCustomError("no_violation_is_bare", "no_violation takes neither violates nor actions")
        elif self.violates is None or not self.actions:
            raise PydanticCustomError("violation_needs", "a violation names what it violates and at least one action")
        return self


class AnsweredReport(Contract):
    """A report that the decision answers, with what its outcome must carry on."""

    report_id: UUID = Field(description="The report.")
    received_at: Timestamp = Field(description="When it was received.")
    source_kind: SourceKind = Field(description="Who reported.")
    source_id: Identifier | None = Field(None, description="The source's id.")


class Decision(Contract):
    """One part of a decision; the parts differ in nothing but `part` and `reports`.

    `late` marks reports that came after the decision and are answered with it; their parts count on by themselves.
    `decided_class` is the case's class at its decision.
    """

    decision_id: UUID = Field(description="The decision, in all its parts.")
    case_id: UUID = Field(description="The case.")
    content_id: Identifier = Field(description="The reported item.")
    priority: Annotated[ClassName, Field(alias="class", serialization_alias="class")] = Field(
        description="The case's class at its decision."
    )
    queue: Code = Field(description="Where it waited.")
    ruling: Ruling = Field(description="Why the case had its class.")
    finding: Finding = Field(description="What was decided.")
    decided_by: Name = Field(description="The reviewer.")
    decided_at: Timestamp = Field(description="When.")
    part: Annotated[int, Field(ge=1)] = Field(description="Which part of the decision this is, from 1.")
    parts: Annotated[int, Field(ge=1)] = Field(description="How many parts there are.")
    late: bool = Field(default=False, description="Whether these reports came after the decision.")
    reports: Annotated[list[AnsweredReport], Field(min_length=1, max_length=REPORTS_A_PART)] = Field(
        description="The reports that this part answers."
    )


class DecisionMade(Event[Decision]):
    """A case was decided, or a late report answered with the decision; key: the case's id."""

    type: Literal["jubao.decision.made.v1"]

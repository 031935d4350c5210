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

    verdict: Verdict
    violates: Annotated[Text, Field(min_length=1, max_length=200)] | None = None
    actions: Annotated[list[Action], Field(default_factory=list, max_length=9)]
    reason: Annotated[Text, Field(min_length=1, max_length=5_000)]

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

    report_id: UUID
    received_at: Timestamp
    source_kind: SourceKind
    source_id: Identifier | None = None


class Decision(Contract):
    """One part of a decision; the parts differ in nothing but `part` and `reports`.

    `late` marks reports that came after the decision and are answered with it; their parts count on by themselves.
    `decided_class` is the case's class at its decision.
    """

    decision_id: UUID
    case_id: UUID
    content_id: Identifier
    priority: Annotated[ClassName, Field(alias="class", serialization_alias="class")]
    queue: Code
    ruling: Ruling
    finding: Finding
    decided_by: Name
    decided_at: Timestamp
    part: Annotated[int, Field(ge=1)]
    parts: Annotated[int, Field(ge=1)]
    late: bool = False
    reports: Annotated[list[AnsweredReport], Field(min_length=1, max_length=REPORTS_A_PART)]


class DecisionMade(Event[Decision]):
    """A case was decided, or a late report answered with the decision; key: the case's id."""

    type: Literal["jubao.decision.made.v1"]

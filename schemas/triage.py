"""A report with its class: `jubao.report.triaged.v1` on `triage.public.v1` and `triage.flagged.v1`."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Contract, Event
from schemas.report import Report
from schemas.text import Code, Identifier, Name, Sha256, Text, Timestamp
from schemas.vocabulary import Lane, PriorityClass, Standing

TRIAGED = "jubao.report.triaged.v1"

ClassName = Literal["P0", "P1", "P2", "P3", "P4"]


class Ruling(Contract):
    """Why a report has its class: the policy and rule that gave it, and every input that rule read, by its path."""

    policy: Code
    version: Code
    rule: Code
    inputs: dict[Code, str | int | bool | None]


class Attestation(Contract):
    """Who vouched for the record's bytes, and for what standing of its source."""

    key_id: Identifier
    attester: Name
    source_id: Identifier
    standing: Standing


class Triaged(Contract):
    """The report as it came, with its class and why; `digest` tells equal reports from others of the same id."""

    # What the validator below holds, for readers of the JSON Schema.
    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"class": {"const": "P0"}}},
            "then": {"required": ["attestation"], "properties": {"attestation": {"type": "object"}}},
        }
    )

    report: Report
    digest: Sha256
    lane: Lane
    received_at: Timestamp
    attestation: Attestation | None = None
    priority: Annotated[ClassName, Field(alias="class", serialization_alias="class")]
    queue: Code
    target_seconds: Annotated[int, Field(gt=0)]
    ruling: Ruling
    note: Text | None = None

    @property
    def priority_class(self) -> PriorityClass:
        """The class as an order: the lower, the sooner."""
        return PriorityClass[self.priority]

    @model_validator(mode="after")
    def _immediate_is_attested(self) -> Self:
        if self.priority == "P0" and self.attestation is None:
            raise PydanticCustomError("unattested_p0", "nothing is P0 without an attestation")
        return self


class ReportTriaged(Event[Triaged]):
    """A report has its class; key: the content's id."""

    type: Literal["jubao.report.triaged.v1"]

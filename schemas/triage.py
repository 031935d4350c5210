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

    policy: Code = Field(description="Name of the policy.")
    version: Code = Field(description="Its version.")
    rule: Code = Field(description="The rule that held first.")
    inputs: dict[Code, str | int | bool | None] = Field(description="Every input that the rule read, by its path.")


class Attestation(Contract):
    """Who vouched for the record's bytes, and for what standing of its source."""

    key_id: Identifier = Field(description="The key that signed.")
    attester: Name = Field(description="Whose key it is.")
    source_id: Identifier = Field(description="The source that it vouches for.")
    standing: Standing = Field(description="How that source stands.")


class Triaged(Contract):
    """The report as it came, with its class and why; `digest` tells equal reports from others of the same id."""

    # What the validator below holds, for readers of the JSON Schema.
    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"class": {"const": "P0"}}},
            "then": {"required": ["attestation"], "properties": {"attestation": {"type": "object"}}},
        }
    )

    report: Report = Field(description="The report as it came.")
    digest: Sha256 = Field(description="SHA-256 of the report, which tells equal reports from others of the same id.")
    lane: Lane = Field(description="Which lane it came by.")
    received_at: Timestamp = Field(description="When the broker, or intake, took it.")
    attestation: Attestation | None = Field(None, description="Who vouched for it; nothing is P0 without.")
    priority: Annotated[ClassName, Field(alias="class", serialization_alias="class")] = Field(
        description="How soon it is looked at: P0 first."
    )
    queue: Code = Field(description="Where it waits.")
    target_seconds: Annotated[int, Field(gt=0)] = Field(description="How soon after reception it is to be decided.")
    ruling: Ruling = Field(description="Why it has this class.")
    note: Text | None = Field(None, description="What a person should know of its source's standing.")

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

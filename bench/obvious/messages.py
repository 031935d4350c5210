"""The messages on the topics, as pydantic models."""

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field


class SourceKind(StrEnum):
    """Who reports."""

    USER = "user"
    POLICE = "police"
    TRUSTED_FLAGGER = "trusted_flagger"
    GOVERNMENT = "government"


class Source(BaseModel):
    """What a report says of where it comes from."""

    kind: SourceKind
    id: str | None = None


class Snapshot(BaseModel):
    """What the reporter saw."""

    ref: str | None = None
    sha256: str = Field(pattern=r"^[0-9a-fA-F]{64}$")


class Content(BaseModel):
    """The reported item."""

    id: str = Field(min_length=1, max_length=200)
    type: str
    author: str | None = None
    url: str | None = Field(None, max_length=2_048)
    language: str | None = None
    region: str | None = None
    excerpt: str | None = Field(None, max_length=10_000)
    snapshot: Snapshot | None = None


class Report(BaseModel):
    """What is reported."""

    model_config = ConfigDict(extra="forbid")

    report_id: UUID
    channel: str
    reporter: str | None = None
    occurred_at: datetime
    source: Source
    content: Content
    category: str
    keyword: str | None = None
    explanation: str | None = Field(None, max_length=5_000)
    legal_ground: str | None = Field(None, max_length=500)
    addressed_agency: str | None = None
    endorses: UUID | None = None
    territory: str | None = None


class Event(BaseModel):
    """The CloudEvents envelope."""

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str
    time: datetime
    subject: str
    datacontenttype: Literal["application/json"] = "application/json"
    correlationid: UUID | None = None
    causationid: UUID | None = None


class Submitted(Event):
    """A report came in."""

    data: Report


class Ruling(BaseModel):
    """Why a report has its class."""

    policy: str
    version: str
    rule: str
    inputs: dict[str, str | bool | None]


class TriagedReport(BaseModel):
    """The report with its class."""

    report: Report
    digest: str
    received_at: datetime
    priority: int
    queue: str
    target_seconds: int
    ruling: Ruling


class Triaged(Event):
    """A report has its class."""

    data: TriagedReport


class CaseChanged(BaseModel):
    """A change of a case."""

    case_id: UUID
    version: int
    content_id: str
    at: datetime
    actor: str
    change: str
    from_state: str | None
    to_state: str
    why: str
    priority: int
    queue: str
    due_at: datetime
    report_count: int
    report_id: UUID
    ruling: Ruling | None = None


class CaseEvent(Event):
    """A case changed."""

    data: CaseChanged


def follow_up(cause: UUID, stage: str) -> UUID:
    """The id of the event that a stage makes of another: the same when the message is delivered again."""
    return uuid5(cause, stage)

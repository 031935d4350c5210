"""A report as it comes in: `jubao.report.submitted.v1` on `reports.public.v1` and `reports.flagged.v1`."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Contract, Event
from schemas.text import Code, Identifier, Name, Region, Sha256, Text, Timestamp
from schemas.vocabulary import FLAGGED_KINDS, Category, Channel, ContentType, SourceKind

SUBMITTED = "jubao.report.submitted.v1"

# Free text lies about its length often enough that both ends of the wire need the same number.
MAX_VALUE_BYTES = 256 * 1024
EARLY_SECONDS = 3600


class Snapshot(Contract):
    """What the reporter saw, kept by the platform: where, and the digest of its bytes."""

    ref: Annotated[Text, Field(max_length=2_048)] | None = None
    sha256: Sha256


class Content(Contract):
    """The reported item, as the reporter's side describes it."""

    id: Identifier
    type: ContentType
    author: Name | None = None
    url: Annotated[Text, Field(max_length=2_048)] | None = None
    language: Code | None = None
    region: Region | None = None
    excerpt: Annotated[Text, Field(max_length=10_000)] | None = None
    snapshot: Snapshot | None = None


class ReportSource(Contract):
    """What a report says of where it comes from; on the public lane nobody has checked it."""

    kind: SourceKind
    id: Identifier | None = None


class Statement(Contract):
    """What every report says, whoever sends it: `data` without what intake itself sets."""

    channel: Channel
    reporter: Name | None = None
    occurred_at: Timestamp
    content: Content
    category: Category
    keyword: Code | None = None
    explanation: Annotated[Text, Field(max_length=5_000)] | None = None
    legal_ground: Annotated[Text, Field(min_length=1, max_length=500)] | None = None
    addressed_agency: Name | None = None
    endorses: UUID | None = None
    territory: Region | None = None


class Report(Statement):
    """A report with its id and source: the `data` of the event on either lane. A user's report names its reporter."""

    # What the validator below holds, for readers of the JSON Schema.
    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"source": {"properties": {"kind": {"const": "user"}}}}},
            "then": {"required": ["reporter"], "properties": {"reporter": {"type": "string"}}},
        }
    )

    report_id: UUID
    source: ReportSource

    @model_validator(mode="after")
    def _users_have_names(self) -> Self:
        if self.source.kind is SourceKind.USER and self.reporter is None:
            raise PydanticCustomError("reporter_missing", "a user's report names its reporter")
        return self


class FlaggedStatement(Statement):
    """What a flagged source itself sends over HTTP; intake adds report_id and source."""

    explanation: Annotated[Text, Field(min_length=1, max_length=5_000)]
    legal_ground: Annotated[Text, Field(min_length=1, max_length=500)]


class FlaggedReport(FlaggedStatement, Report):
    """A report on the flagged lane: its source is named, its ground and explanation are given."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "properties": {
                        "source": {
                            "required": ["id"],
                            "properties": {
                                "kind": {"enum": ["government", "police", "trusted_flagger"]},
                                "id": {"type": "string"},
                            },
                        }
                    }
                }
            ]
        }
    )

    @model_validator(mode="after")
    def _source_is_flagged(self) -> Self:
        if self.source.kind not in FLAGGED_KINDS or self.source.id is None:
            raise PydanticCustomError(
                "not_flagged", "the flagged lane takes police, trusted_flagger or government with an id"
            )
        return self


def _check_subject(subject: str, report_id: UUID) -> None:
    # Compared as ids: RFC 9562 lets a sender write its hexadecimal digits in capitals.
    try:
        same = UUID(subject) == report_id
    except ValueError:
        same = False
    if not same:
        raise PydanticCustomError("subject_differs", "subject must equal report_id")


def _nothing(_: object) -> None:
    return None


def _id_or_nothing(value: object) -> object:
    try:
        return UUID(str(value))
    except ValueError:
        return None


# Producers of other systems use these names for ids of their own. That must not cost a report its queue: a correlation
# that is no id is not kept, and what caused a report elsewhere is no event of ours.
_PASSES = WithJsonSchema({"description": "A producer may use it for ids of its own."})
Correlation = Annotated[UUID | None, BeforeValidator(_id_or_nothing), _PASSES]
Foreign = Annotated[None, BeforeValidator(_nothing), _PASSES]


class Submitted(Event[Report]):
    """A report on the public lane. It begins a story: there is no cause among our events."""

    type: Literal["jubao.report.submitted.v1"]
    correlationid: Correlation = None
    causationid: Foreign = None

    @model_validator(mode="after")
    def _subject_is_report(self) -> Self:
        _check_subject(self.subject, self.data.report_id)
        return self


class FlaggedSubmitted(Event[FlaggedReport]):
    """A report on the flagged lane. It begins a story, as on the public one."""

    type: Literal["jubao.report.submitted.v1"]
    correlationid: Correlation = None
    causationid: Foreign = None

    @model_validator(mode="after")
    def _subject_is_report(self) -> Self:
        _check_subject(self.subject, self.data.report_id)
        return self

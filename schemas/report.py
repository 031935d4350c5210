"""A report as it comes in: `jubao.report.submitted.v1` on `reports.public.v1` and `reports.flagged.v1`."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Contract, Correlation, Event, Foreign
from schemas.text import Code, Identifier, Name, Region, Sha256, Text, Timestamp
from schemas.vocabulary import FLAGGED_KINDS, Category, Channel, ContentType, SourceKind

SUBMITTED = "jubao.report.submitted.v1"

# Free text lies about its length often enough that both ends of the wire need the same number.
MAX_VALUE_BYTES = 256 * 1024
EARLY_SECONDS = 3600


class Snapshot(Contract):
    """What the reporter saw, kept by the platform: where, and the digest of its bytes."""

    ref: Annotated[Text, Field(max_length=2_048)] | None = Field(
        None, description="Where the platform keeps what the reporter saw."
    )
    sha256: Sha256 = Field(description="Digest of its bytes, in hexadecimal.")


class Content(Contract):
    """The reported item, as the reporter's side describes it."""

    id: Identifier = Field(description="The platform's id of the item. Reports with the same id become one case.")
    type: ContentType = Field(description="What kind of thing it is.")
    author: Name | None = Field(None, description="The account that published it.")
    url: Annotated[Text, Field(max_length=2_048)] | None = Field(None, description="Where a reviewer can look at it.")
    language: Code | None = Field(None, description="Its language, as a BCP 47 tag.")
    region: Region | None = Field(None, description="Where it is shown, as an ISO 3166 code.")
    excerpt: Annotated[Text, Field(max_length=10_000)] | None = Field(None, description="The words that are reported.")
    snapshot: Snapshot | None = Field(None, description="What the reporter saw, as the platform kept it.")


class ReportSource(Contract):
    """What a report says of where it comes from; on the public lane nobody has checked it."""

    kind: SourceKind = Field(description="Who reports.")
    id: Identifier | None = Field(
        None, description="The registered source's id. Of a user nothing needs to stand here, and it is not kept."
    )


def registered_id(kind: str, source_id: str | None) -> str | None:
    """The id of a report's source, None of a user: what stands there names a person, and must not outlive erasure."""
    return None if kind == SourceKind.USER else source_id


class Statement(Contract):
    """What every report says, whoever sends it: `data` without what intake itself sets."""

    channel: Channel = Field(description="How the report was made.")
    reporter: Name | None = Field(
        None, description="The reporting account, as the platform names it; required of users. It is kept out of logs."
    )
    occurred_at: Timestamp = Field(description="When it was reported: at most an hour after the moment of reception.")
    content: Content = Field(description="The reported item.")
    category: Category = Field(description="What is wrong.")
    keyword: Code | None = Field(
        None, description="A finer word: `child_sexual_abuse`, `imminent_harm`, `terrorism`, or free text."
    )
    explanation: Annotated[Text, Field(max_length=5_000)] | None = Field(None, description="What the reporter says.")
    legal_ground: Annotated[Text, Field(min_length=1, max_length=500)] | None = Field(
        None, description="Law and article that a flagged source names."
    )
    addressed_agency: Name | None = Field(None, description="The authority that the report was addressed to.")
    endorses: UUID | None = Field(None, description="The report that this one supports.")
    territory: Region | None = Field(
        None, description="The region that the report is about; a police source has precedence in its own."
    )


class Report(Statement):
    """A report with its id and source: the `data` of the event on either lane. A user's report names its reporter."""

    # What the validator below holds, for readers of the JSON Schema.
    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"source": {"properties": {"kind": {"const": "user"}}}}},
            "then": {"required": ["reporter"], "properties": {"reporter": {"type": "string"}}},
        }
    )

    report_id: UUID = Field(
        description="The producer's id of the report, a UUID. It makes a repeat recognisable: never use one twice."
    )
    source: ReportSource = Field(description="Who reports; on the public lane nobody has checked it.")

    @model_validator(mode="after")
    def _users_have_names(self) -> Self:
        if self.source.kind is SourceKind.USER and self.reporter is None:
            raise PydanticCustomError("reporter_missing", "a user's report names its reporter")
        return self


class FlaggedStatement(Statement):
    """What a flagged source itself sends over HTTP; intake adds report_id and source."""

    explanation: Annotated[Text, Field(min_length=1, max_length=5_000)] = Field(description="What the source says.")
    legal_ground: Annotated[Text, Field(min_length=1, max_length=500)] = Field(
        description="Law and article that the source names."
    )


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

"""What callers send about sources and attesters, and what they are shown; the reports' own forms are contracts."""

from typing import Annotated, Self
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Contract
from schemas.report import FlaggedStatement
from schemas.text import WHOLE, Code, Name, Region, Text, Timestamp
from schemas.vocabulary import FLAGGED_KINDS, Category, Lane, SourceKind, SourceStatus, Standing
from services.intake.keys import KeyUnusable, base64url, public_bytes
from services.intake.store import AttesterRow, KeyRow, SourceRow

_MOST_QUOTA = 1_000_000_000


def _flagged(kind: SourceKind) -> SourceKind:
    if kind not in FLAGGED_KINDS:
        raise PydanticCustomError("not_flagged", "a source is police, trusted_flagger or government")
    return kind


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise PydanticCustomError("time_zone", "a time zone of the IANA list, as Asia/Shanghai") from unknown
    return name


def _key(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return public_bytes(given)
    except KeyUnusable as unusable:
        raise PydanticCustomError("public_key", "{why}", {"why": str(unusable)}) from unusable


def _once(words: list[SourceKind]) -> list[SourceKind]:
    return list(dict.fromkeys(words))


FlaggedKind = Annotated[
    SourceKind,
    AfterValidator(_flagged),
    WithJsonSchema({"type": "string", "enum": sorted(kind.value for kind in FLAGGED_KINDS)}),
]
KeyBytes = Annotated[bytes, BeforeValidator(_key, json_schema_input_type=str)]
"""Taken as PEM, as an OpenSSH line or as unpadded base64url of the 32 bytes."""


class NewSource(Contract):
    """A source to register; without a key it can report only through an account that is bound to it."""

    kind: FlaggedKind
    name: Name
    agency: Name | None = None
    parent: Name | None = None
    region: Region | None = None
    categories: Annotated[list[Category], Field(default_factory=list, max_length=len(Category))]
    quota_per_day: Annotated[int, Field(ge=0, le=_MOST_QUOTA, strict=True), WHOLE] | None = None
    time_zone: Annotated[Code, AfterValidator(_zone)] = "Asia/Shanghai"
    public_key: KeyBytes | None = None


class NewKey(Contract):
    """A further key of a source."""

    public_key: KeyBytes


class NewAttester(Contract):
    """A key that may vouch for sources of some kinds."""

    name: Name
    public_key: KeyBytes
    kinds: Annotated[list[FlaggedKind], Field(min_length=1, max_length=len(SourceKind)), AfterValidator(_once)]

    @model_validator(mode="after")
    def _name_is_free(self) -> Self:
        if self.name == OWN_NAME:
            raise PydanticCustomError("name_reserved", "the name intake is intake's own; choose another")
        return self


class FlaggedReport(FlaggedStatement):
    """What a flagged source says over HTTP, where ground and explanation say something."""

    @field_validator("legal_ground", "explanation")
    @classmethod
    def _says_something(cls, value: str) -> str:
        # Here and not in the contract: what is on the topic already must stay readable.
        if not value.strip():
            raise PydanticCustomError("blank", "spaces alone say nothing")
        return value


OWN_NAME = "intake"
"""The attester's name under which intake's own keys are announced."""


class Accepted(Contract):
    """A report that the broker has; of a flagged source's, also how it stands and what that means."""

    report_id: UUID
    lane: Lane
    standing: Standing | None = None
    note: Text | None = None


class KeyShown(Contract):
    """A key of a source."""

    key_id: str
    public_key: str
    added_at: Timestamp
    revoked_at: Timestamp | None

    @classmethod
    def of(cls, row: KeyRow) -> "KeyShown":
        """A row as it is shown."""
        return cls(
            key_id=row.key_id,
            public_key=base64url(row.public_key),
            added_at=row.added_at,
            revoked_at=row.revoked_at,
        )


class SourceShown(Contract):
    """A source with its keys; `key_id` is the newest that counts, none where there is none."""

    id: UUID
    key_id: str | None
    kind: SourceKind
    name: str
    agency: str | None
    parent: str | None
    region: str | None
    categories: list[Category]
    quota_per_day: int | None
    time_zone: str
    status: SourceStatus
    version: int
    keys: list[KeyShown]

    @classmethod
    def of(cls, row: SourceRow, keys: list[KeyRow]) -> "SourceShown":
        """A source and its keys, oldest first, as they are shown."""
        live = [key.key_id for key in keys if key.revoked_at is None]
        return cls(
            id=row.source_id,
            key_id=live[-1] if live else None,
            kind=row.kind,
            name=row.name,
            agency=row.agency,
            parent=row.parent,
            region=row.region,
            categories=list(row.categories),
            quota_per_day=row.quota_per_day,
            time_zone=row.time_zone,
            status=row.status,
            version=row.version,
            keys=[KeyShown.of(key) for key in keys],
        )


class SourceChange(SourceShown):
    """A source after a change; `published` says whether the other services can know of it already."""

    published: bool


class SourcePage(Contract):
    """Some sources, and where the listing goes on."""

    sources: list[SourceShown]
    next: str | None


class AttesterShown(Contract):
    """An attester; `verdicts` is true of intake's own keys."""

    key_id: str
    name: str
    kinds: list[SourceKind]
    public_key: str
    verdicts: bool
    version: int
    added_at: Timestamp

    @classmethod
    def of(cls, row: AttesterRow) -> "AttesterShown":
        """A row as it is shown."""
        return cls(
            key_id=row.key_id,
            name=row.name,
            kinds=list(row.kinds),
            public_key=base64url(row.public_key),
            verdicts=row.verdicts,
            version=row.version,
            added_at=row.added_at,
        )


class AttesterChange(AttesterShown):
    """An attester after a change; `published` says whether the other services can know of it already."""

    published: bool


class AttesterPage(Contract):
    """Some attesters, and where the listing goes on."""

    attesters: list[AttesterShown]
    next: str | None

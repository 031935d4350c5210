"""Flagged sources and the keys that may attest: `sources.v1`, compacted, one record a source or attester."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from schemas.envelope import Contract, Event
from schemas.text import Code, Identifier, Name, Region, Timestamp
from schemas.vocabulary import Category, SourceKind, SourceStatus

SOURCE_CHANGED = "jubao.source.changed.v1"
ATTESTER_CHANGED = "jubao.attester.changed.v1"

Change = Literal["added", "suspended", "resumed", "key_added", "key_revoked", "announced"]


class PublicKey(Contract):
    """An Ed25519 public key: 32 raw bytes in unpadded base64url, and since when it no longer counts."""

    key_id: Identifier
    public_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
    revoked_at: Timestamp | None = None


class Source(Contract):
    """All that others may know of a flagged source, after the change that is named."""

    source_id: UUID
    version: Annotated[int, Field(ge=1)]
    change: Change
    actor: Name
    kind: SourceKind
    name: Name
    agency: Name | None = None
    parent: Name | None = None
    region: Region | None = None
    categories: Annotated[list[Category], Field(default_factory=list)]
    quota_per_day: Annotated[int, Field(ge=0)] | None = None
    time_zone: Code = "Asia/Shanghai"
    status: SourceStatus
    keys: list[PublicKey]


class Attester(Contract):
    """A key that may vouch for reports on the flagged lane; `verdicts` is true of intake's own.

    Intake signs its verdict on status, quota and territory with the report; for other attesters triage judges those by
    this topic.
    """

    name: Name
    version: Annotated[int, Field(ge=1)]
    change: Change
    actor: Name
    key: PublicKey
    kinds: list[SourceKind]
    verdicts: bool = False


class SourceChanged(Event[Source]):
    """A source was added or changed; key: the source's id."""

    type: Literal["jubao.source.changed.v1"]


class AttesterChanged(Event[Attester]):
    """An attester was added or changed; key: its key id."""

    type: Literal["jubao.attester.changed.v1"]

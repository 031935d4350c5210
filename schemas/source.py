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

    key_id: Identifier = Field(description="The key's id: `keyid` of a signature, `kid` of an attestation.")
    public_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")] = Field(
        description="The 32 bytes of an Ed25519 key in unpadded base64url."
    )
    revoked_at: Timestamp | None = Field(None, description="Since when it no longer counts.")


class Source(Contract):
    """All that others may know of a flagged source, after the change that is named."""

    source_id: UUID = Field(description="The source.")
    version: Annotated[int, Field(ge=1)] = Field(description="Counts the changes from 1.")
    change: Change = Field(description="What changed.")
    actor: Name = Field(description="Who changed it.")
    kind: SourceKind = Field(description="What it is.")
    name: Name = Field(description="Its name.")
    agency: Name | None = Field(None, description="The authority that it belongs to.")
    parent: Name | None = Field(None, description="The authority above that.")
    region: Region | None = Field(None, description="Where it has precedence; everywhere if absent.")
    categories: Annotated[list[Category], Field(default_factory=list)] = Field(
        description="What it is known for; everything if empty."
    )
    quota_per_day: Annotated[int, Field(ge=0)] | None = Field(
        None, description="How many reports a day have precedence; any number if absent."
    )
    time_zone: Code = Field("Asia/Shanghai", description="Where its day begins, a name of the IANA list.")
    status: SourceStatus = Field(description="Whether it may report.")
    keys: list[PublicKey] = Field(description="Its keys, revoked ones too.")


class Attester(Contract):
    """A key that may vouch for reports on the flagged lane; `verdicts` is true of intake's own.

    Intake signs its verdict on status, quota and territory with the report; for other attesters triage judges those by
    this topic.
    """

    name: Name = Field(description="Its name.")
    version: Annotated[int, Field(ge=1)] = Field(description="Counts the changes from 1.")
    change: Change = Field(description="What changed.")
    actor: Name = Field(description="Who changed it.")
    key: PublicKey = Field(description="Its key.")
    kinds: list[SourceKind] = Field(description="The kinds of sources that it may vouch for.")
    verdicts: bool = Field(
        default=False,
        description="Whether it signs its verdict on the source's standing too: true of intake's own key.",
    )


class SourceChanged(Event[Source]):
    """A source was added or changed; key: the source's id."""

    type: Literal["jubao.source.changed.v1"]


class AttesterChanged(Event[Attester]):
    """An attester was added or changed; key: its key id."""

    type: Literal["jubao.attester.changed.v1"]

"""Reads an attestation: a compact JWS without its payload (RFC 7515, appendix F) over the very bytes of a record.

Ed25519 is the only algorithm there is here: the header's `alg` is compared, never obeyed. Intake's header also holds
its verdict on the source (`source`, `kind`, `standing`) and the moment of reception.
"""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.text import Identifier, Timestamp
from schemas.vocabulary import AlertCode, SourceKind, Standing

HEADER: Final = "attestation"
_MOST_BYTES: Final = 4_096
_SIGNATURE_BYTES: Final = 64


class AttestationRefused(Exception):
    """An attestation that does not count; the report is handled as public and `code` becomes an alert.

    `why` is a sentence of ours: nothing that a sender wrote is quoted in it.
    """

    def __init__(self, code: AlertCode, why: str, key_id: str | None = None) -> None:
        self.code = code
        self.why = why
        self.key_id = key_id
        super().__init__(why)


class ProtectedHeader(BaseModel):
    """What the header of an attestation says. `crit` and `b64` change how a JWS is read, so both are refused."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    alg: Literal["EdDSA"]
    kid: Identifier
    crit: Annotated[None, Field()] = None
    b64: Annotated[None, Field()] = None
    source: Identifier | None = None
    kind: SourceKind | None = None
    standing: Standing | None = None
    received_at: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """An attestation that can be read, and is not verified yet."""

    header: ProtectedHeader
    encoded_header: bytes
    signature: bytes

    @property
    def key_id(self) -> str:
        """The key it says it was made with."""
        return self.header.kid

    def verify(self, value: bytes, public_key: str) -> None:
        """Holds the signature against a record's value.

        Args:
            value: the record's bytes, as they came.
            public_key: 32 raw bytes in unpadded base64url, as the registry has them.

        Raises:
            AttestationRefused: it was not made by this key over these bytes.
        """
        key = _key(public_key)
        signed = self.encoded_header + b"." + urlsafe_b64encode(value).rstrip(b"=")
        if key is None:
            raise bad("The registered key is none of Ed25519.", self.key_id)
        try:
            key.verify(self.signature, signed)
        except InvalidSignature as invalid:
            raise bad("The signature does not fit these bytes.", self.key_id) from invalid


def bad(why: str, key_id: str | None = None) -> AttestationRefused:
    """The refusal of an attestation that does not fit its record."""
    return AttestationRefused(AlertCode.BAD_ATTESTATION, why, key_id)


def read(token: bytes | None) -> Claim:
    """Takes an attestation apart.

    Raises:
        AttestationRefused: there is none, or it has not the form of one.
    """
    if token is None:
        raise AttestationRefused(AlertCode.NO_ATTESTATION, AlertCode.NO_ATTESTATION.sentence)
    parts = token.split(b".", 3) if len(token) <= _MOST_BYTES else []
    if len(parts) != 3 or parts[1]:  # noqa: PLR2004 -- header, nothing, signature
        raise bad("It is not a compact JWS with its payload left out.")
    try:
        signature = _decoded(parts[2])
        header = ProtectedHeader.model_validate(json.loads(_decoded(parts[0]), object_pairs_hook=_once))
    except ValidationError as misfit:
        members = ", ".join(str(part) for error in misfit.errors() for part in error["loc"][:1])
        raise bad(f"Its header does not fit: {members or 'no JSON object'}.") from misfit
    except (ValueError, RecursionError) as unreadable:
        raise bad("Its header cannot be read.") from unreadable
    if len(signature) != _SIGNATURE_BYTES:
        raise bad("Its signature is not one of Ed25519.", header.kid)
    return Claim(header, parts[0], signature)


def _decoded(part: bytes) -> bytes:
    """Unpadded base64url and nothing else: Python's decoder passes over what it does not know.

    Raises:
        ValueError: another alphabet, padding, or bits left over.
    """
    try:
        raw = urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except binascii.Error as unreadable:
        raise ValueError from unreadable
    if urlsafe_b64encode(raw).rstrip(b"=") != part:
        raise ValueError
    return raw


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


@lru_cache(maxsize=1_024)
def _key(public_key: str) -> Ed25519PublicKey | None:
    """The key of its text; None where the text is no key, which then verifies nothing."""
    try:
        return Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(public_key + "="))
    except ValueError:
        return None


def received(claim: Claim, otherwise: datetime) -> datetime:
    """The moment of reception: by the attesting clock where it says one, else the broker's."""
    return claim.header.received_at or otherwise

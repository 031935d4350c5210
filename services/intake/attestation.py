"""What intake vouches for: that these bytes came from this source, and how the source stood at that moment.

An attestation is a compact JWS with its payload left out (RFC 7515, appendix F); the payload is the record's value, so
nobody can put it on other bytes. The verdict stands in the protected header, so no reader has to ask again.
"""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from schemas.vocabulary import SourceKind, Standing

HEADER = "attestation"
"""The name of the record header that carries it."""


class AttestingKeyUnusable(Exception):
    """Intake cannot attest, so it must not start: what it took would lose its lane."""

    def __init__(self, path: Path | None, why: str) -> None:
        self.path = path
        super().__init__(
            f"Intake's key {path} cannot be used ({why}); let JUBAO_INTAKE_KEY_FILE name an Ed25519 private key, "
            "PKCS#8 PEM without a password, readable by this user."
            if path
            else "Intake has no key to attest with; let JUBAO_INTAKE_KEY_FILE name an Ed25519 private key, PKCS#8 PEM."
        )


@dataclass(frozen=True, slots=True)
class Vouched:
    """What one attestation says, beside the bytes it is over."""

    source_id: UUID
    kind: SourceKind
    standing: Standing
    received_at: datetime


class AttestingKey:
    """Intake's own key."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.public_bytes = private_key.public_key().public_bytes_raw()
        self.key_id = f"intake-{hashlib.sha256(self.public_bytes).hexdigest()[:16]}"

    @classmethod
    def read(cls, path: Path | None) -> "AttestingKey":
        """Reads the key file.

        Raises:
            AttestingKeyUnusable: no path, no such file, not readable, or another kind of key.
        """
        if path is None:
            raise AttestingKeyUnusable(path, "")
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as unreadable:
            raise AttestingKeyUnusable(path, unreadable.strerror or "not readable") from unreadable
        except (ValueError, TypeError) as malformed:
            raise AttestingKeyUnusable(path, "not a PEM private key, or one with a password") from malformed
        if not isinstance(key, Ed25519PrivateKey):
            raise AttestingKeyUnusable(path, "not an Ed25519 key")
        return cls(key)

    def attest(self, value: bytes, vouched: Vouched) -> bytes:
        """The compact JWS over a record's value, without the value between its dots."""
        header = _base64url(orjson.dumps(self._header(vouched)))
        signature = self._private_key.sign(header + b"." + _base64url(value))
        return header + b".." + _base64url(signature)

    def _header(self, vouched: Vouched) -> dict[str, str]:
        received_at = vouched.received_at.astimezone(UTC).isoformat(timespec="milliseconds")
        return {
            "alg": "EdDSA",
            "kid": self.key_id,
            "source": str(vouched.source_id),
            "kind": vouched.kind.value,
            "standing": vouched.standing.value,
            "received_at": received_at.replace("+00:00", "Z"),
        }


def _base64url(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")

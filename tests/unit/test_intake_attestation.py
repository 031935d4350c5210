"""What intake signs under a report, read as RFC 7515 tells any reader to."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from joserfc import jws
from joserfc.jwk import OKPKey

from schemas.vocabulary import SourceKind, Standing
from services.intake.attestation import AttestingKey, AttestingKeyUnusable, Vouched

PRIVATE = Ed25519PrivateKey.generate()
KEY = AttestingKey(PRIVATE)
VALUE = '{"data": "涉嫌诈骗"}'.encode()
SOURCE = UUID("01935000-0000-7000-8000-000000000001")
VOUCHED = Vouched(SOURCE, SourceKind.POLICE, Standing.OVER_QUOTA, datetime(2026, 11, 23, 8, 0, 0, 123_000, tzinfo=UTC))


def decoded(part: bytes) -> bytes:
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def test_the_header_tells_the_verdict() -> None:
    """Key, source, kind, standing and the moment of reception stand in the protected header, nothing else."""
    header, empty, _ = KEY.attest(VALUE, VOUCHED).split(b".")
    assert empty == b""
    assert orjson.loads(decoded(header)) == {
        "alg": "EdDSA", "kid": KEY.key_id, "source": str(SOURCE), "kind": "police", "standing": "over_quota",
        "received_at": "2026-11-23T08:00:00.123Z",
    }  # fmt: skip


def test_the_moment_is_told_in_utc() -> None:
    """A moment of another zone is written as the same moment in UTC."""
    shanghai = VOUCHED.received_at.astimezone(timezone(timedelta(hours=8)))
    moved = Vouched(SOURCE, SourceKind.POLICE, Standing.OVER_QUOTA, shanghai)
    assert KEY.attest(VALUE, moved) == KEY.attest(VALUE, VOUCHED)


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_it_is_a_jws() -> None:
    """With its payload put back, the attestation is a compact JWS that another library verifies."""
    header, _, signature = KEY.attest(VALUE, VOUCHED).split(b".")
    whole = b".".join([header, urlsafe_b64encode(VALUE).rstrip(b"="), signature])
    lenient = jws.JWSRegistry(algorithms=["EdDSA"], strict_check_header=False)
    public = OKPKey.import_key(
        {"kty": "OKP", "crv": "Ed25519", "x": urlsafe_b64encode(KEY.public_bytes).decode().rstrip("=")}
    )
    assert jws.deserialize_compact(whole, public, algorithms=["EdDSA"], registry=lenient).payload == VALUE


def test_other_bytes_do_not_verify() -> None:
    """The signature covers the value to its last byte."""
    header, _, signature = KEY.attest(VALUE, VOUCHED).split(b".")
    payload = urlsafe_b64encode(VALUE + b" ").rstrip(b"=")
    with pytest.raises(InvalidSignature):
        PRIVATE.public_key().verify(decoded(signature), header + b"." + payload)


def test_the_key_id_follows_from_the_key() -> None:
    """Every process with the same key names it alike."""
    assert KEY.key_id == f"intake-{hashlib.sha256(PRIVATE.public_key().public_bytes_raw()).hexdigest()[:16]}"


def test_the_key_is_read_from_pem(tmp_path: Path) -> None:
    """The key file is PKCS#8 PEM."""
    path = tmp_path / "key.pem"
    path.write_bytes(PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert AttestingKey.read(path).key_id == KEY.key_id


def test_a_key_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """Without a usable key the sentence names the file and the setting."""
    path = tmp_path / "key.pem"
    pems = {
        "No such file": None,
        "not a PEM private key": b"nothing of the kind",
        "with a password": PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        "not an Ed25519 key": X25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
    }
    for why, pem in pems.items():
        if pem is not None:
            path.write_bytes(pem)
        with pytest.raises(AttestingKeyUnusable, match=why) as unusable:
            AttestingKey.read(path)
        assert str(path) in str(unusable.value)
    with pytest.raises(AttestingKeyUnusable, match="JUBAO_INTAKE_KEY_FILE"):
        AttestingKey.read(None)

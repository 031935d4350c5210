"""Public keys of sources and attesters: the forms they are handed in, and the names they get."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key

KEY_BYTES: Final = 32

# The eight points of small order, by y (the encodings with the sign bit are cleared before the look-up). Under such a
# key one signature fits many messages, so it would prove nothing. Two are given unreduced too, as some libraries do.
_P: Final = 2**255 - 19
_ORDER_EIGHT: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER: Final = frozenset({0, 1, _P - 1, _P, _P + 1, _ORDER_EIGHT, _P - _ORDER_EIGHT})


class KeyUnusable(ValueError):
    """A text that was to be an Ed25519 public key is none."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why}; give an Ed25519 public key: PEM (BEGIN PUBLIC KEY), an OpenSSH line (ssh-ed25519 ...), "
            "or its 32 bytes in base64url"
        )


def public_bytes(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key given as PEM, as an OpenSSH line or in base64url without padding.

    Raises:
        KeyUnusable: anything else, also a private key: what was sent must not have been secret.
    """
    text = text.strip()
    if "PRIVATE KEY" in text:
        raise KeyUnusable("this is a private key, which nobody else may see")
    raw = _raw(text)
    if int.from_bytes(raw, "little") & (2**255 - 1) in _SMALL_ORDER:
        raise KeyUnusable("this key is a point of small order, under which a signature proves nothing")
    return raw


def _raw(text: str) -> bytes:
    try:
        key = _read(text)
    except (ValueError, UnsupportedAlgorithm) as unreadable:
        raise KeyUnusable("this is no public key") from unreadable
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable("this is no Ed25519 key")
    return key.public_bytes_raw()


def _read(text: str) -> object:
    if text.startswith("-----BEGIN"):
        return load_pem_public_key(text.encode())
    if text.startswith("ssh-"):
        return load_ssh_public_key(text.encode())
    raw = urlsafe_b64decode(text.encode("ascii") + b"=")
    # Python's decoder passes over what it does not know.
    return Ed25519PublicKey.from_public_bytes(raw) if base64url(raw) == text else None


def base64url(raw: bytes) -> str:
    """A key as it is written in events and answers: unpadded base64url, 43 characters."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def source_key_id(raw: bytes) -> str:
    """The `keyid` of a source's signatures: it follows from the key, so a holder can name it without asking."""
    return f"src-{_short(raw)}"


def attester_key_id(raw: bytes) -> str:
    """The `kid` of an attester's attestations."""
    return f"att-{_short(raw)}"


def _short(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]

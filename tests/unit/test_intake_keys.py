"""Public keys in the forms they are handed in."""

from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from services.intake.keys import _P, _SMALL_ORDER, KeyUnusable, attester_key_id, base64url, public_bytes, source_key_id

PRIVATE = Ed25519PrivateKey.generate()
PUBLIC = PRIVATE.public_key()
RAW = PUBLIC.public_bytes_raw()
_D = -121665 * pow(121666, -1, _P) % _P


def test_three_forms_are_one_key() -> None:
    """PEM, an OpenSSH line with its comment, and base64url give the same 32 bytes."""
    pem = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    line = PUBLIC.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert [public_bytes(text) for text in (pem, f"\n{pem}\n", f"{line} officer@station", base64url(RAW))] == [RAW] * 4


def test_a_private_key_is_never_taken() -> None:
    """A private key handed in by mistake is refused as such."""
    for form in (PrivateFormat.PKCS8, PrivateFormat.OpenSSH):
        pem = PRIVATE.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
        with pytest.raises(KeyUnusable, match="private key"):
            public_bytes(pem)


def test_other_kinds_are_refused() -> None:
    """A key of another algorithm is named as one."""
    other = generate_private_key(SECP256R1()).public_key()
    for encoding, form in (
        (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.OpenSSH, PublicFormat.OpenSSH),
    ):
        with pytest.raises(KeyUnusable, match=r"no Ed25519 key|no public key"):
            public_bytes(other.public_bytes(encoding, form).decode())


@pytest.mark.parametrize(
    "text",
    ["", "x", "a" * 42, "a" * 44, "é" * 43, "\ud800" * 43, "-" * 5 + "BEGIN PUBLIC KEY-----\nAAAA", "ssh-ed25519 AAAA",
     "ssh-ed25519", "/" * 43, "+" * 43, "\x00"],
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    """Anything else is refused in one sentence that says what would do, and never a fault of ours."""
    with pytest.raises(KeyUnusable, match="give an Ed25519 public key"):
        public_bytes(text)


def doubled(x: int, y: int) -> tuple[int, int]:
    """A point of the curve added to itself (RFC 8032, 5.1)."""
    cross = _D * x * x * y * y % _P
    return 2 * x * y * pow(1 + cross, -1, _P) % _P, (y * y + x * x) * pow(1 - cross, -1, _P) % _P


def x_of(y: int) -> int:
    """The smaller x of the points with this y."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    return x if x * x % _P == square else x * pow(2, (_P - 1) // 4, _P) % _P


@pytest.mark.parametrize("y", sorted(_SMALL_ORDER))
def test_points_of_small_order_are_refused(y: int) -> None:
    """Each listed point is of an order that divides eight, and is refused with either sign."""
    point = x_of(y % _P), y % _P
    for _ in range(3):
        point = doubled(*point)
    assert point == (0, 1)
    for sign in (0, 1 << 255):
        raw = (y | sign).to_bytes(32, "little")
        with pytest.raises(KeyUnusable, match="small order"):
            public_bytes(urlsafe_b64encode(raw).decode().rstrip("="))


def test_key_ids_follow_from_the_key() -> None:
    """A key's id is the same wherever it is computed, and tells whose kind of key it is."""
    assert source_key_id(RAW).removeprefix("src-") == attester_key_id(RAW).removeprefix("att-")
    assert len(source_key_id(RAW)) == 20

"""Signed notes, checkpoints and cosignatures in the forms of C2SP (signed-note, tlog-checkpoint, tlog-cosignature).

No input, no output: whoever has the texts and the keys can check them anywhere.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.audit.tree import HASH_BYTES

SIGNATURE: Final = 0x01
COSIGNATURE: Final = 0x04
MOST_NOTE_BYTES: Final = 64 * 1024

_MOST_SIGNATURES: Final = 64
_DASH: Final = "\N{EM DASH} "
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_MOST_SIZE: Final = (1 << 63) - 1
_NAME: Final = re.compile(r"[^\s+\x00-\x20\x7f]{1,200}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class BadNote(ValueError):
    """Text that is no note, checkpoint or key, or is signed wrongly; the message says what is wrong with it."""


class Key(NamedTuple):
    """A public key as verifiers are given it: its name, what it signs (`SIGNATURE` or `COSIGNATURE`), its 32 bytes."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that, with the name, tell a signature's key."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """The key as a `vkey`: name, id in hexadecimal, kind and bytes in base64, with plus signs between."""
        return f"{self.name}+{self.id.hex()}+{b64encode(bytes([self.kind]) + self.public).decode()}"


class Signature(NamedTuple):
    """One line below a note, by whomever: key name, key id, and what follows the id."""

    name: str
    key_id: bytes
    value: bytes

    def __str__(self) -> str:
        """The line, without its end."""
        return f"{_DASH}{self.name} {b64encode(self.key_id + self.value).decode()}"


class Note(NamedTuple):
    """Text, which ends with a line end, and the signatures below it."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        """The note as it is sent and kept."""
        return "\n".join([self.text, *map(str, self.signatures), ""])


class Vouched(NamedTuple):
    """A signature that holds: whose, and when it was made (seconds since 1970), which only a cosignature tells."""

    key: Key
    at: int | None


class Checkpoint(NamedTuple):
    """What a log says of itself: who it is, how many entries it has, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


class Signer:
    """A private key with the name it signs under."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        if _NAME.fullmatch(name) is None:
            raise BadNote(f"{name!r} is no key name: no spaces, no plus signs, at most 200 characters")
        self.name, self._private = name, private
        public = private.public_key().public_bytes_raw()
        self.key = Key(name, SIGNATURE, public)
        self.cokey = Key(name, COSIGNATURE, public)

    def sign(self, text: str) -> Signature:
        """The signature of a note's text."""
        return Signature(self.name, self.key.id, self._private.sign(text.encode()))

    def cosign(self, text: str, at: int) -> Signature:
        """The signature of a checkpoint's text as seen at a time, in seconds since 1970."""
        value = at.to_bytes(_TIME_BYTES, "big") + self._private.sign(_cosigned(text, at))
        return Signature(self.name, self.cokey.id, value)


def key_of(text: str) -> Key:
    """The key that a `vkey` tells.

    Raises:
        BadNote: it is none, or of a kind that is not known here.
    """
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    value = _base64(encoded)
    if _NAME.fullmatch(name) is None or value is None or len(value) != 1 + _KEY_BYTES:
        raise BadNote("not a verifier key, which is NAME+ID+BASE64")
    key = Key(name, value[0], value[1:])
    if key.kind not in (SIGNATURE, COSIGNATURE):
        raise BadNote(f"a verifier key of kind {key.kind}, which is not known here")
    if key.id.hex() != key_id:
        raise BadNote("a verifier key whose id is not that of its bytes")
    return key


def note_of(text: str) -> Note:
    """The note that a text is.

    Raises:
        BadNote: it is none.
    """
    if len(text) > MOST_NOTE_BYTES:
        raise BadNote("a note larger than is taken")
    if any(character < " " and character != "\n" for character in text):
        raise BadNote("a note with control characters")
    body, blank, lines = text.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise BadNote("a note has an empty line, and whole lines of signatures after it")
    found = [_signature(line) for line in lines[:-1].split("\n")]
    if len(found) > _MOST_SIGNATURES:
        raise BadNote("a note with more signatures than are taken")
    return Note(body + "\n", tuple(found))


def checkpoint_of(text: str) -> Checkpoint:
    """The checkpoint that the text of a note is; further lines are passed by.

    Raises:
        BadNote: it is none.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):  # noqa: PLR2004 -- three lines and the end of the last
        raise BadNote("a checkpoint has at least three lines, none of them empty")
    root = _base64(lines[2])
    if _SIZE.fullmatch(lines[1]) is None or int(lines[1]) > _MOST_SIZE:
        raise BadNote("the second line of a checkpoint is its size")
    if root is None or len(root) != HASH_BYTES:
        raise BadNote("the third line of a checkpoint is its root in base64")
    return Checkpoint(lines[0], int(lines[1]), root)


def vouched(note: Note, keys: Iterable[Key]) -> list[Vouched]:
    """The signatures by these keys, in the note's order; those by others are passed by.

    Raises:
        BadNote: a signature by one of these keys does not hold.
    """
    known = {(key.name, key.id): key for key in keys}
    holding = []
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            holding.append(_checked(note.text, signature, key))
    return holding


def notes_in(text: str) -> list[Note]:
    """The notes of a file in which they stand one after the other, an empty line between; see `split_notes`."""
    return [note_of(part) for part in split_notes(text)]


def split_notes(text: str) -> list[str]:
    """The texts of the notes of a file: lines of text, an empty line, lines of signatures, an empty line.

    What stands between them and is no whole note comes as a part of its own, which `note_of` refuses.
    """
    parts: list[str] = []
    body = ""
    for block in text.split("\n\n"):
        lines = block.strip("\n")
        if not lines:
            continue
        if lines.startswith(_DASH) and body:
            parts.append(f"{body}\n\n{lines}\n")
            body = ""
            continue
        if body:
            parts.append(f"{body}\n")
        body = lines
    return [*parts, f"{body}\n"] if body else parts


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    value = _base64(encoded)
    if not line.startswith(_DASH) or _NAME.fullmatch(name) is None or value is None or len(value) <= _ID_BYTES:
        raise BadNote("a line below a note that is no signature")
    return Signature(name, value[:_ID_BYTES], value[_ID_BYTES:])


def _checked(text: str, signature: Signature, key: Key) -> Vouched:
    at = None
    message, value = text.encode(), signature.value
    if key.kind == COSIGNATURE:
        at, value = int.from_bytes(value[:_TIME_BYTES], "big"), value[_TIME_BYTES:]
        message = _cosigned(text, at)
    try:
        if len(value) != _SIGNATURE_BYTES:
            raise BadNote(f"the signature of {key.name} has another length than its kind")
        Ed25519PublicKey.from_public_bytes(key.public).verify(value, message)
    except InvalidSignature:
        raise BadNote(f"the signature of {key.name} does not hold") from None
    return Vouched(key, at)


def _cosigned(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _base64(text: str) -> bytes | None:
    try:
        value = b64decode(text, validate=True)
    except (NoBase64, ValueError):
        return None
    return value if b64encode(value).decode() == text else None

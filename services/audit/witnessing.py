"""What a witness does (C2SP tlog-witness): it cosigns a log's checkpoint only if it continues what it saw before.

No input, no output, and nothing of the log's own database: a witness shares with the log neither machine nor state.
"""

import re
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from services.audit.note import SIGNATURE, BadNote, Checkpoint, Key, Note, Signer, checkpoint_of, note_of, vouched
from services.audit.tree import HASH_BYTES, consistency_holds

MOST_BODY_BYTES: Final = 128 * 1024
SIZE_TYPE: Final = "text/x.tlog.size"

_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})", re.ASCII)
_MOST_PROOF_LINES: Final = 63
_MOST_SIZE: Final = (1 << 63) - 1


class Seen(NamedTuple):
    """The newest tree of a log that this witness has cosigned; of a log it never saw, the empty one."""

    size: int
    root: bytes


NOTHING: Final = Seen(0, b"")


class Refusal(Exception):
    """The checkpoint is not cosigned: the HTTP status that the specification gives, and the body of the answer."""

    def __init__(self, status: int, said: str, media_type: str = "text/plain; charset=utf-8") -> None:
        self.status, self.said, self.media_type = status, said, media_type
        super().__init__(said)


class Offer(NamedTuple):
    """What a log sends: the size it believes was seen last, the proof from there, and its checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint


def offer_of(body: bytes) -> Offer:
    """The offer that a request's body is.

    Raises:
        Refusal: 400, it is none.
    """
    try:
        head, _, text = body.decode().partition("\n\n")
        old, *lines = head.split("\n")
        note = note_of(text)
        return Offer(_old_size(old), _proof(lines), note, checkpoint_of(note.text))
    except (BadNote, UnicodeDecodeError) as bad:
        raise Refusal(400, f"{bad}\n") from bad


def judged(offer: Offer, keys: Mapping[str, Sequence[Key]], seen: Seen) -> Seen:
    """What this witness has seen once it cosigns the offer.

    Args:
        offer: what the log sent.
        keys: the keys that are trusted, by log.
        seen: of this log so far.

    Raises:
        Refusal: 404 an unknown log, 403 not signed by it, 400 or 409 from another size than was seen, 409 another root
            for the same size, 422 a proof that does not hold.
    """
    checkpoint = offer.checkpoint
    trusted = [key for key in keys.get(checkpoint.origin, ()) if key.kind == SIGNATURE]
    if not trusted:
        raise Refusal(404, "this witness does not know the log\n")
    try:
        signed = vouched(offer.note, trusted)
    except BadNote as bad:
        raise Refusal(403, f"{bad}\n") from bad
    if not signed:
        raise Refusal(403, "no key that is trusted for the log has signed the checkpoint\n")
    if offer.old > checkpoint.size:
        raise Refusal(400, "the old size is larger than the checkpoint's\n")
    if offer.old != seen.size:
        raise Refusal(409, f"{seen.size}\n", SIZE_TYPE)
    if seen.size == checkpoint.size and seen != NOTHING and seen.root != checkpoint.root:
        raise Refusal(409, f"{seen.size}\n", SIZE_TYPE)
    if not _continues(offer, seen):
        raise Refusal(422, "the consistency proof does not hold: the log is not the one that was seen before\n")
    return Seen(checkpoint.size, checkpoint.root)


def cosigned(offer: Offer, signer: Signer, at: int) -> str:
    """The answer to an offer that was judged well: the witness's line, made at that time."""
    return f"{signer.cosign(offer.note.text, at)}\n"


def _continues(offer: Offer, seen: Seen) -> bool:
    if seen.size == 0:
        return not offer.proof
    new = offer.checkpoint
    return consistency_holds(seen.size, new.size, offer.proof, seen.root, new.root)


def _old_size(line: str) -> int:
    found = _OLD.fullmatch(line)
    if found is None or int(found.group(1)) > _MOST_SIZE:
        raise BadNote("the first line is `old SIZE`")
    return int(found.group(1))


def _proof(lines: Sequence[str]) -> tuple[bytes, ...]:
    if len(lines) > _MOST_PROOF_LINES:
        raise BadNote(f"a proof has at most {_MOST_PROOF_LINES} lines")
    return tuple(_hash(line) for line in lines)


def _hash(line: str) -> bytes:
    try:
        value = b64decode(line, validate=True)
    except (NoBase64, ValueError):
        value = b""
    if len(value) != HASH_BYTES:
        raise BadNote("a line of the proof is no hash in base64")
    return value

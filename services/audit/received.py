"""Whether a receipt proves what it says: each entry is about the report, and in a tree that the log signed; offline."""

from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from services.audit.evidence import evidence_of
from services.audit.keys import DatedKey
from services.audit.note import BadNote, checkpoint_of, note_of
from services.audit.tree import inclusion_holds, leaf_hash


class NoReceipt(ValueError):
    """What was given is no receipt; the text says why."""


class Proved(NamedTuple):
    """What a check found: entries that are proved, that are not, that are of another report; whether it is signed."""

    proved: tuple[int, ...]
    unproved: tuple[int, ...]
    foreign: tuple[int, ...]
    vouched: bool

    @property
    def holds(self) -> bool:
        """Whether there is something to prove, and all of it is proved."""
        return self.vouched and bool(self.proved) and not self.unproved and not self.foreign


def proved(receipt: Mapping[str, Any], keys: Sequence[DatedKey]) -> Proved:
    """Checks a receipt: each leaf against the report's id and the checkpoint, and that against the keys.

    Raises:
        NoReceipt: it lacks something, or a part of it is not what it is to be.
    """
    try:
        report_id, note = str(receipt["report_id"]), str(receipt["checkpoint"])
        checkpoint = checkpoint_of(note_of(note).text)
        entries = [
            (int(entry["index"]), _bytes(entry["leaf"]), [_bytes(step) for step in entry["path"]])
            for entry in receipt["entries"]
        ]
        foreign = [index for index, leaf, _ in entries if orjson.loads(leaf).get("report_id") != report_id]
    except BadNote as bad:
        raise NoReceipt(f"its checkpoint is none: {bad}") from bad
    except (KeyError, TypeError, AttributeError, ValueError, NoBase64) as bad:
        raise NoReceipt(f"it is no receipt as `jubao audit receipt` writes one ({type(bad).__name__})") from bad
    size, root = checkpoint.size, checkpoint.root
    found = {index: inclusion_holds(leaf_hash(leaf), index, size, path, root) for index, leaf, path in entries}
    return Proved(
        tuple(index for index, is_in in found.items() if is_in),
        tuple(index for index, is_in in found.items() if not is_in),
        tuple(foreign),
        bool(evidence_of([note], keys).signed),
    )


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)

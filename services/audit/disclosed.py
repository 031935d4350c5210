"""Whether a disclosed entry is what its leaf commits to, and whether a log's checkpoint covers that leaf; offline."""

from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from services.audit.evidence import evidence_of
from services.audit.keys import DatedKey
from services.audit.leaf import fits
from services.audit.note import BadNote, checkpoint_of, note_of
from services.audit.tree import inclusion_holds, leaf_hash


class NoDisclosure(ValueError):
    """What was given is no disclosure; the text says why."""


class Checked(NamedTuple):
    """What a check found: each holds or not; None is what could not be asked for lack of a checkpoint."""

    fits: bool
    in_log: bool | None
    vouched: bool | None

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against it, and the text is the one that was committed to."""
        return self.fits and self.in_log is not False and self.vouched is not False


def checked(disclosed: Mapping[str, Any], keys: Sequence[DatedKey]) -> Checked:
    """Checks a disclosure: salt and part against the leaf, the leaf against the checkpoint, that against the keys.

    Raises:
        NoDisclosure: it lacks something, or a part of it is not what it is to be.
    """
    try:
        leaf, part, salt = (b64decode(disclosed[name], validate=True) for name in ("leaf", "part", "salt"))
        path = [b64decode(step, validate=True) for step in disclosed["path"]]
        promised = orjson.loads(leaf).get("commitment")
        read = orjson.loads(part) == disclosed["text"]
        index, note = int(disclosed["index"]), disclosed["checkpoint"]
    except (KeyError, TypeError, AttributeError, ValueError, NoBase64) as bad:
        raise NoDisclosure(f"it is no disclosure as `jubao audit disclose` writes one ({type(bad).__name__})") from bad
    as_promised = read and fits(promised, salt, part)
    if note is None:
        return Checked(as_promised, None, None)
    try:
        checkpoint = checkpoint_of(note_of(note).text)
    except BadNote as bad:
        raise NoDisclosure(f"its checkpoint is none: {bad}") from bad
    in_log = inclusion_holds(leaf_hash(leaf), index, checkpoint.size, path, checkpoint.root)
    return Checked(as_promised, in_log, bool(evidence_of([note], keys).signed))

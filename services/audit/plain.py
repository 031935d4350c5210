"""Lines of an export in the one form that the log writes them in, taken apart many at once.

Each byte of a line is held against what has to stand there. Nothing here says what is wrong with lines that do not
fit: whoever reads them one by one finds that.
"""

import re
from binascii import Error as NoBase64
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from struct import Struct
from typing import Final

from pybase64 import b64decode, b64encode

_INDEX: Final = b'{"index":'
_LEAF: Final = b',"leaf":"'
_HASH: Final = b'","hash":"'
_END: Final = b'"}\n'
# 32 bytes are 43 digits of base64 and a padding.
_HASH_END: Final = b"=" + _END
_HASH_TAIL: Final = len(_HASH) + 43 + len(_HASH_END)
_FIRST: Final = re.compile(rb'\{"index":(0|[1-9][0-9]{0,17}),"leaf":"')

# The last four digits of a text, or none: bits beyond the last byte, which the decoder passes over, are none.
_LAST_FOUR: Final = re.compile(rb"|[^=]{4}|[^=]{2}[AEIMQUYcgkosw048]=|[^=][AQgw]==")

_THOUSAND: Final = 1_000
_SMALL: Final = tuple(b"%d" % number + _LEAF for number in range(_THOUSAND))
_LAST_DIGITS: Final = tuple(b"%03d" % number + _LEAF for number in range(_THOUSAND))
# To copy a hash that was begun is quicker than to begin one, and the leaf need not be joined to the byte.
_NEW_LEAF: Final = sha256(b"\x00").copy


def first_index(line: bytes) -> int | None:
    """The index that a line says, if it begins as lines do."""
    found = _FIRST.match(line)
    return int(found[1]) if found else None


def leaf_of(line: bytes) -> bytes:
    """The leaf in a line that is known to be plain."""
    start = line.index(_LEAF) + len(_LEAF)
    return b64decode(line[start : line.index(b'"', start)], None, True)  # noqa: FBT003 -- see below


def leaf_hashes(block: bytes, lines: Sequence[bytes], first: int) -> list[bytes] | None:
    """The hashes of the leaves, if the lines are plain, say indexes from `first` on, and the hashes kept are these.

    Args:
        block: begins with the lines.
        lines: each with its end.
        first: the index that is next.
    """
    hashes: list[bytes] = []
    place = 0
    while lines:
        # Together those whose indexes have one length and differ in the last three digits only.
        alike = lines[: min(10 ** len(str(first)) - first, _THOUSAND - first % _THOUSAND)]
        found = _hashes_of(block, place, alike, first)
        if found is None:
            return None
        hashes += found
        lines, first = lines[len(alike) :], first + len(alike)
        if lines:
            place += sum(map(len, alike))
    return hashes


def _hashes_of(block: bytes, place: int, lines: Sequence[bytes], first: int) -> list[bytes] | None:
    head = len(_INDEX) + len(str(first)) + len(_LEAF)
    hashed = lines[0][-_HASH_TAIL:].startswith(_HASH)
    tail = _HASH_TAIL if hashed else len(_END)
    texts = [line[head:-tail] for line in lines]
    hashes = _hashes(texts)
    if hashes is None:
        return None
    # What the log writes for these leaves is made, and has to be what is there.
    thousand, number = divmod(first, _THOUSAND)
    start = _INDEX + (b"%d" % thousand if thousand else b"")
    indexes = (_LAST_DIGITS if thousand else _SMALL)[number : number + len(lines)]
    written = _written(start, indexes, texts, hashes if hashed else None)
    return hashes if block.startswith(written, place) else None


def _hashes(texts: Sequence[bytes]) -> list[bytes] | None:
    """The hashes of leaves in base64; None if it is not written as base64 is to be."""
    # Leaves of a log end alike.
    if not all(map(_LAST_FOUR.fullmatch, {text[-4:] for text in texts})):
        return None
    hashes = []
    try:
        for text in texts:
            leaf_hash = _NEW_LEAF()
            leaf_hash.update(b64decode(text, None, True))  # noqa: FBT003 -- by name the call takes twice as long
            hashes.append(leaf_hash.digest())
    except NoBase64:
        return None
    return hashes


def _written(start: bytes, indexes: Sequence[bytes], texts: Sequence[bytes], hashes: Sequence[bytes] | None) -> bytes:
    """The lines with these parts, as the log writes them."""
    count = len(texts)
    if hashes is None:
        parts = [_END + start, b"", b""] * count
        parts[1::3], parts[2::3] = indexes, texts
        last = _END
    else:
        parts = [_HASH_END + start, b"", b"", _HASH, b""] * count
        parts[1::5], parts[2::5] = indexes, texts
        # With a byte after each, all are one text of base64 in which each hash has digits of its own.
        parts[4::5] = _digits(count).unpack(b64encode(b"\x00".join([*hashes, b""])))
        last = _HASH_END
    parts[0] = start
    parts.append(last)
    return b"".join(parts)


@lru_cache(64)
def _digits(count: int) -> Struct:
    return Struct("43sx" * count)

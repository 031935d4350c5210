"""Checks an export of the log against its checkpoints, written from docs/audit.md alone and sharing no code with Jubao.

    python verify_log.py EXPORT CHECKPOINTS KEYS

Python's standard library, and `cryptography` for Ed25519. Prints one line for each problem; exit 0 when there is none,
1 when there is one, 2 on wrong use. It holds 64 hashes and one line of the export in memory, whatever the log's size.
"""

import base64
import binascii
import hashlib
import json
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURE, COSIGNATURE = 1, 4  # C2SP signed-note: plain Ed25519, and cosignature/v1, which carries a time


def sha256(*parts):
    """SHA-256 of the parts, one behind the other."""
    return hashlib.sha256(b"".join(parts)).digest()


class Tree:
    """RFC 6962's tree over the leaves so far, kept as the roots of its complete subtrees, the largest first."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def append(self, leaf_hash):
        """Adds a leaf: two subtrees of one size become one of twice the size, as in binary counting."""
        size, self.size = self.size, self.size + 1
        while size % 2:
            leaf_hash, size = sha256(b"\1", self.peaks.pop(), leaf_hash), size // 2
        self.peaks.append(leaf_hash)

    def root(self):
        """The tree's head: the subtrees folded from the right."""
        if not self.peaks:
            return sha256()
        *others, head = self.peaks
        for peak in reversed(others):
            head = sha256(b"\1", peak, head)
        return head


def keys_in(text):
    """The key file: lines of `vkey from until`; answers {(name, key id): (kind, public key, from, until)}."""
    keys = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        vkey, since, until = line.split(" ")
        name, _, rest = vkey.partition("+")
        key_id, _, encoded = rest.partition("+")
        kind, public = base64.b64decode(encoded)[0], base64.b64decode(encoded)[1:]
        if sha256(name.encode(), b"\n", bytes([kind]), public)[:4].hex() != key_id:
            raise ValueError(f"the key {vkey} does not fit its own id")
        ends = None if until == "-" else datetime.fromisoformat(until.replace("Z", "+00:00")).timestamp()
        keys[name, bytes.fromhex(key_id)] = (
            kind, public, datetime.fromisoformat(since.replace("Z", "+00:00")).timestamp(), ends,
        )  # fmt: skip
    return keys


def notes_in(text):
    """The checkpoints file: each note's text with the newline at its end, and its signature lines."""
    blocks = [block for block in text.split("\n\n") if block.strip("\n")]
    for signed, signatures in zip(blocks[::2], [*blocks[1::2], ""], strict=False):
        yield signed.lstrip("\n") + "\n", [line for line in signatures.splitlines() if line]


def signed_by(text, lines, keys):
    """Which of the listed keys stand behind a note: [(kind, name, public key, time or None)].

    A line of a key that is not listed counts for nothing; a wrong one of a listed key spoils the note.
    """
    found = []
    for line in lines:
        dash, name, encoded = line.split(" ")
        blob = base64.b64decode(encoded, validate=True)
        if dash != "—":
            raise ValueError("a signature line begins with an em dash")
        if (name, blob[:4]) not in keys:
            continue
        kind, public, since, until = keys[name, blob[:4]]
        at, message, signature = None, text.encode(), blob[4:]
        if kind == COSIGNATURE:
            at, signature = int.from_bytes(blob[4:12], "big"), blob[12:]
            message = f"cosignature/v1\ntime {at}\n".encode() + message
            if at < since or (until is not None and at > until):
                raise ValueError(f"a key of {name} signed outside its time")
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        found.append((kind, name, public, at))
    return found


def checkpoint_of(text, lines, keys):
    """A checkpoint that its log has signed, as (size, root, time).

    Raises:
        ValueError: it is no checkpoint, or nothing that is listed stands behind it.
    """
    try:
        origin, size, root, *_ = text.split("\n")
        found = signed_by(text, lines, keys)
    except InvalidSignature:
        raise ValueError("a listed key's signature is wrong") from None
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"it cannot be read: {error}") from None
    signers = {public for kind, name, public, _ in found if kind == SIGNATURE and name == origin}
    times = [at for kind, _, public, at in found if kind == COSIGNATURE and public in signers]
    if not signers or not times:
        raise ValueError("no listed key of the log signed it with its time")
    return int(size), base64.b64decode(root, validate=True), max(times)


def problems_of(export, checkpoints, keys):
    """Every problem, in words, in order of place; `export` gives lines."""
    signed = []
    for number, (text, lines) in enumerate(notes_in(checkpoints)):
        try:
            signed.append(checkpoint_of(text, lines, keys))
        except ValueError as error:
            yield f"checkpoint {number}: {error}"
    if not signed:
        yield "there is no checkpoint that counts: nothing shows that the export is the log"
    for (old, _, before), (new, _, after) in pairwise(signed):
        if new < old or after < before:
            yield f"the checkpoint of size {new} stands behind one of size {old}, or is older: the log went back"
    tree, due = Tree(), sorted(signed)
    good, at = 0, 0
    due_again = iter(due)
    next_due = next(due_again, None)

    def passed():
        nonlocal good, next_due
        while next_due is not None and next_due[0] == tree.size:
            if tree.root() == next_due[1]:
                good = tree.size
            else:
                yield f"entries {good} to {tree.size - 1}: another history than the checkpoint of size {tree.size}"
            next_due = next(due_again, None)

    yield from passed()
    for at, line in enumerate(export):
        try:
            entry = json.loads(line)
            index, stored = entry["index"], base64.b64decode(entry["hash"], validate=True)
            leaf = base64.b64decode(entry["leaf"], validate=True)
        except (ValueError, KeyError, TypeError) as error:
            yield f"entry {at}: the line cannot be read: {error}"
            entry, index, stored, leaf = {}, at, b"", b""
        if index != at:
            yield f"entry {at}: the line says index {index}"
        if sha256(b"\0", leaf) != stored and stored:
            yield f"entry {at}: altered, its leaf does not have the hash that the log kept of it"
        if entry.get("differs"):
            yield f"entry {at}: altered, what it is found by or shown with says otherwise: {entry['differs']!a}"
        tree.append(sha256(b"\0", leaf))
        yield from passed()
    if next_due is not None:
        yield f"entries {tree.size} to {due[-1][0] - 1}: cut off, a checkpoint of size {due[-1][0]} was published"


def main(arguments):
    """The command; answers its exit code."""
    if len(arguments) != 3:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    export, checkpoints, key_file = arguments
    try:
        with open(key_file, encoding="utf-8") as file:
            keys = keys_in(file.read())
        with open(checkpoints, encoding="utf-8") as file:
            text = file.read()
        Path(export).stat()
    except (OSError, ValueError) as bad:
        print(f"cannot be read: {bad}", file=sys.stderr)
        return 2
    count = 0
    with open(export, encoding="utf-8", errors="replace") as lines:
        for count, problem in enumerate(problems_of(lines, text, keys), 1):
            print(problem)
    print(f"{count} problems" if count else "the export is the log that the checkpoints were signed for")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What vouches for a log: signed checkpoints, held against the keys that may sign them. No input, no output."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, NamedTuple

from services.audit.findings import Kind, Problem
from services.audit.keys import DatedKey
from services.audit.note import (
    COSIGNATURE,
    SIGNATURE,
    BadNote,
    Checkpoint,
    Note,
    Vouched,
    checkpoint_of,
    note_of,
    split_notes,
    vouched,
)

_YEAR_10000: Final = 253_402_300_800


class Signed(NamedTuple):
    """A checkpoint that counts: the log had so many entries under this root at that time (seconds since 1970)."""

    size: int
    root: bytes
    at: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that vouches for a log, by size, each size and root once; and what is wrong with the rest.

    `count` is the number of checkpoints that were read, good or not.
    """

    signed: tuple[Signed, ...]
    count: int
    problems: tuple[Problem, ...]

    def sizes(self) -> list[int]:
        """The sizes that are vouched for, each once, in order."""
        return sorted({signed.size for signed in self.signed})


class _Unsound(Exception):
    """A checkpoint that does not count."""

    def __init__(self, kind: Kind, what: str) -> None:
        self.kind = kind
        super().__init__(what)


def evidence_of(files: Sequence[str], keys: Sequence[DatedKey], served: str | None = None) -> Evidence:
    """Reads files of checkpoints.

    Args:
        files: their texts, each in the order in which the checkpoints were made.
        keys: the keys that may sign, as whoever asks has had them all along.
        served: what the log's owner gives out today; each checkpoint of `files` must still be among it.
    """
    problems: list[Problem] = []
    read = [_read(text, keys, problems) for text in files]
    known = {signed[:2] for file in read for signed in file}
    if served is not None:
        told = _read(served, keys, problems)
        still = {signed[:2] for signed in told}
        problems += [
            Problem(size, Kind.DROPPED, f"the checkpoint of size {size} is no longer among those the log gives out")
            for size, _ in sorted(known - still)
        ]
        read.append(told)
    earliest: dict[tuple[int, bytes], int] = {}
    for file in read:
        problems += _order(file)
        for size, root, at in file:
            earliest[size, root] = min(at, earliest.get((size, root), at))
    signed = tuple(Signed(size, root, at) for (size, root), at in sorted(earliest.items()))
    problems += _histories(signed)
    count = sum(len(split_notes(text)) for text in files)
    if not signed:
        problems.append(Problem(0, Kind.UNSIGNED, "no checkpoint counts, so nothing vouches for the entries"))
    return Evidence(signed, count, tuple(problems))


def time_text(at: int) -> str:
    """A time for people; seconds since 1970 that no calendar has stay a number."""
    if at >= _YEAR_10000:
        return f"second {at}"
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat() + "Z"


def _read(text: str, keys: Sequence[DatedKey], problems: list[Problem]) -> list[Signed]:
    read = []
    last = 0
    for number, part in enumerate(split_notes(text), 1):
        try:
            read.append(_signed(part, keys))
            last = read[-1].size
        except _Unsound as unsound:
            size = _claimed_size(part)
            problems.append(
                Problem(last if size is None else size, unsound.kind, f"checkpoint {number} of its file: {unsound}")
            )
    return read


def _signed(text: str, keys: Sequence[DatedKey]) -> Signed:
    try:
        note = note_of(text)
        checkpoint = checkpoint_of(note.text)
        found = vouched(note, [dated.key for dated in keys])
    except BadNote as bad:
        raise _Unsound(Kind.UNSIGNED, f"it does not count: {bad}") from None
    names = {dated.key.name for dated in keys if dated.key.kind == SIGNATURE}
    if checkpoint.origin not in names:
        raise _Unsound(Kind.WRONG_KEY, f"it is of the log {checkpoint.origin}, of which no key is listed")
    own = [one for one in found if one.key.name == checkpoint.origin]
    signers = {one.key.public for one in own if one.key.kind == SIGNATURE}
    if not signers:
        raise _unlisted(note, checkpoint)
    times = [one for one in own if one.key.kind == COSIGNATURE and one.key.public in signers]
    if not times:
        raise _Unsound(Kind.UNSIGNED, "its signer does not say when it was made")
    valid = [one.at for one in times if one.at is not None and _in_its_time(one, keys)]
    if not valid:
        at = time_text(max(one.at or 0 for one in times))
        raise _Unsound(Kind.WRONG_KEY, f"it was signed at {at}, when its key did not sign yet or no longer")
    return Signed(checkpoint.size, checkpoint.root, max(valid))


def _unlisted(note: Note, checkpoint: Checkpoint) -> _Unsound:
    ids = ", ".join(line.key_id.hex() for line in note.signatures if line.name == checkpoint.origin)
    if ids:
        return _Unsound(Kind.WRONG_KEY, f"it is signed by keys that are not listed ({ids})")
    return _Unsound(Kind.UNSIGNED, "the log itself has not signed it")


def _in_its_time(one: Vouched, keys: Sequence[DatedKey]) -> bool:
    """Whether each listing of the signer's key, as the one that signs and the one that tells the time, covers it."""
    at = one.at or 0
    listed = [dated for dated in keys if dated.key.public == one.key.public and dated.key.name == one.key.name]
    kinds = {
        dated.key.kind
        for dated in listed
        if int(dated.since.timestamp()) <= at and (dated.until is None or at <= dated.until.timestamp())
    }
    return kinds >= {SIGNATURE, COSIGNATURE}


def _order(file: Sequence[Signed]) -> Iterator[Problem]:
    for old, new in pairwise(file):
        if new.size < old.size:
            what = f"a checkpoint of size {new.size} was published after one of {old.size}: the log was set back"
            yield Problem(new.size, Kind.ROLLED_BACK, what, old.size)
        elif new.at < old.at:
            what = (
                f"the checkpoint of size {new.size} bears the time {time_text(new.at)}, the one before it "
                f"{time_text(old.at)}"
            )
            yield Problem(new.size, Kind.GAP, what)


def _histories(signed: Sequence[Signed]) -> Iterator[Problem]:
    roots: defaultdict[int, set[bytes]] = defaultdict(set)
    for one in signed:
        roots[one.size].add(one.root)
    agreed = 0
    for size, several in sorted(roots.items()):
        if len(several) > 1:
            what = f"the log has signed {len(several)} histories of {size} entries: readers were told different ones"
            yield Problem(agreed, Kind.FORKED, what, size)
        else:
            agreed = size


def _claimed_size(text: str) -> int | None:
    try:
        return checkpoint_of(text.partition("\n\n")[0].rstrip("\n") + "\n").size
    except BadNote:
        return None

"""Verifying a log offline: an untouched one holds, and whatever is done to one is found, with its kind and place."""

import json
import random
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit.evidence import Evidence, evidence_of
from services.audit.examining import Stretch, examined
from services.audit.findings import MOST_TOLD, Kind
from services.audit.keys import DatedKey, parse_keys, written_keys
from services.audit.note import Checkpoint, Note, Signer
from services.audit.tree import Frontier, leaf_hash
from services.audit.verifying import Verdict, Verifier

ORIGIN = "test.example/log"
START = datetime(2026, 11, 23, 8, tzinfo=UTC)


def signer(seed: int = 1, name: str = ORIGIN) -> Signer:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def dated(*signers: Signer, since: datetime = START - timedelta(days=1), until: datetime | None = None) -> str:
    return written_keys([DatedKey(key, since, until) for one in signers for key in (one.key, one.cokey)])


def body(index: int, second: float | None = None, what: str = "entry") -> bytes:
    at = START + timedelta(seconds=index if second is None else second)
    time = at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    return json.dumps(
        {"detail": {what: index}, "offset": index, "partition": 0, "time": time, "topic": "t.v1", "type": "x", "v": 1},
        separators=(",", ":"),
    ).encode()


def note(leaves: Sequence[bytes], by: Signer | None = None, at: int | None = None, origin: str = ORIGIN) -> str:
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf_hash(leaf))
    text = Checkpoint(origin, len(leaves), frontier.root()).text
    by = by or signer()
    made = int(START.timestamp()) + len(leaves) if at is None else at
    return str(Note(text, (by.sign(text), by.cosign(text, made))))


def line(index: int, leaf: bytes, kept: bytes | None = None) -> bytes:
    stored = leaf_hash(leaf) if kept is None else kept
    return b'{"index":%d,"leaf":"%b","hash":"%b"}\n' % (index, b64encode(leaf), b64encode(stored))


@dataclass
class Log:
    """An export as lines, the checkpoints outside, and the keys."""

    leaves: list[bytes]
    cuts: tuple[int, ...]
    lines: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    keys: str = ""
    served: str | None = None

    def __post_init__(self) -> None:
        self.lines = self.lines or [line(index, leaf) for index, leaf in enumerate(self.leaves)]
        self.notes = self.notes or [note(self.leaves[:cut]) for cut in self.cuts]
        self.keys = self.keys or dated(signer())

    def rows(self) -> list[tuple[bytes, bytes]]:
        """Leaf and kept hash of each entry, as a database holds them."""
        return [(leaf, leaf_hash(leaf)) for leaf in self.leaves]

    def of(self, rows: Sequence[tuple[bytes, bytes]]) -> "Log":
        """The same checkpoints over what a database holds now."""
        after = replace(self)
        # Not by `replace`, to which an emptied log would be one that was not given.
        after.lines = [line(index, *row) for index, row in enumerate(rows)]
        return after

    def evidence(self) -> Evidence:
        return evidence_of(["\n".join(self.notes)], parse_keys(self.keys), self.served)

    def verdict(self, lines_at_once: int = 1_000) -> Verdict:
        verifier = Verifier(self.evidence())
        cuts = self.evidence().sizes()
        for at in range(0, len(self.lines), lines_at_once):
            verifier.take(read(b"".join(self.lines[at : at + lines_at_once]), cuts))
        return verifier.verdict()


def log(size: int = 40, *cuts: int) -> Log:
    return Log([body(index) for index in range(size)], cuts or (10, 20, 30, size))


def read(block: bytes, cuts: Sequence[int]) -> list[Stretch]:
    return examined(BytesIO(block), len(block), cuts)


def told(verdict: Verdict) -> list[tuple[Kind, int]]:
    return [(problem.kind, problem.index) for problem in verdict.problems.told()]


@given(
    st.integers(0, 700),
    st.lists(st.integers(0, 700), max_size=6),
    st.integers(1, 900),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_an_untouched_log_holds(size: int, cuts: list[int], at_once: int, kept: bool) -> None:
    """Whatever its size, its checkpoints and the pieces it is read in, with the kept hashes or without."""
    signed = tuple(sorted(cut for cut in cuts if cut <= size)) or (0,)
    whole = Log([body(index, 0) for index in range(size)], signed, notes=[])
    whole.notes = [note(whole.leaves[:cut], at=int(START.timestamp())) for cut in signed]
    if not kept:
        whole.lines = [item[: item.index(b',"hash"')] + b"}\n" for item in whole.lines]
    verdict = whole.verdict(at_once)
    assert verdict.ok, verdict.told()
    assert (verdict.entries, verdict.covered) == (size, signed[-1])


def test_a_flipped_byte_in_a_leaf_names_its_entry() -> None:
    """The kept hash is what was signed, so the leaf was altered, and all after it still holds."""
    whole = log()
    rows = whole.rows()
    rows[13] = (rows[13][0].replace(b"entry", b"entrz"), rows[13][1])
    verdict = whole.of(rows).verdict()
    assert told(verdict) == [(Kind.ALTERED, 13)]
    assert verdict.covered == 40


def test_a_flipped_byte_in_a_kept_hash_names_its_entry() -> None:
    """The entry is what was signed; the verdict says that only the hash kept of it was altered."""
    whole = log()
    rows = whole.rows()
    rows[13] = (rows[13][0], bytes(32))
    verdict = whole.of(rows).verdict()
    assert told(verdict) == [(Kind.ALTERED, 13)]
    assert "itself is the one that was signed" in verdict.problems.told()[0].what


def test_an_entry_altered_with_its_hash_is_in_the_interval_named() -> None:
    """Only the checkpoint shows it: somewhere from the last good one up to the one that does not hold."""
    whole = log()
    rows = whole.rows()
    other = body(13, what="other")
    rows[13] = (other, leaf_hash(other))
    (problem,) = whole.of(rows).verdict().problems.told()
    assert (problem.kind, problem.index, problem.end) == (Kind.FORKED, 10, 20)


@pytest.mark.parametrize("at", [0, 5, 19, 20, 33])
def test_an_entry_taken_out_is_missing(at: int) -> None:
    """Where the index is lacking the entry is named, whether later ones moved up or not."""
    whole = log()
    gone = replace(whole, lines=whole.lines[:at] + whole.lines[at + 1 :]).verdict()
    assert told(gone) == [(Kind.MISSING, at)]
    rows, kept = whole.rows(), [stored for _, stored in whole.rows()]
    del rows[at]
    moved = whole.of([(leaf, kept[index]) for index, (leaf, _) in enumerate(rows)]).verdict()
    assert told(moved) == [(Kind.MISSING, at)]


@pytest.mark.parametrize("at", [0, 5, 20, 33])
def test_an_entry_put_in_is_named(at: int) -> None:
    """An entry more, those after it moved down beside the hashes that were kept: it is named, and nothing else."""
    whole = log()
    kept = [stored for _, stored in whole.rows()]
    leaves = [*whole.leaves[:at], body(99), *whole.leaves[at:]]
    rows = [(leaf, kept[index] if index < len(kept) else leaf_hash(leaf)) for index, leaf in enumerate(leaves)]
    assert told(whole.of(rows[:40]).verdict()) == [(Kind.INSERTED, at)]


def test_a_line_twice_is_inserted() -> None:
    """An index that stands a second time is named."""
    whole = log()
    again = replace(whole, lines=[*whole.lines[:12], whole.lines[4], *whole.lines[12:]])
    assert told(again.verdict()) == [(Kind.INSERTED, 4)]


@pytest.mark.parametrize(("one", "other"), [(3, 4), (3, 17), (0, 39), (9, 10)])
def test_entries_that_changed_places_are_named(one: int, other: int) -> None:
    """In the file or in the database, next to each other or far apart."""
    whole = log()
    lines = list(whole.lines)
    lines[one], lines[other] = lines[other], lines[one]
    assert told(replace(whole, lines=lines).verdict()) == [(Kind.REORDERED, one), (Kind.REORDERED, other)]
    rows = whole.rows()
    (left, left_hash), (right, right_hash) = rows[one], rows[other]
    rows[one], rows[other] = (right, left_hash), (left, right_hash)
    assert told(whole.of(rows).verdict()) == [(Kind.REORDERED, one), (Kind.REORDERED, other)]


def test_an_entry_further_on_is_reordered() -> None:
    """A line that comes late is not missing."""
    whole = log()
    lines = [*whole.lines[:5], *whole.lines[6:30], whole.lines[5], *whole.lines[30:]]
    assert told(replace(whole, lines=lines).verdict()) == [(Kind.REORDERED, 5)]


def test_a_cut_tail_is_named() -> None:
    """A checkpoint of more entries than there are was published."""
    whole = log()
    (problem,) = replace(whole, lines=whole.lines[:25]).verdict().problems.told()
    assert (problem.kind, problem.index, problem.end) == (Kind.CUT, 25, 40)
    assert told(replace(whole, lines=[b""]).verdict()) == [(Kind.CUT, 0)]


def test_a_rewritten_log_is_forked() -> None:
    """All entries and hashes anew, as if they had always been so: the first checkpoint outside does not hold."""
    whole = log()
    rewritten = Log([body(index, what="other") for index in range(40)], whole.cuts, notes=whole.notes)
    (problem,) = rewritten.verdict().problems.told()
    assert (problem.kind, problem.index, problem.end) == (Kind.FORKED, 0, 10)


def test_two_histories_are_named() -> None:
    """The log's own key under two roots of one size: whoever has both sees it, from where they agreed last."""
    whole = log()
    other = Log([*whole.leaves[:15], *[body(index, what="other") for index in range(15, 40)]], (10, 20))
    assert told(replace(whole, notes=[*whole.notes, *other.notes[1:]]).verdict())[0] == (Kind.FORKED, 10)


def test_a_checkpoint_by_another_key_does_not_count() -> None:
    """A forged checkpoint is named, and what the true ones vouch for still holds."""
    whole = log()
    forged = note([body(index, what="other") for index in range(35)], by=signer(2))
    verdict = replace(whole, notes=[*whole.notes[:3], forged, whole.notes[3]]).verdict()
    assert told(verdict) == [(Kind.WRONG_KEY, 35)]
    assert verdict.covered == 40


def test_a_checkpoint_of_another_log_does_not_count() -> None:
    """A good signature under another name vouches for nothing here."""
    whole = log()
    other = note(whole.leaves, by=signer(2, "other.example/log"), origin="other.example/log")
    assert told(replace(whole, notes=[*whole.notes, other]).verdict()) == [(Kind.WRONG_KEY, 40)]


def test_a_damaged_signature_does_not_count() -> None:
    """One that names a listed key and does not hold is named unsigned; so is a text without a signature."""
    whole = log()
    damaged = whole.notes[1].replace("\n20\n", "\n21\n")
    assert told(replace(whole, notes=[whole.notes[0], damaged, *whole.notes[2:]]).verdict()) == [(Kind.UNSIGNED, 21)]
    bare = whole.notes[1].partition("\n\n")[0] + "\n"
    assert (Kind.UNSIGNED, 20) in told(replace(whole, notes=[whole.notes[0], bare, *whole.notes[2:]]).verdict())


def test_without_a_checkpoint_that_counts_nothing_is_vouched_for() -> None:
    """An export beside an empty file of checkpoints is not found good."""
    whole = log()
    whole.notes = ["\n"]
    verdict = whole.verdict()
    assert told(verdict) == [(Kind.UNSIGNED, 0)]
    assert verdict.covered == 0


def test_a_key_counts_in_its_time_only() -> None:
    """A checkpoint made after the key's end is named; one made before stands."""
    whole = log()
    late = Log(whole.leaves, (10, 40), keys=dated(signer(), until=START + timedelta(seconds=20)))
    assert told(late.verdict()) == [(Kind.WRONG_KEY, 40)]
    early = Log(whole.leaves, (10, 40), keys=dated(signer(), since=START + timedelta(seconds=20)))
    assert told(early.verdict()) == [(Kind.WRONG_KEY, 10)]


def test_a_rotated_key_goes_on_vouching() -> None:
    """Two keys one after the other, with an overlap signed by both, make one log."""
    old, new = signer(1), signer(2)
    whole = log()
    turn = START + timedelta(seconds=20)
    keys = dated(old, until=turn) + dated(new, since=turn)
    notes = [note(whole.leaves[:10], old), note(whole.leaves[:20], old), note(whole.leaves[:30], new)]
    assert Log(whole.leaves, (30,), notes=[*notes, note(whole.leaves, new)], keys=keys).verdict().ok


def test_a_log_set_back_is_named() -> None:
    """Sizes that fall in the order of publishing say that the log was rolled back, even if all else holds."""
    whole = log()
    assert told(replace(whole, notes=[*whole.notes, whole.notes[1]]).verdict())[0] == (Kind.ROLLED_BACK, 20)


def test_a_dropped_checkpoint_is_named() -> None:
    """What was published once must be among what the log gives out today."""
    whole = log()
    whole.served = "\n".join([*whole.notes[:2], whole.notes[3]])
    assert told(whole.verdict()) == [(Kind.DROPPED, 30)]
    whole.served = "\n".join(whole.notes)
    assert whole.verdict().ok


def test_times_are_held_against_checkpoints() -> None:
    """Entries later than the checkpoint over them, a long wait for one, and checkpoints running back are named."""
    start = int(START.timestamp())
    leaves = [body(index, 10) for index in range(40)]
    later = Log(leaves, (40,), notes=[note(leaves, at=start - 100)])
    assert told(later.verdict()) == [(Kind.GAP, 0)]
    waited = Log(leaves, (40,), notes=[note(leaves[:20], at=start + 15), note(leaves, at=start + 1_000)])
    assert told(waited.verdict()) == [(Kind.GAP, 20)]
    back = Log(leaves, (40,), notes=[note(leaves[:20], at=start + 100), note(leaves, at=start + 90)])
    assert told(back.verdict()) == [(Kind.GAP, 40)]


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"\n",
        lambda _: b"\xff\xfe\x00\n",
        lambda _: b"[]\n",
        lambda text: text[:-2] + b"\n",
        lambda text: text.replace(b'"hash"', b'"hasx"'),
        lambda text: text.replace(b'"hash"', b'"has\xff"'),
        lambda text: text.replace(b'"index":13', b'"index":"13"'),
        lambda text: text.replace(b'"index":13', b'"index":-13'),
        lambda text: text.replace(b'"index":13', b'"index":99'),
        lambda text: text.replace(b'"index":13', b'"index":3'),
        lambda text: text.replace(b'"index":13', b'"index": 13'),
        lambda text: text.replace(b'"index":13', b'"index":' + b"9" * 40),
        lambda _: b"x" * 300_000 + b"\n",
    ],
)
def test_a_damaged_line_is_named(change: Callable[[bytes], bytes]) -> None:
    """Whatever a line was turned into, the entry at its place is among the problems, and nothing raises."""
    whole = log()
    whole.lines[13] = change(whole.lines[13])
    problems = whole.verdict().problems.told()
    assert any(p.index <= 13 < (p.end or p.index + 1) for p in problems), problems


def test_each_byte_of_a_line_counts() -> None:
    """Each byte of a file, changed, is found, with its place: also a bit of base64 that says nothing, and line ends."""
    whole = Log([body(index, what="e" * index) for index in range(4)], (2, 4))
    text = b"".join(whole.lines)
    evidence = whole.evidence()
    for at in range(len(text)):
        for other in (text[at] ^ 1, 0x20 if text[at] != 0x20 else 0x0A, 0x0D):
            changed = text[:at] + bytes([other]) + text[at + 1 :]
            verifier = Verifier(evidence)
            verifier.take(read(changed, evidence.sizes()))
            problems = verifier.verdict().problems.told()
            entry = text.count(b"\n", 0, at)
            assert any(p.index <= entry + 1 and entry <= (p.end or p.index + 1) for p in problems), (at, other)


def test_of_very_many_problems_the_first_are_told() -> None:
    """A log of which every entry was altered does not fill memory with what is wrong."""
    count = MOST_TOLD * 6
    whole = Log([body(index) for index in range(count)], (count,))
    rows = [(body(index, what="other"), stored) for index, (_, stored) in enumerate(whole.rows())]
    verdict = whole.of(rows).verdict()
    assert len(verdict.problems.told()) == MOST_TOLD
    assert verdict.problems.untold > 3_000


def differing(text: bytes, *names: str) -> bytes:
    return text[:-2] + b',"differs":' + json.dumps(names, separators=(",", ":")).encode() + b"}\n"


def test_what_differs_from_a_leaf_names_its_entry() -> None:
    """The log still holds; each entry that is found by something else than its leaf says is told, neighbours as one."""
    whole = log()
    for at, names in ((3, ["actor"]), (7, ["doings", "minutes"]), (8, ["doings", "minutes"]), (9, ["private"])):
        whole.lines[at] = differing(whole.lines[at], *names)
    verdict = whole.verdict()
    assert [(p.index, p.end) for p in verdict.problems.told()] == [(3, None), (7, 9), (9, None)]
    assert {p.kind for p in verdict.problems.told()} == {Kind.ALTERED}
    assert verdict.problems.told()[0].what.endswith("than its leaf: actor")
    assert verdict.covered == 40


def test_what_differs_is_told_in_words_of_ours() -> None:
    """A file may name what it likes: only columns and tables that there are reach a terminal."""
    whole = log()
    whole.lines[3] = differing(whole.lines[3], "\x1b[2Jall is well", "actor", "x" * 999)
    whole.lines[5] = differing(whole.lines[5], "nothing")
    assert [p.what.rpartition(": ")[2] for p in whole.verdict().problems.told()] == ["actor", "unknown columns"]


def test_entries_that_differ_leave_room_for_what_is_missing() -> None:
    """Where every entry differs in another way than its neighbour, the one that is gone is still told."""
    count = MOST_TOLD * 3
    whole = Log([body(index) for index in range(count)], (count,))
    whole.lines = [differing(text, ("actor", "private")[index % 2]) for index, text in enumerate(whole.lines)]
    del whole.lines[count - 7]
    verdict = whole.verdict()
    assert (Kind.MISSING, count - 7) in told(verdict)
    assert verdict.problems.untold > MOST_TOLD


Tamper = Callable[[random.Random, list[tuple[bytes, bytes]]], None]


def flip_leaf(chance: random.Random, rows: list[tuple[bytes, bytes]]) -> None:
    at = chance.randrange(len(rows))
    leaf = bytearray(rows[at][0])
    leaf[chance.randrange(len(leaf))] ^= 1 << chance.randrange(8)
    rows[at] = (bytes(leaf), rows[at][1])


def flip_both(chance: random.Random, rows: list[tuple[bytes, bytes]]) -> None:
    at = chance.randrange(len(rows))
    flip_leaf(chance, piece := [rows[at]])
    rows[at] = (piece[0][0], leaf_hash(piece[0][0]))


def take_out(chance: random.Random, rows: list[tuple[bytes, bytes]]) -> None:
    del rows[chance.randrange(len(rows))]


def put_in(chance: random.Random, rows: list[tuple[bytes, bytes]]) -> None:
    leaf = body(chance.randrange(10_000, 20_000))
    rows.insert(chance.randrange(len(rows)), (leaf, leaf_hash(leaf)))


def swap(chance: random.Random, rows: list[tuple[bytes, bytes]]) -> None:
    one, other = chance.sample(range(len(rows)), 2)
    rows[one], rows[other] = rows[other], rows[one]


def cut(chance: random.Random, rows: list[tuple[bytes, bytes]]) -> None:
    del rows[chance.randrange(len(rows)) :]


@given(
    st.randoms(use_true_random=False),
    st.integers(1, 600),
    st.sampled_from([flip_leaf, flip_both, take_out, put_in, swap, cut]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_done_to_a_log_is_found(chance: random.Random, size: int, tamper: Tamper) -> None:
    """Alterations by whoever has the database, hashes made to fit or not: the outside checkpoint tells."""
    whole = Log([body(index) for index in range(size + 1)], tuple(sorted({chance.randint(1, size + 1), size + 1})))
    rows = whole.rows()
    tamper(chance, rows)
    assert not whole.of(rows).verdict(chance.randint(1, 700)).ok

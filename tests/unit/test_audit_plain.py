"""Lines read many at once count only if each byte is what the log writes, and say then what one by one they say."""

import random
from base64 import b64encode
from collections.abc import Callable, Sequence
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit.examining import _AT_ONCE_BYTES, _one_by_one, examined
from services.audit.plain import first_index, leaf_hashes, leaf_of
from services.audit.tree import leaf_hash

# Of one, two and three digits more than the index before; within a thousand and from one to the next.
STARTS = (0, 5, 9, 10, 95, 99, 100, 990, 999, 1_000, 1_995, 9_990, 99_999, 999_990, 123_456_789, 10**17 - 3)
DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def plain_line(index: int, leaf: bytes, *, hashed: bool = True) -> bytes:
    kept = b'","hash":"%b' % b64encode(leaf_hash(leaf)) if hashed else b""
    return b'{"index":%d,"leaf":"%b%b"}\n' % (index, b64encode(leaf), kept)


def together(lines: Sequence[bytes], first: int) -> list[bytes] | None:
    return leaf_hashes(b"".join(lines), lines, first)


def one_by_one(lines: Sequence[bytes], first: int) -> bool:
    """Whether the reader of single lines finds them sound, with indexes from the first on."""
    stretches = list(_one_by_one(b"".join(lines), ()))
    return len(stretches) == 1 and stretches[0].odd is None and stretches[0].first == first


@pytest.mark.parametrize("first", STARTS)
@pytest.mark.parametrize("hashed", [True, False])
def test_what_the_log_writes_is_read(first: int, hashed: bool) -> None:
    """Leaves of any length and content, across every change in the length of indexes."""
    leaves = [bytes([number % 256]) * (1 + number % 9) for number in range(1_200)]
    lines = [plain_line(index, leaf, hashed=hashed) for index, leaf in enumerate(leaves, first)]
    assert first_index(lines[0]) == first
    assert together(lines, first) == [leaf_hash(leaf) for leaf in leaves]
    assert [leaf_of(line) for line in lines] == leaves
    assert one_by_one(lines, first)


def test_another_index_is_not_the_next() -> None:
    """Lines that are plain but begin elsewhere do not count."""
    lines = [plain_line(index, b"leaf") for index in range(10, 20)]
    assert together(lines, 11) is None
    assert together(lines[:5] + lines[6:], 10) is None


@pytest.mark.parametrize(
    "text",
    [b"Q", b"QQ", b"QQ=", b"QR==", b"QQF=", b"QQE", b"QQ==QQ==", b"====", b"Q===", b"=QQQ", b"QQ=Q", b"QUJ=QUJD",
     b"QU JD", b"QUJD\r\n", b"QU\x00D", b"QU-_", b"Q\xc3\xa9D", b"QUJD====", b"QU\\/", b","],
)  # fmt: skip
@pytest.mark.parametrize("hashed", [True, False])
def test_base64_has_one_form(text: bytes, hashed: bool) -> None:
    """No byte too many, none lacking, no bit that says nothing; also beside lines that would make up for it."""
    line = b'{"index":%d,"leaf":"%b"%b}\n'
    kept = b',"hash":"%b"' % b64encode(bytes(32)) if hashed else b""
    for beside in (b"QUJD", b"QUI=", b"QQ==", text):
        lines = [line % (number, leaf, kept) for number, leaf in enumerate((beside, text, beside))]
        assert together(lines, 0) is None


@pytest.mark.parametrize("hashed", [True, False])
def test_an_empty_leaf_is_a_leaf(hashed: bool) -> None:
    """Both readers take a leaf of no bytes for what it is, first, last or alone."""
    for leaves in ([b""], [b"", b"leaf"], [b"leaf", b""], [b"", b"", b""]):
        lines = [plain_line(index, leaf, hashed=hashed) for index, leaf in enumerate(leaves, 999)]
        assert together(lines, 999) == [leaf_hash(leaf) for leaf in leaves]
        assert one_by_one(lines, 999)


def test_parts_do_not_share_bytes() -> None:
    """A line whose leaf is less than nothing, so that its other parts would fit one over the other, does not count."""
    for hashed in (True, False):
        whole = plain_line(7, b"", hashed=hashed)
        lines = [plain_line(6, b"leaf", hashed=hashed), whole.replace(b'""', b'"').replace(b'"","', b'","')]
        assert together(lines, 6) is None


@pytest.mark.parametrize("hashed", [True, False])
def test_each_byte_is_held_against_what_must_stand_there(hashed: bool) -> None:
    """Whatever byte of a line is changed, to whatever, both readers say the same of it."""
    lines = [plain_line(index, b"leaf %d" % index, hashed=hashed) for index in (98, 99, 100)]
    for at in range(len(lines[1])):
        for other in {0, 10, 13, 32, 34, 61, 92, 255, *DIGITS} - {lines[1][at]}:
            changed = [lines[0], lines[1][:at] + bytes([other]) + lines[1][at + 1 :], lines[2]]
            # Where the change made two lines of one, they are given as what they are now.
            changed = BytesIO(b"".join(changed)).readlines()
            assert (together(changed, 98) is not None) == one_by_one(changed, 98), (at, other)


Change = Callable[[random.Random, list[bytes]], None]


def replaced(chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randrange(len(lines))
    line = bytearray(lines[at] or b" ")
    line[chance.randrange(len(line))] = chance.choice([*DIGITS, *b'="\\{}:,\n\r \x00\xff'])
    lines[at] = bytes(line)


def shortened(chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randrange(len(lines))
    start = chance.randrange(len(lines[at]) + 1)
    lines[at] = lines[at][:start] + lines[at][start + chance.choice([1, 1, 2, 4, 60]) :]


def lengthened(chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randrange(len(lines))
    start = chance.randrange(len(lines[at]) + 1)
    lines[at] = lines[at][:start] + chance.choice([b"=", b"A", b" ", b"\n", b"AAAA", b"====", b"0"]) + lines[at][start:]


def unhashed(chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randrange(len(lines))
    start, _, _ = lines[at].partition(b',"hash"')
    lines[at] = start + b"}\n"


def doubled(chance: random.Random, lines: list[bytes]) -> None:
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))


@given(
    st.randoms(use_true_random=False),
    st.sampled_from(STARTS),
    st.lists(st.binary(max_size=9), min_size=1, max_size=12),
    st.booleans(),
    st.lists(st.sampled_from([replaced, shortened, lengthened, unhashed, doubled]), max_size=3),
)
@settings(max_examples=1_500, deadline=None)
def test_both_ways_to_read_agree(
    chance: random.Random, first: int, leaves: list[bytes], hashed: bool, changes: list[Change]
) -> None:
    """What counts together is sound line by line, with the same hashes; what does not is not, or forms are mixed."""
    lines = [plain_line(index, leaf, hashed=hashed) for index, leaf in enumerate(leaves, first)]
    for change in changes:
        change(chance, lines)
    lines = BytesIO(b"".join(lines)).readlines()
    found = together(lines, first) if lines else None
    sound = one_by_one(lines, first)
    mixed = len({b',"hash"' in line for line in lines}) > 1
    assert (found is not None) == sound or mixed
    assert found is None or (sound and found == [leaf_hash(leaf_of(line)) for line in lines])


def test_a_piece_is_read_in_blocks_and_no_further() -> None:
    """Many blocks say what one says, also where a line is longer than a block; what follows the piece is not read."""
    sizes = [500, 3 * _AT_ONCE_BYTES, *[700] * 1_000, 2 * _AT_ONCE_BYTES, 1]
    lines = [plain_line(index, b"x" * size) for index, size in enumerate(sizes)]
    text = b"".join(lines)
    (stretch,) = examined(BytesIO(text + b"{no line"), len(text), (3, 900))
    assert (stretch.first, stretch.count, stretch.odd) == (0, len(sizes), None)
    assert [segment.end for segment in stretch.segments] == [3, 900, len(sizes)]
    assert [stretch] == list(_one_by_one(text, (3, 900)))

"""Notes, checkpoints and cosignatures: published examples hold, and nothing that was changed does."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit.note import (
    COSIGNATURE,
    MOST_NOTE_BYTES,
    BadNote,
    Checkpoint,
    Key,
    Note,
    Signature,
    Signer,
    checkpoint_of,
    key_of,
    note_of,
    notes_in,
    split_notes,
    vouched,
)

# From the documentation of Go's golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
# From the specifications themselves: a checkpoint of a log with a witness's line.
C2SP_NOTE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501 -- a line of a note is one line
TIME = 1_763_884_800
CHECKPOINT = Checkpoint("jubao.example/log", 12, bytes(range(32)))


def signer(seed: int, name: str = "jubao.example/log") -> Signer:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def signed(*signatures: Signature) -> str:
    return str(Note(CHECKPOINT.text, signatures))


def test_a_note_of_gos_own_documentation_holds() -> None:
    """The example of the library that made the format is read, verified and written back as it is."""
    key = key_of(GO_KEY)
    note = note_of(GO_NOTE)
    assert [v.key for v in vouched(note, [key])] == [key]
    assert str(note) == GO_NOTE
    assert str(key) == GO_KEY


def test_the_specifications_checkpoint_is_read() -> None:
    """Origin, size, root and both signature lines of the specification's example are found and written back."""
    note = note_of(C2SP_NOTE)
    checkpoint = checkpoint_of(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.text == note.text
    assert [s.name for s in note.signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    assert str(note) == C2SP_NOTE


def test_who_signed_and_when() -> None:
    """Signatures by known keys are told in order, a cosignature with its time; unknown ones are passed by."""
    log, witness, stranger = signer(1), signer(2, "witness.example/w1"), signer(3)
    text = CHECKPOINT.text
    note = note_of(signed(log.sign(text), log.cosign(text, TIME), stranger.sign(text), witness.cosign(text, TIME + 1)))
    found = vouched(note, [witness.cokey, log.key, log.cokey])
    assert [(v.key, v.at) for v in found] == [(log.key, None), (log.cokey, TIME), (witness.cokey, TIME + 1)]
    assert checkpoint_of(note.text) == CHECKPOINT


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_note_that_was_changed_does_not_hold(data: st.DataObject) -> None:
    """With any character of the text or of a signature changed, no signature by the key is left to hold."""
    log = signer(1)
    whole = signed(log.sign(CHECKPOINT.text), log.cosign(CHECKPOINT.text, TIME))
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.sampled_from("A9+/=\n .—x").filter(lambda c: c != whole[at]))
    changed = whole[:at] + other + whole[at + 1 :]
    try:
        note = note_of(changed)
        kept = vouched(note, [log.key, log.cokey])
    except BadNote:
        return
    # What is left of it can only be the signature line that was not touched.
    assert note.text == CHECKPOINT.text
    assert len(kept) < 2


def test_a_key_of_the_same_name_and_id_must_hold() -> None:
    """A signature that claims a known key and is not by it makes the note bad, whatever else signs it."""
    log = signer(1)
    forged = Signature(log.name, log.key.id, signer(2).sign(CHECKPOINT.text).value)
    with pytest.raises(BadNote, match="does not hold"):
        vouched(note_of(signed(log.sign(CHECKPOINT.text), forged)), [log.key])
    short = Signature(log.name, log.cokey.id, b"short")
    with pytest.raises(BadNote, match="another length"):
        vouched(note_of(signed(short)), [log.cokey])


def test_a_cosignature_is_bound_to_its_time() -> None:
    """A cosignature with another time does not hold, nor does a signature pass for a cosignature."""
    log = signer(1)
    cosigned = log.cosign(CHECKPOINT.text, TIME)
    later = Signature(log.name, log.cokey.id, (TIME + 60).to_bytes(8, "big") + cosigned.value[8:])
    plain = Signature(log.name, log.cokey.id, TIME.to_bytes(8, "big") + log.sign(CHECKPOINT.text).value)
    for forged in (later, plain):
        with pytest.raises(BadNote):
            vouched(note_of(signed(forged)), [log.cokey])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\nno signature\n",
        "text\n\n— name\n",
        "text\n\n— name !!!!\n",
        "text\n\n— na+me AAAAAAA=\n",
        "text\n\n— name AAAA\n",
        "text\r\n\n— name AAAAAAA=\n",
        "text\n\n— name AAAAAAA=",
        "te\x00xt\n\n— name AAAAAAA=\n",
        "text\n\n- name AAAAAAA=\n",
        "text\n\n— name AAAAAAB=\n",
        "text\n\n" + "— name AAAAAAA=\n" * 65,
        "x" * MOST_NOTE_BYTES + "\n\n— n AAAAAAA=\n",
    ],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    """Text without an empty line and whole, well-formed signature lines after it is no note."""
    with pytest.raises(BadNote):
        note_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "origin\n1\n",
        "origin\n01\nA\n",
        "origin\n-1\nA\n",
        f"origin\n{1 << 63}\nA\n",
        "origin\nmany\nA\n",
        "origin\n1\nAAAA\n",
        "\n1\nAAAA\n",
        CHECKPOINT.text[:-1],
        CHECKPOINT.text.replace("12", "1 2"),
        CHECKPOINT.text.replace("12", "١٢"),
        CHECKPOINT.text + "\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    """A size that is no number in its one form, or a root that is no hash, is no checkpoint."""
    with pytest.raises(BadNote):
        checkpoint_of(text)


def test_further_lines_of_a_checkpoint_are_passed_by() -> None:
    """Extension lines are allowed and say nothing here."""
    assert checkpoint_of(CHECKPOINT.text + "more\n") == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000+AAAA",
        GO_KEY.replace("c74f", "c74e"),
        GO_KEY.replace("+ARpc", "+BRpc"),
        "a b" + GO_KEY,
        GO_KEY[:-4],
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    """A verifier key with another id than its bytes have, of another kind or length, is refused."""
    with pytest.raises(BadNote):
        key_of(text)


def test_keys_are_told_as_they_are_read() -> None:
    """A key's text and the key are the same thing; its two kinds have two ids."""
    log = signer(1)
    assert key_of(str(log.key)) == log.key
    assert key_of(str(log.cokey)) == log.cokey == Key(log.name, COSIGNATURE, log.key.public)
    assert log.key.id != log.cokey.id
    with pytest.raises(BadNote, match="no key name"):
        signer(1, "with space")


def test_notes_in_a_file() -> None:
    """Notes that stand one after the other are told apart, and what is broken between them comes as it is."""
    log = signer(1)
    one = signed(log.sign(CHECKPOINT.text))
    two = signed(log.cosign(CHECKPOINT.text, TIME), log.sign(CHECKPOINT.text))
    assert notes_in(f"{one}\n{two}\n") == [note_of(one), note_of(two)]
    assert split_notes(f"{one}\n{CHECKPOINT.text}\n{two}\n") == [one, CHECKPOINT.text, two]
    assert split_notes("") == []
    with pytest.raises(BadNote):
        notes_in(f"{one}\n{CHECKPOINT.text}")

"""The file of public keys, and the file of private ones."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.audit.keys import DatedKey, parse_keys, written_keys
from services.audit.note import BadNote
from services.audit.signing import BadKeyFile, new_block, signers_of
from services.cli.main import run

BEGIN = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NAME = "log.test/jubao"


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A key file with two keys."""
    file = tmp_path / "audit.pem"
    file.write_bytes(new_block() + new_block())
    return file


def test_keys_are_written_as_they_are_read(pem: Path) -> None:
    """Keys and their times come back from the text as they were put into it; comments and empty lines say nothing."""
    one, two = signers_of(pem, NAME)
    keys = [DatedKey(one.key, BEGIN, BEGIN + timedelta(days=1)), DatedKey(two.cokey, BEGIN, None)]
    text = written_keys(keys)
    assert parse_keys(text) == keys
    assert parse_keys(f"\n# more\n{text}\n\n") == keys


def test_a_key_counts_in_its_time(pem: Path) -> None:
    """A key counts from its first moment up to and without its last."""
    dated = DatedKey(signers_of(pem, NAME)[0].key, BEGIN, BEGIN + timedelta(days=1))
    assert dated.covers(BEGIN)
    assert not dated.covers(BEGIN - timedelta(seconds=1))
    assert not dated.covers(BEGIN + timedelta(days=1))
    assert dated._replace(until=None).covers(BEGIN + timedelta(days=9_999))


@pytest.mark.parametrize(
    "line", ["key", "a+b+c 2026-11-23T08:00:00Z -", "{key} 2026-11-23T08:00:00 -", "{key} now -", "{key}"]
)
def test_what_is_no_key_line_is_told_with_its_number(pem: Path, line: str) -> None:
    """A line that is no key with its times is named by its number."""
    text = "# first\n" + line.replace("{key}", str(signers_of(pem, NAME)[0].key)) + "\n"
    with pytest.raises(BadNote, match="line 2"):
        parse_keys(text)


def test_a_file_that_holds_no_such_key_is_told(tmp_path: Path) -> None:
    """A missing file, one without a key, and a key of another kind are refused with a sentence."""
    other = tmp_path / "other.pem"
    with pytest.raises(BadKeyFile, match="cannot be read"):
        signers_of(other, NAME)
    other.write_bytes(b"nothing")
    with pytest.raises(BadKeyFile, match="jubao audit key new"):
        signers_of(other, NAME)
    rsa = generate_private_key(65_537, 2_048)
    other.write_bytes(rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(BadKeyFile, match="not Ed25519"):
        signers_of(other, NAME)
    other.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(BadKeyFile, match="cannot be read"):
        signers_of(other, NAME)


def test_keys_are_added_and_dropped_by_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With --json each change says how many keys there are and what to do next; of two no third is made, one stays."""

    def asked(*arguments: str) -> tuple[int, str, str]:
        code = run(["audit", "key", *arguments, "--data", str(tmp_path)])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    for keys in (1, 2):
        code, out, _ = asked("new", "--json")
        assert (code, json.loads(out)["keys"]) == (0, keys)
        assert "Restart" in json.loads(out)["next"]
    code, _, err = asked("new")
    assert (code, "drop the old one first" in err) == (1, True)
    code, out, _ = asked("public", NAME, "--json")
    assert (code, len(json.loads(out))) == (0, 4)
    assert asked("public", NAME)[1].split() == json.loads(out)
    code, out, err = asked("drop")
    assert (code, out, "Restart" in err) == (0, "", True)
    assert asked("drop", "--json")[0] == 1
    assert len(asked("public", NAME)[1].split()) == 2

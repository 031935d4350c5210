"""A receipt is checked offline: what is in it is about its report and in the log, or it does not hold."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.keys import DatedKey, parse_keys, written_keys
from services.audit.note import Checkpoint, Note, Signer
from services.audit.received import NoReceipt, proved
from services.audit.tree import Frontier, complete_root, inclusion_nodes, leaf_hash, proof
from services.cli.commands.audit import command

BEGIN = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
REPORT = "01a2076c-2e60-7cdd-b516-8ab474fa5764"
SIGNER = Signer("log.test/jubao", Ed25519PrivateKey.from_private_bytes(b"l" * 32))
FORGER = Signer("log.test/jubao", Ed25519PrivateKey.from_private_bytes(b"f" * 32))
LEAVES = [json.dumps({"n": n, "report_id": REPORT if n in {2, 5} else f"other {n}"}).encode() for n in range(11)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
KEYS = written_keys([DatedKey(key, BEGIN, None) for key in (SIGNER.key, SIGNER.cokey)])


def text(value: bytes) -> str:
    return b64encode(value).decode()


def entry(index: int) -> dict[str, Any]:
    path = proof(
        inclusion_nodes(index, len(LEAVES)),
        lambda node: complete_root(b"".join(HASHES[node.number << node.level : (node.number + 1) << node.level])),
    )
    return {"index": index, "leaf": text(LEAVES[index]), "path": [text(part) for part in path]}


def receipt(by: Signer = SIGNER) -> dict[str, Any]:
    frontier = Frontier()
    for found in HASHES:
        frontier.append(found)
    signed = Checkpoint(by.key.name, frontier.size, frontier.root()).text
    note = Note(signed, (by.sign(signed), by.cosign(signed, int(BEGIN.timestamp()) + 60)))
    return {"report_id": REPORT, "checkpoint": str(note), "entries": [entry(2), entry(5)], "pending": 0, "keys": KEYS}


def test_what_the_log_gave_is_proved() -> None:
    """Each entry of a receipt as it was given is proved."""
    found = proved(receipt(), parse_keys(KEYS))
    assert found.holds
    assert (found.proved, found.unproved, found.foreign, found.vouched) == ((2, 5), (), (), True)


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another's entry": lambda given: given["entries"].append(entry(7)),
    "a leaf that was altered": lambda given: given["entries"][0].update(leaf=text(LEAVES[2] + b" ")),
    "another index": lambda given: given["entries"][0].update(index=3),
    "a shorter path": lambda given: given["entries"][0]["path"].pop(),
    "no entry": lambda given: given["entries"].clear(),
    "another signer": lambda given: given.update(checkpoint=receipt(FORGER)["checkpoint"]),
    "another report": lambda given: given.update(report_id="01a2076c-2e60-7cdd-b516-8ab474fa5765"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_receipt_that_was_changed_does_not_hold(tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Whatever is changed in a receipt, it does not hold, and the command says so and exits 1."""
    given = receipt()
    change(given)
    assert not proved(given, parse_keys(KEYS)).holds
    (tmp_path / "receipt").write_text(json.dumps(given))
    done = CliRunner().invoke(command, ["receipt", "--check", str(tmp_path / "receipt"), "--json"])
    assert done.exit_code == 1
    assert "does not hold" in done.stderr


def test_the_command_checks_with_keys_from_elsewhere(tmp_path: Path) -> None:
    """With keys of one's own a receipt of the log holds, and one that brings a forger's keys does not."""
    (tmp_path / "keys").write_text(KEYS)
    forged = written_keys([DatedKey(key, BEGIN, None) for key in (FORGER.key, FORGER.cokey)])
    for given, code in ((receipt(), 0), ({**receipt(FORGER), "keys": forged}, 1)):
        (tmp_path / "receipt").write_text(json.dumps(given))
        arguments = ["receipt", "--check", str(tmp_path / "receipt")]
        assert CliRunner().invoke(command, arguments).exit_code == 0
        assert CliRunner().invoke(command, [*arguments, "--key", str(tmp_path / "keys")]).exit_code == code


@pytest.mark.parametrize("given", [{}, [], {**receipt(), "entries": [{"index": 1}]}, {**receipt(), "checkpoint": "no"}])
def test_what_is_no_receipt_is_told(tmp_path: Path, given: Any) -> None:
    """A file that is no receipt is told to be none, by function and command."""
    with pytest.raises(NoReceipt):
        proved(given, parse_keys(KEYS))
    (tmp_path / "receipt").write_text(json.dumps(given))
    done = CliRunner().invoke(command, ["receipt", "--check", str(tmp_path / "receipt")])
    assert done.exit_code == 1
    assert "cannot be checked" in done.stderr


def test_a_report_or_a_file() -> None:
    """Without a report and without a file the command says what it takes, and exits 2."""
    assert CliRunner().invoke(command, ["receipt"]).exit_code == 2

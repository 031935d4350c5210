"""docs/verify_log.py, which shares no code with Jubao, comes to the same word as `jubao audit verify`."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from services.audit.tree import leaf_hash
from tests.unit.test_audit_verifying import Log, body, dated, line, log, note, signer

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_log.py"
MOST_LINES = 200


def rewritten(whole: Log) -> Log:
    """All from entry 5 on told otherwise, with hashes that fit."""
    leaves = [body(index, what="other") if index >= 5 else leaf for index, leaf in enumerate(whole.leaves)]
    return whole.of([(leaf, leaf_hash(leaf)) for leaf in leaves])


def with_line(whole: Log, at: int, *lines: bytes) -> Log:
    return replace(whole, lines=[*whole.lines[:at], *lines, *whole.lines[at + 1 :]])


# What is done to a log of 40 entries with checkpoints over 10, 20, 30 and 40, and what the script must say of it.
ALTERED: list[tuple[str, Callable[[Log], Log], str]] = [
    ("a byte", lambda w: with_line(w, 23, line(23, body(23, what="e"), leaf_hash(w.leaves[23]))), "entry 23: altered"),
    ("entry and hash", lambda w: with_line(w, 23, line(23, body(23, what="e"))), "entries 20 to 29: another history"),
    ("a column", lambda w: with_line(w, 23, w.lines[23][:-2] + b',"differs":["actor"]}\n'), "entry 23: altered, w"),
    ("no text", lambda w: with_line(w, 7, b"\xff\n"), "entry 7: the line cannot be read"),
    ("a line less", lambda w: with_line(w, 12), "entry 12: the line says index 13"),
    ("a line more", lambda w: with_line(w, 12, w.lines[12], w.lines[3]), "entry 13: the line says index 3"),
    ("two swapped", lambda w: with_line(with_line(w, 2, w.lines[3]), 3, w.lines[2]), "entry 2: the line says index 3"),
    ("no tail", lambda w: replace(w, lines=w.lines[:25]), "entries 25 to 39: cut off"),
    ("rewritten", rewritten, "entries 0 to 9: another history"),
    ("another key", lambda w: replace(w, notes=[*w.notes[:2], note(w.leaves[:30], signer(2))]), "checkpoint 2: no "),
    ("two histories", lambda w: replace(w, notes=[*w.notes, note([*w.leaves[:39], b"{}"])]), "entries "),
    ("set back", lambda w: replace(w, notes=w.notes[::-1]), "the log went back"),
    ("no checkpoint", lambda w: replace(w, keys=dated(signer(2))), "there is no checkpoint that counts"),
]  # fmt: skip


def asked(directory: Path, whole: Log) -> tuple[int, str]:
    """Exit code and output of the script, run as a stranger runs it."""
    (directory / "entries").write_bytes(b"".join(whole.lines))
    (directory / "checkpoints").write_text("\n".join(whole.notes))
    (directory / "keys").write_text(whole.keys)
    files = [str(directory / name) for name in ("entries", "checkpoints", "keys")]
    # -I: neither this folder nor the project is there to be imported.
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), *files], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_an_untouched_log_holds(tmp_path: Path) -> None:
    """Of a log of any shape that verify finds sound, the script says so as well."""
    for size in (1, 7, 40, 300):
        whole = log(size, *sorted({1, size // 2 or 1, size}))
        assert whole.verdict().ok
        code, printed = asked(tmp_path, whole)
        assert (code, printed) == (0, "the export is the log that the checkpoints were signed for\n")


@pytest.mark.parametrize(("alter", "says"), [case[1:] for case in ALTERED], ids=[case[0] for case in ALTERED])
def test_an_altered_log_is_told(tmp_path: Path, alter: Callable[[Log], Log], says: str) -> None:
    """Whatever verify does not let pass the script does not either, and it says where."""
    whole = alter(log())
    assert not whole.verdict().ok
    code, printed = asked(tmp_path, whole)
    assert code == 1
    assert says in printed


def test_wrong_use_is_told() -> None:
    """Without its three files it says how it is called, with exit code 2."""
    done = subprocess.run([sys.executable, "-I", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "verify_log.py EXPORT CHECKPOINTS KEYS" in done.stderr


def test_it_is_short_and_stands_alone() -> None:
    """It is under 200 lines, and imports the standard library and `cryptography` alone."""
    text = SCRIPT.read_text()
    assert len(text.splitlines()) < MOST_LINES
    imported = {row.split()[1].partition(".")[0] for row in text.splitlines() if row.startswith(("import ", "from "))}
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}

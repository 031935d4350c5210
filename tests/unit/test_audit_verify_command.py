"""`jubao audit verify` on three files: what it prints, its exit codes, and how it goes on after an interruption."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.audit.evidence import evidence_of
from services.audit.keys import parse_keys
from services.audit.offline import Memory, verify
from services.audit.verifying import Verdict
from services.cli.main import run
from tests.unit.test_audit_verifying import Log, body, dated, line, log, note, signer


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return written(tmp_path, log())


def written(directory: Path, whole: Log) -> Path:
    (directory / "entries").write_bytes(b"".join(whole.lines))
    (directory / "checkpoints").write_text("\n".join(whole.notes))
    (directory / "keys").write_text(whole.keys)
    return directory


def verifying(files: Path, *more: str) -> list[str]:
    three = ["--export", "entries", "--checkpoints", "checkpoints", "--key", "keys"]
    return ["audit", "verify", *(str(files / part) if not part.startswith("-") else part for part in three), *more]


def asked(files: Path, capfd: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    code = run(verifying(files, "--json", *more))
    return code, json.loads(capfd.readouterr().out)


def test_a_log_that_holds(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, how much was checked, and no problem; in words for people."""
    code, told = asked(files, capfd)
    assert code == 0
    assert told == {
        "ok": True, "entries": 40, "covered": 40, "checkpoints": 4, "problems": [], "more_problems": 0,
    }  # fmt: skip
    assert run(verifying(files)) == 0
    assert "40 entries are those that 4 checkpoints were signed for" in capfd.readouterr().out


def test_nothing_is_loaded_that_talks_to_others(files: Path) -> None:
    """An export is verified by what reads, hashes and checks signatures; the rest would take as long again."""
    others = (
        "aiokafka",
        "asyncpg",
        "fastapi",
        "faststream",
        "httpx",
        "msgspec",
        "pydantic",
        "rich",
        "sqlalchemy",
        "structlog",
    )
    code = (
        f"import sys; from services.cli.main import run; code = run({verifying(files, '--json')}); "
        f"print(code, [module for module in {others} if module in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "0 []\n"


def test_one_byte_changed_names_its_index(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, the index and the kind; in words for people as well."""
    text = bytearray((files / "entries").read_bytes())
    place = text.index(b'{"index":23') + 40
    text[place] = ord("A") if text[place] != ord("A") else ord("B")
    (files / "entries").write_bytes(text)
    code, told = asked(files, capfd)
    assert code == 1
    assert [(problem["index"], problem["kind"]) for problem in told["problems"]] == [(23, "altered")]
    assert run(verifying(files)) == 1
    printed = capfd.readouterr()
    assert "altered" in printed.out
    assert "The log does not hold: 1 problem" in printed.err


def test_against_what_the_log_gives_out(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A checkpoint of the file outside that the log no longer has is a problem."""
    whole = log()
    (files / "served").write_text("\n".join([*whole.notes[:1], *whole.notes[2:]]))
    code, told = asked(files, capfd, "--against", str(files / "served"))
    assert code == 1
    assert [(problem["index"], problem["kind"]) for problem in told["problems"]] == [(20, "dropped checkpoint")]


def test_two_readers_with_two_histories(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The checkpoints of two readers together show that they were told different logs."""
    other = note([*log().leaves[:15], *(body(index, what="other") for index in range(15, 30))])
    (files / "theirs").write_text(other)
    code, told = asked(files, capfd, "--checkpoints", str(files / "theirs"))
    assert code == 1
    assert (told["problems"][0]["index"], told["problems"][0]["kind"]) == (20, "forked")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("keys", b"", "lists no key"),
        ("keys", b"no key at all\n", "is no key file"),
        ("keys", b"\xff\xfe", "is no key file"),
        ("keys", b"a+b+c 2026-11-23T08:00:00Z -\n", "is no key file"),
    ],
)
def test_files_that_are_none_are_wrong_use(
    files: Path, capfd: pytest.CaptureFixture[str], name: str, content: bytes, says: str
) -> None:
    """A key file that is none ends with exit code 2 and one sentence, before anything is read."""
    (files / name).write_bytes(content)
    assert run(verifying(files)) == 2
    printed = capfd.readouterr()
    assert says in printed.err
    assert "Traceback" not in printed.err


def test_missing_files_are_wrong_use(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, or one of the three not given, is said so."""
    assert run(["audit", "verify", "--export", str(files / "entries")]) == 2
    assert "--checkpoints and --key" in capfd.readouterr().err
    (files / "entries").unlink()
    assert run(verifying(files)) == 2
    assert "does not exist" in capfd.readouterr().err


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 5_000, b"\xff\n\n\xff\n\n\n", "— x y\n".encode(), b"a\nb\nc\n\n" * 50]
)
def test_checkpoints_that_are_none_are_problems(files: Path, capfd: pytest.CaptureFixture[str], content: bytes) -> None:
    """A damaged file of checkpoints vouches for nothing, and says so in the answer."""
    (files / "checkpoints").write_bytes(content)
    code, told = asked(files, capfd)
    assert code == 1
    assert not told["ok"]
    assert all(problem["kind"] == "unsigned" for problem in told["problems"])


class Interrupted(Exception):
    """Whoever waits gives up."""


def stopped(files: Path, after: int) -> None:
    """A run that ends after so many entries, with notes of how far it came."""
    read = 0

    def progress(more: int) -> None:
        nonlocal read
        read += more
        if read >= after:
            raise Interrupted

    with pytest.raises(Interrupted):
        resumed(files, progress)


def resumed(files: Path, progress: Any = lambda _: None) -> Verdict:
    keys = parse_keys((files / "keys").read_text())
    evidence = evidence_of([(files / "checkpoints").read_text()], keys)
    memory = Memory(files / "resume", files / "entries", evidence)
    return verify(files / "entries", evidence, memory=memory, progress=progress, processes=1)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log that is read in many pieces."""
    monkeypatch.setattr("services.audit.offline._PIECE_BYTES", 20_000)
    monkeypatch.setattr("services.audit.offline._NOTE_SECONDS", 0)
    leaves = [body(index, 0) for index in range(3_000)]
    cuts = (1, 700, 1_500, 2_200, 3_000)
    return written(tmp_path, Log(leaves, cuts, notes=[note(leaves[:cut], at=1_795_420_801) for cut in cuts]))


def test_a_run_goes_on_where_it_was(large: Path) -> None:
    """After an interruption what was checked is not read again, and the verdict is the same."""
    stopped(large, 2_000)
    noted = json.loads((large / "resume").read_text())
    assert noted["good"] == 1_500
    counts: list[int] = []
    verdict = resumed(large, counts.append)
    assert verdict.ok
    assert (verdict.entries, verdict.covered) == (3_000, 3_000)
    assert counts[0] == noted["size"] >= 1_500
    assert not (large / "resume").exists()


def test_another_file_is_read_from_its_beginning(large: Path) -> None:
    """What was noted of a file does not count once it has changed, nor for other checkpoints."""
    stopped(large, 2_000)
    text = bytearray((large / "entries").read_bytes())
    text[30] ^= 1
    (large / "entries").write_bytes(text)
    assert [problem.index for problem in resumed(large).problems.told()] == [0]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'{"peaks": 1}', b"\xff"])
def test_a_damaged_note_of_progress_is_passed_by(large: Path, content: bytes) -> None:
    """It is as if there was none."""
    (large / "resume").write_bytes(content)
    counts: list[int] = []
    assert resumed(large, counts.append).ok
    assert counts[0] == 0


def test_several_processes_find_what_one_finds(large: Path) -> None:
    """The pieces are put together in order, whoever read them."""
    lines = (large / "entries").read_bytes().splitlines(keepends=True)
    lines[1_234] = line(1_234, body(1_234, what="other"))
    lines[2_000], lines[2_500] = lines[2_500], lines[2_000]
    (large / "entries").write_bytes(b"".join(lines))
    evidence = evidence_of([(large / "checkpoints").read_text()], parse_keys(dated(signer())))
    told = [verify(large / "entries", evidence, processes=count).told() for count in (1, 3)]
    assert told[0] == told[1]
    assert not told[0]["ok"]

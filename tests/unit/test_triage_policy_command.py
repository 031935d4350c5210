"""`jubao policy check`: a line for each mistake, and exit codes that scripts may go by."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from services.cli.main import run

DEFAULT = (files("services.triage") / "default_policy.yaml").read_text(encoding="utf-8")


def test_good_policy_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A policy without mistake ends with 0 and says what it holds."""
    file = tmp_path / "policy.yaml"
    file.write_text(DEFAULT, encoding="utf-8")
    assert run(["policy", "check", str(file)]) == 0
    said = capsys.readouterr().out
    assert "policy default, version " in said
    assert said.endswith("no mistake\n")


def test_each_mistake_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mistakes are printed as FILE:line: reason and the exit code is 1."""
    file = tmp_path / "policy.yaml"
    text = DEFAULT.replace("when: report.keyword in", "when: report.keywords in").replace("class: P2", "class: P9")
    file.write_text(text, encoding="utf-8")
    lines = text.splitlines()
    assert run(["policy", "check", str(file)]) == 1
    said = capsys.readouterr()
    first = next(n for n, line in enumerate(lines, 1) if "when" in line and "report.keywords" in line)
    second = next(n for n, line in enumerate(lines, 1) if "class: P9" in line)
    assert said.out.splitlines() == [
        f"{file}:{first}: report.keywords is not known; did you mean report.keyword?",
        f"{file}:{second}: P9 is no class of this policy; it has P0, P1, P2, P3, P4",
    ]
    assert said.err.strip().endswith("mend the 2 mistakes and check again.")


def test_mistakes_in_json(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Programs get the same mistakes as one line of JSON."""
    file = tmp_path / "policy.yaml"
    file.write_text(DEFAULT.replace("target_minutes: 60", "target_minutes: -1"), encoding="utf-8")
    assert run(["policy", "check", str(file), "--json"]) == 1
    answer = json.loads(capsysbinary.readouterr().out)
    assert answer["ok"] is False
    assert [m["line"] for m in answer["mistakes"]] == [DEFAULT[: DEFAULT.index("target_minutes: 60")].count("\n") + 1]


@pytest.mark.parametrize(
    ("content", "code", "what"),
    [
        (None, 2, "there is no such file"),
        (b"name: \xff\n", 1, ":1: not UTF-8"),
        (b"name: a\nversion: \xe4\xb8\n", 1, ":2: not UTF-8"),
        (b"#" * (256 * 1024 + 1), 1, "larger than 256 KiB"),
        (b"", 1, "the file is empty"),
    ],
)
def test_file_that_cannot_be_a_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, code: int, what: str
) -> None:
    """A missing file is wrong use; a file that is no policy is a check that did not hold."""
    file = tmp_path / "policy.yaml"
    if content is not None:
        file.write_bytes(content)
    assert run(["policy", "check", str(file)]) == code
    said = capsys.readouterr()
    assert what in said.out + said.err


def test_directory_is_no_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory in place of a file gets one sentence."""
    assert run(["policy", "check", str(tmp_path)]) == 1
    assert "cannot be read" in capsys.readouterr().err

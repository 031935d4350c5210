"""The command `jubao import` at its edge: exit codes and sentences, without an engine."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from services.cli.main import run


@pytest.fixture(autouse=True)
def _loud_again() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)
    structlog.reset_defaults()


@pytest.fixture
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUBAO_KAFKA", "127.0.0.1:1")


@pytest.mark.parametrize(
    "arguments",
    [[], ["f.csv"], ["f.csv", "--format", "xml"], ["f.csv", "--format", "cold", "--limit", "0"],
     ["f.csv", "--format", "cold", "--rate", "0"], ["f.csv", "--format", "cold", "--rate", "-3"]],
)  # fmt: skip
def test_wrong_use_is_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """A missing or impossible option ends with 2 and one line."""
    assert run(["import", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


def test_without_a_stack_it_says_how_to_start_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Where no stack runs and no broker is named, the sentence names the directory and the command."""
    assert run(["import", "f.csv", "--format", "cold", "--data", str(tmp_path)]) == 1
    assert f"jubao up --detach --data {tmp_path}" in capsys.readouterr().err


@pytest.mark.usefixtures("nobody_listens")
def test_a_file_that_is_not_there_is_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The file's name and one line, exit code 1."""
    assert run(["import", str(tmp_path / "none.csv"), "--format", "cold"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "none.csv" in err


@pytest.mark.usefixtures("nobody_listens")
def test_a_broker_away_says_how_many_it_took(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Where nothing listens, nothing was accepted, and no library's lines stand beside the sentence."""
    file = tmp_path / "a.csv"
    file.write_text(",split,topic,label,TEXT\r\n1,dev,race,1,a\r\n")
    assert run(["import", str(file), "--format", "cold", "--json"]) == 1
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "accepted 0 reports" in err


@pytest.mark.usefixtures("nobody_listens")
def test_a_file_of_nothing_but_bad_rows_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The first twenty bad rows are told by number, then how many there were; that nothing came in is a failure."""
    file = tmp_path / "a.csv"
    file.write_text(",split,topic,label,TEXT\r\n" + "1,dev\r\n" * 30)
    assert run(["import", str(file), "--format", "cold", "--json"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith('{"read": 30, "accepted": 0, "rejected": 30, "seconds": ')
    lines = err.splitlines()
    assert lines[19].startswith("row 20: ")
    assert lines[20] == "... and 10 more"
    assert lines[21].startswith("30 rejected")
    assert lines[22].startswith("Nothing of ")

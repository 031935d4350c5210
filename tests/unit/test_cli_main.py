"""The edge of the command: exit codes, one sentence for each error, and what is not imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.main import COMMANDS, run


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["up", "--port", "0"], ["token"], ["staff", "add", "a", "--role", "king"], ["down", "--nope"]],
)
def test_wrong_use_is_one_sentence_and_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Wrong use ends with 2, and standard error says in one line where to look."""
    code, out, err = said(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "see `jubao" in err


def test_data_is_taken_before_and_after_the_subcommand(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`jubao --data D staff list`, `staff --data D list` and `staff list --data D` mean the same directory."""
    said(capsys, "staff", "add", "a", "--role", "senior", "--data", str(tmp_path))
    places = (["--data", str(tmp_path), "staff", "list"], ["staff", "--data", str(tmp_path), "list"])
    for arguments in (*places, ["staff", "list", "--data", str(tmp_path)]):
        code, out, _ = said(capsys, *arguments, "--json")
        assert (code, json.loads(out)) == (0, [{"name": "a", "role": "senior"}])


def test_a_refused_account_is_one_sentence_and_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Work that failed ends with 1 and says what to do."""
    code, out, err = said(capsys, "staff", "add", "p", "--role", "police", "--data", str(tmp_path))
    assert (code, out) == (1, "")
    assert err == "Role police needs --source ID, the source it reports for (`jubao source list` shows all).\n"


def test_chinese_is_printed_as_it_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """JSON output is UTF-8, not escapes."""
    _, out, _ = said(capsys, "staff", "add", "审核员一", "--role", "reviewer", "--data", str(tmp_path), "--json")
    assert out == '{"name": "审核员一", "role": "reviewer"}\n'


def test_a_token_without_a_key_says_where_one_comes_from(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Before the first `up` there is no issuer key, and the sentence names the command that makes it."""
    said(capsys, "staff", "add", "a", "--role", "senior", "--data", str(tmp_path))
    code, _, err = said(capsys, "token", "a", "--data", str(tmp_path))
    assert code == 1
    assert f"`jubao up --data {tmp_path}` makes one" in err


def test_a_setting_that_cannot_be_used_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistyped environment variable is told by its name, in one sentence."""
    monkeypatch.setenv("JUBAO_LEASE_SECONDS", "soon")
    code, _, err = said(capsys, "down")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("The setting JUBAO_LEASE_SECONDS cannot be used: Input should be a valid number")


def test_down_where_nothing_runs_is_done(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Stopping what does not run is no failure."""
    code, out, _ = said(capsys, "down", "--data", str(tmp_path))
    assert (code, out) == (0, f"No stack runs in {tmp_path}.\n")


def test_a_full_stack_of_calls_needs_a_stack(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A command that calls services says how to start them when there are none."""
    code, _, err = said(capsys, "queue", "--data", str(tmp_path))
    assert code == 1
    assert f"start one with `jubao up --detach --data {tmp_path}`" in err


def test_every_command_of_the_table_exists(capsys: pytest.CaptureFixture[str]) -> None:
    """Each name in `jubao --help` leads to a command that shows its own help."""
    for name in COMMANDS:
        code, out, err = said(capsys, name, "--help")
        assert (code, err) == (0, ""), name
        assert out.startswith(f"Usage: jubao {name}")


@pytest.mark.parametrize("arguments", ["['--help']", "['up', '--help']", "['down', '--data', '/nonexistent']"])
def test_starting_and_stopping_import_no_service(arguments: str) -> None:
    """A supervisor stays small: it never loads what services run on."""
    heavy = ("fastapi", "faststream", "sqlalchemy", "aiokafka", "uvicorn", "httpx")
    code = (
        "import sys; from services.cli.main import run; "
        f"run({arguments}); print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"

"""`jubao bench` as a user meets it: exit codes, wrong names, and a package that has no benchmarks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import main as benches
from bench.figures import Result
from services.cli import main
from services.cli.commands import bench


@pytest.mark.parametrize(("ratios", "code"), [([31.0, 0.3], 0), ([31.0, 0.2], 1), ([3.0, 0.3], 1)])
def test_a_missed_goal_is_told_by_the_exit_code(
    ratios: list[float], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 0 when all goals hold and 1 when one is missed, and the results are printed either way."""
    results = [Result("a", ratios[0], 30.0, 5), Result("b", ratios[1], 0.25, 5)]
    monkeypatch.setattr(benches, "run", lambda *_: results)
    assert main.run(["bench", "pipeline", "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert [line["holds"] for line in told] == [r.holds for r in results]
    assert main.run(["bench"]) == code
    assert "0.25" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["speed"], ["--runs", "0"], ["--records", "5"], ["--nonsense"]])
def test_wrong_use_is_told(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A benchmark that there is not, or a number that cannot be, is wrong use: exit code 2 and one line."""
    assert main.run(["bench", *wrong]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_installed_package_has_no_benchmarks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a checkout the command says that it needs one."""
    monkeypatch.setattr(bench, "_CHECKOUT", tmp_path)
    assert main.run(["bench", "pipeline"]) == 1
    assert "clone the repository" in capsys.readouterr().err


def test_every_benchmark_is_there() -> None:
    """Each name leads to a module that can be run."""
    script = (
        "import importlib; from bench.main import BENCHES\n"
        "assert all(callable(importlib.import_module(m).run) for m in BENCHES.values())"
    )
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=True)

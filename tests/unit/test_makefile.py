"""What a person runs: the targets are explained, and a machine whose Python will not do is told so."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=directory, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A directory with the Makefile and without .venv."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def python_that(directory: Path, script: str) -> str:
    path = directory / "python-of-the-test"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"PYTHON={path}"


def test_make_alone_names_every_target(clone: Path) -> None:
    """`make` lists all targets that are meant to be typed, each with its sentence."""
    meant = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert meant is not None
    listed = re.findall(r"^make ([\w-]+) +\S", make(clone).stdout, re.MULTILINE)
    assert listed == meant[1].split()


def test_an_old_python_is_told(clone: Path) -> None:
    """Python 3.10 and 2.7 are refused with their version, the bound, and how to name another."""
    for version in ("3.10", "2.7", "3.9"):
        done = make(clone, "demo", python_that(clone, f"echo {version}"))
        assert done.returncode == 2
        assert f"is {version}" in done.stderr
        assert "Python 3.11 or newer" in done.stderr
        assert "make demo PYTHON=" in done.stderr


def test_no_python_is_told(clone: Path) -> None:
    """A name that is no program leaves a sentence, and no half-made .venv."""
    done = make(clone, "setup", "PYTHON=python-that-is-not-here")
    assert (done.returncode, "none was found" in done.stderr) == (2, True)
    assert not (clone / ".venv").exists()


def test_a_python_without_ensurepip_is_told(clone: Path) -> None:
    """Where the distribution keeps venv in a package of its own, the sentence names it."""
    done = make(clone, "test", python_that(clone, 'case "$2" in *ensurepip*) exit 1;; *) echo 3.11;; esac'))
    assert done.returncode == 2
    assert "python3-venv" in done.stderr
    assert not (clone / ".venv").exists()


def test_a_python_that_cannot_make_the_environment_leaves_nothing(clone: Path) -> None:
    """A failed `venv` is told and cleared away, so that the next run begins anew."""
    script = f'case "$*" in *venv\\ --clear*) mkdir -p {clone}/.venv/bin; exit 1;; *) echo 3.13;; esac'
    done = make(clone, "demo", python_that(clone, script))
    assert done.returncode == 2
    assert "could not make .venv" in done.stderr
    assert not (clone / ".venv").exists()

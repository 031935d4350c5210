"""deploy/requirements.lock fits pyproject.toml, and the image is built from it alone."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ENTRY = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)", re.MULTILINE)


def _name(written: str) -> str:
    return re.sub(r"[-_.]+", "-", written).lower()


def locked(name: str) -> dict[str, str]:
    return {_name(found[0]): found[1] for found in ENTRY.findall((ROOT / "deploy" / name).read_text())}


def unfit(requirements: list[str], lock: dict[str, str]) -> list[str]:
    wanted = [Requirement(line) for line in requirements]
    held = [(r, lock.get(_name(r.name))) for r in wanted]
    return [
        f"{r} has {version}; make the lock again: docs/containers.md"
        for r, version in held
        if version is None or version not in r.specifier
    ]


def test_lock_fits_the_project() -> None:
    """Each dependency of the project is locked, at a version that pyproject.toml allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert unfit(project["project"]["dependencies"], locked("requirements.lock")) == []
    assert unfit(project["build-system"]["requires"], locked("build.lock")) == []


def test_every_lock_entry_has_hashes() -> None:
    """Nothing is installed that is not the very file that was locked."""
    for name in ("requirements.lock", "build.lock"):
        text = (ROOT / "deploy" / name).read_text()
        for entry in re.split(r"\n(?=[A-Za-z0-9])", text):
            if ENTRY.match(entry):
                assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_image_installs_only_what_is_locked() -> None:
    """Every pip command of the image that fetches packages demands hashes."""
    recipe = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
    installs = [line for line in re.split(r"&&|\n", recipe) if "pip" in line and " install " in line]
    fetching = [line for line in installs if "apt-get" not in line and "--no-deps" not in line]
    assert fetching
    assert all("--require-hashes" in line for line in fetching)

"""deploy/make-secrets: everything that the compose file's containers need, made once, for each its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime.issuer import LocalIssuer

ROOT = Path(__file__).parents[2]
SERVICES = ("intake", "triage", "review", "outcomes", "audit")


def make_secrets(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "make-secrets"), str(directory), *options],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def contents(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A directory with everything in it."""
    directory = tmp_path / "secrets"
    assert make_secrets(directory).returncode == 0
    return directory


def test_second_run_changes_nothing(made: Path) -> None:
    """What is there stays as it is, but the token between services, which is renewed."""
    before = contents(made)
    again = make_secrets(made)
    assert (again.returncode, again.stdout) == (0, "make-secrets: all are there\n")
    after = contents(made)
    assert before.pop("token/service.token") != after.pop("token/service.token")
    assert before == after


def test_missing_copy_is_the_same_secret(made: Path) -> None:
    """A password that is lost in one of its places comes back from the other."""
    before = contents(made)
    (made / "triage" / "kafka.password").unlink()
    assert make_secrets(made).returncode == 0
    assert (made / "triage" / "kafka.password").read_bytes() == before["topics/users/triage.password"]


def test_disagreement_is_told(made: Path) -> None:
    """Two places of one password with different content end the run with one line that names both."""
    (made / "review" / "database.password").chmod(0o600)
    (made / "review" / "database.password").write_text("other\n")
    run = make_secrets(made)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert "jubao_review.password" in run.stderr


def test_one_is_made_again(made: Path) -> None:
    """--again changes the named secret in all its places, and no other."""
    before = contents(made)
    assert make_secrets(made, "--again", "kafka.intake").returncode == 0
    after = contents(made)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"topics/users/intake.password", "intake/kafka.password", "token/service.token"}


def test_each_service_has_its_own_alone(made: Path) -> None:
    """No service's directory holds another's password, the owner's, or the issuer's key."""
    held = contents(made)
    for service in SERVICES:
        own = {content for name, content in held.items() if name.startswith(f"{service}/") and "jwks" not in name}
        others = {
            content
            for name, content in held.items()
            if name.partition("/")[0] in {*SERVICES, "desk", "log", "postgres", "kafka"} - {service}
            and "jwks" not in name
        }
        assert own
        assert not own & others


def test_files_are_closed_to_others(made: Path) -> None:
    """No secret can be read by other users of the machine, nor its directory entered."""
    assert made.stat().st_mode & 0o077 == 0
    assert not [p for p in made.rglob("*") if p.is_file() and p.suffix != ".json" and p.stat().st_mode & 0o007]


def test_issuer_signs_what_services_know(made: Path) -> None:
    """Each service's JWKS is that of the desk's key."""
    wanted = LocalIssuer(made / "desk" / "issuer.pem", issuer="", audience="").jwks()
    assert all((made / service / "jwks.json").read_bytes() == wanted for service in SERVICES)

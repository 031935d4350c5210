"""Which tests a run takes: what it leaves is said with the reason, and without Docker a run on containers fails."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def collected(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_a_run_on_containers_leaves_what_needs_none() -> None:
    """Tests without engines and those of the embedded ones are left out by count and reason; the others are taken."""
    done = collected(
        "--engines=containers", "--collect-only", "tests/unit/test_issuer.py", "tests/migration/test_roles.py",
        "tests/integration/test_stack_engines.py",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "tests were left out: they need no engine: `make test`" in done.stdout
    assert "6 tests were left out: about the embedded engines alone, which it kills" in done.stdout
    assert "tests/migration/test_roles.py::test_no_service_reads_anothers_tables" in done.stdout
    assert "test_issuer.py::" not in done.stdout


def test_without_docker_a_run_on_containers_fails() -> None:
    """Where no Docker engine answers the run ends with one sentence and exit code 1, and no test is skipped."""
    done = collected("--engines=containers", "tests/migration/test_roles.py", DOCKER_HOST="tcp://127.0.0.1:9")
    assert done.returncode == 1
    assert "need a Docker engine, and none answers" in done.stdout + done.stderr
    assert "skipped" not in done.stdout

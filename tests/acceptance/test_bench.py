"""The benchmarks run from end to end, on few records and a small log."""

import json
import subprocess

import pytest

from tests.acceptance.stack import JUBAO, clean_environment

_SECONDS = 540
_RECORDS = 1_000


@pytest.mark.embedded("the benchmark brings engines of its own")
def test_the_pipeline_is_measured() -> None:
    """All three do the same work, rows of ours and the floor's are equal, and the exit code says whether goals hold."""
    done = subprocess.run(
        [JUBAO, "bench", "pipeline", "--runs", "1", "--records", str(_RECORDS), "--json"],
        env=clean_environment(), capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    obvious, floor = json.loads(done.stdout)
    assert (obvious["name"], floor["name"]) == ("pipeline.obvious", "pipeline.floor")
    assert done.returncode == (0 if obvious["holds"] and floor["holds"] else 1)
    for result in (obvious, floor):
        assert result["holds"] == (result["ratio"] >= result["goal"] > 0)
        assert result["runs"] == 1
        assert result["ratio"] > 0
    figures = floor["figures"]
    assert figures["records"] == figures["other_records"] == _RECORDS
    # The warm-up is a tenth, and each report leaves one row and three entries.
    assert figures["rows"]["review.reports"] == figures["other_rows"]["review.reports"] == _RECORDS * 11 // 10
    assert figures["rows"]["audit.entries"] == figures["other_rows"]["audit.entries"] == 3 * _RECORDS * 11 // 10
    assert figures["rows"]["review.ready"] == figures["rows"]["review.cases"] == figures["other_rows"]["review.cases"]
    assert obvious["figures"]["other_rows"]["obvious.reports"] == 100 + obvious["figures"]["other_records"]
    assert {"postgres", "kafka", "triage.public", "review.public", "records"} <= set(figures["cpu_ms_a_report"])


@pytest.mark.embedded("the benchmark brings engines of its own")
def test_the_log_is_measured() -> None:
    """Ingest, verifying, proofs, checkpoints and searches are each measured, and nothing but figures is printed."""
    done = subprocess.run(
        [JUBAO, "bench", "audit", "--runs", "1", "--records", "3000", "--entries", "10000", "--json"],
        env=clean_environment(), capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    ingest, verify, *timed = told
    assert [result["name"] for result in (ingest, verify)] == ["audit.ingest", "audit.verify"]
    assert [result["name"] for result in timed] == ["audit.proof", "audit.checkpoint", "audit.search"]
    assert done.returncode == (0 if all(result["holds"] for result in told) else 1)
    for result in told:
        assert result["holds"] == (result["ratio"] >= result["goal"] > 0)
    assert ingest["figures"]["records"] == 3_000
    assert verify["figures"]["entries"] >= 10_000
    for result in timed:
        figures = result["figures"]
        assert result["ratio"] == pytest.approx(figures["goal_ms"] / figures["p95_ms"], rel=0.01)
        assert 0 < figures["p50_ms"] <= figures["p95_ms"] <= figures["max_ms"]
    assert timed[2]["figures"]["pairs"] == 28

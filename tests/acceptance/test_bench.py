"""The benchmark runs from end to end: a fresh stack, the obvious build and the floor, on few records."""

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

"""What docs/operations/backup.md says of a backup of which only one half is brought back, shown on a stack."""

import json
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.cli.stack.directory import DataDirectory
from services.cli.stack.probe import standing
from tests.acceptance import records
from tests.acceptance.stack import JUBAO, Stack, clean_environment
from tests.engines.stacks import EmbeddedEngines

pytestmark = pytest.mark.embedded("whose directories it copies and puts back")

DECISION = {"verdict": "against_terms", "violates": "TERMS-4.2", "actions": ["demote"], "reason": "夸大收益"}
EARLIER, LATER = 30, 20


@pytest.fixture
def lone_stack() -> Iterator[Stack]:
    """A stack that is up, in a directory whose parts the test may exchange while it is down."""
    with TemporaryDirectory(prefix="jubao-restore-", ignore_cleanup_errors=True) as directory:
        made = Stack(Path(directory), clean_environment(), EmbeddedEngines)
        made.up()
        yield made
        made.down()


def copied(source: Path, target: Path) -> None:
    """A copy that its engine can run on: owners and modes as they were."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def decided(stack: Stack) -> str:
    """The item of the case that comes next, which is decided."""
    with stack.http("wang", "reviewer") as http:
        (claim,) = http.post("/review/v1/claims", json={}).raise_for_status().json()["claims"]
        body = {"lease": claim["lease"]["token"], **DECISION}
        http.post(f"/review/v1/cases/{claim['case']['id']}/decisions", json=body).raise_for_status()
    return str(claim["case"]["content"]["id"])


def states(stack: Stack, content_id: str) -> list[str]:
    """The states of an item's cases."""
    with stack.http("wang", "reviewer") as http:
        found = http.get("/review/v1/cases", params={"content_id": content_id}).raise_for_status().json()["cases"]
    return sorted(case["state"] for case in found)


def told(stack: Stack, process: str, *words: str, seconds: float = 110) -> str:
    """What a process of a stack that is being started waits for; the start is then given up."""
    start = subprocess.Popen(
        [str(JUBAO), "up", "--port", str(stack.port), "--data", str(stack.data)],
        env=stack.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"unix:{DataDirectory.of(stack.data).socket_of(process)}"
    end = time.monotonic() + seconds
    said = ""
    try:
        while not all(word in said for word in words):
            assert time.monotonic() < end, f"{process} said: {said}\n{stack.logs()}"
            assert start.poll() is None, stack.logs()
            time.sleep(0.5)
            said = standing(address, "/readyz").waits
    finally:
        start.terminate()
        start.wait(60)
    return said


def outcome_ids(stack: Stack) -> set[str]:
    """The outcomes that were ever announced: ids, of which a repeat counts once for every consumer."""
    return {json.loads(record.value)["id"] for record in stack.consume("outcomes.v1")}


def outcomes_kept(stack: Stack) -> int:
    """How many reports have an outcome that their reporters can ask for."""
    return int(stack.sql("SELECT count(*) AS n FROM outcomes.outcomes")[0]["n"])


def log_size(stack: Stack) -> int:
    """How many entries the log has; a search would add one for itself."""
    return int(stack.sql("SELECT size FROM audit.head")[0]["size"])


def test_database_set_back_with_topics_kept(lone_stack: Stack) -> None:
    """With the database alone set back, all but the log goes on; reports and outcomes come back, decisions not."""
    stack = lone_stack
    seed = random.Random(11)
    police = stack.source("police")
    stack.report(police, "v_before")
    stack.produce("reports.public.v1", records.ordinary(seed, EARLIER, "before"))
    stack.settle()
    assert decided(stack) == "v_before"
    stack.settle()
    before = log_size(stack)
    stack.down()
    copied(stack.data / "postgres", stack.directory / "backup")

    stack.up()
    stack.report(police, "v_after")
    stack.produce("reports.public.v1", records.ordinary(seed, LATER, "after"))
    stack.settle()
    assert decided(stack) == "v_after"
    whole = stack.settle()["reports"]
    entries = log_size(stack)
    announced = outcome_ids(stack)
    assert len(announced) == outcomes_kept(stack) == 2
    stack.down()

    copied(stack.directory / "backup", stack.data / "postgres")
    stack.up()
    (alarm,) = stack.answer["alarms"]
    assert f"has {before} entries of the log, but a checkpoint of {entries} was published: it was set back" in alarm
    assert [part["name"] for part in stack.status()["services"] if not part["healthy"]] == ["records"]
    stack.report(police, "v_meanwhile")
    stack.until(lambda: states(stack, "v_meanwhile") == ["queued"])
    found = stack.jubao("audit", "verify", "--json", check=False)
    assert found.returncode == 1
    assert not json.loads(found.stdout)["ok"]
    assert log_size(stack) == before
    stack.down()

    for name in ("checkpoints", "keys"):
        (stack.data / "audit" / name).rename(stack.directory / name)
    stack.ask("db", "set-aside", "audit")
    stack.up()
    whole = {what: count + (what in {"received", "queued"}) for what, count in whole.items()}
    assert stack.settle()["reports"] == whole
    assert states(stack, "v_before") == ["decided"]
    assert states(stack, "v_after") == states(stack, "v_meanwhile") == ["queued"]
    assert outcomes_kept(stack) == 2
    assert outcome_ids(stack) == announced
    assert log_size(stack) >= entries
    stack.until((stack.data / "audit" / "checkpoints").exists)
    assert stack.ask("audit", "verify", "--gap-seconds", 86_400)["ok"]

    assert decided(stack) == "v_after"
    assert stack.settle()["reports"] == whole
    assert outcomes_kept(stack) == 2
    assert outcome_ids(stack) == announced


def test_topics_lost_with_database_kept(lone_stack: Stack) -> None:
    """With the topics alone lost, consumers stand and say so; told to forget, nothing kept is lost or doubled."""
    stack = lone_stack
    police = stack.source("police")
    stack.report(police, "v_before")
    stack.produce("reports.public.v1", records.ordinary(random.Random(12), EARLIER, "before"))
    whole = stack.settle()["reports"]
    entries = stack.entries()
    stack.down()

    shutil.rmtree(stack.data / "kafka")
    said = told(stack, "flagged", "has offsets of broker")
    assert "jubao db forget-offsets" in said
    forgotten = {row["service"]: row["partitions"] for row in stack.ask("db", "forget-offsets")}
    assert forgotten["triage"]
    assert forgotten["audit"]
    stack.up()
    assert stack.settle()["reports"] == whole
    assert stack.entries()[: len(entries)] == entries
    assert states(stack, "v_before") == ["queued"]

    stack.report(police, "v_after")
    assert stack.settle()["reports"]["queued"] == whole["queued"] + 1
    with stack.http("wang", "reviewer") as http:
        (case,) = http.get("/review/v1/cases", params={"content_id": "v_after"}).raise_for_status().json()["cases"]
    # The new broker does not know the source yet, so its attestation counts for nothing: page, step 3.
    assert case["class"] == "P3"
    assert decided(stack) == "v_before"
    assert stack.settle()["reports"]["decided"] == whole["decided"] + 1

"""What a superuser of the database changes beside the leaves, so that searches and disclosures say something else."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.acceptance import records
from tests.acceptance.stack import Stack

SCRIPT = Path(__file__).parents[2] / "docs" / "verify_log.py"
REPORTS = 60
# Whoever does this has all rights, and is past the triggers.
BY_HAND = "DO $$ BEGIN SET LOCAL session_replication_role = replica; {} END $$"


@pytest.fixture(scope="module")
def logged(stack_with: Callable[..., Stack]) -> Stack:
    """A stack whose log has some reports, and checkpoints over them."""
    stack = stack_with(checkpoint_seconds=1)
    stack.produce("reports.public.v1", records.ordinary(random.Random(21), REPORTS, "beside"))
    stack.settle()
    stack.until(lambda: int(stack.sql("SELECT max(size) FROM audit.checkpoints")[0][0] or 0) > REPORTS)
    return stack


def verified(stack: Stack) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(stack.jubao("audit", "verify", "--json", check=False).stdout)
    return told


class Change(NamedTuple):
    """What is changed, with what undoes it, the entry that it concerns (None: the first with a private part)."""

    what: str
    done: str
    undone: str
    index: int | None = None


FIRST = "index = (SELECT min(index) FROM audit.private)"
CHANGES = [
    Change("actor", "entries SET actor = 'zhao' || actor WHERE index = 7",
           "entries SET actor = substr(actor, 5) WHERE index = 7", 7),
    Change("type", "entries SET type = 'x' || type WHERE index = 9",
           "entries SET type = substr(type, 2) WHERE index = 9", 9),
    Change("doings", "doings SET span = span + 900 WHERE span = 0", "doings SET span = span - 900 WHERE span = 900", 0),
    Change("private", f"private SET part = part || 'x' WHERE {FIRST}",
           f"private SET part = substr(part, 1, length(part) - 1) WHERE {FIRST}"),
    Change("private", f"private SET index = index + 90000 WHERE {FIRST}",
           "private SET index = index - 90000 WHERE index > 90000"),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=["actor", "type", "doings", "changed part", "lost part"])
def test_what_was_changed_beside_a_leaf_is_found(logged: Stack, tmp_path: Path, change: Change) -> None:
    """Live, on an export and by the script that shares no code: each names the entry and what says otherwise."""
    ((first,),) = logged.sql("SELECT min(index) FROM audit.private")
    at = first if change.index is None else change.index
    assert verified(logged)["ok"]
    logged.sql(BY_HAND.format(f"UPDATE audit.{change.done};"))
    try:
        found = verified(logged)
        assert not found["ok"]
        assert [p["kind"] for p in found["problems"] if p["index"] <= at < p.get("end", p["index"] + 1)] == ["altered"]
        assert found["problems"][0]["what"].endswith(f"than its leaf: {change.what}")
        files = [tmp_path / name for name in ("entries", "checkpoints", "keys")]
        logged.jubao("audit", "export", "--out", files[0], "--checkpoints", files[1], "--key", files[2])
        asked = [sys.executable, str(SCRIPT), *map(str, files)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"entry {at}: altered" in done.stdout
    finally:
        logged.sql(BY_HAND.format(f"UPDATE audit.{change.undone};"))
    assert verified(logged)["ok"]


def test_a_changed_part_is_not_disclosed(logged: Stack) -> None:
    """What does not fit its commitment is not handed out as what was logged; whoever asks is told so."""
    ((at,),) = logged.sql("SELECT min(index) FROM audit.private")
    change = f"UPDATE audit.private SET part = convert_to('{{\"text\":\"other\"}}', 'UTF8') WHERE index = {at};"
    ((part,),) = logged.sql("SELECT part FROM audit.private WHERE index = $1", at)
    logged.sql(BY_HAND.format(change))
    try:
        done = logged.jubao("audit", "disclose", at, "--ground", "法院调取", check=False)
        assert done.returncode == 1
        assert "is not handed out" in done.stderr
        assert "other" not in done.stdout
    finally:
        logged.sql(BY_HAND.format(f"UPDATE audit.private SET part = '\\x{part.hex()}' WHERE index = {at};"))
    told = logged.ask("audit", "disclose", at, "--ground", "法院调取")
    assert told["index"] == at


def test_a_leaf_that_is_none_is_told_as_that(logged: Stack) -> None:
    """Where a leaf was overwritten, search, story and disclosure name the entry instead of ending unforeseen."""
    ((at, leaf, report_id),) = logged.sql(
        "SELECT index, leaf, report_id FROM audit.entries WHERE report_id IS NOT NULL ORDER BY index LIMIT 1"
    )
    logged.sql(BY_HAND.format(f"UPDATE audit.entries SET leaf = 'gone' WHERE index = {at};"))
    try:
        for asked in (
            ["search", "--report", report_id],
            ["story", report_id],
            ["disclose", at, "--ground", "法院调取"],
        ):
            done = logged.jubao("audit", *asked, check=False)
            assert done.returncode == 1
            assert f"entry {at} is not what was logged" in done.stderr
    finally:
        logged.sql(BY_HAND.format(f"UPDATE audit.entries SET leaf = '\\x{leaf.hex()}' WHERE index = {at};"))
    assert verified(logged)["ok"]


def test_a_checkpoint_gone_from_table_and_file_is_missed_by_the_topic(logged: Stack) -> None:
    """Who removes a checkpoint from the database and from the file beside it has not removed it from Kafka."""
    file = logged.data / "audit" / "checkpoints"
    ((size, note),) = logged.sql("SELECT size, note FROM audit.checkpoints ORDER BY number DESC LIMIT 1")
    kept = file.read_text()
    assert kept.endswith(f"{note}\n")
    file.write_text(kept.removesuffix(f"{note}\n"))
    logged.sql(BY_HAND.format(f"DELETE FROM audit.checkpoints WHERE size = {size};"))
    problems = verified(logged)["problems"]
    assert [(p["kind"], p["index"]) for p in problems] == [("dropped checkpoint", size)]

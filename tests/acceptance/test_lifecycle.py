"""A stack is started, filled, stopped and started again; what it held is there, and nothing runs on after `down`."""

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.acceptance.stack import Stack

TOPICS = ("race", "region", "gender")


def _cold(path: Path, rows: int, seed: random.Random) -> int:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", "split", "topic", "label", "TEXT"])
        for n in range(rows):
            # The index column repeats, as in the real file.
            writer.writerow(
                [n % (rows * 3 // 4), "dev", seed.choice(TOPICS), n % 2, f'第{n}条：换行\n和"引号"，还有逗号']
            )
    return rows


def _votes(path: Path, rows: int, seed: random.Random) -> tuple[int, int]:
    reports = items = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", "count", "hate_speech", "offensive_language", "neither", "class", "tweet"])
        for n in range(rows):
            hate, offensive, neither = seed.randrange(3), seed.randrange(4), seed.randrange(3)
            writer.writerow(
                [n, hate + offensive + neither, hate, offensive, neither, 1, f"!!! RT @someone: tweet {n} &amp; more"]
            )
            reports += hate + offensive
            items += bool(hate + offensive)
    return reports, items


def test_imports_counts_and_restart(new_stack: Callable[..., Stack], tmp_path: Path) -> None:
    """Every row of a cold file and every counted vote is a report, one open case an item; again and anew the same."""
    seed = random.Random(1)
    cold_rows = _cold(tmp_path / "cold.csv", 900, seed)
    vote_reports, vote_items = _votes(tmp_path / "votes.csv", 700, seed)
    stack = new_stack()
    # What depends on the stack alone stays under the bar of 1.5 GiB in proportional memory.
    assert _proportional_bytes(stack) <= 1.5 * 2**30
    assert stack.ask("import", tmp_path / "cold.csv", "--format", "cold")["accepted"] == cold_rows
    assert stack.ask("import", tmp_path / "votes.csv", "--format", "votes")["accepted"] == vote_reports
    first = stack.settle()
    assert first["reports"] == {
        "received": cold_rows + vote_reports,
        "queued": cold_rows + vote_reports,
        "decided": 0,
        "dead": 0,
    }
    assert sum(q["waiting"] for q in first["queues"]) == cold_rows + vote_items

    stack.ask("import", tmp_path / "cold.csv", "--format", "cold")
    stack.ask("import", tmp_path / "votes.csv", "--format", "votes")
    second = stack.settle()
    assert second["reports"] == first["reports"]
    assert sum(q["waiting"] for q in second["queues"]) == cold_rows + vote_items

    running = stack.serving()
    family = [*running, *(p for one in running for p in one.parents() if "up" in p.cmdline())]
    stack.down()
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(stack.data) in " ".join(p.info["cmdline"] or [])]
    stack.up()
    assert stack.settle()["reports"] == first["reports"]


def _proportional_bytes(stack: Stack) -> int:
    processes = [p for p in psutil.process_iter(["cmdline"]) if str(stack.data) in " ".join(p.info["cmdline"] or [])]
    family = {c.pid: c for p in [*processes, *stack.serving()] for c in [p, *p.children(recursive=True)]}
    return sum(p.memory_full_info().pss for p in family.values())


def test_jsonl_import(stack: Stack, tmp_path: Path) -> None:
    """Lines of report data are reports; a line that does not fit is rejected and the others go through."""
    good = [
        {
            "report_id": f"0190aaaa-0000-7000-8000-{n:012x}",
            "channel": "web_form",
            "reporter": f"u{n}",
            "occurred_at": "2026-02-01T00:00:00Z",
            "source": {"kind": "user"},
            "content": {"id": f"v_jsonl_{n}", "type": "comment"},
            "category": "self_harm",
        }
        for n in range(20)
    ]
    lines = [json.dumps(g) for g in good]
    lines[3:3] = ["not json", json.dumps({**good[0], "category": "boredom"})]
    (tmp_path / "reports.jsonl").write_text("\n".join(lines))
    before = stack.settle()["reports"]["queued"]
    told = stack.ask("import", tmp_path / "reports.jsonl", "--format", "jsonl")
    assert (told["read"], told["accepted"], told["rejected"]) == (22, 20, 2)
    assert stack.settle()["reports"]["queued"] == before + 20


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["import", "nowhere.csv", "--format", "cold"], 1), (["nonsense"], 2), (["import", "--format", "cold"], 2)],
)
def test_wrong_use_is_told_in_a_sentence(stack: Stack, arguments: list[str], code: int) -> None:
    """Wrong use exits 2 and failed work 1, each with one sentence on standard error."""
    done = stack.jubao(*arguments, check=False)
    assert done.returncode == code
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_settings_are_shown_masked(stack: Stack) -> None:
    """`status --settings` shows every setting and no password."""
    password = stack.answer["database"].split(":")[2].split("@")[0]
    shown = stack.jubao("status", "--settings", "--json").stdout
    assert password not in shown
    assert json.loads(shown)["kafka"] == stack.answer["kafka"]


def test_settings_shown_are_those_that_run(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shell would start a stack with is not what `status --settings` says of one that runs."""
    runs = stack.ask("status", "--settings")
    monkeypatch.setitem(stack.environment, "JUBAO_LEASE_SECONDS", "7")
    assert stack.ask("status", "--settings") == runs

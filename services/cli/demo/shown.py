"""How the demonstration is told: a table of what the services answered, the log's entries, and how to go on."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.cli.demo.crowd import Crowd
from services.cli.tables import table_of

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Story:
    """All that was found. What comes from HTTP stands as it was answered; the last three were measured here."""

    seed: int
    crowd: Crowd
    report_id: str
    case: Mapping[str, Any]
    """As it was claimed."""
    decision: Mapping[str, Any]
    """As the decision was answered."""
    outcome: Mapping[str, Any]
    """As its source was told."""
    entries: Sequence[Mapping[str, Any]]
    reviewer: str
    sent: int
    """Reports that the broker acknowledged."""
    claim_seconds: float
    """From the 202 to the answer of the claim."""
    seconds: float
    """From the first report to the last entry."""

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        crowd = self.crowd
        return {
            "seed": self.seed,
            "ordinary": {
                "sent": self.sent,
                "new": crowd.new,
                "queued": crowd.queued,
                "waiting": crowd.waiting,
                "waiting_by_class": crowd.waiting_by_class,
                "hottest": {name: crowd.hottest[name] for name in ("id", "content_id", "report_count")},
            },
            "police": {
                "report_id": self.report_id,
                "case_id": self.case["id"],
                "class": self.case["class"],
                "ruling": self.case["ruling"],
                "received_at": self.outcome["received_at"],
                "queued_at": _at(self.case, "opened"),
                "claimed_at": _at(self.case, "claimed"),
                "decided_at": self.outcome["decided_at"],
                "verdict": self.outcome["verdict"],
                "actions": self.outcome["actions"],
                "entries": [{name: e[name] for name in ("index", "time", "type", "actor")} for e in self.entries],
            },
            "reviewer": self.reviewer,
            "claim_seconds": round(self.claim_seconds, 3),
            "seconds": round(self.seconds, 1),
        }


def told(story: Story) -> "RenderableType":
    """What was found, for a person."""
    from rich.console import Group  # noqa: PLC0415 -- slow to import, for people only
    from rich.text import Text  # noqa: PLC0415 -- likewise

    known = "" if story.crowd.new else " They were in before, and a report is queued once: none of them is new."
    return Group(
        Text(f"Sent {story.sent:,} ordinary reports of seed {story.seed}, then one police report.{known}\n"),
        table_of(_steps(story), ("step", "answer", "time UTC", "after")),
        Text(f"\n{story.case['class']} because {_inputs(story.case['ruling'])}."),
        Text(f"From the 202 to the claim's answer, by this command's own watch: {story.claim_seconds:.3f} s.\n"),
        Text(f"What the log has of report {story.report_id}:"),
        table_of([_entry(entry) for entry in story.entries]),
    )


def how_to_go_on(story: Story, data: Path | None, http: str) -> str:
    """Commands to copy, each on a line of its own however narrow the terminal is."""
    jubao = _program()
    where = f" --data {shlex.quote(str(data))}" if data is not None else ""
    headers = '-H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json"'
    finding = '{"lease": "LEASE", "verdict": "no_violation", "reason": "..."}'
    return "\n".join(
        (
            "",
            f"Jubao runs at {http}. To go on, as the reviewer {story.reviewer}:",
            f"  TOKEN=$({jubao} token {story.reviewer}{where})",
            f"  curl -s {headers} -d '{{\"max\": 1}}' {http}/review/v1/claims",
            f"  curl -s {headers} -d '{finding}' {http}/review/v1/cases/CASE/decisions",
            "As an auditor, as the platform, as who keeps it running:",
            f"  {jubao} audit search --report-id {story.report_id}{where}",
            f"  {jubao} import FILE --format jsonl{where}",
            f"  {jubao} status{where}",
            f"  {jubao} down{where}",
            f"The last one stops it. Its data stays, and `{jubao} up --detach{where}` finds it again.",
        )
    )


def _steps(story: Story) -> list[dict[str, Any]]:
    crowd, case, outcome = story.crowd, story.case, story.outcome
    ruling = case["ruling"]
    classes = ", ".join(f"{name} {count:,}" for name, count in crowd.waiting_by_class.items())
    reached = next(e["time"] for e in reversed(story.entries) if e["type"] == "jubao.outcome.reached.v1")
    received = outcome["received_at"]
    rows: list[tuple[str, str, str | None]] = [
        ("ordinary reports queued", f"{crowd.new:,} new, {crowd.queued:,} in all", None),
        ("cases that wait", f"{crowd.waiting:,} ({classes})", None),
        ("hottest item", f"{crowd.hottest['report_count']:,} reports, one case", None),
        ("police report taken", f"class {outcome['class']}", received),
        ("  by the rule", f"{ruling['policy']} {ruling['version']}: {ruling['rule']}", None),
        ("queued", f"queue {case['queue']}, due {_clock(case['due_at'])[:8]}", _at(case, "opened")),
        ("claimed", f"first, past the {crowd.waiting:,} that wait", _at(case, "claimed")),
        ("decided", f"{story.decision['verdict']}, {', '.join(story.decision['actions'])}", outcome["decided_at"]),
        ("told to its source", f"{outcome['state']}: {outcome['verdict']}", reached),
        ("in the log", f"{len(story.entries)} entries", story.entries[-1]["time"]),
    ]
    return [
        {
            "step": step,
            "answer": answer,
            "time UTC": _clock(at) if at else "",
            "after": f"{_seconds(received, at):.3f} s" if at else "",
        }
        for step, answer, at in rows
    ]


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "index": entry["index"],
        "time": _clock(entry["time"]),
        "what": entry["type"].removeprefix("jubao.").removesuffix(".v1"),
        "actor": entry["actor"],
    }


def _program() -> str:
    """This command as it can be typed here."""
    called = sys.argv[0]
    if not os.path.basename(called).startswith("jubao") or shutil.which("jubao") == called:  # noqa: PTH119 -- a string
        return "jubao"
    beside = os.path.relpath(called)
    return called if beside.startswith("..") else beside


def _at(case: Mapping[str, Any], change: str) -> str:
    at: str = next(happened["at"] for happened in case["history"] if happened["change"] == change)
    return at


def _clock(at: str) -> str:
    return datetime.fromisoformat(at).strftime("%H:%M:%S.%f")[:-3]


def _seconds(since: str, until: str) -> float:
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()


def _inputs(ruling: Mapping[str, Any]) -> str:
    return ", ".join(f"{path} is {_word(value)}" for path, value in ruling["inputs"].items())


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

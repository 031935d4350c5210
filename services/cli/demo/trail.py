"""What the log tells of the police report: every step an entry, every entry's cause another one."""

from pathlib import Path
from typing import Any
from uuid import UUID

from schemas.activity import VIEWED
from services.cli.client import client
from services.cli.demo.failure import NotAsPromised, awaited

STEPS = (
    "jubao.report.submitted.v1",
    "jubao.report.triaged.v1",
    "jubao.case.opened.v1",
    "jubao.case.claimed.v1",
    "jubao.decision.made.v1",
    "jubao.outcome.reached.v1",
)
"""A report's way, in the order in which each leads to the next."""

_LOGGED_SECONDS = 180.0
_PAUSE_SECONDS = 0.1


def entries(data: Path | None, report_id: UUID) -> list[dict[str, Any]]:
    """The log's entries of the report and its case once all steps are among them, in order of their time.

    Looks at them are left out: these calls are such looks.

    Raises:
        Late: a step is not in the log, which may be far behind the other services.
        NotAsPromised: an entry names a cause that is not there, or came before it.
    """
    with client(data, role="auditor") as http:

        def ask() -> list[dict[str, Any]] | None:
            found: list[dict[str, Any]] = http.get("/audit/v1/entries", params={"report_id": str(report_id)}).json()[
                "entries"
            ]
            return found if {entry["type"] for entry in found} >= set(STEPS) else None

        found = awaited(
            ask,
            what="the log did not have every step of the police report",
            seconds=_LOGGED_SECONDS,
            pause_seconds=_PAUSE_SECONDS,
        )
    found = [entry for entry in found if entry["type"] != VIEWED]
    _hold_causes(found)
    return sorted(found, key=lambda entry: (entry["time"], _place(entry)))


def _hold_causes(found: list[dict[str, Any]]) -> None:
    times = {entry["detail"]["id"]: entry["time"] for entry in found}
    for entry in found:
        cause = entry["detail"].get("causationid")
        if cause is not None and times.get(cause, "~") > entry["time"]:
            raise NotAsPromised(
                f"the cause of the entry {entry['index']} is not in the log before it", "run it again and tell us"
            )


def _place(entry: dict[str, Any]) -> int:
    """Steps of the same millisecond stand in the order in which one leads to the other."""
    return STEPS.index(entry["type"]) if entry["type"] in STEPS else len(STEPS)

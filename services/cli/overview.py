"""What every part of a stack says of itself, gathered as `jubao status` shows it."""

from pathlib import Path
from typing import Any

from services.cli.client import client, running_stack
from services.cli.errors import CliError
from services.cli.stack.probe import Standing, standing
from services.cli.stack.state import SlotState, StackState
from services.runtime.settings import Settings

_WEB = ("intake", "triage", "review", "outcomes", "audit")
# The way of a report to its queue; what else lags is told in its service's detail.
_LAG = {"triage": "reports.", "review": "triage."}


def collect(data: Path | None) -> dict[str, Any]:
    """Services, lag, counts and queues as one object, as the interface names them.

    Raises:
        CliError: no stack is found, or its web process does not answer.
    """
    state = running_stack(data)
    services: list[dict[str, Any]] = [*_processes(state)] if state is not None else _watched(Settings().watch)
    lag: dict[str, int] = {}
    counts: dict[str, int] = {}
    dead = 0
    queues: list[dict[str, Any]] = []
    with client(data) as http:
        for name in _WEB:
            try:
                told = http.get(f"/{name}/v1/status").json()
            except CliError as error:
                services.append({"name": name, "healthy": False, "detail": str(error)})
                continue
            counts |= told["counts"]
            behind = told["lag"]
            if name in _LAG:
                lag |= {topic: count for topic, count in behind.items() if topic.startswith(_LAG[name])}
                dead += told["dead"]
                behind = {}
            waiting = sum(behind.values())
            detail = f"{waiting} records behind" if waiting else ""
            if name not in _LAG and told["dead"]:
                detail = f"{detail}, {told['dead']} dead letters".lstrip(", ")
            services.append({"name": name, "healthy": True, "detail": detail})
        if any(s["name"] == "review" and s["healthy"] for s in services):
            queues = http.get("/review/v1/queues").json()
    queued = counts.get("queued", 0)
    return {
        "services": services,
        "lag": lag,
        "reports": {
            "received": queued + dead + sum(lag.values()),
            "queued": queued,
            "decided": counts.get("decided", 0),
            "dead": dead,
        },
        "queues": queues,
    }


def _watched(watch: str) -> list[dict[str, Any]]:
    """The processes of a deployment that are named to us, as they tell of themselves."""
    named = (part.strip().partition("=") for part in watch.split(",") if part.strip())
    return [{"name": name, **_told(standing(address, "/readyz"))} for name, _, address in named]


def _told(told: Standing) -> dict[str, Any]:
    return {"healthy": told.ready, "detail": told.waits if told.answers else "does not answer"}


def _processes(state: StackState) -> list[dict[str, Any]]:
    return [{"name": slot.name, **_fares(slot)} for slot in state.slots]


def _fares(slot: SlotState) -> dict[str, Any]:
    process = slot.process.process() if slot.process is not None else None
    born_again = f"started {slot.starts} times, last exit {slot.last_exit}" if slot.starts > 1 else ""
    if process is None:
        return {"healthy": False, "detail": f"is not running; {born_again or 'the supervisor starts it'}"}
    if not slot.health.startswith("unix:"):
        return {"healthy": True, "detail": born_again}
    told = standing(slot.health, "/readyz")
    if not told.answers:
        return {"healthy": False, "detail": f"pid {process.pid} does not answer; {born_again}".rstrip("; ")}
    return {"healthy": told.ready, "detail": "; ".join(filter(None, (told.waits, born_again)))}

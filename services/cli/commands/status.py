"""`jubao status`: whether every part works, how far the consumers are behind, and what waits."""

import json
from pathlib import Path
from typing import Any

import click

from services.cli.client import client, running_stack, settings_for
from services.cli.errors import CliError
from services.cli.options import data_option, json_option
from services.cli.output import emit
from services.cli.stack import probe
from services.cli.stack.state import SlotState, StackState
from services.cli.tables import table_of

_WEB = ("intake", "triage", "review", "outcomes", "audit")
# The way of a report to its queue; what else lags is told in its service's detail.
_LAG = {"triage": "reports.", "review": "triage."}


@click.command(name="status")
@click.option("--settings", "show_settings", is_flag=True, help="Show the settings in force, secrets masked.")
@data_option
@json_option
def command(data: Path | None, *, show_settings: bool, as_json: bool) -> None:
    """Show services, lag, reports and queues; exit 1 where a part does not work."""
    if show_settings:
        shown = settings_for(data).masked()
        emit(shown, json=as_json, table=lambda: table_of([{"setting": k, "value": v} for k, v in shown.items()]))
        return
    found = collect(data)
    emit(found, json=as_json, table=lambda: _tables(found))
    ailing = [s["name"] for s in found["services"] if not s["healthy"]]
    if ailing:
        raise CliError(f"not healthy: {', '.join(ailing)}; the detail beside each says what it waits for")


def collect(data: Path | None) -> dict[str, Any]:
    """Services, lag, counts and queues as one object, as the interface names them.

    Raises:
        CliError: no stack is found, or its web process does not answer.
    """
    state = running_stack(data)
    services: list[dict[str, Any]] = [*_processes(state)] if state is not None else []
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


def _processes(state: StackState) -> list[dict[str, Any]]:
    return [{"name": slot.name, **_fares(slot)} for slot in state.slots]


def _fares(slot: SlotState) -> dict[str, Any]:
    process = slot.process.process() if slot.process is not None else None
    born_again = f"started {slot.starts} times, last exit {slot.last_exit}" if slot.starts > 1 else ""
    if process is None:
        return {"healthy": False, "detail": f"is not running; {born_again or 'the supervisor starts it'}"}
    if not slot.health.startswith("unix:"):
        return {"healthy": True, "detail": born_again}
    answer = probe.asked(slot.health, "/readyz")
    if answer is None:
        return {"healthy": False, "detail": f"pid {process.pid} does not answer; {born_again}".rstrip("; ")}
    waits = json.loads(answer[1]).get("waits", {})
    told = "; ".join(f"{name}: {what}" for name, what in waits.items())
    return {"healthy": not waits, "detail": "; ".join(filter(None, (told, born_again)))}


def _tables(found: dict[str, Any]) -> Any:  # noqa: ANN401 -- a group of rich tables
    from rich.console import Group  # noqa: PLC0415 -- costs a tenth of a second, and only people need it

    lag = [{"topic": topic, "lag": count} for topic, count in found["lag"].items()]
    parts = (table_of(found["services"]), table_of([found["reports"]]), table_of(lag), table_of(found["queues"]))
    return Group(*(part for pair in parts for part in (pair, "")))

"""`jubao case`: one case with its reports and everything that happened to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from services.cli.client import client
from services.cli.options import data_option, json_option
from services.cli.output import emit
from services.cli.tables import table_of

if TYPE_CHECKING:
    from rich.console import RenderableType

_FACTS = ("id", "state", "class", "queue", "content_id", "report_count", "reporter_count", "opened_at", "due_at")
_REPORTED = ("report_id", "class", "received_at", "category", "channel")
_HAPPENED = ("at", "actor", "change", "to", "class", "why", "fence")
_TO_THE_SECOND = 19
_DECIDED = ("verdict", "violates", "actions", "reason", "decided_by", "decided_at")


@click.command(name="case")
@click.argument("case_id", type=click.UUID, metavar="ID")
@data_option
@json_option
def command(case_id: UUID, data: Path | None, *, as_json: bool) -> None:
    """Show one case: what was reported, why it has its class, who had it when, what was decided."""
    with client(data) as http:
        case = http.get(f"/review/v1/cases/{case_id}").json()
    emit(case, json=as_json, table=lambda: _tables(case))


def _tables(case: dict[str, Any]) -> "RenderableType":
    from rich.console import Group  # noqa: PLC0415 -- costs a tenth of a second, and only people need it

    ruling = case["ruling"]
    facts = {name: case[name] for name in _FACTS} | {"rule": f"{ruling['policy']} {ruling['version']} {ruling['rule']}"}
    parts: list[RenderableType] = [
        table_of([{"fact": name, "value": value} for name, value in _readable(facts).items()]),
        "",
        table_of([_readable(report) for report in case["reports"]], _REPORTED),
        "",
        table_of([_readable(happening) for happening in case["history"]], _HAPPENED),
    ]
    for name in ("decision", "previous"):
        if case[name]:
            decided = _readable(case[name])
            found = [{name: key, "value": decided[key]} for key in _DECIDED]
            parts += ["", table_of(found)]
    return Group(*parts)


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its times to the second, and its lists as words."""
    shown = dict(row)
    for name, value in row.items():
        if name.endswith("at") and isinstance(value, str):
            shown[name] = value[:_TO_THE_SECOND].replace("T", " ")
        elif isinstance(value, list):
            shown[name] = ", ".join(map(str, value))
    return shown

"""`jubao hold`: legal holds, which stop erasures."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click

from services.cli.client import client
from services.cli.commands.erase import on_what
from services.cli.options import data_option, json_option
from services.cli.output import emit
from services.cli.tables import table_of

_PAGE = 200
_TO_THE_SECOND = 19


@click.group(name="hold")
def command() -> None:
    """Legal holds: what they are on is not erased while they stand."""


@command.command()
@click.option("--content", "content_id", metavar="ID", help="All reports about this item.")
@click.option("--report", "report_id", type=click.UUID, metavar="ID", help="This report.")
@click.option("--source", "source_id", metavar="ID", help="All reports of this source.")
@click.option("--ground", required=True, metavar="TEXT", help="On which ground. It is kept: name no person in it.")
@data_option
@json_option
def add(data: Path | None, *, as_json: bool, ground: str, **on: object) -> None:
    """Place a hold on an item, a report or a source."""
    given = {name: str(value) for name, value in on.items() if value is not None}
    if len(given) != 1:
        raise click.UsageError("give one of --content, --report and --source")
    with client(data) as http:
        placed = http.post("/audit/v1/holds", json={**given, "ground": ground}).json()
    emit(placed, json=as_json, table=lambda: table_of([_row(placed)]))


@command.command(name="list")
@data_option
@json_option
def listing(data: Path | None, *, as_json: bool) -> None:
    """List all holds, the newest first, lifted ones too."""
    found: list[dict[str, Any]] = []
    cursor = None
    with client(data) as http:
        while True:
            page = http.get("/audit/v1/holds", params={"limit": _PAGE, **({"cursor": cursor} if cursor else {})}).json()
            found += page["holds"]
            cursor = page["next"]
            if cursor is None:
                break
    emit(found, json=as_json, table=lambda: table_of([_row(hold) for hold in found]))


@command.command()
@click.argument("hold_id", type=click.UUID, metavar="ID")
@data_option
@json_option
def lift(hold_id: UUID, data: Path | None, *, as_json: bool) -> None:
    """Lift a hold; erasures that it stopped go on by themselves."""
    with client(data) as http:
        lifted = http.post(f"/audit/v1/holds/{hold_id}/lift").json()
    emit(lifted, json=as_json, table=lambda: table_of([_row(lifted)]))


def _row(hold: dict[str, Any]) -> dict[str, Any]:
    return {
        "hold": hold["hold_id"],
        "on": on_what(hold),
        "ground": hold["ground"],
        "placed": f"{hold['placed_at'][:_TO_THE_SECOND]} {hold['placed_by']}",
        "lifted": f"{hold['lifted_at'][:_TO_THE_SECOND]} {hold['lifted_by']}" if hold["lifted_at"] else "-",
    }

"""`jubao status`: whether every part works, how far the consumers are behind, and what waits."""

from pathlib import Path
from typing import Any

import click

from services.cli.client import settings_in_force
from services.cli.errors import CliError
from services.cli.options import data_option, json_option
from services.cli.output import emit
from services.cli.overview import collect
from services.cli.tables import table_of


@click.command(name="status")
@click.option("--settings", "show_settings", is_flag=True, help="Show the settings in force, secrets masked.")
@data_option
@json_option
def command(data: Path | None, *, show_settings: bool, as_json: bool) -> None:
    """Show services, lag, reports and queues; exit 1 where a part does not work."""
    if show_settings:
        shown = settings_in_force(data).masked()
        emit(shown, json=as_json, table=lambda: table_of([{"setting": k, "value": v} for k, v in shown.items()]))
        return
    found = collect(data)
    emit(found, json=as_json, table=lambda: _tables(found))
    ailing = [s["name"] for s in found["services"] if not s["healthy"]]
    if ailing:
        raise CliError(f"not healthy: {', '.join(ailing)}; the detail beside each says what it waits for")


def _tables(found: dict[str, Any]) -> Any:  # noqa: ANN401 -- a group of rich tables
    from rich.console import Group  # noqa: PLC0415 -- costs a tenth of a second, and only people need it

    lag = [{"topic": topic, "lag": count} for topic, count in found["lag"].items()]
    parts = (table_of(found["services"]), table_of([found["reports"]]), table_of(lag), table_of(found["queues"]))
    return Group(*(part for pair in parts for part in (pair, "")))

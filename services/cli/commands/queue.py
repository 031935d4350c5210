"""`jubao queue`: what waits, class by class and queue by queue."""

from pathlib import Path

import click

from services.cli.client import client
from services.cli.options import data_option, json_option
from services.cli.output import emit
from services.cli.tables import table_of


@click.command(name="queue")
@data_option
@json_option
def command(data: Path | None, *, as_json: bool) -> None:
    """Show what waits in each queue and class, how much is overdue, and how long claims waited in the last day."""
    with client(data) as http:
        queues = http.get("/review/v1/queues").json()
    emit(queues, json=as_json, table=lambda: table_of(queues))

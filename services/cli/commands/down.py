"""`jubao down`: stops what `jubao up` started."""

from pathlib import Path

import click

from services.cli.options import data_directory, data_option, json_option
from services.cli.output import emit, status
from services.cli.stack.directory import DataDirectory
from services.cli.stack.leftovers import stop_stack


@click.command()
@data_option
@json_option
def command(data: Path | None, *, as_json: bool) -> None:
    """Stop the stack in DIR and leave no process behind; its data stays."""
    directory = DataDirectory.of(data_directory(data))
    with status("stopping"):
        stopped = stop_stack(directory)
    sentence = f"Stopped the stack in {directory.root}." if stopped else f"No stack runs in {directory.root}."
    emit({"stopped": stopped, "data": str(directory.root)}, json=as_json, table=lambda: sentence)

"""`jubao topics`: the topics as the broker has them beside what the table asks for, and their creation."""

import asyncio
from pathlib import Path

import click

from services.cli.client import settings_for
from services.cli.errors import CliError
from services.cli.options import data_option, json_option
from services.cli.output import emit
from services.cli.tables import table_of
from services.runtime import administration
from services.runtime.problems import Problem
from services.runtime.settings import Settings


def _run(settings: Settings, *, create: bool, as_json: bool) -> None:
    if not settings.kafka:
        raise CliError("no broker is named; give JUBAO_KAFKA, or --data of a stack that is up")
    try:
        found = asyncio.run(
            administration.create_topics(settings) if create else administration.topic_standing(settings)
        )
    except Problem as problem:
        raise CliError("the broker does not answer; check JUBAO_KAFKA and that it is up") from problem
    rows = [{"topic": t.name, "partitions": t.partitions, "ok": not t.what, "detail": t.what} for t in found]
    emit(rows, json=as_json, table=lambda: table_of(rows))
    wrong = [t.name for t in found if t.what]
    if wrong:
        raise CliError(f"not as the table asks: {', '.join(wrong)}; run `jubao topics create`")


@click.group(name="topics", invoke_without_command=True)
@data_option
@json_option
@click.pass_context
def command(context: click.Context, data: Path | None, *, as_json: bool) -> None:
    """Topics as the broker has them; exit 1 where one is not as the table asks."""
    if context.invoked_subcommand is None:
        _run(settings_for(data), create=False, as_json=as_json)


@command.command()
@data_option
@json_option
def create(data: Path | None, *, as_json: bool) -> None:
    """Create what is missing, set what differs, grow partitions; nothing is deleted."""
    _run(settings_for(data), create=True, as_json=as_json)

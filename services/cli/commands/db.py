"""`jubao db`: brings the database to this version, or tells how far it is."""

import asyncio
from pathlib import Path

import click

from services.cli.client import settings_for
from services.cli.errors import CliError
from services.cli.options import data_option, json_option
from services.cli.output import emit
from services.cli.tables import table_of
from services.runtime import migrate
from services.runtime.problems import Problem
from services.runtime.secretfiles import SecretUnusable
from services.runtime.settings import Settings


@click.group(name="db")
def command() -> None:
    """The database's schemas."""


def _run(settings: Settings, *, change: bool) -> list[migrate.SchemaStanding]:
    if not settings.database.get_secret_value():
        raise CliError("no database is named; give JUBAO_DATABASE, or --data of a stack that is up")
    try:
        return asyncio.run(migrate.upgrade(settings) if change else migrate.standing(settings))
    except Problem as problem:
        raise CliError("the database does not answer; check JUBAO_DATABASE and that it is up") from problem
    except (migrate.MigrationTrouble, SecretUnusable) as trouble:
        raise CliError(str(trouble)) from trouble


def _show(found: list[migrate.SchemaStanding], *, as_json: bool) -> None:
    rows = [{"service": s.service, "at": s.at, "wanted": s.wanted, "ok": s.at == s.wanted} for s in found]
    emit(rows, json=as_json, table=lambda: table_of(rows))


@command.command()
@data_option
@json_option
def upgrade(data: Path | None, *, as_json: bool) -> None:
    """Make roles, schemas and tables of this version, all or nothing."""
    _show(_run(settings_for(data), change=True), as_json=as_json)


@command.command()
@data_option
@json_option
def check(data: Path | None, *, as_json: bool) -> None:
    """Tell each schema's version; exit 1 where one is not this program's."""
    found = _run(settings_for(data), change=False)
    _show(found, as_json=as_json)
    behind = [s.service for s in found if s.at != s.wanted]
    if behind:
        raise CliError(f"not at this version: {', '.join(behind)}; run `jubao db upgrade`")

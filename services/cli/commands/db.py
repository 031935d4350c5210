"""`jubao db`: brings the database to this version, or tells how far it is."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

from services.cli.client import settings_for
from services.cli.errors import CliError
from services.cli.options import data_directory, data_option, json_option
from services.cli.output import emit
from services.cli.stack.alone import database_alone, has_database
from services.cli.stack.directory import DataDirectory
from services.cli.tables import table_of
from services.runtime import migrate, recovery
from services.runtime.problems import Problem
from services.runtime.secretfiles import SecretUnusable
from services.runtime.settings import Settings

ResultT = TypeVar("ResultT")

_NO_DATABASE = "no database is named; give JUBAO_DATABASE, or --data of a stack"
_NO_ANSWER = "the database does not answer; check JUBAO_DATABASE and that it is up"


@click.group(name="db")
def command() -> None:
    """The database's schemas."""


def _run(settings: Settings, *, change: bool) -> list[migrate.SchemaStanding]:
    if not settings.database.get_secret_value():
        raise CliError("no database is named; give JUBAO_DATABASE, or --data of a stack that is up")
    try:
        return asyncio.run(migrate.upgrade(settings) if change else migrate.standing(settings))
    except Problem as problem:
        raise CliError(_NO_ANSWER) from problem
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


@contextmanager
def _at_rest(data: Path | None) -> Iterator[Settings]:
    """Settings for a database that no service uses: the stack's own is started for the moment, another one runs."""
    directory = DataDirectory.of(data_directory(data))
    given = Settings()
    if given.database.get_secret_value() and data is None:
        yield given
    elif has_database(directory):
        with database_alone(directory) as address:
            yield Settings(**{**given.model_dump(), "database": address, "database_password_file": None})
    else:
        raise CliError(_NO_DATABASE)


def _mend(data: Path | None, work: Callable[[Settings], Awaitable[ResultT]]) -> ResultT:
    with _at_rest(data) as settings:
        try:
            return asyncio.run(_awaited(work(settings)))
        except Problem as problem:
            raise CliError(_NO_ANSWER) from problem
        except (recovery.RecoveryRefused, SecretUnusable) as refused:
            raise CliError(str(refused)) from refused


async def _awaited(work: Awaitable[ResultT]) -> ResultT:
    return await work


@command.command(name="forget-offsets")
@data_option
@json_option
def forget_offsets(data: Path | None, *, as_json: bool) -> None:
    """Have every topic read from its beginning at the next start, once topics were lost or set back.

    Stop the services first. Open dead letters are forgotten as well: their records went with the topics.
    """
    forgotten = _mend(data, recovery.forget_offsets)
    rows = [{"service": service, "partitions": partitions} for service, partitions in forgotten.items()]
    emit(rows, json=as_json, table=lambda: table_of(rows))


@command.command(name="set-aside")
@click.argument("service", type=click.Choice(migrate.migrated_services()))
@data_option
@json_option
def set_aside(service: str, data: Path | None, *, as_json: bool) -> None:
    """Rename a service's schema, for `jubao db upgrade` or the next `jubao up` to make an empty one.

    Stop the services first. The old tables stay under the name that is printed.
    """
    row = {"service": service, "now": _mend(data, lambda settings: recovery.set_aside(settings, service))}
    emit(row, json=as_json, table=lambda: table_of([row]))

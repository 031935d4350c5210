"""`jubao staff`: the local accounts that tokens are made for."""

from pathlib import Path

import click

from services.cli.errors import CliError, explained
from services.cli.options import data_directory, data_option, json_option
from services.cli.output import emit
from services.cli.stack.directory import DataDirectory
from services.cli.tables import table_of
from services.runtime.issuer import Role, StaffFile, StaffRefused

_COLUMNS = ("name", "role", "source")


def staff_file(data: Path | None) -> StaffFile:
    """The accounts of the stack in this directory; the directory need not run, nor exist yet."""
    directory = DataDirectory.of(data_directory(data))
    try:
        directory.root.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise explained(refused, directory.root) from refused
    return StaffFile(directory.staff)


@click.group()
@data_option
def command(data: Path | None) -> None:
    """Accounts of reviewers, auditors and the others."""


@command.command()
@click.argument("name")
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]), help="What it may do.")
@click.option("--source", metavar="ID", help="The source that an account of role police reports for.")
@data_option
@json_option
def add(name: str, role: str, source: str | None, data: Path | None, *, as_json: bool) -> None:
    """Make an account."""
    try:
        account = staff_file(data).add(name, Role(role), source)
    except StaffRefused as refused:
        raise CliError(str(refused)) from refused
    emit(account.as_dict(), json=as_json, table=lambda: table_of([account.as_dict()], _COLUMNS))


@command.command("list")
@data_option
@json_option
def list_(data: Path | None, *, as_json: bool) -> None:
    """Show all accounts."""
    accounts = staff_file(data).all()
    rows = [account.as_dict() for account in accounts]
    emit(rows, json=as_json, table=lambda: table_of(rows, _COLUMNS))

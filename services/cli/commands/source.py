"""`jubao source`: police, trusted flaggers and government, whose reports have a lane of their own."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click

from schemas.vocabulary import FLAGGED_KINDS, Category
from services.cli.client import client
from services.cli.errors import CliError
from services.cli.keyfiles import make_private_key, public_key
from services.cli.options import data_option, json_option
from services.cli.output import emit, say
from services.cli.paging import every_row
from services.cli.tables import table_of

_COLUMNS = ("id", "kind", "name", "status", "key_id")
_FACTS = (
    "id", "kind", "name", "agency", "parent", "region", "categories", "quota_per_day", "time_zone", "status",
)  # fmt: skip
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(name="source")
@data_option
def command(data: Path | None) -> None:
    """Police, trusted flaggers and government: who may report on the flagged lane."""


def _categories(_: click.Context, __: click.Parameter, value: str | None) -> list[str]:
    words = [word.strip() for word in (value or "").split(",") if word.strip()]
    if unknown := [word for word in words if word not in {category.value for category in Category}]:
        raise click.BadParameter(
            f"{', '.join(unknown)}: no such category; choose of {', '.join(category.value for category in Category)}"
        )
    return words


@command.command()
@click.option("--kind", required=True, type=click.Choice(sorted(kind.value for kind in FLAGGED_KINDS)))
@click.option("--name", required=True, help="Of the account or organisation.")
@click.option("--agency", help="The authority it belongs to.")
@click.option("--parent", help="The authority above that one.")
@click.option("--region", metavar="CODE", help="Its territory, as CN-31: what lies below it is within.")
@click.option("--categories", metavar="A,B", callback=_categories, help="What a trusted flagger is known for.")
@click.option("--quota", type=click.IntRange(min=0), metavar="PER_DAY", help="Reports a day with its precedence.")
@click.option(
    "--public-key", "key_file", type=_FILE, metavar="FILE", help="Its Ed25519 public key, PEM or an OpenSSH line."
)
@click.option("--new-key", type=_FILE, metavar="FILE", help="Make a key, write the private one here, keep neither.")
@data_option
@json_option
def add(
    *, data: Path | None, as_json: bool, key_file: Path | None, new_key: Path | None, quota: int | None, **given: object
) -> None:
    """Register a source.

    A key may sign as soon as this returns. Without a key a source reports through a police account that is bound to
    it (`jubao staff add NAME --role police --source ID`).
    """
    if key_file and new_key:
        raise click.UsageError("--public-key and --new-key exclude each other.")
    form: dict[str, object] = {name: value for name, value in given.items() if value is not None} | {
        "quota_per_day": quota
    }
    with client(data) as http:
        form["public_key"] = _key(key_file, new_key)
        try:
            made = http.post("/intake/v1/sources", json=form).json()
        except CliError:
            # Nobody registered the key, so the file would only stand in the way of the next try.
            if new_key:
                new_key.unlink(missing_ok=True)
            raise
    _show(made, as_json=as_json)


def _key(given: Path | None, new: Path | None) -> str | None:
    if new is not None:
        return make_private_key(new)
    return None if given is None else public_key(given)


@command.command(name="list")
@data_option
@json_option
def listing(data: Path | None, *, as_json: bool) -> None:
    """List all sources."""
    with client(data) as http:
        rows = every_row(http, "/intake/v1/sources", "sources")
    emit(rows, json=as_json, table=lambda: table_of(rows, _COLUMNS))


@command.command()
@click.argument("source", type=click.UUID)
@data_option
@json_option
def show(source: UUID, data: Path | None, *, as_json: bool) -> None:
    """Show one source with its keys."""
    with client(data) as http:
        _show(http.get(f"/intake/v1/sources/{source}").json(), as_json=as_json)


@command.command()
@click.argument("source", type=click.UUID)
@data_option
@json_option
def suspend(source: UUID, data: Path | None, *, as_json: bool) -> None:
    """Take no reports of a source until it is resumed."""
    _change(data, f"/intake/v1/sources/{source}/suspend", as_json=as_json)


@command.command()
@click.argument("source", type=click.UUID)
@data_option
@json_option
def resume(source: UUID, data: Path | None, *, as_json: bool) -> None:
    """Take a suspended source's reports again."""
    _change(data, f"/intake/v1/sources/{source}/resume", as_json=as_json)


@command.command(name="add-key")
@click.argument("source", type=click.UUID)
@click.option("--public-key", "key_file", required=True, type=_FILE, metavar="FILE", help="PEM or an OpenSSH line.")
@data_option
@json_option
def add_key(source: UUID, key_file: Path, data: Path | None, *, as_json: bool) -> None:
    """Give a source a further key, so that its old one can be revoked without a pause."""
    form = {"public_key": public_key(key_file)}
    _change(data, f"/intake/v1/sources/{source}/keys", form, as_json=as_json)


@command.command(name="revoke-key")
@click.argument("source", type=click.UUID)
@click.argument("key_id")
@data_option
@json_option
def revoke_key(source: UUID, key_id: str, data: Path | None, *, as_json: bool) -> None:
    """End a key of a source for good."""
    _change(data, f"/intake/v1/sources/{source}/keys/{key_id}/revoke", as_json=as_json)


def _change(data: Path | None, path: str, form: dict[str, Any] | None = None, *, as_json: bool) -> None:
    with client(data) as http:
        _show(http.post(path, json=form).json(), as_json=as_json)


def _show(source: dict[str, Any], *, as_json: bool) -> None:
    if source.get("published") is False:
        say("Done, but the broker has not taken the news yet; other services follow when it has.")

    source = source | {"categories": ", ".join(source["categories"]) or None} if not as_json else source

    def shown() -> Any:  # noqa: ANN401 -- one of rich's renderables
        from rich.console import Group  # noqa: PLC0415 -- slow to import, for people only

        keys = [
            {"key_id": key["key_id"], "added": key["added_at"], "revoked": key["revoked_at"]} for key in source["keys"]
        ]
        facts = [{"field": name, "value": source[name]} for name in _FACTS]
        return Group(table_of(facts), "", "keys:", table_of(keys))

    emit(source, json=as_json, table=shown)

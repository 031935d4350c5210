"""`jubao attester`: keys of backends that know their police accounts and put attested reports on Kafka themselves."""

from pathlib import Path
from typing import Any

import click

from schemas.vocabulary import FLAGGED_KINDS
from services.cli.client import client
from services.cli.keyfiles import public_key
from services.cli.options import data_option, json_option
from services.cli.output import emit, say
from services.cli.paging import every_row
from services.cli.tables import table_of

_KINDS = sorted(kind.value for kind in FLAGGED_KINDS)
_COLUMNS = ("key_id", "name", "kinds", "added_at")


@click.group(name="attester")
@data_option
def command(data: Path | None) -> None:
    """Keys that may vouch for reports on the flagged lane."""


def _kinds(_: click.Context, __: click.Parameter, value: str) -> list[str]:
    words = [word.strip() for word in value.split(",") if word.strip()]
    if not words or set(words) - set(_KINDS):
        raise click.BadParameter(f"give some of {', '.join(_KINDS)}, with commas between them")
    return words


@command.command()
@click.option("--name", required=True, help="Of the backend; later readers see it with each report.")
@click.option(
    "--public-key", "key_file", required=True, metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Its Ed25519 public key, PEM or an OpenSSH line.",
)  # fmt: skip
@click.option("--kinds", required=True, metavar="KIND,...", callback=_kinds, help="What sources it may vouch for.")
@data_option
@json_option
def add(name: str, key_file: Path, kinds: list[str], data: Path | None, *, as_json: bool) -> None:
    """Register an attester; what its key signs counts from the moment this returns."""
    form = {"name": name, "public_key": public_key(key_file), "kinds": kinds}
    with client(data) as http:
        made = http.post("/intake/v1/attesters", json=form).json()
    if not made["published"]:
        say("Registered, but the broker has not taken the news yet; attestations count when it has.")
    emit(made, json=as_json, table=lambda: table_of([_row(made)], _COLUMNS))


@command.command(name="list")
@data_option
@json_option
def listing(data: Path | None, *, as_json: bool) -> None:
    """List all attesters, intake's own keys among them."""
    with client(data) as http:
        rows = every_row(http, "/intake/v1/attesters", "attesters")
    emit(rows, json=as_json, table=lambda: table_of([_row(row) for row in rows], _COLUMNS))


def _row(attester: dict[str, Any]) -> dict[str, Any]:
    return attester | {"kinds": ", ".join(attester["kinds"])}

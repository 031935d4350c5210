"""`jubao token`: a bearer token for a local account."""

from pathlib import Path

import click

from services.cli.commands.staff import staff_file
from services.cli.errors import CliError
from services.cli.options import data_directory, data_option, json_option
from services.cli.stack.directory import DataDirectory
from services.runtime.issuer import LIFETIME, LocalIssuer, NoSuchAccount, StaffRefused
from services.runtime.settings import Settings


@click.command()
@click.argument("name")
@data_option
@json_option
def command(name: str, data: Path | None, *, as_json: bool) -> None:
    """Print a bearer token for the account NAME, valid 8 hours."""
    from services.cli.output import emit  # noqa: PLC0415

    try:
        account = staff_file(data).get(name)
    except NoSuchAccount as unknown:
        here = f" --data {data}" if data is not None else ""
        raise CliError(
            f"There is no account {name}; make it with `jubao staff add {name} --role ROLE{here}`."
        ) from unknown
    except StaffRefused as refused:
        raise CliError(str(refused)) from refused
    directory = DataDirectory.of(data_directory(data))
    if not directory.issuer_key.exists():
        raise CliError(
            f"There is no issuer key in {directory.root}; `jubao up --data {directory.root}` makes one, "
            "unless an outside issuer (JUBAO_JWKS) signs, which then gives tokens itself."
        )
    settings = Settings()
    issuer = LocalIssuer(directory.issuer_key, issuer=settings.issuer, audience=settings.audience)
    token = issuer.mint_for(account)
    shown = {**account.as_dict(), "token": token, "expires_in": int(LIFETIME.total_seconds())}
    emit(shown, json=as_json, table=lambda: token)

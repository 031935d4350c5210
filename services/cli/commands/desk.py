"""`jubao desk`: keeps a deployment's operator desk: the token between services stays fresh for as long as it runs."""

import asyncio
from pathlib import Path

import click

from services.cli.errors import CliError
from services.cli.options import data_directory, data_option
from services.cli.output import say
from services.cli.stack.directory import DataDirectory
from services.cli.stack.keys import TOKEN_RENEWAL_SECONDS, write_service_token
from services.runtime.clock import SystemClock
from services.runtime.process import stop_signal
from services.runtime.settings import Settings


@click.command(name="desk")
@data_option
def command(data: Path | None) -> None:
    """Keep the token with which one service calls another fresh, until told to stop.

    It is the one process of a deployment that holds the issuer's key; commands run beside it, in the same container.
    """
    settings = Settings()
    key = DataDirectory.of(data_directory(data)).issuer_key
    if settings.service_token_file is None or not key.exists():
        raise CliError(
            f"The desk needs the issuer's key at {key} and JUBAO_SERVICE_TOKEN_FILE; deploy/make-secrets makes the key."
        )
    asyncio.run(_keep(settings, key, settings.service_token_file))


async def _keep(settings: Settings, key: Path, token: Path) -> None:
    stop = stop_signal()
    while not stop.is_set():
        write_service_token(key, token, issuer=settings.issuer, audience=settings.audience, clock=SystemClock())
        say("the token between services is renewed")
        try:
            await asyncio.wait_for(stop.wait(), TOKEN_RENEWAL_SECONDS)
        except TimeoutError:
            continue

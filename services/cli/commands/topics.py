"""`jubao topics`: the topics as the broker has them beside what the table asks for, their creation, their rights."""

import asyncio
from pathlib import Path

import click

from services.cli.client import settings_for
from services.cli.errors import CliError
from services.cli.options import data_option, json_option
from services.cli.output import emit
from services.cli.tables import table_of
from services.runtime import access, administration
from services.runtime.logs import silence
from services.runtime.problems import Problem
from services.runtime.secretfiles import SecretUnusable
from services.runtime.settings import Settings


def _ready(data: Path | None) -> Settings:
    settings = settings_for(data)
    if not settings.kafka:
        raise CliError("no broker is named; give JUBAO_KAFKA, or --data of a stack that is up")
    silence(settings.log_level)
    return settings


def _run(settings: Settings, *, create: bool, as_json: bool) -> None:
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
        _run(_ready(data), create=False, as_json=as_json)


@command.command()
@data_option
@json_option
def create(data: Path | None, *, as_json: bool) -> None:
    """Create what is missing, set what differs, grow partitions; nothing is deleted."""
    _run(_ready(data), create=True, as_json=as_json)


@command.command()
@data_option
@json_option
def grant(data: Path | None, *, as_json: bool) -> None:
    """Give each Kafka user the rights that the table of topics says, and take all others.

    JUBAO_KAFKA_PASSWORDS may name a directory of USER.password files, which become the users' passwords.
    """
    settings = _ready(data)
    try:
        done = asyncio.run(access.grant(settings, settings.kafka_passwords))
    except access.LoginRefused as refused:
        raise CliError(_REFUSED.format(user=settings.kafka_user)) from refused
    except (access.GrantRefused, SecretUnusable) as refused:
        raise CliError(f"users and rights are not set: {refused}") from refused
    except Problem as problem:
        raise CliError("the broker does not answer; check JUBAO_KAFKA and that it is up") from problem
    answer = {"passwords": len(done.passwords), "given": done.given, "taken": done.taken, "rights": done.total}
    emit(answer, json=as_json, table=lambda: table_of([answer]))


_REFUSED = "the broker does not take the user {user} with this password; check JUBAO_KAFKA_PASSWORD_FILE"

"""`jubao dead`: records that did not fit, and putting them back when the reason is gone."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from services.cli.client import Refused, client
from services.cli.errors import CliError
from services.cli.options import data_option, json_option
from services.cli.output import emit, progress
from services.cli.tables import table_of

# Who keeps dead letters of which topic is the topics table's; these are the services that keep any.
_KEEPERS = ("triage", "review", "outcomes", "audit")
_REPLAY_SECONDS = 120.0
_NOT_FOUND = 404


@click.group(name="dead")
def command() -> None:
    """Dead letters: records that did not fit, each with its reason."""


@command.command(name="list")
@data_option
@json_option
def listing(data: Path | None, *, as_json: bool) -> None:
    """List open dead letters, by the topic they came from."""
    rows: list[dict[str, Any]] = []
    with client(data) as http:
        for keeper in _KEEPERS:
            cursor = None
            while True:
                parameters = {"limit": 1000, **({"cursor": cursor} if cursor else {})}
                page = http.get(f"/{keeper}/v1/dead", params=parameters).json()
                rows.extend(page["letters"])
                cursor = page["next"]
                if cursor is None:
                    break
    emit(rows, json=as_json, table=lambda: table_of(rows))


@command.command()
@click.argument("topic")
@click.argument("partition", type=click.IntRange(min=0))
@click.argument("offset", type=click.IntRange(min=0))
@data_option
@json_option
def show(topic: str, partition: int, offset: int, data: Path | None, *, as_json: bool) -> None:
    """Show one dead letter: reason, time, key, size and names of its headers; never its text."""
    with client(data) as http:
        for keeper in _KEEPERS:
            try:
                found = http.get(f"/{keeper}/v1/dead/{topic}/{partition}/{offset}").json()
            except Refused as refused:
                if refused.status != _NOT_FOUND:
                    raise
                continue
            emit(found, json=as_json, table=partial(table_of, [found]))
            return
    raise CliError(f"Nothing died at {topic}[{partition}]@{offset}; `jubao dead list` names all that is open.")


@command.command()
@click.argument("place", nargs=-1, metavar="[TOPIC PARTITION OFFSET]")
@data_option
@json_option
def replay(place: tuple[str, ...], data: Path | None, *, as_json: bool) -> None:
    """Send dead records again to where they came from: one, or without arguments all that are open."""
    replayed: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    with client(data) as http, progress("replayed") as advance:
        http.timeout = _REPLAY_SECONDS
        for keeper in _KEEPERS:
            body: dict[str, Any] | None = _one(place) if place else {}
            while body is not None:
                try:
                    answer = http.post(f"/{keeper}/v1/dead/replay", json=body).json()
                except Refused as refused:
                    if refused.status == _NOT_FOUND and place:
                        break
                    raise
                replayed += answer["replayed"]
                waiting += answer["waiting"]
                advance(len(answer["replayed"]))
                body = answer["next"]
    if place and not replayed and not waiting:
        raise CliError("Nothing died there; `jubao dead list` names all that is open.")
    result = {"replayed": len(replayed), "waiting": len(waiting), "letters": replayed}
    emit(result, json=as_json, table=lambda: f"{len(replayed)} sent again, {len(waiting)} still on their way")


def _one(place: tuple[str, ...]) -> dict[str, Any]:
    if len(place) != 3 or not place[1].isdigit() or not place[2].isdigit():  # noqa: PLR2004 -- topic, partition, offset
        raise click.UsageError("give TOPIC PARTITION OFFSET, or nothing for all that are open")
    return {"letters": [{"topic": place[0], "partition": int(place[1]), "offset": int(place[2])}]}

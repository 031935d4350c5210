"""`jubao erase`: what is kept of a reporter, of an item or of reports goes, wherever it is kept."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from services.cli.client import client
from services.cli.errors import CliError
from services.cli.options import data_option, json_option
from services.cli.output import emit, status
from services.cli.tables import table_of

if TYPE_CHECKING:
    import httpx

_LOOK_SECONDS = 0.3
_PATIENCE_SECONDS = 600.0
_ON_WHAT = ("content_id", "report_id", "source_id")


class Held(CliError):
    """A legal hold stopped it, in whole or in part."""

    def __init__(self, held: Sequence[dict[str, Any]]) -> None:
        self.held = held
        holds = "; ".join(f"{hold['hold_id']} ({on_what(hold)}, {hold['reports']} reports)" for hold in held)
        super().__init__(
            f"A legal hold stops it: {holds}. Once `jubao hold lift HOLD` lifts it, the erasure goes on by itself."
        )


class StillWaits(CliError):
    """Not every service has answered in time."""

    def __init__(self, erasure_id: str) -> None:
        self.erasure_id = erasure_id
        super().__init__(
            f"Not every service has answered within {_PATIENCE_SECONDS:.0f} s; it goes on by itself. "
            f"See `jubao status`, then `jubao erase --erasure {erasure_id}`."
        )


@click.command(name="erase")
@click.option("--reporter", metavar="ID", help="All reports of this reporter.")
@click.option("--content", "content_id", metavar="ID", help="All reports about this item.")
@click.option("--report", "reports", type=click.UUID, multiple=True, metavar="ID", help="This report; may be repeated.")
@click.option("--ground", metavar="TEXT", help="On which ground. It is kept: name no person in it.")
@click.option("--erasure", type=click.UUID, metavar="ID", help="Look at an erasure that was ordered before.")
@data_option
@json_option
def command(
    data: Path | None,
    *,
    reporter: str | None,
    content_id: str | None,
    reports: Sequence[UUID],
    ground: str | None,
    erasure: UUID | None,
    as_json: bool,
) -> None:
    """Erase text, reporter and salts of reports in every service, and wait until each has said so.

    Entries of the log and their proofs stay, and say nothing of it any more.
    """
    wanted = {"reporter": reporter, "content_id": content_id, "report_ids": [str(report) for report in reports] or None}
    given = {name: value for name, value in wanted.items() if value is not None}
    if len(given) + (erasure is not None) != 1:
        raise click.UsageError("give one of --reporter, --content, --report and --erasure")
    if given and not ground:
        raise click.UsageError("give the --ground on which it is erased")
    with client(data) as http:
        if erasure is None:
            found = http.post("/audit/v1/erasures", json={**given, "ground": ground}).json()
        else:
            found = http.get(f"/audit/v1/erasures/{erasure}").json()
        found = _waited(http, found)
    emit(found, json=as_json, table=lambda: _table(found))
    if found["held"]:
        raise Held(found["held"])


def _waited(http: "httpx.Client", found: dict[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + _PATIENCE_SECONDS
    with status("finding its reports") as show:
        while found["state"] != "done":
            if time.monotonic() > end:
                raise StillWaits(found["erasure_id"])
            answered = ", ".join(f"{of['service']} {of['parts']}/{found['parts']}" for of in found["services"])
            show(f"{found['state']}: {found['reports']} reports; {answered}")
            time.sleep(_LOOK_SECONDS)
            found = http.get(f"/audit/v1/erasures/{found['erasure_id']}").json()
    return found


def _table(found: dict[str, Any]) -> Any:  # noqa: ANN401 -- whatever rich prints
    stopped = sum(hold["reports"] for hold in found["held"])
    erased = found["reports"] - stopped
    return table_of([{"service": of["service"], "reports": erased, "rows": of["count"]} for of in found["services"]])


def on_what(hold: dict[str, Any]) -> str:
    """What a hold is on, in a word and an id."""
    return next(f"{name.removesuffix('_id')} {hold[name]}" for name in _ON_WHAT if hold[name])

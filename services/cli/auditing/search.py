"""`jubao audit search`: the entries of the log that fit what is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from services.cli.client import client
from services.cli.options import data_option, json_option
from services.cli.output import emit, say
from services.cli.tables import is_uuid, table_of

_PAGE = 1_000
_SHORT_ID = 8
# What of an entry's detail a person reads first, in this order; the rest is in --json.
_TOLD = ("class", "rule", "verdict", "actions", "why", "code", "change", "reason")


@click.command()
@click.option("--report-id", "--report", metavar="ID", help="Entries of this report and of its cases.")
@click.option("--case-id", "--case", metavar="ID", help="Entries of this case.")
@click.option("--content-id", "--content", metavar="ID", help="Entries about this item.")
@click.option("--source-id", "--source", metavar="ID", help="Entries of this source's reports and of itself.")
@click.option("--actor", metavar="NAME", help="What this member of staff, source or service did.")
@click.option("--type", metavar="TYPE", help="Entries of one type, as jubao.activity.alert.v1.")
@click.option("--event-id", metavar="ID", help="The entry of one event, as a causation id names it.")
@click.option("--from", "since", metavar="TIME", help="From this time of the broker on, as 2026-11-23T08:00:00Z.")
@click.option("--to", "until", metavar="TIME", help="Up to and without this time.")
@click.option("--limit", type=click.IntRange(min=1), default=_PAGE, show_default=True, help="Most entries to print.")
@data_option
@json_option
def search(data: Path | None, *, as_json: bool, limit: int, since: str | None, until: str | None, **ids: str) -> None:
    """Print the entries that fit all filters, in the order of the log."""
    filters = {name: value for name, value in {**ids, "from": since, "to": until}.items() if value is not None}
    found: list[dict[str, Any]] = []
    cursor = None
    with client(data, role="auditor") as http:
        while True:
            page = {"limit": min(_PAGE, limit - len(found)), **({"cursor": cursor} if cursor else {})}
            answer = http.get("/audit/v1/entries", params={**filters, **page}).json()
            found += answer["entries"]
            cursor = answer["next"]
            if cursor is None or len(found) >= limit:
                break
    emit(found, json=as_json, table=lambda: table_of([_row(entry) for entry in found]))
    if cursor is not None:
        say(f"There are more than these {len(found)} entries; narrow the search or give a larger --limit.")


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry in the width of a terminal: no year, and of an id its beginning; `--json` has them whole."""
    detail = entry["detail"]
    told = [
        ", ".join(value) if isinstance(value, list) else str(value) for name in _TOLD if (value := detail.get(name))
    ]
    return {
        "index": entry["index"],
        "time": entry["time"][5:19],
        "what": entry["type"].removeprefix("jubao.").removesuffix(".v1"),
        "actor": entry["actor"][:_SHORT_ID] if is_uuid(entry["actor"]) else entry["actor"],
        "report": entry.get("report_id", "-")[:_SHORT_ID],
        "told": " ".join(dict.fromkeys(told)),
    }

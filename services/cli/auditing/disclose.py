"""`jubao audit disclose`: what an entry hides, with its salt, and whether such a file fits its leaf."""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from services.cli.auditing.handing import DoesNotHold, check_option, hand_on, key_option
from services.cli.client import client
from services.cli.errors import CliError, explained
from services.cli.options import data_option, json_option
from services.cli.output import emit, say

if TYPE_CHECKING:
    from services.audit.keys import DatedKey


@click.command()
@click.argument("index", type=click.IntRange(min=0), required=False)
@click.option("--ground", metavar="TEXT", help="On which ground. It becomes part of the log: name no person in it.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File for it; else it is printed.")
@check_option
@key_option
@data_option
@json_option
def disclose(
    data: Path | None,
    *,
    index: int | None,
    ground: str | None,
    out: Path | None,
    check: Path | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Give text and salt of one entry, which is itself logged; or check what was given."""
    if (index is None) == (check is None):
        raise click.UsageError("give the INDEX of an entry, or a file to --check")
    if check is not None:
        _check(check, key, as_json=as_json)
        return
    if not ground:
        raise click.UsageError("give the --ground on which it is disclosed")
    with client(data, role="auditor") as http, closing(http):
        found: dict[str, Any] = http.post(f"/audit/v1/entries/{index}/disclosures", json={"ground": ground}).json()
    hand_on(found, out, as_json=as_json)
    if found["checkpoint"] is None:
        say("No checkpoint covers this entry yet; ask again in a minute for one that others can check.")


def _check(file: Path, key: Path | None, *, as_json: bool) -> None:
    from services.audit.disclosed import NoDisclosure, checked  # noqa: PLC0415 -- slow to import

    try:
        given = json.loads(file.read_bytes())
        found = checked(given, _keys(key.read_text("utf-8") if key else str(given["keys"])))
    except OSError as refused:
        raise explained(refused, file.parent) from refused
    except (NoDisclosure, ValueError, TypeError, KeyError) as bad:
        raise CliError(f"{file} cannot be checked: {bad}.") from bad
    told = {
        "fits": found.fits,
        "in_log": found.in_log,
        "vouched": found.vouched,
        "keys": "given" if key else "in the file",
        "holds": found.holds,
    }
    emit(told, json=as_json, table=lambda: _sentences(told))
    if not found.fits:
        raise DoesNotHold(file, "text and salt are not those that the leaf commits to")
    if found.in_log is False:
        raise DoesNotHold(file, "the leaf is not in the tree of its checkpoint")
    if found.vouched is False:
        raise DoesNotHold(file, "no key that is listed has signed its checkpoint")


def _keys(text: str) -> "list[DatedKey]":
    from services.audit.keys import parse_keys  # noqa: PLC0415 -- slow to import

    return parse_keys(text)


def _sentences(told: dict[str, Any]) -> str:
    said = [
        "Text and salt are those that the leaf commits to." if told["fits"] else "Text and salt do not fit the leaf."
    ]
    if told["in_log"] is None:
        said.append("No checkpoint covers the leaf yet.")
    else:
        said.append("The leaf is in the log." if told["in_log"] else "The leaf is not in the log.")
        said.append("The log has signed that." if told["vouched"] else "No listed key has signed that.")
    return "\n".join(said)

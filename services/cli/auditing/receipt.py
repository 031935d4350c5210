"""`jubao audit receipt`: a report's entries with proofs, and whether such a file proves what it says."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from services.cli.auditing.handing import DoesNotHold, check_option, hand_on, key_option
from services.cli.client import client
from services.cli.errors import CliError, explained
from services.cli.options import data_option, json_option
from services.cli.output import emit, say


@click.command()
@click.argument("report_id", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File for the receipt; else it is printed."
)
@check_option
@key_option
@data_option
@json_option
def receipt(
    data: Path | None, *, report_id: str | None, out: Path | None, check: Path | None, key: Path | None, as_json: bool
) -> None:
    """Write a report's receipt: its entries with proofs; or check one, which takes no stack."""
    if (report_id is None) == (check is None):
        raise click.UsageError("give the REPORT_ID of a report, or a file to --check")
    if check is not None:
        _check(check, key, as_json=as_json)
        return
    with client(data, role="auditor") as http, closing(http):
        found: dict[str, Any] = http.get(f"/audit/v1/receipts/{report_id}").json()
    hand_on(found, out, as_json=as_json)
    if found["pending"]:
        say(f"{found['pending']} of its entries are not under a checkpoint yet; ask again in a minute.")


def _check(file: Path, key: Path | None, *, as_json: bool) -> None:
    from services.audit.keys import parse_keys  # noqa: PLC0415 -- slow to import
    from services.audit.received import NoReceipt, proved  # noqa: PLC0415 -- likewise

    try:
        given = json.loads(file.read_bytes())
        found = proved(given, parse_keys(key.read_text("utf-8") if key else str(given["keys"])))
    except OSError as refused:
        raise explained(refused, file.parent) from refused
    except NoReceipt as bad:
        raise CliError(f"{file} cannot be checked: {bad}.") from bad
    except (ValueError, TypeError, KeyError) as bad:
        raise CliError(
            f"{file} cannot be checked: it is no receipt as `jubao audit receipt` writes one, or its keys are none "
            f"({type(bad).__name__}); ask for the receipt again."
        ) from bad
    told = {**found._asdict(), "keys": "given" if key else "in the file", "holds": found.holds}
    said = f"{len(found.proved)} entries of the report are in the log, and the log has signed that."
    emit(told, json=as_json, table=lambda: said if found.holds else "")
    if found.foreign:
        raise DoesNotHold(file, f"entry {found.foreign[0]} is not about this report")
    if found.unproved:
        raise DoesNotHold(file, f"entry {found.unproved[0]} is not in the tree of its checkpoint")
    if not found.vouched:
        raise DoesNotHold(file, "no key that is listed has signed its checkpoint")
    if not found.proved:
        raise DoesNotHold(file, "it has no entry; ask for it again once a checkpoint covers the report's")

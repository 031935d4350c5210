"""What an auditor hands on as a file, and whoever is given it checks offline: disclosures and receipts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from services.cli.errors import CliError, OutNotWritten
from services.cli.output import emit

check_option = click.option(
    "--check", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Check such a file, offline."
)
key_option = click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="With --check: the log's public keys as you have them from elsewhere; else those in the file.",
)


class DoesNotHold(CliError):
    """The file is not what the log committed to."""

    def __init__(self, file: Path, what: str) -> None:
        self.file = file
        super().__init__(f"{file} does not hold: {what}.")


def hand_on(found: Mapping[str, Any], out: Path | None, *, as_json: bool) -> None:
    """Writes what is handed on to its file; without one, or with --json, it is printed.

    Raises:
        OutNotWritten: the file cannot be written.
    """
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if out is not None:
        try:
            out.write_text(text, "utf-8")
        except OSError as refused:
            raise OutNotWritten(out, refused) from refused
    if out is None or as_json:
        emit(found, json=as_json, table=text.rstrip)

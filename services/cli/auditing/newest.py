"""The log's newest checkpoint, as commands wait for it."""

from base64 import b64encode
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click

from services.audit.note import Checkpoint, checkpoint_of, note_of
from services.cli.client import Refused, client
from services.cli.options import data_option, json_option
from services.cli.output import emit, status

if TYPE_CHECKING:
    import httpx

_MOST_WAIT_SECONDS = 65.0
_LOOK_SECONDS = 0.5
_NOT_FOUND = 404


def newest_note(http: "httpx.Client") -> str | None:
    """The newest checkpoint's note, None before the first."""
    try:
        return http.get("/audit/v1/checkpoint").text
    except Refused as refused:
        if refused.status == _NOT_FOUND:
            return None
        raise


def newest_checkpoint(http: "httpx.Client", *, wait: bool) -> tuple[Checkpoint | None, int]:
    """The newest checkpoint, and how many entries the log had when this was called.

    With `wait`, the checkpoint covers those, unless none comes in a minute.
    """
    import threading  # noqa: PLC0415 -- for a pause that an interrupt ends

    entries: int = http.get("/audit/v1/status").json()["counts"]["entries"]
    until = monotonic() + _MOST_WAIT_SECONDS
    with status("waits for a checkpoint of the newest entries"):
        while True:
            note = newest_note(http)
            found = checkpoint_of(note_of(note).text) if note else None
            if not wait or (found is not None and found.size >= entries) or monotonic() > until:
                return found, entries
            threading.Event().wait(_LOOK_SECONDS)


@click.command()
@data_option
@json_option
def checkpoint(data: Path | None, *, as_json: bool) -> None:
    """Print the log's newest checkpoint."""
    with client(data, role="auditor") as http:
        note = http.get("/audit/v1/checkpoint").text
    found = checkpoint_of(note_of(note).text)
    told = {"origin": found.origin, "size": found.size, "root": b64encode(found.root).decode(), "note": note}
    emit(told, json=as_json, table=note.rstrip)

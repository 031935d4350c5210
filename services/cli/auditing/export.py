"""Taking the log out: every entry, every checkpoint and the keys, as three files that need nobody to be checked."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.audit.note import split_notes
from services.audit.outside import checkpoint_file, keys_file
from services.cli.auditing.newest import newest_checkpoint
from services.cli.client import client, settings_for
from services.cli.errors import CliError, OutNotWritten, explained
from services.cli.options import data_option, json_option
from services.cli.output import emit, progress, say
from services.cli.tables import table_of

if TYPE_CHECKING:
    import httpx

_PIECE_BYTES = 1 << 20


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File for the entries.")
@click.option(
    "--checkpoints", "notes", type=click.Path(path_type=Path, dir_okay=False), help="File for all checkpoints."
)
@click.option("--key", "keys", type=click.Path(path_type=Path, dir_okay=False), help="File for the public keys.")
@click.option("--now", is_flag=True, help="Do not wait for a checkpoint that covers the newest entries.")
@data_option
@json_option
def export(out: Path, notes: Path | None, keys: Path | None, data: Path | None, *, now: bool, as_json: bool) -> None:
    """Write the log's entries, checkpoints and keys to files; `jubao audit verify` checks them anywhere."""
    settings = settings_for(data)
    with client(data, role="auditor") as http:
        covered, entries = newest_checkpoint(http, wait=not now)
        size = entries if covered is None else covered.size
        # First the checkpoints, so that all that they vouch for is in the entries that follow.
        made = _checkpoints(http, checkpoint_file(settings)) if notes else []
        key_text = _keys(http, keys_file(settings)) if keys else ""
        # Without a checkpoint the log has to be told where to end.
        written = _entries(http, out, {"to": size} if covered is None else {}, size)
    _write(notes, [f"{note}\n" for note in made])
    _write(keys, [key_text])
    told = {
        "entries": written,
        "size": size,
        "checkpoints": len(made),
        "files": [str(f) for f in (out, notes, keys) if f],
    }
    emit(
        told, json=as_json, table=lambda: table_of([{name: told[name] for name in ("entries", "size", "checkpoints")}])
    )
    if written != size:
        say(f"The log gave {written} entries where it has {size}; `jubao audit verify` tells which are missing.")


def _entries(http: "httpx.Client", out: Path, bounds: dict[str, int], size: int) -> int:
    written = 0
    with http.stream("GET", "/audit/v1/export", params=bounds) as answer, progress("entries", size) as more:
        try:
            with out.open("wb") as file:
                for piece in answer.iter_bytes(_PIECE_BYTES):
                    file.write(piece)
                    lines = piece.count(b"\n")
                    written += lines
                    more(lines)
        except OSError as refused:
            raise explained(refused, out.parent) from refused
    return written


def _checkpoints(http: "httpx.Client", outside: Path) -> list[str]:
    """The checkpoints of the file outside the database, where it is here, and those that only the database has.

    Where the two tell different stories both are kept: that is for whoever checks to find.
    """
    ours = [note for note in _notes(_read(outside)) if note.endswith("\n")]
    told = _notes(http.get("/audit/v1/checkpoints").text)
    known = set(ours)
    return sorted([*ours, *(note for note in told if note not in known)], key=_size_of)


def _notes(text: str) -> Iterator[str]:
    yield from split_notes(text)


def _size_of(note: str) -> int:
    size = note.split("\n", 2)[1:2]
    return int(size[0]) if size and size[0].isascii() and size[0].isdigit() else 0


def _keys(http: "httpx.Client", outside: Path) -> str:
    return _read(outside) or http.get("/audit/v1/keys").text


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except OSError as refused:
        raise CliError(f"{file} cannot be read ({refused.strerror}); run this as a user who may") from refused


def _write(file: Path | None, parts: Iterable[str]) -> None:
    if file is None:
        return
    try:
        file.write_text("".join(parts), "utf-8")
    except OSError as refused:
        raise OutNotWritten(file, refused) from refused

"""`jubao audit key`: the keys that sign checkpoints, shown, added and taken out of use."""

from pathlib import Path

import click

from services.audit.keys import parse_keys
from services.audit.note import BadNote, Signer, key_of
from services.audit.signing import BadKeyFile, blocks_of, new_block, signers_of
from services.cli.client import client, settings_for
from services.cli.errors import CliError, explained
from services.cli.options import data_option, json_option
from services.cli.output import emit, say
from services.cli.stack.directory import DataDirectory
from services.cli.tables import table_of
from services.runtime.files import PRIVATE, replace_file

_MOST_KEYS = 2
_RESTART = "Restart the process that writes the log (`audit.consume`) to sign by it."


@click.group(name="key", invoke_without_command=True)
@data_option
@json_option
@click.pass_context
def key(context: click.Context, data: Path | None, *, as_json: bool) -> None:
    """The public keys that sign checkpoints, with their times."""
    if context.invoked_subcommand is not None:
        return
    with client(data, role="auditor") as http:
        keys = parse_keys(http.get("/audit/v1/keys").text)
    rows = [
        {"key": str(k.key), "since": k.since.isoformat(), "until": k.until.isoformat() if k.until else "-"}
        for k in keys
    ]
    emit(rows, json=as_json, table=lambda: table_of(rows))


@key.command(name="new")
@data_option
@json_option
def new_key(data: Path | None, *, as_json: bool) -> None:
    """Add a second key: both sign until the old one is dropped, so that verifiers can learn the new one meanwhile."""
    file = _file(data)
    blocks = blocks_of(file) if file.exists() else []
    if len(blocks) >= _MOST_KEYS:
        raise CliError(f"{file} holds {len(blocks)} keys already; drop the old one first with `jubao audit key drop`")
    _write(file, [*blocks, new_block()], as_json=as_json)


@key.command()
@data_option
@json_option
def drop(data: Path | None, *, as_json: bool) -> None:
    """Take the oldest key out of use; what it signed stays good for its time."""
    file = _file(data)
    try:
        blocks = blocks_of(file)
    except BadKeyFile as bad:
        raise CliError(str(bad)) from bad
    if len(blocks) < _MOST_KEYS:
        raise CliError(f"{file} holds one key only; add the next with `jubao audit key new` first")
    _write(file, blocks[1:], as_json=as_json)


@key.command()
@click.argument("name")
@data_option
@json_option
def public(name: str, data: Path | None, *, as_json: bool) -> None:
    """Print the verifier keys of the key file under a log's NAME, without asking the log."""
    try:
        signers: list[Signer] = signers_of(_file(data), name)
    except BadKeyFile as bad:
        raise CliError(str(bad)) from bad
    except BadNote as bad:
        raise click.BadParameter(f"{bad}; give the log's name as its checkpoints begin with it.") from bad
    keys = [str(key_of(str(found))) for signer in signers for found in (signer.key, signer.cokey)]
    emit(keys, json=as_json, table=lambda: "\n".join(keys))


def _file(data: Path | None) -> Path:
    settings = settings_for(data)
    return settings.audit_key_file or DataDirectory.of(settings.data).audit_key


def _write(file: Path, blocks: list[bytes], *, as_json: bool) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, b"".join(blocks), mode=PRIVATE)
    except OSError as refused:
        raise explained(refused, file.parent) from refused
    if as_json:
        emit({"file": str(file), "keys": len(blocks), "next": _RESTART}, json=True, table=str)
    else:
        say(_RESTART)

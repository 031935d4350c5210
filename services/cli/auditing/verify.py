"""`jubao audit verify`: whether the log is the one that was vouched for, offline or of the stack that runs here."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING

import click

from services.audit.evidence import Evidence, evidence_of
from services.audit.keys import DatedKey, parse_keys
from services.audit.note import SIGNATURE, BadNote, split_notes
from services.audit.offline import Memory
from services.audit.offline import verify as verified
from services.audit.verifying import GAP_SECONDS, Verdict
from services.cli.errors import CliError, OutNotWritten
from services.cli.options import data_option, json_option
from services.cli.output import emit, progress, say

if TYPE_CHECKING:
    import httpx
    from rich.console import RenderableType

    from services.runtime.settings import Settings

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)
_PIECE_BYTES = 1 << 20
_MOST_LOOKS = 10
_LOOK_SECONDS = 0.5
_TOPIC_SECONDS = 10


@click.command()
@click.option("--export", type=_FILE, help="The entries, as `jubao audit export` writes them.")
@click.option(
    "--checkpoints", type=_FILE, multiple=True, help="Checkpoints kept outside; several readers' may be given."
)
@click.option("--key", "keys", type=_FILE, help="The log's public keys, as they were known from the beginning.")
@click.option("--against", type=_FILE, help="Checkpoints as the log gives them out today: none may be lacking there.")
@click.option(
    "--resume", type=click.Path(path_type=Path, dir_okay=False), help="Note progress here, and go on from it."
)
@click.option(
    "--gap-seconds",
    type=click.IntRange(min=1),
    default=GAP_SECONDS,
    show_default=True,
    help="How long entries may have waited for the checkpoint over them.",
)
@data_option
@json_option
def verify(
    *,
    export: Path | None,
    checkpoints: tuple[Path, ...],
    keys: Path | None,
    against: Path | None,
    resume: Path | None,
    data: Path | None,
    gap_seconds: int,
    as_json: bool,
) -> None:
    """Check every entry against signed checkpoints; with the three files nothing else is needed.

    Without --export the log of the running stack is read, and held against the checkpoints and keys outside its
    database. Exit code 1 when anything is wrong.
    """
    if export is not None:
        if not checkpoints or keys is None:
            raise click.UsageError("--export needs --checkpoints and --key beside it; `jubao audit export` writes all.")
        evidence = evidence_of(
            [_text(file) for file in checkpoints], _keys(_text(keys), keys), _text(against) if against else None
        )
        verdict = _verdict(export, evidence, resume, gap_seconds)
    else:
        if resume is not None or against is not None:
            raise click.UsageError("--resume and --against go with --export.")
        with _taken(data, checkpoints, keys) as (entries, evidence):
            verdict = _verdict(entries, evidence, None, gap_seconds)
    emit(verdict.told(), json=as_json, table=lambda: _shown(verdict))
    if not verdict.ok:
        raise NotTheLog(len(verdict.problems))


class NotTheLog(CliError):
    """The log does not hold."""

    def __init__(self, problems: int) -> None:
        self.problems = problems
        super().__init__(
            f"The log does not hold: {problems} problem{'s' if problems > 1 else ''}; keep the files as they are, and "
            "compare with a backup from before the entries named."
        )


def _verdict(export: Path, evidence: Evidence, resume: Path | None, gap_seconds: int) -> Verdict:
    memory = Memory(resume, export, evidence) if resume else None
    total = max(evidence.sizes(), default=None)
    try:
        with progress("entries", total) as more:
            return verified(export, evidence, gap_seconds=gap_seconds, memory=memory, progress=more)
    except OSError as refused:
        if resume is not None and refused.filename and Path(refused.filename).parent == resume.parent != export.parent:
            raise OutNotWritten(resume, refused) from refused
        raise CliError(
            f"{refused.filename or export}: {refused.strerror or refused}; give a file that can be read."
        ) from refused


def _keys(text: str, file: Path | str) -> Sequence[DatedKey]:
    try:
        keys = parse_keys(text)
    except BadNote as bad:
        raise click.UsageError(f"{file} is no key file: {bad}.") from bad
    if not any(dated.key.kind == SIGNATURE for dated in keys):
        raise click.UsageError(
            f"{file} lists no key that signs checkpoints; give the file that `--key` of export wrote."
        )
    return keys


def _text(file: Path) -> str:
    try:
        # What is no text is no note either, and is told as such.
        return file.read_bytes().decode(errors="replace")
    except OSError as refused:
        raise click.UsageError(f"{file} cannot be read: {refused.strerror}.") from refused


@contextmanager
def _taken(data: Path | None, checkpoints: Sequence[Path], keys: Path | None) -> Iterator[tuple[Path, Evidence]]:
    """The running log's entries as a file, and what vouches for them.

    What is outside the database comes first: the keys and checkpoints that are given, else the files of the stack, and
    the newest checkpoints of the topic. Only where there are none is the log taken at its own word, and that is said.
    """
    from services.audit.outside import checkpoint_file, keys_file  # noqa: PLC0415 -- brings what talks to Kafka
    from services.cli.client import client, settings_for  # noqa: PLC0415 -- likewise

    settings = settings_for(data)
    own_keys, own_checkpoints = keys_file(settings), checkpoint_file(settings)
    with client(data, role="auditor") as http, TemporaryDirectory(prefix="jubao-verify-") as directory:
        files = list(checkpoints) or ([own_checkpoints] if own_checkpoints.exists() else [])
        key_file = keys or (own_keys if own_keys.exists() else None)
        outside = [_text(file) for file in files]
        key_text = _text(key_file) if key_file else http.get("/audit/v1/keys").text
        dated = _keys(key_text, key_file or "The log's answer")
        outside += _published(settings, dated)
        served = _served(http, outside)
        if not outside or key_file is None:
            say("Nothing was kept outside the log: it is checked against its own word; give --checkpoints and --key.")
        evidence = evidence_of(outside or [served], dated, served)
        size: int = http.get("/audit/v1/status").json()["counts"]["entries"]
        entries = Path(directory) / "entries"
        _fetch(http, entries, min(size, max(evidence.sizes(), default=size)))
        yield entries, evidence


def _published(settings: "Settings", keys: Sequence[DatedKey]) -> list[str]:
    """The newest checkpoints of the topic that the log's keys signed; what others put there says nothing."""
    from services.audit.outside import last_on_topic  # noqa: PLC0415 -- as above
    from services.runtime.problems import BrokerAway  # noqa: PLC0415 -- likewise

    async def read() -> list[str]:
        async with asyncio.timeout(_TOPIC_SECONDS):
            return await last_on_topic(settings)

    try:
        notes = asyncio.run(read())
    except (BrokerAway, TimeoutError):
        say("The topic checkpoints.v1 was not read, for Kafka does not answer here; a copy goes by --checkpoints.")
        return []
    signed = [f"{note}\n" for note in notes if evidence_of([note], keys).signed]
    return ["".join(signed)] if signed else []


def _served(http: "httpx.Client", outside: Sequence[str]) -> str:
    """The checkpoints that the log gives out; one that was published this moment is given a while to be among them."""
    newest = [notes[-1].strip() for text in outside if (notes := split_notes(text))]
    pause = Event()
    looks = 0
    while True:
        served = http.get("/audit/v1/checkpoints").text
        looks += 1
        if looks == _MOST_LOOKS or all(note in served for note in newest):
            return served
        pause.wait(_LOOK_SECONDS)


def _fetch(http: "httpx.Client", out: Path, size: int) -> None:
    with (
        http.stream("GET", "/audit/v1/export", params={"from": 0, "to": size}) as answer,
        progress("read", size) as more,
        out.open("wb") as file,
    ):
        for piece in answer.iter_bytes(_PIECE_BYTES):
            file.write(piece)
            more(piece.count(b"\n"))


def _shown(verdict: Verdict) -> "RenderableType":
    from services.cli.tables import table_of  # noqa: PLC0415 -- only people need it

    if verdict.ok:
        later = verdict.entries - verdict.covered
        rest = f"; {later} more wait for a checkpoint" if later else ""
        return f"{verdict.covered} entries are those that {verdict.checkpoints} checkpoints were signed for{rest}."
    rows = [
        {
            "from": problem.index,
            "to": "" if problem.end is None else problem.end - 1,
            "kind": problem.kind.value,
            "what": problem.what,
        }
        for problem in verdict.problems.told()
    ]
    if verdict.problems.untold:
        rows.append({"from": "", "to": "", "kind": "", "what": f"and {verdict.problems.untold} more"})
    return table_of(rows)

"""What a checkpoint costs: the log's head signed, cosigned by a witness in a process of its own, and published."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from time import monotonic, perf_counter

import httpx

from bench.audit_log import Drawn
from bench.engines import Turn, TurnFailed, clean_environment, working
from bench.figures import Result, within
from bench.options import Options
from services.audit.checkpointing import Checkpoints
from services.audit.leaf import Leaf
from services.audit.note import Signer, checkpoint_of, note_of
from services.audit.outside import Outside
from services.audit.signing import signers_of
from services.audit.standing import Standing
from services.audit.store import checkpoints, tree
from services.audit.witnesses import witnesses_of
from services.cli.auditing.witness import own_signer
from services.cli.stack.directory import DataDirectory
from services.cli.stack.entry import jubao_argv
from services.cli.stack.ports import free_port
from services.cli.stack.process import Launch
from services.runtime.process import Process
from services.runtime.settings import Settings

GOAL_MS = 100.0
CHECKPOINTS = 100
_ORIGIN, _WITNESS = "bench.example/log", "witness.bench.example"
_REPORTS_BETWEEN = 100
# As long as they may lie apart: those measured are asked for, and none comes between.
_SECONDS_BETWEEN = 60.0
_START_SECONDS = 30.0
_SIGNATURES = 3
_POLL_SECONDS = 0.05


async def vouched(options: Options, turn: Turn) -> Result:
    """Checkpoints of the log as it grows by some hundred entries between each two.

    Raises:
        TurnFailed: the witness did not come up, or did not cosign.
    """
    (signer,) = signers_of(DataDirectory.of(turn.directory).audit_key, _ORIGIN)
    taken: list[float] = []
    with _witness(turn, signer) as setting:
        await _answers(setting, turn)
        async with _vouching(turn, signer, setting) as (made, process):
            drawn = Drawn(Random(f"checkpoints {options.seed}"))  # noqa: S311 -- to be the same again
            with options.progress("checkpoints", CHECKPOINTS) as advance:
                for number in range(-3, CHECKPOINTS):
                    leaves = [Leaf._make((*row[1:], None, None)) for row in drawn.rows(_REPORTS_BETWEEN)]
                    async with process.database("audit").begin() as connection:
                        await tree.append(connection, leaves)
                    begun = perf_counter()
                    if not await made.make():
                        raise TurnFailed("the log did not grow between two checkpoints", turn.directory)
                    if number >= 0:
                        taken.append((perf_counter() - begun) * 1000)
                        advance(1)
            async with process.database("audit").begin() as connection:
                newest = await checkpoints.newest(connection)
    note = note_of(newest.note) if newest else None
    if note is None or len(note.signatures) != _SIGNATURES:
        raise TurnFailed("the witness did not cosign the last checkpoint", turn.directory)
    return within("audit.checkpoint", taken, GOAL_MS, {"entries": checkpoint_of(note.text).size, "witnesses": 1})


@contextmanager
def _witness(turn: Turn, signer: Signer) -> Iterator[str]:
    """A witness of this log; what names it in the settings."""
    directory, port = turn.directory / "witness", free_port()
    key = own_signer(directory, _WITNESS).cokey
    known = directory / "log.keys"
    known.write_text(f"{signer.key}\n")
    argv = jubao_argv(
        "audit", "witness", "--port", str(port), "--data", str(directory), "--origin-key", str(known),
        "--name", _WITNESS,
    )  # fmt: skip
    log = Path(turn.directory, "log", "witness.log")
    with working(turn, {"witness": Launch("witness", argv, log, clean_environment())}):
        yield f"http://127.0.0.1:{port} {key}"


async def _answers(setting: str, turn: Turn) -> None:
    deadline = monotonic() + _START_SECONDS
    async with httpx.AsyncClient() as http:
        while True:
            try:
                (await http.get(setting.partition(" ")[0])).raise_for_status()
            except httpx.HTTPError as error:
                if monotonic() > deadline:
                    raise TurnFailed("the witness did not answer", turn.directory) from error
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return


@asynccontextmanager
async def _vouching(turn: Turn, signer: Signer, setting: str) -> AsyncIterator[tuple[Checkpoints, Process]]:
    """What makes checkpoints as the log's writer does, once the first is made."""
    settings = Settings.model_validate(
        {
            "database": turn.database,
            "kafka": turn.kafka,
            "data": turn.directory,
            "witnesses": setting,
            "checkpoint_seconds": _SECONDS_BETWEEN,
        }
    )
    process = Process(settings)
    async with process.database("audit").begin() as connection:
        await checkpoints.name(connection, _ORIGIN)
    made = Checkpoints(process, Outside(settings, process.publisher), Standing(), witnesses_of(setting))
    try:
        await made.start([signer])
        deadline = monotonic() + _START_SECONDS
        while not await process.database("audit").transact(checkpoints.newest):
            if monotonic() > deadline:
                raise TurnFailed(f"there was no first checkpoint ({made.trouble})", turn.directory)
            await asyncio.sleep(_POLL_SECONDS)
        yield made, process
    finally:
        await made.stop()
        await process.close()

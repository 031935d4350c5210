"""What the tree costs the writer: records to entries with it and without it, by the same consumer on the same topic."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any
from unittest.mock import patch

import asyncpg
import uvloop

from bench.engines import Turn, TurnFailed
from bench.figures import Result, compared
from bench.load import staged
from bench.options import Advance, Options
from bench.reports import submissions
from services.audit.consume import Log
from services.audit.standing import Standing
from services.audit.store import entries
from services.audit.tiles import Edge, Tile
from services.runtime.batch import BatchConsumer
from services.runtime.database import Connection
from services.runtime.migrate import upgrade
from services.runtime.process import Process, settle
from services.runtime.settings import Settings

GOAL = 0.9
RECORDS = 150_000
# Statements are prepared and connections open by then.
_WARM_UP_SHARE = 10
_POLL_SECONDS = 0.02
_STALL_SECONDS = 60.0
_SIZE = "SELECT size FROM audit.head"


class _Flat(Edge):
    """An edge without a tree: it counts."""

    __slots__ = ()

    def extended(self, leaves: Sequence[bytes]) -> tuple[Edge, list[Tile]]:
        """So many entries more, and never a tile."""
        return _Flat(self.size + len(leaves)), []

    def root(self) -> bytes:
        """What a root would take up."""
        return bytes(32)


class _Unexamined(Standing):
    """Goes on from whatever size there is."""

    async def examined(self, connection: Connection, head: entries.Head) -> entries.Grown:  # noqa: ARG002 -- as Standing
        """The head as it is."""
        return entries.Grown(_Flat(head.size), head)


@contextmanager
def _without_tree() -> Iterator[Standing]:
    # Hashing the leaves is the tree's cost as well.
    with patch.object(entries, "leaf_hash", lambda _: b""):
        yield _Unexamined()


@contextmanager
def _with_tree() -> Iterator[Standing]:
    yield Standing()


_KINDS = {"tree": _with_tree, "entries alone": _without_tree}


def measured(options: Options, turn: Turn, records: int) -> Result:
    """Pairs of turns over the same records, the first of each pair in turn.

    Raises:
        TurnFailed: a turn stood still.
    """
    asyncio.run(_stage(turn, options.seed, records))
    rates: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    for number in range(options.runs):
        for kind in sorted(_KINDS, reverse=number % 2 == 0):
            with (
                options.progress(f"{number + 1}/{options.runs} ingest, {kind}", records) as advance,
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            ):
                rates[kind].append(runner.run(_rate(turn, kind, records, advance)))
    figures = {"records": records, "unit": "entries a second"}
    return compared("audit.ingest", rates["tree"], rates["entries alone"], GOAL, figures)


async def _stage(turn: Turn, seed: int, records: int) -> None:
    async with staged(turn.kafka, submissions(seed, records)) as commit:
        await commit()


async def _rate(turn: Turn, kind: str, records: int, advance: Advance) -> float:
    """Entries a second into a database of this turn's own."""
    name = "bench_ingest"
    owner = await asyncpg.connect(turn.database)
    address = f"{turn.database.rpartition('/')[0]}/{name}"
    await owner.execute(f"CREATE DATABASE {name}")
    settings = Settings.model_validate({"database": address, "kafka": turn.kafka, "data": turn.directory})
    try:
        await upgrade(settings)
        process = Process(settings)
        reader = await asyncpg.connect(address)
        try:
            with _KINDS[kind]() as standing:
                consumer = BatchConsumer(settings, process.database("audit"), Log(standing))
                settle()
                await consumer.start()
                try:
                    return await _watched(reader, turn, records, advance)
                finally:
                    await consumer.stop()
        finally:
            await reader.close()
            await process.close()
    finally:
        await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
        # The next turn is not to pay for what this one left to be written.
        await owner.execute("CHECKPOINT")
        await owner.close()


async def _watched(reader: Any, turn: Turn, records: int, advance: Advance) -> float:  # noqa: ANN401 -- untyped
    """The rate from where it is warm to the end."""
    begun: tuple[float, int] | None = None
    last, moved = 0, monotonic()
    while True:
        size, now = int(await reader.fetchval(_SIZE)), monotonic()
        if size > last:
            advance(size - last)
            last, moved = size, now
        if begun is None and size >= records // _WARM_UP_SHARE:
            begun = now, size
        if size >= records and begun is not None:
            return (size - begun[1]) / (now - begun[0])
        if now - moved > _STALL_SECONDS:
            raise TurnFailed(f"the writer stands still at {size} of {records} entries", turn.directory)
        await asyncio.sleep(_POLL_SECONDS)

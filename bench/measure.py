"""One turn of one contestant: start it, warm it up, give it its records at one moment, and wait until all are done."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

import asyncpg

from bench import processes, rows
from bench.contestants import ENTRIES_A_REPORT, Contestant
from bench.engines import Turn, TurnFailed
from bench.load import staged
from bench.reports import Submission

_POLL_SECONDS = 0.1
_STALL_SECONDS = 60.0
# Until the broker has written and the database has vacuumed what the warm-up left.
_REST_SECONDS = 2.0

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Measured:
    """What one turn showed.

    `seconds` are from the first record readable to the last report claimable and its three entries in the log;
    `cpu_ms_a_report` by process, engines included; `wal_bytes_a_report` what
    PostgreSQL had to make safe; `rows` and `bytes` by table, warm-up included.
    """

    contestant: str
    records: int
    seconds: float
    rate: float
    cpu_ms_a_report: dict[str, float]
    wal_bytes_a_report: int
    rows: dict[str, int]
    bytes: dict[str, int]

    def plain(self) -> dict[str, object]:
        """The same as JSON."""
        return asdict(self)


def take_turn(
    contestant: Contestant, warm_up: Sequence[Submission], records: Sequence[Submission], advance: Advance
) -> Measured:
    """Runs one contestant on a fresh data directory, which is removed when all went well.

    Raises:
        TurnFailed: it did not start, stood still, or left something else than it should.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"jubao-bench-{contestant.name}-"))
    with contestant.turn(directory) as turn:
        measured = asyncio.run(_measured(contestant, turn, warm_up, records, advance))
    shutil.rmtree(directory, ignore_errors=True)
    return measured


async def _measured(
    contestant: Contestant, turn: Turn, warm_up: Sequence[Submission], records: Sequence[Submission], advance: Advance
) -> Measured:
    connection = await asyncpg.connect(turn.database)
    try:
        rows_before, entries = await rows.counted(connection), await contestant.done(connection)
        watch = _Watch(contestant, turn, connection, advance)
        async with staged(turn.kafka, warm_up) as commit:
            await commit()
            await watch.until(entries, len(warm_up))
        entries = await contestant.done(connection)
        async with staged(turn.kafka, records) as commit:
            await asyncio.sleep(_REST_SECONDS)
            contestant.begin(turn)
            cpu_before, written_before = turn.processes.cpu_seconds(), await _written(connection)
            begun = await commit()
            ended = await watch.until(entries, len(records))
            cpu = processes.spent(cpu_before, turn.processes.cpu_seconds())
            written = await _written(connection) - written_before
        if missing := await contestant.missing(connection, len(warm_up) + len(records)):
            raise TurnFailed(f"{contestant.name} did not do all: {missing}", turn.directory)
        return Measured(
            contestant=contestant.name,
            records=len(records),
            seconds=round(ended - begun, 3),
            rate=round(len(records) / (ended - begun), 1),
            cpu_ms_a_report={name: round(1000 * used / len(records), 4) for name, used in cpu.items()},
            wal_bytes_a_report=round(written / len(records)),
            rows=rows.growth(rows_before, await rows.counted(connection)),
            bytes=await rows.table_bytes(connection),
        )
    finally:
        await connection.close()


async def _written(connection: asyncpg.Connection) -> int:
    """Bytes of write-ahead log since the database was made."""
    return int(await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))


@dataclass(frozen=True)
class _Watch:
    contestant: Contestant
    turn: Turn
    connection: asyncpg.Connection
    advance: Advance

    async def until(self, entries_before: int, reports: int) -> float:
        """Waits until so many more reports are done; the moment, by the monotonic clock."""
        wanted = entries_before + reports * ENTRIES_A_REPORT
        last, moved = entries_before, monotonic()
        while True:
            found = await self.contestant.done(self.connection)
            now = monotonic()
            if found > last:
                self.advance((found - last) // ENTRIES_A_REPORT)
                last, moved = found, now
            if found >= wanted:
                return now
            if dead := self.turn.processes.dead():
                raise TurnFailed(f"{self.contestant.name}: {', '.join(dead)} ended", self.turn.directory)
            if now - moved > _STALL_SECONDS:
                raise TurnFailed(
                    f"{self.contestant.name} stands still at {found} of {wanted} entries", self.turn.directory
                )
            await asyncio.sleep(_POLL_SECONDS)

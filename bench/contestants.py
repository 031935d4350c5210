"""The three that are measured: Jubao, the obvious build and the floor. Each is given a fresh directory and engines."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.engines import Turn, bare_engines, clean_environment, jubao_stack, working
from bench.obvious.engines import create_tables
from bench.obvious.settings import Settings as ObviousSettings
from services.cli.stack.process import Launch

ROOT = Path(__file__).parents[1]
ENTRIES_A_REPORT = 3
"""The submitted event, the triaged event, and the case's event."""

# Entries of reports so far: the last of a report's three is written after the report can be claimed.
_HEAD = "SELECT size FROM audit.head"
_SEQUENCE = "SELECT last_value FROM obvious.entries_index_seq WHERE is_called"

# Reports that stand in a case which waits to be claimed, and the entries of each kind of event.
_CLAIMABLE = "SELECT count(*) FROM {schema}.reports JOIN {schema}.ready USING (case_id)"
_LOGGED = """
    SELECT count(*) FILTER (WHERE type = 'jubao.report.submitted.v1') AS submitted,
           count(*) FILTER (WHERE type = 'jubao.report.triaged.v1') AS triaged,
           count(*) FILTER (WHERE type LIKE 'jubao.case.%') AS cases
    FROM {schema}.entries
"""


@dataclass(frozen=True)
class Contestant:
    """One of the three.

    Attributes:
        name: as figures call it.
        turn: engines and processes in a directory.
        progress: a cheap question whose answer grows by three for each report that is done.
        claimable, logged: what must hold in the end, asked once.
        begin: called when its records are about to become readable.
    """

    name: str
    turn: Callable[[Path], AbstractContextManager[Turn]]
    progress: str
    claimable: str
    logged: str
    begin: Callable[[Turn], None] = lambda _: None

    async def done(self, connection: asyncpg.Connection) -> int:
        """Entries so far; a cheap question."""
        return int(await connection.fetchval(self.progress) or 0)

    async def missing(self, connection: asyncpg.Connection, reports: int) -> str:
        """What is not as it must be after so many reports; empty when all can be claimed and are in the log."""
        claimable = await connection.fetchval(self.claimable)
        logged = await connection.fetchrow(self.logged)
        found = {"claimable": claimable, **dict(logged)}
        return ", ".join(f"{what} {count} of {reports}" for what, count in found.items() if count != reports)


@contextmanager
def _obvious(directory: Path) -> Iterator[Turn]:
    with bare_engines(directory) as turn:
        asyncio.run(create_tables(ObviousSettings(kafka=turn.kafka, database=turn.database)))
        settings = {"OBVIOUS_KAFKA": turn.kafka, "OBVIOUS_DATABASE": turn.database}
        with working(turn, _modules("bench.obvious", ("triage", "review", "audit"), settings, directory)):
            yield turn


@contextmanager
def _floor(directory: Path) -> Iterator[Turn]:
    with bare_engines(directory) as turn:
        settings = {"FLOOR_KAFKA": turn.kafka, "FLOOR_DATABASE": turn.database}
        with working(turn, _modules("bench.floor", ("review", "audit"), settings, directory)):
            yield turn


def _modules(package: str, names: tuple[str, ...], settings: dict[str, str], directory: Path) -> dict[str, Launch]:
    environment = {**clean_environment(), **settings, "PYTHONPATH": str(ROOT)}
    return {
        name: Launch(
            name=name,
            argv=(sys.executable, "-m", f"{package}.{name}"),
            log=directory / "log" / f"{name}.log",
            env=environment,
            # Python looks for a module where it is started before anywhere else.
            cwd=ROOT,
        )
        for name in names
    }


JUBAO = Contestant("jubao", jubao_stack, _HEAD, _CLAIMABLE.format(schema="review"), _LOGGED.format(schema="audit"))
OBVIOUS = Contestant(
    "obvious", _obvious, _SEQUENCE, _CLAIMABLE.format(schema="obvious"), _LOGGED.format(schema="obvious")
)
FLOOR = Contestant("floor", _floor, _HEAD, _CLAIMABLE.format(schema="review"), _LOGGED.format(schema="audit"))

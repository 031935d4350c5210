"""PostgreSQL and Kafka for one contestant's turn, on a data directory that nobody used before."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import Family
from services.cli.errors import CliError
from services.cli.stack.directory import DataDirectory
from services.cli.stack.entry import jubao_argv
from services.cli.stack.kafka import Kafka
from services.cli.stack.keys import make_keys
from services.cli.stack.ports import free_port
from services.cli.stack.postgres import Postgres
from services.cli.stack.process import Launch, await_answer, end_all, spawn
from services.cli.stack.state import read_state

_STEP_SECONDS = 120
_START_SECONDS = 60.0
_UP_SECONDS = 180


class TurnFailed(CliError):
    """A contestant could not be started or did not finish."""

    def __init__(self, what: str, directory: Path) -> None:
        super().__init__(f"{what}; the logs in {directory / 'log'} say why (they are kept).")


@dataclass
class Turn:
    """One contestant on running engines."""

    directory: Path
    kafka: str
    database: str
    processes: Family = field(default_factory=Family)


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours: a run is to be the same whoever starts it.

    Modules stay compiled from one start to the next, as those of an installed package are.
    """
    uncompiled = "PYTHONDONTWRITEBYTECODE"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JUBAO_") and name != uncompiled}
    return {**kept, "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}


@contextmanager
def jubao_stack(directory: Path, told: Mapping[str, str] | None = None) -> Iterator[Turn]:
    """Jubao as `jubao up` starts it; `told` is what its environment has beside our own."""
    environment = {**clean_environment(), **(told or {})}
    up = jubao_argv("up", "--detach", "--data", str(directory), "--port", str(free_port()))
    done = subprocess.run(  # noqa: S603 -- the project's own command
        up, env=environment, capture_output=True, text=True, timeout=_UP_SECONDS, check=False
    )
    if done.returncode != 0:
        raise TurnFailed(f"`jubao up` failed ({done.stderr.strip()})", directory)
    try:
        state = read_state(DataDirectory.of(directory))
        if state is None:
            raise TurnFailed("`jubao up` left no word of what it started", directory)
        family = Family({slot.name: slot.process.pid for slot in state.slots if slot.process is not None})
        yield Turn(directory, state.kafka, state.database, family)
    finally:
        down = jubao_argv("down", "--data", str(directory))
        subprocess.run(down, env=environment, capture_output=True, timeout=_UP_SECONDS, check=False)  # noqa: S603


@contextmanager
def bare_engines(directory: Path) -> Iterator[Turn]:
    """Engines set up as Jubao's own are, with Jubao's topics and tables, and no services."""
    data = DataDirectory.of(directory)
    data.make()
    make_keys(data)
    ports = [free_port() for _ in range(3)]
    postgres = Postgres(
        data.root / "postgres", data.log_of("postgres"), password_file=data.postgres_password, port=ports[0]
    )
    kafka = Kafka(data.root / "kafka", data.log_of("kafka"), port=ports[1], controller_port=ports[2])
    launched: list[tuple[Launch, subprocess.Popen[bytes]]] = []
    try:
        for engine in (postgres, kafka):
            engine.install()
            launch = engine.launch()
            process = spawn(launch)
            launched.append((launch, process))
            await_answer(engine, process, _START_SECONDS)
        turn = Turn(
            data.root, kafka.address, postgres.dsn, Family({launch.name: process.pid for launch, process in launched})
        )
        for step in (("db", "upgrade"), ("topics", "create")):
            _step(turn, *step)
        yield turn
    finally:
        end_all(launched)


def _step(turn: Turn, *arguments: str) -> None:
    environment = {
        **clean_environment(),
        "JUBAO_DATA": str(turn.directory),
        "JUBAO_KAFKA": turn.kafka,
        "JUBAO_DATABASE": turn.database,
    }
    done = subprocess.run(  # noqa: S603 -- the project's own command
        jubao_argv(*arguments), env=environment, capture_output=True, text=True, timeout=_STEP_SECONDS, check=False
    )
    if done.returncode != 0:
        raise TurnFailed(f"`jubao {' '.join(arguments)}` failed ({done.stderr.strip()})", turn.directory)


@contextmanager
def working(turn: Turn, launches: Mapping[str, Launch]) -> Iterator[None]:
    """The contestant's own processes, for the length of the block."""
    running = [(launch, spawn(launch)) for launch in launches.values()]
    turn.processes.add({launch.name: process.pid for launch, process in running})
    try:
        yield
    finally:
        end_all(running)

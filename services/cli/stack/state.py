"""What a supervisor says of itself on disk: read by `status`, `down`, the next `up`, and every command that calls."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import psutil

from services.cli.stack.directory import DataDirectory
from services.runtime.files import PRIVATE, replace_file

Answer = Mapping[str, Any]
# psutil derives creation times from the boot time, which moves a little when the clock is set.
_SAME_CREATION_SECONDS = 2.0


class Phase(StrEnum):
    """Where a supervisor is in its life."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


@dataclass(frozen=True)
class ProcessId:
    """A process for certain: its number alone may be another program's by now."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """The process that has this number now; none when it is gone already."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def process(self) -> psutil.Process | None:
        """The process if it still lives and is the same one; a zombie is not alive."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) <= _SAME_CREATION_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


@dataclass
class SlotState:
    """One child as the supervisor knows it."""

    name: str
    health: str
    """Where it answers /readyz: `http://HOST:PORT`, `unix:PATH`, or empty for an engine."""
    stop_signal: int
    process: ProcessId | None = None
    """None while it waits to be started again."""
    starts: int = 0
    last_exit: int | None = None
    """Exit code of the last process that ended, negative for a signal; None when none ended."""
    since: str = ""
    """When it came into its present state, ISO 8601."""


@dataclass
class StackState:
    """The whole file."""

    supervisor: ProcessId
    data: str
    phase: Phase = Phase.STARTING
    http: str = ""
    kafka: str = ""
    database: str = ""
    """With the password: the file is for this user only."""
    ready_seconds: float = 0.0
    alarms: list[str] = field(default_factory=list)
    """What waited for a person when the rest was ready."""
    slots: list[SlotState] = field(default_factory=list)

    def answer(self) -> Answer:
        """What `jubao up --json` prints; `alarms` only where something waits for a person."""
        answer: dict[str, Any] = {
            "http": self.http,
            "kafka": self.kafka,
            "database": self.database,
            "data": self.data,
            "ready_seconds": self.ready_seconds,
        }
        return answer | ({"alarms": self.alarms} if self.alarms else {})

    def is_alive(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return self.supervisor.process() is not None

    def processes(self) -> list[ProcessId]:
        """All that it recorded: its children, itself last."""
        return [*(slot.process for slot in self.slots if slot.process), self.supervisor]


def write_state(directory: DataDirectory, state: StackState) -> None:
    """Puts the file in place of the last one, at once."""
    replace_file(directory.state_file, json.dumps(asdict(state), indent=1).encode(), mode=PRIVATE)


def read_state(directory: DataDirectory) -> StackState | None:
    """The file, whether its supervisor lives or not; none when there is none or it is not ours to read."""
    try:
        raw = json.loads(directory.state_file.read_bytes())
        return _parsed(raw)
    except (FileNotFoundError, PermissionError, ValueError, KeyError, TypeError):
        return None


def own_process() -> ProcessId:
    """The running process."""
    pid = os.getpid()
    return ProcessId(pid, psutil.Process(pid).create_time())


def _parsed(raw: dict[str, Any]) -> StackState:
    slots = [SlotState(**{**slot, "process": _process(slot["process"])}) for slot in raw["slots"]]
    supervisor = ProcessId(**raw["supervisor"])
    return StackState(**{**raw, "supervisor": supervisor, "phase": Phase(raw["phase"]), "slots": slots})


def _process(raw: dict[str, Any] | None) -> ProcessId | None:
    return None if raw is None else ProcessId(**raw)

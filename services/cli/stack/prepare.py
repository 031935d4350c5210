"""What must be done between engines and services: roles and tables in the database, topics in the broker.

Both are commands of their own, which a deployment runs by hand or as jobs; the embedded stack runs the same ones, as
processes, so that what they import never stays in the supervisor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.cli.errors import DiskFull, PreparationFailed
from services.cli.stack.entry import jubao_argv
from services.cli.stack.logfile import log_tail
from services.cli.stack.process import Launch

STEP_SECONDS = 60.0


@dataclass(frozen=True)
class Step:
    """One command, begun as soon as the engine it works on answers."""

    engine: str
    """Name of that engine; when it is not ours to start, the step begins at once."""
    argv: tuple[str, ...]
    shown: str
    """The command as a person would type it."""

    def launch(self, environment: Mapping[str, str], log: Path) -> Launch:
        """How to run it."""
        return Launch(name=self.shown, argv=self.argv, log=log, env=environment)


def steps() -> tuple[Step, ...]:
    """All preparations; they do not depend on one another."""
    return (
        Step("postgres", jubao_argv("db", "upgrade"), "jubao db upgrade"),
        Step("kafka", jubao_argv("topics", "create"), "jubao topics create"),
    )


def preparation_failure(step: Step, log: Path) -> DiskFull | PreparationFailed:
    """Why a step failed: the last thing it said is its own sentence."""
    tail = log_tail(log)
    if b"No space left on device" in tail:
        return DiskFull(log.parent)
    said = tail.decode(errors="replace").strip().rpartition("\n")[2]
    return PreparationFailed(step.shown, said.rstrip("."), log)

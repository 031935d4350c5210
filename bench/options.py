"""What a person may ask of a benchmark beside its name."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

Advance = Callable[[int], None]
Progress = Callable[[str, int], AbstractContextManager[Advance]]


@dataclass(frozen=True)
class Options:
    """How often, how much, and where to.

    Attributes:
        runs: how often each contestant has its turn.
        records: how many records one turn is measured over; None: what the benchmark is meant for.
        entries: how many entries the log has that is read and verified; None likewise.
        report: the directory into which figures, plots and raw data go; None: none are written.
        seed: of what is drawn.
        progress: shows how far a turn is, given what it is and how many there will be.
    """

    runs: int
    progress: Progress
    records: int | None = None
    entries: int | None = None
    report: Path | None = None
    seed: int = 1

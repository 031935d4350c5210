"""What a contestant's processes have used of the processors, children that are gone included."""

import os
from collections.abc import Iterable, Mapping

import psutil


class Family:
    """Named processes, each with all its descendants.

    Processor time is the measure that other work on the machine disturbs least, so it is told beside every rate.
    """

    def __init__(self, pids: Mapping[str, int] | None = None) -> None:
        self._pids = dict(pids or {})

    @property
    def names(self) -> list[str]:
        """In the order they were told."""
        return list(self._pids)

    def add(self, pids: Mapping[str, int]) -> None:
        """Takes in more."""
        self._pids.update(pids)

    def signal(self, names: Iterable[str], number: int) -> None:
        """Sends a signal to some of them, and to none of their children."""
        for name in names:
            os.kill(self._pids[name], number)

    def dead(self) -> list[str]:
        """The names of those that have ended."""
        return [name for name, pid in self._pids.items() if not _lives(pid)]

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time by name, up to now."""
        return {name: _used(pid) for name, pid in self._pids.items()}


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _used(pid: int) -> float:
    try:
        top = psutil.Process(pid)
        processes = [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            # It ended between the two questions; its parent counts it from now on.
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was used between two readings, by name."""
    return {name: round(after[name] - before.get(name, 0.0), 3) for name in after}

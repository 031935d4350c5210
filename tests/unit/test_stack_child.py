"""A child that ends is started again, less and less often while it fails."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.cli.errors import DiskFull
from services.cli.stack.child import Child, Slot, backoff_seconds
from services.cli.stack.logfile import begin_log, bound_log
from services.cli.stack.process import Launch
from services.runtime.clock import SetClock


class Hands:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        """Now."""
        return self.seconds


def child_of(tmp_path: Path, code: str, hands: Hands, **options: object) -> tuple[Child, list[str]]:
    notes: list[str] = []
    launch = Launch(name="tiny", argv=(sys.executable, "-c", code), log=tmp_path / "tiny.log")
    clock = SetClock(datetime(2026, 11, 23, tzinfo=UTC))
    return Child(Slot(launch), clock=clock, note=notes.append, monotonic=hands, **options), notes


def wait_for_end(child: Child) -> int:
    assert child.process is not None
    return child.process.wait(20)


def test_backoff_doubles_to_its_bound() -> None:
    """Waiting doubles from 0.2 s and never exceeds 15 s, however long the failures last."""
    assert [backoff_seconds(n) for n in (1, 2, 3, 4, 7)] == pytest.approx([0.2, 0.4, 0.8, 1.6, 12.8])
    assert {backoff_seconds(n) for n in (8, 100, 100_000)} == {15.0}


def test_an_end_is_recorded_and_followed_by_a_start(tmp_path: Path) -> None:
    """A child that ended with 7 waits its backoff, runs again, and its state says so."""
    hands = Hands()
    child, notes = child_of(tmp_path, "raise SystemExit(7)", hands)
    child.start()
    assert child.state.process is not None
    wait_for_end(child)
    assert child.tend()
    assert (child.state.process, child.state.last_exit, child.state.starts) == (None, 7, 1)
    assert not child.tend()
    hands.seconds += 0.25
    assert child.tend()
    assert child.state.starts == 2
    assert "tiny ended with code 7" in notes[0]
    wait_for_end(child)


def test_failures_in_a_row_wait_longer_and_a_long_life_forgives(tmp_path: Path) -> None:
    """The third short life is followed by 0.8 s; after a life of 30 s the wait is 0.2 s again."""
    hands = Hands()
    child, _ = child_of(tmp_path, "pass", hands)
    waits = []
    for _ in range(3):
        child.start()
        wait_for_end(child)
        child.tend()
        waits.append(child.waits_seconds())
    child.start()
    wait_for_end(child)
    hands.seconds += 31
    child.tend()
    waits.append(child.waits_seconds())
    assert waits == pytest.approx([0.2, 0.4, 0.8, 0.2])


def test_what_fails_before_a_start_counts_as_a_failed_start(tmp_path: Path) -> None:
    """An engine whose disk is full is tried again later and does not end its supervisor."""
    hands = Hands()

    def no_room() -> None:
        raise DiskFull(tmp_path)

    child, notes = child_of(tmp_path, "pass", hands, before=no_room)
    child.start()
    wait_for_end(child)
    child.tend()
    hands.seconds += 0.3
    assert child.tend()
    assert child.process is None
    assert child.waits_seconds() == pytest.approx(0.4)
    assert "could not be started: The disk" in notes[1]


def test_a_log_is_emptied_under_the_child_that_writes_it(tmp_path: Path) -> None:
    """A log beyond its bound moves to `.1`, and the child goes on at the beginning of the emptied file."""
    path = tmp_path / "x.log"
    with begin_log(path) as log:
        log.write(b"a" * 100)
        bound_log(path, most_bytes=200)
        assert path.stat().st_size == 100
        bound_log(path, most_bytes=50)
        log.write(b"b")
    assert (path.read_bytes(), (tmp_path / "x.log.1").read_bytes()) == (b"b", b"a" * 100)

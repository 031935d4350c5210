"""A worker that is one task."""

import asyncio

import pytest

from services.runtime import background
from services.runtime.background import Background


class _Stumbling(Background):
    """Fails as often as it is told, then waits for ever."""

    def __init__(self, failures: int) -> None:
        super().__init__("stumbling")
        self.left = failures
        self.runs = asyncio.Event()

    async def _run(self) -> None:
        if self.left:
            self.left -= 1
            raise KeyError("a value that no log may hold")
        self.runs.set()
        await asyncio.Event().wait()


async def test_a_worker_is_run_again_after_what_it_did_not_foresee(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unforeseen error neither ends the worker nor puts the error's text into the log."""
    monkeypatch.setattr(background, "_FIRST_PAUSE_SECONDS", 0.01)
    worker = _Stumbling(2)
    assert worker._stopped_for() == "stumbling was not started"
    await worker.start()
    await asyncio.wait_for(worker.runs.wait(), 5)
    assert worker._stopped_for() == ""
    await worker.stop()
    told = capsys.readouterr()
    assert "a value that no log may hold" not in told.out + told.err


async def test_a_stop_ends_the_task() -> None:
    """After a stop nothing of the worker runs on, and a second stop does nothing."""
    worker = _Stumbling(0)
    await worker.start()
    await worker.runs.wait()
    await worker.stop()
    await worker.stop()
    assert "stumbling" not in {task.get_name() for task in asyncio.all_tasks()}

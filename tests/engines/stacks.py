"""The two engines under one stack, as a test of the whole handles them, whatever they run in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psutil


class StackEngine(Protocol):
    """PostgreSQL or Kafka under a stack."""

    name: str

    def pause(self) -> None:
        """Stops it where it is: who is connected stays so and hears nothing."""

    def resume(self) -> None:
        """Lets it go on."""

    def crash(self) -> None:
        """Kills it at once; it comes up again with what it has on disk."""


class StackEngines(Protocol):
    """Both of them."""

    kafka: StackEngine
    postgres: StackEngine

    def start(self) -> tuple[str, ...]:
        """Has them run, for the first time or again; what `jubao up` is told about them."""

    def stop(self) -> None:
        """Stops them cleanly, after the stack; their data stays."""

    def remove(self) -> None:
        """Takes away what they leave."""


@contextmanager
def paused(engine: StackEngine) -> Iterator[None]:
    """The engine is silent for as long as the block lasts."""
    engine.pause()
    try:
        yield
    finally:
        engine.resume()


class EmbeddedEngine:
    """An engine that `jubao up` started: its processes, found by what they were started with."""

    def __init__(self, name: str, word: str, data: Path) -> None:
        self.name = name
        self._words = word, str(data)

    def pause(self) -> None:
        for process in self._family():
            process.suspend()

    def resume(self) -> None:
        for process in self._family():
            process.resume()

    def crash(self) -> None:
        # The supervisor starts it again.
        for process in self._processes():
            process.kill()

    def _processes(self) -> list[psutil.Process]:
        lines = [(p, " ".join(p.info["cmdline"] or [])) for p in psutil.process_iter(["cmdline"])]
        found = [process for process, line in lines if all(word in line for word in self._words)]
        assert found, f"no {self.name} runs in {self._words[1]}"
        return found

    def _family(self) -> list[psutil.Process]:
        return [member for process in self._processes() for member in [process, *process.children(recursive=True)]]


class EmbeddedEngines:
    """The engines that `jubao up` starts by itself and `jubao down` stops."""

    def __init__(self, data: Path) -> None:
        self.kafka: StackEngine = EmbeddedEngine("kafka", "kafka.Kafka", data)
        self.postgres: StackEngine = EmbeddedEngine("postgres", str(data / "postgres"), data)

    def start(self) -> tuple[str, ...]:
        return ()

    def stop(self) -> None:
        """`jubao down` did."""

    def remove(self) -> None:
        """They leave nothing but files in the stack's directory."""

"""One process: settings, engines and workers, begun together and stopped in order when the system asks for it."""

import asyncio
import gc
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi import FastAPI

from schemas.topics import Topic
from services.runtime.auth import Tokens
from services.runtime.broker import Publisher
from services.runtime.clock import Clock, SystemClock
from services.runtime.database import Database, pause_seconds
from services.runtime.dead import DeadLetters
from services.runtime.health import Health, Worker
from services.runtime.kafkalogin import replaying
from services.runtime.logs import logger
from services.runtime.outbox import Relay
from services.runtime.pages import Cursors
from services.runtime.problems import Unavailable
from services.runtime.rates import Rates
from services.runtime.settings import Settings
from services.runtime.turns import Turns

__all__ = ["Process", "StartRefused", "Unit", "UnitMaker", "Worker", "run_workers", "stop_signal"]

log = logger(__name__)

_MOST_START_PAUSE_SECONDS = 5.0
# New objects, searches of the young, searches of the middle-aged: each before the next older generation is searched.
_COLLECT_AFTER = (100_000, 20, 100)


class StartRefused(Exception):
    """A process must not run as it is set up: its text says, a line for each thing, what to mend."""


class Process:
    """What the services of one process share; each is made when it is first asked for."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.tokens = Tokens(settings, self.clock)
        self.cursors = Cursors(settings.cursor_key_file)
        self.rates, self.turns = Rates(), Turns()
        self.publisher = Publisher(settings)
        self._databases: dict[str, Database] = {}
        self._relays: dict[str, Relay] = {}
        replays = replaying(settings)
        self._replays = replays
        self._replayer = self.publisher if replays is settings else Publisher(replays)

    def database(self, service: str) -> Database:
        """The connections of a service."""
        if service not in self._databases:
            self._databases[service] = Database(self.settings, service)
        return self._databases[service]

    def relay(self, service: str, *, reserve_seconds: float = 0.0) -> Relay:
        """The relay of a service's outbox; one in a process, however many of its units run here.

        Args:
            service: whose outbox.
            reserve_seconds: as `Relay`'s; of the units of a process the readiest counts.
        """
        if service not in self._relays:
            self._relays[service] = Relay(self.database(service), self.publisher, reserve_seconds)
        relay = self._relays[service]
        relay.reserve_seconds = min(relay.reserve_seconds, reserve_seconds)
        return relay

    def dead_letters(self, service: str) -> DeadLetters:
        """The dead letters of a service."""
        return DeadLetters(self._replays, self.database(service), self._replayer)

    async def close(self) -> None:
        """Gives back all connections."""
        await self.publisher.stop()
        await self._replayer.stop()
        for database in self._databases.values():
            await database.close()


@dataclass(frozen=True, slots=True)
class Unit:
    """What runs together and is scaled together: an HTTP app, workers, or both.

    `publishes` names the topics of its own events; that a keeper sends dead letters stands in the table of topics.
    """

    app: FastAPI | None = None
    workers: Sequence[Worker] = field(default_factory=tuple)
    publishes: Sequence[Topic] = ()


UnitMaker = Callable[[Process], Unit]


def stop_signal() -> asyncio.Event:
    """An event that TERM or INT sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def settle() -> None:
    """Spares the garbage collector what start-up made, and the search through a batch while it is being worked on.

    A batch of two thousand events is some hundred thousand objects that live together and die together. With Python's
    default of a search every 700 objects they are gone over again and again, at a third of all the CPU a batch costs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


async def run_workers(workers: Sequence[Worker], stop: asyncio.Event) -> None:
    """Starts workers in order, waits for the stop, stops them in reverse order. A worker whose engine is away waits."""
    begun: list[Worker] = []
    try:
        for worker in workers:
            if not await _begin(worker, stop):
                return
            begun.append(worker)
        settle()
        await stop.wait()
    finally:
        for worker in reversed(begun):
            await worker.stop()
            log.info("worker_stopped", worker=worker.name)


async def _begin(worker: Worker, stop: asyncio.Event) -> bool:
    attempt = 0
    while not stop.is_set():
        try:
            await worker.start()
        except (Unavailable, OSError) as error:
            log.warning("worker_waits", worker=worker.name, error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_seconds(attempt, 0.2, _MOST_START_PAUSE_SECONDS))
            attempt += 1
        else:
            return True
    return False


def health_of(workers: Sequence[Worker]) -> Mapping[str, Health]:
    """How each worker fares."""
    return {worker.name: worker.health() for worker in workers}

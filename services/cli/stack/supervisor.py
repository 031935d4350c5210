"""The supervisor: starts engines, preparations and services in order, keeps them running, and ends them all."""

import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from typing import Protocol

from services.cli.errors import DiskFull, EngineFailed, NotReady, StackError, explained
from services.cli.stack.child import Child, Slot
from services.cli.stack.directory import DataDirectory
from services.cli.stack.leftovers import stop_leftovers
from services.cli.stack.logfile import last_sentence, rotate
from services.cli.stack.prepare import STEP_SECONDS, Step, preparation_failure
from services.cli.stack.probe import standing
from services.cli.stack.process import Engine, end_all, failure, spawn, stop
from services.cli.stack.services import Addresses
from services.cli.stack.signals import Signals, StopAsked
from services.cli.stack.state import Answer, Phase, StackState, own_process, write_state
from services.runtime.clock import Clock

READY_SECONDS = 120.0
_POLL_SECONDS = 0.05
_HOUSEKEEPING_SECONDS = 10.0
# A service that ends this often before it was ever ready will not become ready.
_MOST_EXITS_WHILE_STARTING = 5


class Tell(Protocol):
    """Where a supervisor says how far it is."""

    def step(self, text: str) -> None:
        """It has begun something."""

    def note(self, text: str) -> None:
        """A line for its log."""

    def ready(self, answer: Answer) -> None:
        """All of it answers."""


@dataclass(frozen=True)
class Plan:
    """What a stack consists of."""

    engines: tuple[Engine, ...]
    """Those that are ours to start; none of one that was given by address."""
    steps: tuple[Step, ...]
    addresses: Callable[[], Addresses]
    """Asked once the engines are installed: a first installation makes the password."""
    environment: Callable[[Addresses], dict[str, str]]
    """What the steps are told."""
    slots: Callable[[Addresses], tuple[Slot, ...]]
    socket_names: tuple[str, ...]
    renew: Callable[[], None]
    """Renews what the services need renewed (their token)."""
    renewal_seconds: float
    ready_seconds: float = READY_SECONDS


class Supervisor:
    """Runs one plan in one directory, in the foreground, on the main thread; the caller holds the directory."""

    def __init__(self, plan: Plan, directory: DataDirectory, *, tell: Tell, clock: Clock) -> None:
        self._plan = plan
        self._directory = directory
        self._tell = tell
        self._clock = clock
        self._signals = Signals()
        self._engines: list[Child] = []
        self._services: list[Child] = []
        self._state = StackState(supervisor=own_process(), data=str(directory.root))
        self._began = time.monotonic()

    def run(self) -> None:
        """Starts everything, stays until it is asked to stop, stops everything.

        Raises:
            StackError: it could not be started; whatever ran is stopped by then.
        """
        with self._signals.caught():
            try:
                self._start()
                self._stay()
            except StopAsked:
                self._tell.note("asked to stop while starting")
            except OSError as refused:
                raise explained(refused, self._directory.root) from refused
            except StackError as failed:
                # Whatever failed first, this is what a person has to mend.
                if self._directory.is_full():
                    raise DiskFull(self._directory.root) from failed
                raise
            finally:
                self._stop()

    def _start(self) -> None:
        for line in stop_leftovers(self._directory):
            self._tell.note(line)
        self._directory.make_fresh(self._plan.socket_names)
        self._write()
        self._install_engines()
        addresses = self._plan.addresses()
        self._state.http, self._state.kafka = addresses.http, addresses.kafka
        self._state.database = addresses.database
        self._start_engines()
        self._prepare(addresses)
        self._start_services(addresses)
        self._await_services()
        self._state.ready_seconds = round(time.monotonic() - self._began, 2)
        self._state.phase = Phase.READY
        self._write()
        self._tell.ready(self._state.answer())

    def _install_engines(self) -> None:
        for engine in self._plan.engines:
            self._tell.step(f"setting up {engine.name}")
            with self._signals.interrupting():
                engine.install()

    def _start_engines(self) -> None:
        for engine in self._plan.engines:
            rotate(engine.log)
            # Installing again before a restart clears what the crash left.
            child = self._child(Slot(engine.launch()), before=engine.install)
            self._engines.append(child)
            child.start()
        self._write()

    def _prepare(self, addresses: Addresses) -> None:
        """Runs each step as soon as its engine answers, while the other engine may still be starting."""
        environment = self._plan.environment(addresses)
        waiting = {engine.name: engine for engine in self._plan.engines}
        steps = list(self._plan.steps)
        running: list[tuple[Step, subprocess.Popen[bytes]]] = []
        deadline = time.monotonic() + STEP_SECONDS
        self._tell.step("waiting for " + " and ".join(waiting) if waiting else "preparing")
        try:
            while waiting or steps or running:
                for name in [name for name, engine in waiting.items() if self._answers(engine)]:
                    del waiting[name]
                for step in [step for step in steps if step.engine not in waiting]:
                    self._tell.step(step.shown)
                    steps.remove(step)
                    rotate(self._log_of(step))
                    running.append((step, spawn(step.launch(environment, self._log_of(step)))))
                running = [(step, process) for step, process in running if not self._is_done(step, process)]
                if time.monotonic() > deadline:
                    raise self._late(waiting, running)
                self._pause(_POLL_SECONDS)
        finally:
            for _, process in running:
                stop(process, SIGTERM, 1.0)

    def _answers(self, engine: Engine) -> bool:
        child = next(child for child in self._engines if child.name == engine.name)
        if child.process is not None and (code := child.process.poll()) is not None:
            raise failure(engine.name, f"ended with code {code} while starting", engine.log)
        return engine.answers()

    def _is_done(self, step: Step, process: subprocess.Popen[bytes]) -> bool:
        code = process.poll()
        if code:
            raise preparation_failure(step, self._log_of(step))
        return code == 0

    def _late(self, waiting: Mapping[str, Engine], running: list[tuple[Step, subprocess.Popen[bytes]]]) -> StackError:
        for engine in waiting.values():
            return EngineFailed(engine.name, f"did not answer within {STEP_SECONDS:.0f} s", engine.log)
        step = running[0][0]
        return EngineFailed(step.shown, f"was not done within {STEP_SECONDS:.0f} s", self._log_of(step))

    def _start_services(self, addresses: Addresses) -> None:
        self._plan.renew()
        self._tell.step("starting the services")
        for slot in self._plan.slots(addresses):
            rotate(slot.launch.log)
            child = self._child(slot)
            self._services.append(child)
            child.start()
        self._write()

    def _await_services(self) -> None:
        deadline = time.monotonic() + self._plan.ready_seconds
        missing = [(child, probe) for child in self._services for probe in child.slot.probes]
        while missing:
            self._tell.step("waiting for " + ", ".join(dict.fromkeys(child.name for child, _ in missing)))
            self._tend()
            missing = [(child, probe) for child, probe in missing if not self._arrived(child, probe)]
            for child, probe in missing:
                log = child.slot.launch.log
                if child.exits >= _MOST_EXITS_WHILE_STARTING:
                    raise NotReady(child.name, f"ended {child.exits} times while starting", log, last_sentence(log))
                if time.monotonic() > deadline:
                    what = f"was not ready ({probe}) in {self._plan.ready_seconds:.0f} s"
                    raise NotReady(child.name, what, log, standing(child.slot.health, probe).waits)
            self._pause(_POLL_SECONDS)

    def _arrived(self, child: Child, probe: str) -> bool:
        """Whether it is ready, or can be helped by a person alone: the rest is not to stand still for that."""
        told = standing(child.slot.health, probe)
        if told.alarm:
            self._state.alarms.append(f"{child.name}: {told.waits}")
            self._tell.note(f"goes on although {child.name} waits for a person: {told.waits}")
        return told.ready or told.alarm

    def _stay(self) -> None:
        renewal = time.monotonic() + self._plan.renewal_seconds
        while not self._signals.stops:
            if not self._directory.run.exists():
                # Nobody could ever find us again, to stop us or to call us.
                self._tell.note(f"{self._directory.root} was removed")
                return
            self._tend()
            for child in self._children():
                child.bound_log()
            if time.monotonic() >= renewal:
                self._renew()
                renewal = time.monotonic() + self._plan.renewal_seconds
            waits = [seconds for child in self._children() if (seconds := child.waits_seconds()) is not None]
            self._signals.wait(min([_HOUSEKEEPING_SECONDS, *waits]))

    def _renew(self) -> None:
        try:
            self._plan.renew()
        except OSError as refused:
            # The old token holds for hours yet; a supervisor that ended over this would help nobody.
            self._tell.note(f"could not renew the service token: {refused}")

    def _tend(self) -> None:
        changed = [child.tend() for child in self._children()]
        if any(changed):
            self._write()

    def _pause(self, seconds: float) -> None:
        self._signals.check()
        self._signals.wait(seconds)
        self._signals.check()

    def _stop(self) -> None:
        """Services first, while engines can still take their last batch; then both engines."""
        self._state.phase = Phase.STOPPING
        self._write()
        self._tell.step("stopping")
        for children in (self._services, self._engines):
            end_all(
                [(child.slot.launch, child.process) for child in children if child.process is not None],
                impatient=lambda: self._signals.stops > 1,
            )
            for child in children:
                child.forget()
        with suppress(FileNotFoundError):
            self._directory.state_file.unlink()

    def _write(self) -> None:
        """Records what runs; on a full disk the stack goes on with a stale record rather than not at all."""
        self._state.slots = [child.state for child in self._children()]
        try:
            write_state(self._directory, self._state)
        except OSError as refused:
            if self._state.phase is Phase.STARTING:
                raise
            self._tell.note(f"could not write {self._directory.state_file}: {refused}")

    def _children(self) -> list[Child]:
        return [*self._engines, *self._services]

    def _child(self, slot: Slot, *, before: Callable[[], None] | None = None) -> Child:
        return Child(slot, clock=self._clock, note=self._tell.note, before=before)

    def _log_of(self, step: Step) -> Path:
        return self._directory.log_of(step.shown.replace(" ", "-"))

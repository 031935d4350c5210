"""Runs the real supervisor over tiny processes: `python fake_stack.py DATA MODE`, for test_stack_supervisor.py."""

import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from signal import SIGTERM

import click

from services.cli.errors import CliError
from services.cli.stack import directory as directory_module
from services.cli.stack.child import Slot
from services.cli.stack.directory import DataDirectory
from services.cli.stack.ports import free_port
from services.cli.stack.prepare import Step
from services.cli.stack.process import Launch
from services.cli.stack.services import Addresses
from services.cli.stack.supervisor import Plan, Supervisor
from services.runtime.clock import SystemClock

ENGINE = """
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        server.accept()[0].close()
"""
# Clears its address first, as asyncio's own server does: one that was killed leaves its socket behind.
SERVICE = """
import http.server, pathlib, socketserver, sys
told = sys.argv[2].encode()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if told else 200); self.send_header("Content-Length", str(len(told)))
        self.end_headers(); self.wfile.write(told)
    def log_message(self, *words):
        pass
pathlib.Path(sys.argv[1]).unlink(missing_ok=True)
with socketserver.UnixStreamServer(sys.argv[1], Handler) as server:
    server.serve_forever()
"""
# Takes no notice of being asked to stop.
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVICE
BROKEN = "raise SystemExit('it cannot be')"
ALARM = '{"status": "waits", "waits": {"log": "it was set back"}, "alarms": ["log"]}'


class FakeEngine:
    """Something that listens on a port."""

    name = "engine"

    def __init__(self, directory: DataDirectory) -> None:
        self.log = directory.log_of(self.name)
        self._port = free_port()
        self._installed = directory.root / "installed"

    def install(self) -> None:
        """Counts how often it was called."""
        with self._installed.open("a") as file:
            file.write("x")

    def launch(self) -> Launch:
        """A listener."""
        return Launch(self.name, (sys.executable, "-c", ENGINE, str(self._port)), self.log)

    def answers(self) -> bool:
        """Whether it listens."""
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True


class Told:
    """Prints what the supervisor tells."""

    def step(self, text: str) -> None:
        """Not shown."""

    def note(self, text: str) -> None:
        """To the log."""
        click.echo(text, err=True)

    def ready(self, answer: Mapping[str, str | float]) -> None:
        """One line."""
        click.echo(json.dumps(dict(answer)))


def plan(directory: DataDirectory, mode: str) -> Plan:
    """One engine, one step, two services."""
    codes = {"good": SERVICE, "lazy": {"stubborn": STUBBORN, "broken": BROKEN}.get(mode, SERVICE)}

    told = ALARM if mode == "alarmed" else ""

    def slots(_: Addresses) -> tuple[Slot, ...]:
        return tuple(
            Slot(
                Launch(
                    name,
                    (sys.executable, "-c", code, str(directory.socket_of(name)), told),
                    directory.log_of(name),
                    stop_signal=SIGTERM,
                    stop_seconds=1.0,
                ),
                f"unix:{directory.socket_of(name)}",
                ("/readyz",),
            )
            for name, code in codes.items()
        )

    said = "raise SystemExit('The step is impossible.')" if mode.startswith("unprepared") else "pass"
    return Plan(
        engines=(FakeEngine(directory),),
        steps=(Step("engine", (sys.executable, "-c", said), "some step"),),
        addresses=lambda: Addresses("http://127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:2", "postgresql://127.0.0.1:3/x"),
        environment=lambda _: {},
        slots=slots,
        socket_names=tuple(codes),
        renew=lambda: None,
        renewal_seconds=3600.0,
        ready_seconds=20.0,
    )


def main() -> None:
    """The foreground supervisor, as `jubao up` runs it."""
    directory = DataDirectory.of(Path(sys.argv[1]))
    directory.make()
    if sys.argv[2] == "unprepared-full":
        # As if the disk had filled while it was starting.
        directory_module._FULL_BYTES = 1 << 62
    try:
        with directory.held():
            Supervisor(plan(directory, sys.argv[2]), directory, tell=Told(), clock=SystemClock()).run()
    except CliError as failed:
        sys.exit(failed.message)


if __name__ == "__main__":
    main()

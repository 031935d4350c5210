"""`jubao up`: starts the embedded stack, in the foreground or detached."""

import os
import time
from pathlib import Path

import click

from services.cli.errors import AlreadyRunning, CliError, StackError
from services.cli.options import data_option, json_option
from services.cli.output import emit, say, say_on_terminal, status
from services.cli.stack.detach import Failed, start_detached
from services.cli.stack.directory import DataDirectory, InUse
from services.cli.stack.ignored import ignored_settings
from services.cli.stack.plan import Wanted, check_addresses, check_port, plan_of
from services.cli.stack.state import Answer, Phase, StackState, read_state
from services.cli.stack.supervisor import READY_SECONDS, Supervisor
from services.cli.stack.tell import Detached, Foreground
from services.runtime.clock import SystemClock
from services.runtime.settings import Settings, without_password

_POLL_SECONDS = 0.1


@click.command()
@click.option("--detach", is_flag=True, help="Return once it is ready; `jubao down` stops it.")
@data_option
@click.option("--port", type=click.IntRange(1, 65_535), help="HTTP port on 127.0.0.1; default 8600.")
@click.option("--kafka", metavar="HOST:PORT", help="Use this broker instead of starting one.")
@click.option("--database", metavar="DSN", help="Use this database (postgresql://...) instead of starting one.")
@json_option
@click.option("--tell", type=int, hidden=True, help="Descriptor of the pipe at which `--detach` waits.")
def command(
    data: Path | None,
    port: int | None,
    kafka: str | None,
    database: str | None,
    tell: int | None,
    *,
    detach: bool,
    as_json: bool,
) -> None:
    """Start PostgreSQL, Kafka and all services, and keep them running."""
    settings = Settings()
    wanted = Wanted.of(settings, data=data, port=port, kafka=kafka, database=database)
    directory = DataDirectory.of(wanted.data)
    if tell is not None:
        _as_child(directory, wanted, settings, tell)
        return
    check_addresses(wanted)
    directory.make()
    if directory.is_held():
        _show(_running_answer(directory, wanted, port=port, detach=detach), as_json=as_json)
        if ignored := ignored_settings(read_state(directory), os.environ):
            say(f"It was started without {', '.join(ignored)} as set here; `jubao down`, then `jubao up`, heeds it.")
        return
    check_port(wanted)
    if not detach:
        _in_foreground(directory, wanted, settings, as_json=as_json)
        return
    with status("starting") as show:
        try:
            answer = start_detached(directory, wanted.as_environment(), show=show)
        except Failed as failed:
            raise CliError(failed.sentence) from failed
    _show(answer, as_json=as_json)


def _in_foreground(directory: DataDirectory, wanted: Wanted, settings: Settings, *, as_json: bool) -> None:
    clock = SystemClock()
    # Plain lines and no spinner: that would be a thread, and a supervisor forks.
    shown = Foreground(clock, show=say_on_terminal, ready=lambda answer: _show(answer, as_json=as_json))
    try:
        with directory.held():
            Supervisor(plan_of(wanted, directory, settings, clock), directory, tell=shown, clock=clock).run()
    except InUse as busy:
        raise _already(directory) from busy


def _as_child(directory: DataDirectory, wanted: Wanted, settings: Settings, descriptor: int) -> None:
    """The detached supervisor itself: the pipe carries what a terminal would have shown."""
    clock = SystemClock()
    told = Detached(clock, descriptor)
    try:
        with directory.held():
            Supervisor(plan_of(wanted, directory, settings, clock), directory, tell=told, clock=clock).run()
    except InUse:
        told.failed(str(_already(directory)))
    except StackError as failed:
        told.failed(failed.message)


def _running_answer(directory: DataDirectory, wanted: Wanted, *, port: int | None, detach: bool) -> Answer:
    """The answer of the stack that runs here already, if that is what was asked for.

    Raises:
        AlreadyRunning: it was asked to run in the foreground, elsewhere, or it does not become ready.
    """
    deadline = time.monotonic() + READY_SECONDS
    state = read_state(directory)
    while detach and directory.is_held() and time.monotonic() < deadline:
        state = read_state(directory)
        if state is not None and state.phase is Phase.READY:
            if port is not None and not state.http.endswith(f":{wanted.port}"):
                break
            return state.answer()
        time.sleep(_POLL_SECONDS)
    raise _already(directory, state)


def _already(directory: DataDirectory, state: StackState | None = None) -> AlreadyRunning:
    state = state or read_state(directory)
    return AlreadyRunning(directory.root, state.supervisor.pid if state else None)


def _show(answer: Answer, *, as_json: bool) -> None:
    def lines() -> str:
        return "\n".join(
            (
                f"Jubao is ready at {answer['http']} after {answer['ready_seconds']} s.",
                f"Kafka at {answer['kafka']}, database at {without_password(str(answer['database']))}.",
                f"Data in {answer['data']}; `jubao down --data {answer['data']}` stops it.",
            )
        )

    emit(dict(answer), json=as_json, table=lines)
    for alarm in answer.get("alarms", ()):
        say(f"ALARM when it started: {alarm}. `jubao status` tells how it is now.")

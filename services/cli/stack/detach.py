"""Starting a supervisor that outlives its terminal, and waiting until it is ready."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from typing import TextIO

from services.cli.errors import SupervisorDied
from services.cli.stack.directory import DataDirectory
from services.cli.stack.entry import jubao_argv
from services.cli.stack.logfile import begin_log, rotate
from services.cli.stack.process import stop
from services.cli.stack.signals import STOP_SIGNALS
from services.cli.stack.state import Answer

_STOP_SECONDS = 45.0


class Failed(Exception):
    """The supervisor said why it could not start."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__(sentence)


def start_detached(directory: DataDirectory, environment: Mapping[str, str], *, show: Callable[[str], None]) -> Answer:
    """Runs `jubao up` in a session of its own and gives its answer once it is ready.

    What it is to do travels in `environment`: addresses may hold passwords, which a command line would show to all.

    Raises:
        Failed: it told why not.
        SupervisorDied: it ended and told nothing.
    """
    log = directory.log / "supervisor.log"
    rotate(log)
    reader, writer = os.pipe()
    with begin_log(log) as output, os.fdopen(reader) as told:
        supervisor = subprocess.Popen(  # noqa: S603 -- ourselves
            [*jubao_argv("up"), "--data", str(directory.root), "--tell", str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
            pass_fds=(writer,),
        )
        os.close(writer)
        try:
            answer = _listen(told, show)
        except (KeyboardInterrupt, SystemExit):
            # Asked to stop while waiting: nobody would know of a stack that came up afterwards.
            stop(supervisor, STOP_SIGNALS[0], _STOP_SECONDS)
            raise
        except Failed:
            # It has stopped all it started; when we return, it has gone too.
            supervisor.wait(_STOP_SECONDS)
            raise
    if answer is None:
        supervisor.wait(_STOP_SECONDS)
        raise SupervisorDied(log)
    # It lives on; that its Popen object does not is no mistake.
    supervisor.returncode = 0
    return answer


def _listen(told: TextIO, show: Callable[[str], None]) -> Answer | None:
    for line in told:
        message = json.loads(line)
        if "error" in message:
            raise Failed(message["error"])
        if "ready" in message:
            ready: Answer = message["ready"]
            return ready
        show(message["step"])
    return None

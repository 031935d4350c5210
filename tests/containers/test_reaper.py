"""What a run has Docker make is gone after it, however it ended."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest

from tests.engines.containers import POSTGRES_IMAGE
from tests.engines.reaper import LABEL

pytestmark = pytest.mark.containers

ROOT = Path(__file__).parents[2]
RUN = f"""
import signal, sys, time, docker
# A run in the background of a script is begun with this signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from tests.engines.reaper import LABEL, reaped
with reaped() as session:
    docker.from_env().containers.run({POSTGRES_IMAGE!r}, ["sleep", "600"], detach=True, labels={{LABEL: session}})
    print(session, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_an_ended_run_leaves_no_container(ending: signal.Signals) -> None:
    """A run that is killed, told to end or interrupted leaves no container behind."""
    client = docker.from_env()
    argv = [sys.executable, "-c", RUN]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        assert run.stdout is not None
        session = run.stdout.readline().strip()
        ours = {"label": f"{LABEL}={session}"}
        assert session
        assert len(client.containers.list(all=True, filters=ours)) == 1
        run.send_signal(ending)
    deadline = time.monotonic() + 60
    while client.containers.list(all=True, filters=ours):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    client.close()

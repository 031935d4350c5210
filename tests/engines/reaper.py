"""Removes a run's containers when the run is over, however it ended: `python -m tests.engines.reaper SESSION`.

It waits at its standard input, which the run holds open: a run that ends, is interrupted or is killed closes it. All it
takes away bears the label `jubao.tests=SESSION`, belongs to a compose project whose name begins with
`jubao-tests-SESSION`, or is an image of such a name.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import docker
from docker.errors import APIError, NotFound

LABEL = "jubao.tests"
PROJECT_LABEL = "com.docker.compose.project"
_REMOVAL_SECONDS = 120


def project_prefix(session: str) -> str:
    """What the names of this run's compose projects begin with."""
    return f"jubao-tests-{session}"


@contextmanager
def reaped() -> Iterator[str]:
    """The name of a session whose containers, networks and volumes are gone after the block, and if this process dies.

    Raises:
        subprocess.TimeoutExpired, subprocess.CalledProcessError: they could not be removed.
    """
    session = uuid4().hex[:10]
    # Its own session: what is typed at the terminal to interrupt the run is not for it.
    argv = [sys.executable, "-m", "tests.engines.reaper", session]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True) as reaper:
        try:
            yield session
        finally:
            assert reaper.stdin is not None
            reaper.stdin.close()
            code = reaper.wait(_REMOVAL_SECONDS)
        if code:
            raise subprocess.CalledProcessError(code, argv)


def remove(session: str) -> None:
    """Takes away all that bears the session's label or belongs to its compose projects."""
    engine = docker.from_env(timeout=_REMOVAL_SECONDS)
    everywhere = {"all": True, "ignore_removed": True}
    for container in _ours(session, lambda filters: engine.containers.list(filters=filters, **everywhere)):
        _gone(lambda one=container: one.remove(force=True, v=True))
    for network in _ours(session, lambda filters: engine.networks.list(filters=filters)):
        _gone(network.remove)
    for volume in _ours(session, lambda filters: engine.volumes.list(filters=filters)):
        _gone(lambda one=volume: one.remove(force=True))
    for image in engine.images.list():
        for tag in image.tags:
            if tag.startswith(project_prefix(session)):
                _gone(lambda one=tag: engine.images.remove(one))
    engine.close()


def _ours(session: str, listed: Callable[[dict[str, Any]], list[Any]]) -> list[Any]:
    prefix = project_prefix(session)
    projects = [
        found for found in listed({"label": PROJECT_LABEL}) if _labels(found).get(PROJECT_LABEL, "").startswith(prefix)
    ]
    return [*listed({"label": f"{LABEL}={session}"}), *projects]


def _labels(found: Any) -> dict[str, str]:
    attributes = found.attrs
    labels = attributes.get("Labels") or attributes.get("Config", {}).get("Labels") or {}
    return dict(labels)


def _gone(remove_it: Callable[[], object]) -> None:
    try:
        remove_it()
    except NotFound:
        return
    except APIError as refused:
        print(f"tests.engines.reaper: {refused.explanation or refused}", file=sys.stderr)  # noqa: T201 -- its one voice


if __name__ == "__main__":
    sys.stdin.buffer.read()
    remove(sys.argv[1])

"""A deployment as an operator has it: a clean checkout, `docker compose`, and the hands to use it from outside."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import docker
import httpx
import pytest

from services.cli.stack.ports import free_port

ROOT = Path(__file__).parents[2]
DESK = "jubao"
_UP_SECONDS = 900
_COMMAND_SECONDS = 180
_SHOWN_LINES = 40


def checkout(directory: Path) -> Path:
    """A copy of what the repository holds, as it stands here, without what a run, a build or a person left beside."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, directory / name)
    return directory


def _free_ports() -> dict[str, int]:
    """For the origin and up to three brokers."""
    chosen: dict[str, int] = {}
    for name in ("JUBAO_PORT", "JUBAO_KAFKA_PORT", "JUBAO_KAFKA_PORT_2", "JUBAO_KAFKA_PORT_3"):
        chosen[name] = free_port(avoid=frozenset(chosen.values()))
    return chosen


@dataclass
class Deployment:
    """One compose project in a checkout of its own."""

    directory: Path
    project: str
    image: str
    profiles: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=_free_ports)
    tokens: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.ports['JUBAO_PORT']}"

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("JUBAO_", "COMPOSE_"))}
        ports = {name: str(port) for name, port in self.ports.items()}
        # Names of its own: what the operator of this machine has built is not replaced.
        images = {"JUBAO_IMAGE": f"{self.image}:test", "JUBAO_GATEWAY_IMAGE": f"{self.image}-gateway:test"}
        return {**clean, **ports, **images, **self.settings, "COMPOSE_PROFILES": ",".join(self.profiles)}

    def compose(
        self, *arguments: str, check: bool = True, seconds: float = _COMMAND_SECONDS, said: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs `docker compose` in the checkout."""
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.project, "--progress", "quiet", "--ansi", "never", *arguments],
            cwd=self.directory, env=self.environment, input=said, capture_output=True, text=True, timeout=seconds,
            check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            pytest.fail(f"docker compose {' '.join(arguments)}: {done.stdout}\n{done.stderr}\n{self.logs()}")
        return done

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Up and healthy for as long as the block lasts; nothing of it is left."""
        try:
            self.up()
            yield self
        finally:
            self.compose("down", "--volumes", check=False)

    def up(self) -> None:
        """As README says."""
        self.compose("up", "--detach", "--wait", seconds=_UP_SECONDS)

    def down(self, *options: str) -> None:
        self.compose("down", *options)

    def logs(self, *services: str) -> str:
        return self.compose("logs", "--no-color", "--tail", str(_SHOWN_LINES), *services, check=False).stdout

    def containers(self, service: str = "") -> list[Any]:
        """The project's containers that run, or those of one service, ended ones among them."""
        labels = [f"com.docker.compose.project={self.project}"]
        if service:
            labels.append(f"com.docker.compose.service={service}")
        found: list[Any] = docker.from_env().containers.list(all=bool(service), filters={"label": labels})
        return found

    def inside(self, service: str, program: str, *arguments: str) -> Any:
        """What a Python program prints as JSON, run beside a service: with its settings, its secrets and its rights."""
        done = self.compose("exec", "--no-TTY", service, "python", "-", *arguments, said=program)
        return json.loads(done.stdout)

    def desk(self, *arguments: str, said: str = "", seconds: float = _COMMAND_SECONDS) -> Any:
        """What a command of the operator's desk prints with --json."""
        done = self.compose("exec", "--no-TTY", DESK, "jubao", *arguments, "--json", said=said, seconds=seconds)
        return json.loads(done.stdout)

    def token(self, name: str, role: str) -> str:
        """A bearer token of an account, made when it is first asked for."""
        if name not in self.tokens:
            self.desk("staff", "add", name, "--role", role)
            told = self.compose("exec", "--no-TTY", DESK, "jubao", "token", name)
            self.tokens[name] = told.stdout.strip()
        return self.tokens[name]

    def http(self, name: str, role: str) -> httpx.Client:
        """A client at the published origin that calls as that account."""
        headers = {"Authorization": f"Bearer {self.token(name, role)}"}
        return httpx.Client(base_url=self.origin, headers=headers, timeout=30)

    def until(self, holds: Callable[[], object], seconds: float = 60, told: Callable[[], object] = str) -> None:
        """Waits for something to hold; what is told if it does not come is printed first."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                pytest.fail(f"did not come within {seconds} s: {told()}\n{self.logs()}")
            time.sleep(0.2)

"""PostgreSQL and Apache Kafka in containers of the images that a deployment uses."""

import time
from collections.abc import Callable
from secrets import token_urlsafe

import docker
import pytest
from docker.errors import DockerException, ImageNotFound
from testcontainers.core.config import ConnectionMode, testcontainers_config
from testcontainers.core.container import DockerContainer

from services.cli.stack.kafka import LONE_BROKER, broker_answers
from services.cli.stack.ports import free_port
from services.cli.stack.postgres import server_answers
from tests.engines.reaper import LABEL
from tests.engines.stacks import StackEngine

POSTGRES_IMAGE, KAFKA_IMAGE = "postgres:18", "apache/kafka:4.3.1"
_ANSWER_SECONDS = 90
_STOP_SECONDS = 30
_CLIENTS, _CONTROLLER = 19092, 19093

# What removes the containers is `tests.engines.reaper`; testcontainers' own needs an image more.
testcontainers_config.ryuk_disabled = True


def images_at_hand(images: tuple[str, ...]) -> None:
    """Ends the run with a sentence where a container could not be started: nothing of it may pass by being left out."""
    try:
        engine = docker.from_env()
        engine.ping()
    except DockerException as refused:
        _end(f"the tests on containers need a Docker engine, and none answers ({_short(refused)})")
    for image in images:
        try:
            engine.images.get(image)
        except ImageNotFound:
            try:
                engine.images.pull(image)
            except DockerException as refused:
                _end(f"the tests on containers need the image {image}, which is not here and cannot be pulled "
                     f"({_short(refused)})")  # fmt: skip
    engine.close()


def _end(sentence: str) -> None:
    pytest.exit(f"{sentence}; `make test` needs no Docker.", returncode=1)


def _short(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]


class ContainerEngine:
    """One engine in a container; its port on the host stays the same over a crash."""

    def __init__(self, container: DockerContainer, name: str, port: int, answers: Callable[[str, int], bool]) -> None:
        self.name = name
        self._container = container
        self._port = port
        self._answers = answers

    @property
    def address(self) -> str:
        return f"{self._container.get_container_host_ip()}:{self._port}"

    def create(self) -> None:
        """Starts it for the first time; ends the run with a sentence where that cannot be."""
        try:
            self._container.start()
        except DockerException as refused:
            _end(f"no container of {self._container.image} could be started ({_short(refused)})")

    def await_answer(self) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS
        wrapped = self._container.get_wrapped_container()
        while not self._answers(self._container.get_container_host_ip(), self._port):
            wrapped.reload()
            if wrapped.status == "exited" or time.monotonic() > deadline:
                last = wrapped.logs(tail=15).decode(errors="replace")
                _end(f"{self.name} in its container is {wrapped.status} and does not answer; it said last:\n{last}\n")
            time.sleep(0.1)

    def start(self) -> None:
        self._container.get_wrapped_container().start()

    def pause(self) -> None:
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        self._container.get_wrapped_container().unpause()

    def crash(self) -> None:
        wrapped = self._container.get_wrapped_container()
        wrapped.kill()
        wrapped.wait(timeout=_STOP_SECONDS)
        self.start()

    def stop(self) -> None:
        self._container.get_wrapped_container().stop(timeout=_STOP_SECONDS)

    def remove(self) -> None:
        self._container.stop()


def _container(image: str, session: str, *, port: int, inside: int) -> DockerContainer:
    container = DockerContainer(image).with_kwargs(labels={LABEL: session})
    docker_client = container.get_docker_client()
    # Elsewhere than on this machine's loopback only where this machine is not who runs the container.
    near = docker_client.get_connection_mode() is ConnectionMode.docker_host and docker_client.host() == "localhost"
    container.ports[str(inside)] = ("127.0.0.1", port) if near else port  # type: ignore[assignment]
    return container


class ContainerEngines:
    """A PostgreSQL and a Kafka of their own, for a stack or for a whole run."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._password = token_urlsafe(18)
        self._made: tuple[ContainerEngine, ContainerEngine] | None = None

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres:{self._password}@{self._both[0].address}/jubao"

    @property
    def address(self) -> str:
        return self._both[1].address

    @property
    def postgres(self) -> StackEngine:
        return self._both[0]

    @property
    def kafka(self) -> StackEngine:
        return self._both[1]

    @property
    def _both(self) -> tuple[ContainerEngine, ContainerEngine]:
        assert self._made is not None, "not started"
        return self._made

    def start(self) -> tuple[str, ...]:
        if self._made is None:
            postgres = self._make_postgres()
            self._made = postgres, self._make_kafka(postgres.address.rpartition(":")[0])
        else:
            for engine in self._made:
                engine.start()
        for engine in self._made:
            engine.await_answer()
        return "--kafka", self.address, "--database", self.dsn

    def stop(self) -> None:
        for engine in self._both:
            engine.stop()

    def remove(self) -> None:
        for engine in self._made or ():
            engine.remove()

    def _make_postgres(self) -> ContainerEngine:
        """As the image has it, but for the number of connections: no test may lean on what the embedded one is told."""
        port = free_port()
        container = _container(POSTGRES_IMAGE, self._session, port=port, inside=5432)
        container.with_env("POSTGRES_DB", "jubao").with_env("POSTGRES_PASSWORD", self._password)
        container.with_command(["-c", "max_connections=150"])
        engine = ContainerEngine(container, "postgres", port, server_answers)
        engine.create()
        return engine

    def _make_kafka(self, host: str) -> ContainerEngine:
        """With the settings that the embedded broker has.

        testcontainers' own KafkaContainer knows Confluent's image alone.
        """
        port = free_port()
        container = _container(KAFKA_IMAGE, self._session, port=port, inside=_CLIENTS)
        for name, value in _broker_settings(f"{host}:{port}").items():
            container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
        container.with_env("KAFKA_HEAP_OPTS", "-Xms128m -Xmx384m")
        engine = ContainerEngine(container, "kafka", port, broker_answers)
        engine.create()
        return engine


def _broker_settings(advertised: str) -> dict[str, str]:
    lone = dict(line.split("=", 1) for line in LONE_BROKER.splitlines() if "=" in line and not line.startswith("#"))
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{_CONTROLLER}",
        "listeners": f"PLAINTEXT://:{_CLIENTS},CONTROLLER://127.0.0.1:{_CONTROLLER}",
        "advertised.listeners": f"PLAINTEXT://{advertised}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": "/var/lib/kafka/data",
        **lone,
    }

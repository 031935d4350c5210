"""What one `jubao up` starts, from its options and settings."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from services.cli.errors import PortTaken
from services.cli.stack.directory import DataDirectory
from services.cli.stack.kafka import Kafka
from services.cli.stack.keys import TOKEN_RENEWAL_SECONDS, make_keys, make_local_issuer, renew_service_token
from services.cli.stack.ports import free_port, is_free
from services.cli.stack.postgres import Postgres
from services.cli.stack.prepare import steps
from services.cli.stack.process import Engine
from services.cli.stack.services import Addresses, environment, has_outside_issuer, service_slots, socket_names
from services.cli.stack.supervisor import Plan
from services.runtime.clock import Clock
from services.runtime.settings import Settings

DEFAULT_PORT = 8600
_HOST_AND_PORT = re.compile(r"[^\s,:/]+:\d{1,5}|\[[0-9a-fA-F:.]+\]:\d{1,5}")


@dataclass(frozen=True)
class Wanted:
    """The options of `jubao up`, settings already in their places."""

    data: Path
    port: int
    host: str = "127.0.0.1"
    """Interface of the web process; another than loopback only by JUBAO_BIND."""
    kafka: str = ""
    """Bootstrap servers of a broker that is not ours; empty: start one."""
    database: str = ""
    """Address of a database that is not ours; empty: start one."""

    @classmethod
    def of(
        cls, settings: Settings, *, data: Path | None, port: int | None, kafka: str | None, database: str | None
    ) -> "Wanted":
        """Options where given, else settings, else defaults."""
        host, bound_port = "127.0.0.1", str(DEFAULT_PORT)
        if port is None and "bind" in settings.model_fields_set:
            host, _, bound_port = settings.bind.rpartition(":")
        return cls(
            data=data or settings.data,
            port=int(bound_port) if port is None else port,
            host=host,
            kafka=kafka or settings.kafka,
            database=database or settings.database.get_secret_value(),
        )

    def as_environment(self) -> dict[str, str]:
        """The same as settings, for a `jubao up` that is started without options."""
        return {
            "JUBAO_BIND": f"{self.host}:{self.port}",
            "JUBAO_KAFKA": self.kafka,
            "JUBAO_DATABASE": self.database,
        }


def check_addresses(wanted: Wanted) -> None:
    """Holds that given addresses can be addresses; whether anyone answers there shows when they are used.

    Raises:
        click.UsageError: one cannot.
    """
    parts = urlsplit(wanted.database)
    if wanted.database and not (parts.scheme == "postgresql" and parts.hostname and parts.path.strip("/")):
        raise click.UsageError("--database (JUBAO_DATABASE) is to be like postgresql://USER:PASSWORD@HOST:PORT/NAME")
    if wanted.kafka and not all(_HOST_AND_PORT.fullmatch(server) for server in wanted.kafka.split(",")):
        raise click.UsageError("--kafka (JUBAO_KAFKA) is to be HOST:PORT, or several of them with commas between")


def check_port(wanted: Wanted) -> None:
    """Holds that the web process will be able to listen.

    Raises:
        PortTaken: another program, or another stack, listens there.
    """
    if not is_free(wanted.port):
        raise PortTaken(wanted.port)


def plan_of(wanted: Wanted, directory: DataDirectory, settings: Settings, clock: Clock) -> Plan:
    """The plan of a stack in `directory`, which is made and held already; makes its secrets."""
    make_keys(directory)
    local_issuer = not has_outside_issuer(os.environ)
    if local_issuer:
        make_local_issuer(directory)
    ports = _ports(directory)
    postgres = Postgres(
        directory.root / "postgres",
        directory.log_of("postgres"),
        password_file=directory.postgres_password,
        port=ports["postgres"],
    )
    kafka = Kafka(
        directory.root / "kafka",
        directory.log_of("kafka"),
        port=ports["kafka"],
        controller_port=ports["controller"],
    )
    engines: list[Engine] = []
    if not wanted.database:
        engines.append(postgres)
    if not wanted.kafka:
        engines.append(kafka)

    def addresses() -> Addresses:
        return Addresses(
            http=f"http://127.0.0.1:{wanted.port}",
            bind=f"{wanted.host}:{wanted.port}",
            kafka=wanted.kafka or kafka.address,
            database=wanted.database or postgres.dsn,
        )

    def renew() -> None:
        if local_issuer:
            renew_service_token(directory, issuer=settings.issuer, audience=settings.audience, clock=clock)

    return Plan(
        engines=tuple(engines),
        steps=steps(),
        addresses=addresses,
        environment=lambda known: environment(directory, known),
        slots=lambda known: service_slots(directory, known, stop_seconds=settings.stop_seconds),
        socket_names=socket_names(),
        renew=renew,
        renewal_seconds=TOKEN_RENEWAL_SECONDS,
    )


def _ports(directory: DataDirectory) -> dict[str, int]:
    """Ports for the engines, the last run's if they are free: what was noted down about a stack stays true."""
    remembered = directory.ports()
    chosen: dict[str, int] = {}
    for name in ("postgres", "kafka", "controller"):
        chosen[name] = free_port(remembered=remembered.get(name), avoid=frozenset(chosen.values()))
    directory.remember_ports(chosen)
    return chosen

"""The service processes of the embedded stack and what they are told."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from services.cli.stack.child import Slot
from services.cli.stack.directory import DataDirectory
from services.cli.stack.entry import jubao_argv
from services.cli.stack.process import Launch

WEB = "web"
WEB_PREFIXES = ("intake", "triage", "review", "outcomes", "audit")
_LOW_PRIORITY = 5
# A stop waits for the batch in hand; beyond that a process gets this much to leave.
_STOP_ALLOWANCE_SECONDS = 5.0


@dataclass(frozen=True)
class ServiceProcess:
    """One process of the table below."""

    name: str
    nice: int = 0


# The flagged lane has a process of its own, and the public lane's yield the processor to it: a flood of ordinary
# reports keeps both cores busy, and a police report would stand behind it there after having a lane to itself.
SERVICE_PROCESSES = (
    ServiceProcess(WEB),
    ServiceProcess("flagged"),
    ServiceProcess("triage.public", nice=_LOW_PRIORITY),
    ServiceProcess("review.public", nice=_LOW_PRIORITY),
    ServiceProcess("records"),
)


@dataclass(frozen=True)
class Addresses:
    """Where the parts of this stack answer."""

    http: str
    """`http://127.0.0.1:N`."""
    bind: str
    """HOST:PORT that the web process listens on."""
    kafka: str
    database: str
    """With its password."""


def socket_names() -> tuple[str, ...]:
    """The processes that answer about their health on a unix socket."""
    return tuple(process.name for process in SERVICE_PROCESSES if process.name != WEB)


def environment(directory: DataDirectory, addresses: Addresses) -> dict[str, str]:
    """Settings for every service: the caller's own first, for all but what only this stack can know."""
    keys = {
        "JUBAO_INTAKE_KEY_FILE": directory.intake_key,
        "JUBAO_AUDIT_KEY_FILE": directory.audit_key,
        "JUBAO_CURSOR_KEY_FILE": directory.cursor_key,
    }
    # An outside issuer brings its keys and our services' token; half of each would be neither.
    if not has_outside_issuer(os.environ):
        keys |= {"JUBAO_JWKS": directory.jwks, "JUBAO_SERVICE_TOKEN_FILE": directory.service_token}
    defaults = {
        **{name: str(path) for name, path in keys.items()},
        "JUBAO_PUBLIC_URL": addresses.http,
        # Services reach one another here even when the public address is a proxy's.
        "JUBAO_REVIEW_URL": f"{addresses.http}/review",
        # The supervisor has prepared both engines, and a service that begins while one is away answers 503.
        "JUBAO_PREFLIGHT": "false",
        # Each thread's own heap would cost more than it saves.
        "MALLOC_ARENA_MAX": "2",
        "PYTHONUNBUFFERED": "1",
    }
    fixed = {
        "JUBAO_DATA": str(directory.root),
        "JUBAO_DATABASE": addresses.database,
        "JUBAO_KAFKA": addresses.kafka,
        "JUBAO_BIND": addresses.bind,
        "PROMETHEUS_MULTIPROC_DIR": str(directory.metrics),
    }
    return {**defaults, **os.environ, **fixed}


def has_outside_issuer(variables: Mapping[str, str]) -> bool:
    """Whether the caller names a JWKS of another issuer."""
    return bool(variables.get("JUBAO_JWKS"))


def service_slots(directory: DataDirectory, addresses: Addresses, *, stop_seconds: float) -> tuple[Slot, ...]:
    """The table as slots; `stop_seconds` is how long a service may finish its batch."""
    shared = environment(directory, addresses)
    return tuple(_slot(process, directory, addresses, shared, stop_seconds) for process in SERVICE_PROCESSES)


def _slot(
    process: ServiceProcess,
    directory: DataDirectory,
    addresses: Addresses,
    shared: Mapping[str, str],
    stop_seconds: float,
) -> Slot:
    if process.name == WEB:
        health, told = addresses.http, ""
        probes = tuple(f"/{prefix}/readyz" for prefix in WEB_PREFIXES)
    else:
        health = told = f"unix:{directory.socket_of(process.name)}"
        probes = ("/readyz",)
    launch = Launch(
        name=process.name,
        argv=jubao_argv("serve", process.name),
        log=directory.log_of(process.name),
        env={**shared, "JUBAO_HEALTH": told},
        nice=process.nice,
        stop_seconds=stop_seconds + _STOP_ALLOWANCE_SECONDS,
    )
    return Slot(launch, health, probes)

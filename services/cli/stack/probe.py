"""Asking a process whether it is ready, over TCP or a unix socket, with nothing but the standard library."""

import http.client
import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

_ANSWER_SECONDS = 2.0


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a process says of its readiness."""

    answers: bool = False
    ready: bool = False
    waits: str = ""
    """What it waits for, in its own words; empty when it says nothing."""
    alarm: bool = False
    """Whether it waits for nothing but a person."""


def standing(address: str, path: str, *, seconds: float = _ANSWER_SECONDS) -> Standing:
    """What GET `path` at `address` (`http://HOST:PORT` or `unix:PATH`) is answered in time; never raises."""
    connection = _connection(address, seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        status, body = response.status, response.read()
    except (OSError, http.client.HTTPException):
        return Standing()
    finally:
        connection.close()
    try:
        told = json.loads(body)
        waits, alarms = told["waits"], told.get("alarms", ())
        in_words = "; ".join(f"{name}: {why}" for name, why in waits.items())
        alarm = status == http.HTTPStatus.SERVICE_UNAVAILABLE and bool(waits) and set(waits) <= set(alarms)
    except (ValueError, KeyError, TypeError, AttributeError):
        in_words, alarm = "", False
    return Standing(answers=True, ready=status == http.HTTPStatus.OK, waits=in_words, alarm=alarm)


def _connection(address: str, seconds: float) -> http.client.HTTPConnection:
    if address.startswith("unix:"):
        return _UnixConnection(address.removeprefix("unix:"), seconds)
    parts = urlsplit(address)
    return http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=seconds)

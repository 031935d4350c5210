"""Asking a process whether it is ready, over TCP or a unix socket, with nothing but the standard library."""

import http.client
import json
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

_ANSWER_SECONDS = 2.0
_WAITS = http.HTTPStatus.SERVICE_UNAVAILABLE


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def answers_ok(address: str, path: str, *, seconds: float = _ANSWER_SECONDS) -> bool:
    """Whether GET `path` at `address` (`http://HOST:PORT` or `unix:PATH`) is answered 200 in time; never raises."""
    answer = asked(address, path, seconds=seconds)
    return answer is not None and answer[0] == http.HTTPStatus.OK


def asked(address: str, path: str, *, seconds: float = _ANSWER_SECONDS) -> tuple[int, bytes] | None:
    """The status and body of GET `path` at `address`; none when nothing answers in time; never raises."""
    connection = _connection(address, seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def alarm_of(address: str, path: str) -> str:
    """Why a process waits for nothing but a person, in its own words; empty while it waits for anything else."""
    answer = asked(address, path)
    if answer is None or answer[0] != _WAITS:
        return ""
    try:
        told = json.loads(answer[1])
        return _in_words(told["waits"]) if set(told["waits"]) <= set(told["alarms"]) else ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def waits_for(address: str, path: str) -> str:
    """What a process that is not ready says it waits for, in its own words; empty when it says nothing."""
    answer = asked(address, path)
    try:
        return _in_words(json.loads(answer[1])["waits"]) if answer else ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _in_words(waits: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in waits.items())


def _connection(address: str, seconds: float) -> http.client.HTTPConnection:
    if address.startswith("unix:"):
        return _UnixConnection(address.removeprefix("unix:"), seconds)
    parts = urlsplit(address)
    return http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=seconds)

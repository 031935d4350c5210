"""The edge of a web process: uvicorn's HTTP protocol, with bounds on what a caller may take before a route is reached.

uvicorn bounds the time between requests and nothing else: a caller who sends a header field a minute keeps a connection
for good. Here a request's head has a time, a size and a number of fields; a body that nobody reads has a time; whoever
does not take the answer is cut off; and one address cannot take all connections. Every refusal is a problem document.
"""

import asyncio
import ipaddress
from asyncio.events import TimerHandle
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

import orjson
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from services.runtime import metrics
from services.runtime.problems import PROBLEM_JSON, Problem, send_problem
from services.runtime.rates import network_of
from services.runtime.settings import Settings

MOST_TARGET_BYTES: Final = 8 * 1024
MOST_HEAD_BYTES: Final = 32 * 1024
MOST_HEADER_FIELDS: Final = 100
UNREAD_BODY_SECONDS: Final = 5.0
UNTAKEN_ANSWER_SECONDS: Final = 30.0
_LAST_WORDS_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 5
_BACKLOG: Final = 512

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class HeadTooSlow(Problem):
    """The request line and header fields did not come in time."""

    def __init__(self, most_seconds: float) -> None:
        super().__init__(
            408, "head_too_slow", "The request came too slowly",
            f"A request's header fields must be sent within {most_seconds:g} s; send the request again.",
        )  # fmt: skip


class HeadTooLarge(Problem):
    """More header fields, or larger ones, than are taken."""

    def __init__(self) -> None:
        super().__init__(
            431, "head_too_large", "The header fields are too large",
            f"A request may have {MOST_HEADER_FIELDS} header fields and {MOST_HEAD_BYTES} bytes of them; send fewer.",
        )  # fmt: skip


class TargetTooLong(Problem):
    """The path and query are longer than is taken."""

    def __init__(self) -> None:
        super().__init__(
            414, "target_too_long", "The address is too long",
            f"Path and query may have {MOST_TARGET_BYTES} bytes together; ask for less at once.",
        )  # fmt: skip


class NotHttp(Problem):
    """What came cannot be read as HTTP/1.1."""

    def __init__(self) -> None:
        super().__init__(
            400, "not_http", "This is no HTTP request", "The request cannot be read as HTTP/1.1; mend what sends it."
        )


class Crowded(Problem):
    """No connection is left for this caller."""

    def __init__(self, *, own: bool) -> None:
        super().__init__(
            429 if own else 503, "crowded", "Too many connections",
            "Your address has too many connections open; close some and send the request again." if own
            else "This process has as many connections as it takes; send the same request again in a moment.",
            headers={"Retry-After": "2"},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection may take, and how many there may be."""

    head_seconds: float
    most_connections: int
    most_connections_per_address: int
    proxies: Sequence[Network]
    per_address: Counter[str]


class _Config(uvicorn.Config):
    """uvicorn's configuration with our bounds, which the protocol is given through it."""

    bounds: Bounds


def server_config(app: ASGIApp, settings: Settings, **where: Any) -> uvicorn.Config:  # noqa: ANN401 -- host and port, or uds
    """How a process of ours serves HTTP.

    Args:
        app: what is served.
        settings: the bounds; and which proxies are believed when they name the caller.
        where: `host` and `port`, or `uds`, as uvicorn takes them.
    """
    proxies = [address.strip() for address in settings.trusted_proxies.split(",") if address.strip()]
    config = _Config(
        app,
        http=Edge,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        backlog=_BACKLOG,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_keep_alive=cast("int", settings.keep_alive_seconds),
        # A caller who keeps a connection open must not hold up a stop.
        timeout_graceful_shutdown=_GRACE_SECONDS,
        **where,
    )
    config.bounds = Bounds(
        settings.head_seconds,
        settings.most_connections,
        settings.most_connections_per_address,
        [ipaddress.ip_network(proxy, strict=False) for proxy in proxies],
        Counter(),
    )
    return config


class Edge(HttpToolsProtocol):
    """One connection."""

    def __init__(self, config: uvicorn.Config, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 -- uvicorn's
        super().__init__(config, *arguments, **options)
        self._bounds = cast("_Config", config).bounds
        self._address = ""
        self._refusal: Problem | None = None
        self._in_head = False
        self._head_bytes = self._field_bytes = 0
        self._body_is_whole = True
        self._last_words = False
        self._timer: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Counts the connection and begins to wait for its first request."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._address = network_of(self.client[0] if self.client else None)
        self._bounds.per_address[self._address] += 1
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._bounds.per_address[self._address] -= 1
        if self._bounds.per_address[self._address] <= 0:
            del self._bounds.per_address[self._address]
        self._wait_for(None, 0)
        self._cancel_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, unless the connection is already given up; then what comes is dropped."""
        if self._last_words:
            return
        if self._body_is_whole and not self._in_head:
            self._wait_for_head()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        # Of a field that has no end the parser tells nothing; a chunk that ends the head may hold much of a body.
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(HeadTooLarge(), "head_large")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._body_is_whole, self._field_bytes = False, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        super().on_url(url)
        if len(self.url) > MOST_TARGET_BYTES:
            self._stop_reading(TargetTooLong())

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field."""
        super().on_header(name, value)
        self._field_bytes += len(name) + len(value)
        if len(self.headers) > MOST_HEADER_FIELDS or self._field_bytes > MOST_HEAD_BYTES:
            self._stop_reading(HeadTooLarge())

    def on_headers_complete(self) -> None:
        """Hands the request on, or what refuses it where there are too many connections."""
        self._in_head = False
        self._wait_for(None, 0)
        app, crowded = self.app, self._crowded()
        self.app = cast("Any", _Refusing(crowded)) if crowded else app
        try:
            super().on_headers_complete()
        finally:
            self.app = app
        self.cycle.transport = cast("asyncio.Transport", _Line(self))

    def on_message_complete(self) -> None:
        """A request is here to its end."""
        self._body_is_whole = True
        super().on_message_complete()
        if self.cycle.response_complete:
            self._wait_for("idle", self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        """An answer is given; what has not come of its body by now is not waited for long."""
        if self._last_words:
            return
        super().on_response_complete()
        # With further requests behind it, what is not whole may be another's.
        if self.cycle.response_complete and not self._body_is_whole and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._wait_for("body_unread", UNREAD_BODY_SECONDS)

    def pause_writing(self) -> None:
        """The caller does not take what we answer."""
        super().pause_writing()
        self._cancel_write_timer()
        self._write_timer = self.loop.call_later(UNTAKEN_ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller takes it again."""
        self._cancel_write_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuses what the parser refused, or what was refused while it parsed."""
        del msg
        refusal = self._refusal or NotHttp()
        self._refuse(refusal, "not_http" if self._refusal is None else "head_large")

    def hang_up(self) -> None:
        """Ends the connection after an answer; at once where the request is here to its end."""
        if self._body_is_whole:
            self.transport.close()
        else:
            self._say_no_more()

    def _crowded(self) -> Problem | None:
        bounds = self._bounds
        if len(self.connections) > bounds.most_connections:
            return Crowded(own=False)
        own = bounds.per_address[self._address]
        return Crowded(own=True) if own > bounds.most_connections_per_address and not self._is_proxy() else None

    def _is_proxy(self) -> bool:
        if self.client is None:
            return True
        address = ipaddress.ip_address(self.client[0])
        return any(address in network for network in self._bounds.proxies)

    def _stop_reading(self, problem: Problem) -> None:
        """Ends the parsing; it comes back to us as `send_400_response`."""
        self._refusal = problem
        raise ValueError

    def _wait_for_head(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._wait_for("head_slow", self._bounds.head_seconds)

    def _wait_for(self, why: str | None, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if why is None else self.loop.call_later(seconds, self._too_late, why)

    def _too_late(self, why: str) -> None:
        self._timer = None
        if why == "head_slow" and self._head_bytes:
            self._refuse(HeadTooSlow(self._bounds.head_seconds), why)
            return
        metrics.CONNECTIONS_CUT.labels(why).inc()
        self.transport.close()

    def _refuse(self, problem: Problem, why: str) -> None:
        """Says why and hangs up."""
        if self._last_words or self.transport.is_closing():
            return
        metrics.CONNECTIONS_CUT.labels(why).inc()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or self.pipeline:
                # A second answer in the midst of another would be read as its body.
                self.transport.close()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(_raw(problem))
        self._say_no_more()

    def _say_no_more(self) -> None:
        """Hangs up, but for a moment takes what still comes and drops it: a reset would take the answer with it."""
        if self._last_words or self.transport.is_closing():
            return
        self._last_words = True
        self._wait_for(None, 0)
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LAST_WORDS_SECONDS, self.transport.close)

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


class _Line:
    """A connection as the one answer on it sees it: to close it is the protocol's to do, in its own time."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def write(self, data: bytes) -> None:
        self._edge.transport.write(data)

    def is_closing(self) -> bool:
        return self._edge.transport.is_closing()

    def close(self) -> None:
        self._edge.hang_up()


class _Refusing:
    """An ASGI app that answers one problem."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        metrics.CONNECTIONS_CUT.labels("crowded").inc()
        await send_problem(send, self._problem)


def _raw(problem: Problem) -> bytes:
    body = orjson.dumps(problem.document())
    lines = [
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
        f"content-type: {PROBLEM_JSON}",
        f"content-length: {len(body)}",
        "connection: close",
        *(f"{name.lower()}: {value}" for name, value in problem.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body

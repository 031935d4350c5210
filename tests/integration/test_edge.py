"""The edge of a web process over real sockets: who sends slowly, too much or nonsense is told why and cut off."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.cli.stack.ports import free_port
from services.runtime.bodies import BodyBound
from services.runtime.edge import MOST_HEAD_BYTES, MOST_HEADER_FIELDS, MOST_TARGET_BYTES, server_config
from services.runtime.settings import Settings
from services.runtime.time_limit import TimeLimit

Server = Callable[..., Any]
QUICK = {"head_seconds": 0.4, "body_seconds": 0.4, "request_seconds": 0.6, "keep_alive_seconds": 0.4}
LATEST_SECONDS = 5.0


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    answer: Response = JSONResponse({"path": scope["path"], "client": scope["client"][0]})
    if scope["path"] == "/read":
        answer = JSONResponse({"bytes": len(await request.body())})
    elif scope["path"] == "/wait":
        await asyncio.sleep(30)
    elif scope["path"] == "/much":
        answer = PlainTextResponse("x" * 50_000_000)
    await answer(scope, receive, send)


async def _problems(scope: Scope, receive: Receive, send: Send) -> None:
    """What a service's app does with the refusals of its middleware."""
    from starlette.middleware.exceptions import ExceptionMiddleware  # noqa: PLC0415
    from starlette.requests import ClientDisconnect  # noqa: PLC0415

    from services.runtime.problems import Problem  # noqa: PLC0415

    async def told(_: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)
        return JSONResponse(problem.document(), problem.status, problem.headers)

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)

    await ExceptionMiddleware(_app, {Problem: told, ClientDisconnect: gone})(scope, receive, send)


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[int]:
    """The app behind our edge; the port it listens on."""
    given = Settings(**{**QUICK, **settings})
    app: ASGIApp = TimeLimit(BodyBound(_problems, most_seconds=given.body_seconds), given.request_seconds)
    port = free_port()
    server = uvicorn.Server(server_config(app, given, host="127.0.0.1", port=port))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        await running


async def talk(port: int, *pieces: bytes | float) -> tuple[bytes, float]:
    """Sends pieces, waiting where one is a number of seconds; all that came back until the end, and after how long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()

    async def send() -> None:
        try:
            for piece in pieces:
                if isinstance(piece, bytes):
                    writer.write(piece)
                    await writer.drain()
                else:
                    await asyncio.sleep(piece)
        except ConnectionError:
            return

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(LATEST_SECONDS):
            answer = await reader.read()
    finally:
        sending.cancel()
        writer.close()
    return answer, time.monotonic() - began


def problem(answer: bytes) -> tuple[int, str]:
    """Status and code of a raw answer that is a problem document."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head or b"application/json" in head, answer[:300]
    document = json.loads(body)
    assert document["status"] == int(head.split()[1])
    return document["status"], document["type"].rpartition(":")[2]


HEAD = b"POST /read HTTP/1.1\r\nHost: test\r\n"


async def test_slow_head_is_cut_off() -> None:
    """A caller who sends its header fields one by one, slower than a head may take, gets 408 and is cut off."""
    async with serving() as port:
        dribble = [piece for n in range(40) for piece in (b"X-%d: y\r\n" % n, 0.05)]
        answer, seconds = await talk(port, b"GET / HTTP/1.1\r\n", *dribble)
    assert problem(answer) == (408, "head_too_slow")
    assert 0.3 < seconds < 3


async def test_silence_is_cut_off() -> None:
    """A caller who connects and says nothing is cut off without a word, as is one who says nothing more."""
    async with serving() as port:
        assert (await talk(port))[0] == b""
        answer, _ = await talk(port, b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        second = await talk(port, b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", 0.1, b"GET / HT")
        assert second[0].count(b"HTTP/1.1 200 ") == 1
        assert b"HTTP/1.1 408 " in second[0]


async def test_slow_body_is_cut_off() -> None:
    """A body that dribbles, declared or in chunks, gets 408 once its time is over, and the connection ends."""
    async with serving() as port:
        for field, piece in ((b"Content-Length: 1000", b"x"), (b"Transfer-Encoding: chunked", b"1\r\nx\r\n")):
            dribble = [part for _ in range(80) for part in (piece, 0.05)]
            answer, seconds = await talk(port, HEAD + field + b"\r\n\r\n", *dribble)
            assert problem(answer) == (408, "body_too_slow")
            assert 0.3 < seconds < 3


async def test_unread_body_does_not_hold_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the answer did not need the body, whoever goes on dribbling it is cut off."""
    monkeypatch.setattr("services.runtime.edge.UNREAD_BODY_SECONDS", 0.3)
    async with serving() as port:
        dribble = [part for _ in range(80) for part in (b"x", 0.05)]
        answer, seconds = await talk(port, b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n", *dribble)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert seconds < 3


async def test_large_heads_are_refused() -> None:
    """A giant field, with an end or without, too many fields and too long a target are told and cut off."""
    giant = b"X: " + b"y" * (MOST_HEAD_BYTES + 1)
    async with serving(head_seconds=5) as port:
        for head in (giant + b"\r\n\r\n", giant, b"".join(b"X-%d: y\r\n" % n for n in range(MOST_HEADER_FIELDS + 5))):
            answer, _ = await talk(port, b"GET / HTTP/1.1\r\n" + head)
            assert problem(answer) == (431, "head_too_large")
        endless = [b"z" * 4_096] * 200
        assert problem((await talk(port, b"GET / HTTP/1.1\r\nX: ", *endless))[0]) == (431, "head_too_large")
        target = b"GET /" + b"a" * MOST_TARGET_BYTES + b" HTTP/1.1\r\nHost: t\r\n\r\n"
        assert problem((await talk(port, target))[0]) == (414, "target_too_long")


async def test_large_body_is_refused() -> None:
    """A body over the bound is 413 whether its length is declared or it comes in chunks, and ends the connection."""
    async with serving(body_seconds=5, request_seconds=5) as port:
        declared = HEAD + b"Content-Length: 99999999\r\n\r\n"
        assert problem((await talk(port, declared, *[b"x" * 10_000] * 5))[0]) == (413, "body_too_large")
        chunks = [b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"] * 8
        assert problem((await talk(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *chunks))[0]) == (
            413,
            "body_too_large",
        )


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /read HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
        b"POST /read HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: t\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"FROBNICATE / HTTP/1.1\r\nHost: t\r\n\r\n",
    ],
)
async def test_nonsense_is_a_problem_document(nonsense: bytes) -> None:
    """What is no HTTP request gets 400 as a problem document, and the connection ends."""
    async with serving(head_seconds=2) as port:
        answer, _ = await talk(port, nonsense)
    assert problem(answer) == (400, "not_http")


async def test_request_that_waits_too_long_is_given_up() -> None:
    """A request whose answer does not begin in time is 503 with Retry-After."""
    async with serving() as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answer = await http.get("/wait")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:jubao:problem:took_too_long")
    assert int(answer.headers["retry-after"]) >= 1


async def test_answer_that_nobody_takes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who asks for much and reads nothing does not keep the connection."""
    monkeypatch.setattr("services.runtime.edge.UNTAKEN_ANSWER_SECONDS", 0.3)
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /much HTTP/1.1\r\nHost: t\r\n\r\n")
        await asyncio.sleep(1.5)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(50_000_000)
        writer.close()


async def test_connections_are_bounded() -> None:
    """Beyond the connections of one address its calls are 429, beyond those of the process anyone's are 503."""
    async with serving(most_connections_per_address=2, keep_alive_seconds=5, head_seconds=5) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        answer, _ = await talk(port, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert problem(answer) == (429, "crowded")
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.1)
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://127.0.0.1:{port}/")).status_code == 200
    async with serving(most_connections=1, head_seconds=5) as port:
        held = [await asyncio.open_connection("127.0.0.1", port)]
        answer, _ = await talk(port, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert problem(answer) == (503, "crowded")
        held[0][1].close()


async def test_only_a_trusted_proxy_names_the_caller() -> None:
    """X-Forwarded-For is believed of the proxies that the settings name, and of nobody else."""
    for trusted, told in (("", "127.0.0.1"), ("127.0.0.0/8", "203.0.113.9")):
        async with serving(trusted_proxies=trusted) as port, httpx.AsyncClient() as http:
            answer = await http.get(f"http://127.0.0.1:{port}/", headers={"X-Forwarded-For": "203.0.113.9"})
            assert answer.json()["client"] == told


async def test_pipelined_and_kept_connections_go_on() -> None:
    """Several requests over one connection, one behind the other or at once, are each answered in order."""
    async with serving(keep_alive_seconds=0.3) as port:
        one = b"POST /read HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
        answer, _ = await talk(port, one * 5, 0.1, one[:20], 0.1, one[20:])
    assert answer.count(b"HTTP/1.1 200 ") == 6
    assert answer.count(b'{"bytes":3}') == 6

"""How long one request may take until its answer begins, whatever it waits for."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.runtime.problems import Problem, send_problem


class TookTooLong(Problem):
    """The answer did not begin within the time that a request may take."""

    def __init__(self, most_seconds: float) -> None:
        super().__init__(
            503,
            "took_too_long",
            "The request took too long",
            f"The request was given up after {most_seconds:g} s; send the same request again in a while.",
            headers={"Retry-After": "5"},
        )


class TimeLimit:
    """ASGI middleware that gives a request up when its answer has not begun in time; one that flows may take longer."""

    def __init__(self, app: ASGIApp, most_seconds: float) -> None:
        self._app, self._most_seconds = app, most_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with a time by which its answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = asyncio.timeout(self._most_seconds)

        async def begun(message: Message) -> None:
            if message["type"] == "http.response.start":
                limit.reschedule(None)
            await send(message)

        try:
            async with limit:
                await self._app(scope, receive, begun)
        except TimeoutError:
            if not limit.expired():
                raise
            await send_problem(send, TookTooLong(self._most_seconds))

"""Request bodies: bounded, read once, and refused with place and reason where they do not fit the contract."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.runtime.decoding import safe_message
from services.runtime.problems import BodyTooLarge, BodyTooSlow, Unprocessable, send_problem

ModelT = TypeVar("ModelT", bound=BaseModel)

MOST_BODY_BYTES = 256 * 1024
_MOST_ERRORS_TOLD = 20


class BodyBound:
    """ASGI middleware that stops reading a body at its bound in bytes (413) and in time (408).

    Both end the connection: what else comes over it is the rest of that body.
    """

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BODY_BYTES, most_seconds: float = 20) -> None:
        self._app, self._most_bytes, self._most_seconds = app, most_bytes, most_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with a counted body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._most_bytes:
            await send_problem(send, BodyTooLarge(self._most_bytes))
            return
        read, whole = 0, False
        deadline = asyncio.get_running_loop().time() + self._most_seconds

        async def counted() -> Message:
            nonlocal read, whole
            # Once the body is there, whoever asks waits for the caller to leave, which may take as long as it likes.
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise BodyTooSlow(self._most_seconds) from None
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > self._most_bytes:
                raise BodyTooLarge(self._most_bytes)
            return message

        await self._app(scope, counted, send)


class _Repeated(ValueError):
    """An object holds a key twice; which one counts would be anybody's guess."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Repeated
    return found


def _not_finite(_: str) -> float:
    raise ValueError


def checked(raw: bytes, model: type[ModelT]) -> ModelT:
    """A body as its model.

    Raises:
        Unprocessable: not UTF-8, not JSON, a key twice in one object, or not of the model; what was sent is not quoted.
    """
    try:
        json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_not_finite)
    except _Repeated:
        raise Unprocessable([{"loc": "body", "msg": "an object holds the same key twice"}]) from None
    except (ValueError, RecursionError):
        raise Unprocessable([{"loc": "body", "msg": "not JSON in UTF-8"}]) from None
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise Unprocessable(errors_of(error.errors(include_input=False, include_url=False), ("body",))) from None


def errors_of(details: Sequence[Any], prefix: Sequence[str] = ()) -> list[dict[str, object]]:
    """Pydantic's errors as place and message, at most twenty, without any input but the names of unknown fields."""
    return [
        {"loc": ".".join([*prefix, *map(str, d["loc"])]) or "body", "msg": safe_message(d["type"], d["msg"])}
        for d in details[:_MOST_ERRORS_TOLD]
    ]


def body(model: type[ModelT]) -> Any:  # noqa: ANN401 -- what FastAPI's Depends returns
    """A dependency: the request's body as a model. The raw bytes stay at `request.state.raw_body`.

    FastAPI's own body parsing takes duplicate keys and loses the raw bytes, which signatures and digests need.
    """

    async def read(request: Request) -> ModelT:
        raw = await request.body()
        request.state.raw_body = raw
        return checked(raw, model)

    read.body_model = model  # type: ignore[attr-defined] # read by the OpenAPI generator
    return Depends(read)

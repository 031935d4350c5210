"""The log as static files (C2SP tlog-tiles) below /audit/tiles, for tools that others have written.

Hashes and checkpoints say nothing of anybody and are open; the entries themselves are for auditors, as everywhere.
"""

from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from schemas.vocabulary import Look
from services.audit.exporting import newest
from services.audit.store import entries, tree
from services.audit.tiles import WIDTH, bundle, tile_asked, width_of
from services.audit.watching import Watch
from services.runtime.auth import Caller
from services.runtime.database import Connection, Database
from services.runtime.gate import SignedIn
from services.runtime.problems import Problem

_BYTES: Final = "application/octet-stream"
# A tile of a width never changes; a checkpoint is replaced within seconds.
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_FOR_AUDITORS: Final = {"Cache-Control": "private, max-age=31536000, immutable"}
_FOR_NOW: Final = {"Cache-Control": "no-cache"}
_ENTRIES: Final = -1
_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {_BYTES: {"schema": {"type": "string", "format": "binary"}}}}
}


class NoTile(Problem):
    """The log has no such tile, or not so wide a one yet."""

    def __init__(self) -> None:
        super().__init__(
            404,
            "no_tile",
            "There is no such tile",
            "The log has no tile of this level, number and width; the checkpoint's size says which there are.",
        )


def tiles_router(database: Database, watch: Watch) -> APIRouter:
    """The routes of the tiles."""
    router = APIRouter(prefix="/tiles", tags=["tiles"])

    @router.get("/checkpoint", summary="The newest checkpoint", response_class=PlainTextResponse, responses={404: {}})
    async def tiles_checkpoint() -> PlainTextResponse:
        return PlainTextResponse((await database.transact(newest)).note, headers=_FOR_NOW)

    @router.get(
        "/tile/entries/{number:path}", summary="A bundle of 256 entries", response_class=Response, responses=_ANSWER
    )
    async def entry_bundle(caller: SignedIn, number: str) -> Response:
        return Response(await _bundle(database, watch, caller, number), media_type=_BYTES, headers=_FOR_AUDITORS)

    @router.get(
        "/tile/{level}/{number:path}", summary="A tile of 256 hashes", response_class=Response, responses=_ANSWER
    )
    async def hash_tile(level: str, number: str) -> Response:
        return Response(await _tile(database, level, number), media_type=_BYTES, headers=_FOR_EVER)

    return router


async def _bundle(database: Database, watch: Watch, caller: Caller, number: str) -> bytes:
    asked = tile_asked(f"entries/{number}")
    if asked is None:
        raise NoTile
    _, place, width = asked

    async def work(connection: Connection) -> bytes:
        if width_of(0, place, await entries.size(connection)) < width:
            raise NoTile
        rows = await entries.leaves(connection, place * WIDTH, place * WIDTH + width)
        await watch.note(connection, caller, Look.BUNDLE, [index for index, _ in rows])
        return bundle([leaf for _, leaf in rows])

    return await database.transact(work)


async def _tile(database: Database, level: str, number: str) -> bytes:
    asked = tile_asked(f"{level}/{number}")
    if asked is None or asked[0] == _ENTRIES:
        raise NoTile
    height, place, width = asked

    async def work(connection: Connection) -> bytes:
        if width_of(height, place, await entries.size(connection)) < width:
            raise NoTile
        return await tree.tile(connection, height, place, width)

    return await database.transact(work)

"""The whole of the log over HTTP: its checkpoints, the keys that sign them, and every entry as a line."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, StreamingResponse
from msgspec import json

from schemas.vocabulary import Look
from services.audit.keys import written_keys
from services.audit.lookup import Marks, bare, differing, told
from services.audit.store import checkpoints, entries, lookup, tree
from services.audit.tree import leaf_hash
from services.audit.watching import Watch
from services.runtime.database import Connection, Database
from services.runtime.gate import SignedIn
from services.runtime.problems import Problem, Unprocessable

MOST_SIZE: Final = (1 << 63) - 1

_TEXT: Final = "text/plain; charset=utf-8"
_NDJSON: Final = "application/x-ndjson"
_LINES: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {_NDJSON: {"schema": {"type": "string"}}}}}
_AT_ONCE: Final = 1_024


class NoCheckpoint(Problem):
    """The log has not vouched for anything yet."""

    def __init__(self) -> None:
        super().__init__(
            404,
            "no_checkpoint",
            "There is no checkpoint yet",
            "The log has not signed a checkpoint yet; ask again in a minute, or see that it has a key.",
        )


def export_router(database: Database, watch: Watch) -> APIRouter:
    """The routes of what is kept outside to check the log with."""
    router = APIRouter(prefix="/v1", tags=["export"])

    @router.get("/checkpoint", summary="The newest checkpoint", response_class=PlainTextResponse, responses={404: {}})
    async def checkpoint() -> PlainTextResponse:
        return PlainTextResponse((await database.transact(newest)).note)

    @router.get("/checkpoints", summary="All checkpoints in their order", response_class=PlainTextResponse)
    async def all_checkpoints() -> StreamingResponse:
        return StreamingResponse(_checkpoints(database), media_type=_TEXT)

    @router.get("/keys", summary="The keys that sign checkpoints", response_class=PlainTextResponse)
    async def keys() -> PlainTextResponse:
        return PlainTextResponse(written_keys(await database.transact(checkpoints.keys)))

    @router.get(
        "/export",
        summary="Index and leaf of every entry, a line each",
        response_class=StreamingResponse,
        responses=_LINES,
    )
    async def export(
        caller: SignedIn,
        since: Annotated[int, Query(alias="from", ge=0, le=MOST_SIZE, description="The first index.")] = 0,
        until: Annotated[
            int | None,
            Query(alias="to", ge=0, le=MOST_SIZE, description="The index to end before; else all that is signed."),
        ] = None,
    ) -> StreamingResponse:
        async def work(connection: Connection) -> int:
            made = await size_asked(connection, until, "query.to")
            await watch.note(connection, caller, Look.EXPORT, range(since, made))
            return made

        # Before the first line goes out, since an answer that has begun cannot be refused.
        made = await database.transact(work)
        return StreamingResponse(_lines(database, since, made), media_type=_NDJSON)

    return router


async def newest(connection: Connection) -> checkpoints.Made:
    """The newest checkpoint.

    Raises:
        NoCheckpoint: there is none.
    """
    made = await checkpoints.newest(connection)
    if made is None:
        raise NoCheckpoint
    return made


async def size_asked(connection: Connection, wanted: int | None, where: str) -> int:
    """The size that is asked for, of a tree that the log has; else that of the newest checkpoint.

    Raises:
        Unprocessable: the log is not so large; `where` names the parameter.
        NoCheckpoint: nothing was asked for, and there is none.
    """
    if wanted is None:
        return (await newest(connection)).size
    size = await entries.size(connection)
    if wanted > size:
        raise Unprocessable([{"loc": where, "msg": f"the log has {size} entries"}])
    return wanted


async def _lines(database: Database, since: int, until: int) -> AsyncIterator[bytes]:
    """Each part is read in a transaction of its own: entries never change, so together they are one log."""
    while since < until:
        end = min(since + _AT_ONCE, until)

        async def work(connection: Connection, since: int = since, end: int = end) -> bytes:
            return await export_lines(connection, since, end)

        yield await database.transact(work)
        since = end


async def export_lines(connection: Connection, start: int, end: int) -> bytes:
    """The lines of the entries from `start` up to and without `end`, of which some may be gone.

    The hash in a line is the one that the tree keeps, so that an entry which was altered since is told from its
    neighbours. Those of the tile at the edge, 255 at most, are kept nowhere and come from the entries. Where what is
    kept beside a leaf says otherwise than the leaf, the line says so.
    """
    rows = await lookup.beside(connection, start, end)
    kept = await tree.kept_hashes(connection, start, end)
    others = await _others(connection, rows, start, end)
    return b"".join([_line(row["index"], row["leaf"], kept, others) for row in rows])


def _line(index: int, leaf: bytes, kept: Mapping[int, bytes], others: Mapping[int, bytes]) -> bytes:
    shown, stored = b64encode(leaf), b64encode(kept.get(index) or leaf_hash(leaf))
    return b'{"index":%d,"leaf":"%b","hash":"%b"%b}\n' % (index, shown, stored, others.get(index, b""))


async def _others(connection: Connection, rows: Sequence[lookup.Beside], start: int, end: int) -> Mapping[int, bytes]:
    """By index, how a line ends whose leaf is not what the entry is found by or shown with."""
    entries = told(rows)
    marks = Marks(
        doings=await lookup.doings(connection, start, end),
        minutes=await lookup.minutes(connection, {entry.minute for entry in entries}),
        lost=await lookup.lost(connection, bare(entries)),
    )
    found = {entry.row["index"]: differing(entry, marks) for entry in entries}
    for index in await tree.torn_at(connection, start, end):
        found.setdefault(index, []).append("tree")
    return {index: b',"differs":' + json.encode(names) for index, names in found.items() if names}


async def _checkpoints(database: Database) -> AsyncIterator[str]:
    number = 0
    while True:

        async def work(connection: Connection, number: int = number) -> list[checkpoints.Made]:
            return await checkpoints.after(connection, number, _AT_ONCE)

        made = await database.transact(work)
        if not made:
            return
        yield "".join(f"{one.note}\n" for one in made)
        number = made[-1].number

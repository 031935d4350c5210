"""Proofs over HTTP: that an entry is in the log, that the log only grew, and what became of a report."""

from base64 import b64encode
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from schemas.vocabulary import Look
from services.audit.exporting import MOST_SIZE, newest, size_asked
from services.audit.keys import written_keys
from services.audit.note import checkpoint_of, note_of
from services.audit.store import checkpoints, search, tree
from services.audit.tiles import KnownTiles, Shelf
from services.audit.tree import leaf_hash
from services.audit.watching import Watch
from services.runtime.database import Connection, Database
from services.runtime.gate import SignedIn
from services.runtime.problems import Problem, Unprocessable

_MOST_OF_A_REPORT: Final = 1_000
Index = Annotated[int, Field(ge=0, le=MOST_SIZE)]


class NoEntry(Problem):
    """The tree in question has no such entry."""

    def __init__(self, size: int) -> None:
        super().__init__(
            404,
            "no_entry",
            "There is no such entry",
            f"The tree asked about has {size} entries, the first with index 0; ask for one of them, or wait until a "
            "checkpoint covers it.",
            extra={"size": size},
        )


class NoReport(Problem):
    """No entry names the report."""

    def __init__(self) -> None:
        super().__init__(
            404,
            "report_unlogged",
            "The log has no such report",
            "No entry names this report; see that its id is right.",
        )


class Inclusion(BaseModel):
    """That an entry is in the tree: its hash, the hashes beside its way up (base64), and the root they lead to."""

    index: int
    size: int
    leaf_hash: str
    path: list[str]
    root: str


class Consistency(BaseModel):
    """That one tree is the beginning of another: the hashes (base64) that lead from one root to the other."""

    since: int = Field(serialization_alias="from")
    until: int = Field(serialization_alias="to")
    path: list[str]
    from_root: str
    to_root: str


class ReceiptEntry(BaseModel):
    """An entry of a receipt: the leaf's bytes and the hashes beside its way up to the checkpoint's root, in base64."""

    index: int
    leaf: str
    path: list[str]


class Receipt(BaseModel):
    """What became of one report, to be kept and checked without us: `jubao audit verify` or docs/audit.md says how.

    `pending` counts entries that no checkpoint covers yet; a later receipt has them.
    """

    report_id: UUID
    checkpoint: str
    entries: list[ReceiptEntry]
    pending: int
    keys: str


def proofs_router(database: Database, watch: Watch) -> APIRouter:
    """The routes that prove; they read committed entries, tiles and checkpoints, and need no key."""
    router = APIRouter(prefix="/v1", tags=["proofs"])
    shelf = Shelf()

    @router.get("/entries/{index}/proof", summary="That an entry is in the tree")
    async def inclusion(
        caller: SignedIn,
        index: Annotated[Index, Path()],
        size: Annotated[
            int | None, Query(ge=1, le=MOST_SIZE, description="Of the tree; else the newest signed.")
        ] = None,
    ) -> Inclusion:
        async def work(connection: Connection) -> Inclusion:
            found = await _inclusion(connection, index, size, shelf)
            await watch.note(connection, caller, Look.PROOF, [index])
            return found

        return await database.apart(work)

    @router.get("/consistency", summary="That one tree is the beginning of another")
    async def consistency(
        since: Annotated[int, Query(alias="from", ge=0, le=MOST_SIZE, description="Size of the older tree.")],
        until: Annotated[
            int | None, Query(alias="to", ge=0, le=MOST_SIZE, description="Of the newer; else the newest signed.")
        ] = None,
    ) -> Consistency:
        async def work(connection: Connection) -> Consistency:
            made = await size_asked(connection, until, "query.to")
            if since > made:
                raise Unprocessable([{"loc": "query.from", "msg": f"at most {made}, the size of the newer tree"}])
            path = await tree.consistency(connection, since, made)
            roots = [await tree.root(connection, size) for size in (since, made)]
            return Consistency(
                since=since, until=made, path=_texts(path), from_root=_text(roots[0]), to_root=_text(roots[1])
            )

        return await database.transact(work)

    @router.get("/receipts/{report_id}", summary="A report's entries, each proved")
    async def receipt(caller: SignedIn, report_id: UUID) -> Receipt:
        async def work(connection: Connection) -> Receipt:
            made = await newest(connection)
            found = await _receipt(connection, report_id, made)
            shown = [entry.index for entry in found.entries]
            await watch.note(connection, caller, Look.RECEIPT, shown, report_id=report_id)
            return found

        return await database.transact(work)

    return router


async def _inclusion(connection: Connection, index: int, size: int | None, shelf: Shelf) -> Inclusion:
    signed, leaf, tiles = await tree.beside_newest(connection, index, shelf.latest)
    if signed is not None and size in (None, signed.size):
        made, known = signed.size, shelf.of(signed.note)
    else:
        made, known = await size_asked(connection, size, "query.size"), KnownTiles()
    if index >= made:
        raise NoEntry(made)
    if leaf is None:
        raise tree.Torn(f"entry {index} is missing")
    path, root = await tree.inclusion_and_root(connection, index, made, known, tiles)
    return Inclusion(index=index, size=made, leaf_hash=_text(leaf_hash(leaf)), path=_texts(path), root=_text(root))


async def _receipt(connection: Connection, report_id: UUID, made: checkpoints.Made) -> Receipt:
    checkpoint = checkpoint_of(note_of(made.note).text)
    found = await search.of_report(connection, report_id, _MOST_OF_A_REPORT)
    if not found:
        raise NoReport
    covered = [(index, leaf) for index, leaf in found if index < checkpoint.size]
    paths = await tree.inclusions(connection, [index for index, _ in covered], checkpoint.size)
    return Receipt(
        report_id=report_id,
        checkpoint=made.note,
        entries=[
            ReceiptEntry(index=index, leaf=_text(leaf), path=_texts(path))
            for (index, leaf), path in zip(covered, paths, strict=True)
        ],
        pending=len(found) - len(covered),
        keys=written_keys(await checkpoints.keys(connection)),
    )


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _texts(values: list[bytes]) -> list[str]:
    return [_text(value) for value in values]

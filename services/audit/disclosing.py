"""Disclosing one entry: what its commitment hides, with the salt, so that a court can check it against the leaf."""

from base64 import b64encode
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Path
from pydantic import BaseModel, field_validator

from schemas.envelope import Contract
from schemas.erasure import Disclosure, Ground
from services.audit.altered import Altered, reading
from services.audit.holding import says_something
from services.audit.keys import written_keys
from services.audit.leaf import fits
from services.audit.note import checkpoint_of, note_of
from services.audit.proving import Index, NoEntry
from services.audit.store import checkpoints, disclosing, entries, tree
from services.audit.telling import disclosed
from services.runtime.bodies import body
from services.runtime.database import Connection
from services.runtime.gate import SignedIn
from services.runtime.identity import new_id
from services.runtime.outbox import enqueue
from services.runtime.problems import Problem
from services.runtime.process import Process

_HOW: Final = (
    "The leaf's `commitment` is HMAC-SHA256, in hexadecimal, of the bytes of `part` under the key `salt`; SHA-256 of a "
    "zero byte and the leaf goes up `path` to the root of `checkpoint` (RFC 6962). `jubao audit disclose --check FILE` "
    "checks both, offline."
)


class DisclosureWish(Contract):
    """On which ground an entry is to be disclosed."""

    ground: Ground

    @field_validator("ground")
    @classmethod
    def _says_something(cls, ground: str) -> str:
        says_something(ground)
        return ground


class Disclosed(BaseModel):
    """An entry with what it hides: `text` is `part` read as JSON. Leaf, part, salt and path are bytes in base64.

    `checkpoint` is null, and `path` empty, while no checkpoint covers the entry.
    """

    index: int
    text: dict[str, Any]
    leaf: str
    part: str
    salt: str
    checkpoint: str | None
    path: list[str]
    keys: str
    how: str


class NothingPrivate(Problem):
    """The entry hides nothing."""

    def __init__(self) -> None:
        super().__init__(
            404,
            "nothing_private",
            "The entry hides nothing",
            "All that this entry says stands in its leaf, which a search shows; there is nothing to disclose.",
        )


class Erased(Problem):
    """What the entry hid is erased."""

    def __init__(self, index: int, erasure_id: UUID, at: datetime) -> None:
        when = f"{at:%Y-%m-%dT%H:%M:%SZ}"
        super().__init__(
            410,
            "erased",
            "It is erased",
            f"What this entry hid was erased on {when} by the erasure {erasure_id}, with its salt: nobody can show or "
            "guess it any more. The entry itself and its proofs stay.",
            extra={"index": index, "erasure_id": str(erasure_id), "erased_at": when},
        )


class Lost(Problem):
    """The entry hid something that is gone, and no erasure took it."""

    def __init__(self, index: int) -> None:
        super().__init__(
            410,
            "lost",
            "It is gone, and no erasure took it",
            "What this entry hid is not in the database any more, and the log knows of no erasure of it: somebody "
            "removed it past the service. Tell whoever runs the database; a backup may still have it.",
            extra={"index": index},
        )


def disclosures_router(process: Process) -> APIRouter:
    """The route of disclosures."""
    router = APIRouter(prefix="/v1", tags=["entries"])
    database, clock = process.database("audit"), process.clock

    @router.post(
        "/entries/{index}/disclosures", status_code=201, summary="What an entry hides, with its salt",
        responses={410: {}},
    )  # fmt: skip
    async def disclose(
        caller: SignedIn, index: Annotated[Index, Path()], wish: Annotated[DisclosureWish, body(DisclosureWish)]
    ) -> Disclosed:
        """The disclosure is itself an entry of the log: who was given which entry, on which ground."""
        event_id, at = new_id(), clock.now()

        async def work(connection: Connection) -> Disclosed:
            row = await disclosing.entry(connection, index)
            if row is None:
                raise NoEntry(await entries.size(connection))
            with reading(index):
                promised = orjson.loads(row.leaf).get("commitment")
            if row.part is None:
                raise NothingPrivate if promised is None else await _refusal(connection, index, row)
            if not fits(promised, row.salt, row.part):
                raise Altered(index)
            report_id = None if row.report_id is None else UUID(bytes=row.report_id.bytes)
            told = Disclosure(index=index, actor=caller.name, report_id=report_id, ground=wish.ground)
            await enqueue(connection, [disclosed(told, event_id, at)])
            return await _disclosed(connection, index, row)

        return await database.transact(work)

    return router


async def _refusal(connection: Connection, index: int, row: disclosing.Shown) -> Problem:
    gone = await disclosing.gone(connection, row.report_id, row.case_id)
    return Erased(index, UUID(bytes=gone.erasure_id.bytes), gone.at) if gone else Lost(index)


async def _disclosed(connection: Connection, index: int, row: disclosing.Shown) -> Disclosed:
    made = await checkpoints.newest(connection)
    size = 0 if made is None else checkpoint_of(note_of(made.note).text).size
    covered = made is not None and index < size
    path = await tree.inclusion(connection, index, size) if covered else []
    return Disclosed(
        index=index,
        text=orjson.loads(row.part),
        leaf=_text(row.leaf),
        part=_text(row.part),
        salt=_text(row.salt),
        checkpoint=made.note if made is not None and covered else None,
        path=[_text(part) for part in path],
        keys=written_keys(await checkpoints.keys(connection)),
        how=_HOW,
    )


def _text(value: bytes) -> str:
    return b64encode(value).decode()

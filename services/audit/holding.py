"""Legal holds over HTTP: placed, listed and lifted. While one stands, nothing of what it is on is erased."""

from typing import Annotated, Final, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Contract
from schemas.erasure import Ground, HoldChange
from schemas.text import Identifier, Timestamp
from services.audit.store import holding
from services.audit.telling import hold_lifted, hold_placed
from services.audit.watching import Watch
from services.runtime.bodies import body
from services.runtime.database import Connection
from services.runtime.gate import SignedIn
from services.runtime.identity import new_id
from services.runtime.outbox import enqueue
from services.runtime.pages import Cursors
from services.runtime.problems import Problem, Unprocessable
from services.runtime.process import Process

_MOST_HOLDS: Final = 200
_LAST_ID: Final = UUID(int=2**128 - 1)
_OF_HOLD: Final = {"lift": {"operationId": "lift_hold", "parameters": {"hold_id": "$response.body#/hold_id"}}}
_OF_HOLDS: Final = {"next": {"operationId": "list_holds", "parameters": {"cursor": "$response.body#/next"}}}


def one_of_schema(**kinds: str) -> ConfigDict:
    """What `one_of` holds, for readers of the JSON Schema: the JSON type of each field."""
    ways: list[JsonValue] = [{"required": [name], "properties": {name: {"type": kind}}} for name, kind in kinds.items()]
    return ConfigDict(json_schema_extra={"oneOf": ways})


def one_of(**given: object) -> None:
    """Holds that exactly one is given, for a model's validator."""
    if sum(value is not None for value in given.values()) != 1:
        raise PydanticCustomError("one_of", "give exactly one of {names}", {"names": ", ".join(given)})


def says_something(ground: str) -> None:
    """Holds that a ground is more than spaces, likewise."""
    if not ground.strip():
        raise PydanticCustomError("blank", "spaces alone are no ground")


class HoldWish(Contract):
    """What nothing may be erased of; exactly one, and on which ground."""

    model_config = one_of_schema(content_id="string", report_id="string", source_id="string")

    content_id: Identifier | None = Field(None, description="An item: all reports about it.")
    report_id: UUID | None = Field(None, description="One report.")
    source_id: Identifier | None = Field(None, description="A source: all its reports.")
    ground: Ground = Field(description="On which ground; name no person in it, for it is kept.")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        one_of(content_id=self.content_id, report_id=self.report_id, source_id=self.source_id)
        says_something(self.ground)
        return self


class Hold(BaseModel):
    """A legal hold; it stands while `lifted_at` is null."""

    hold_id: UUID
    content_id: str | None
    report_id: UUID | None
    source_id: str | None
    ground: str
    placed_by: str
    placed_at: Timestamp
    lifted_by: str | None
    lifted_at: Timestamp | None


class HoldsPage(BaseModel):
    """Holds, the newest first; `next` is the cursor of the following page, null at the end."""

    holds: list[Hold]
    next: str | None


class NoHold(Problem):
    """There is none of this id."""

    def __init__(self) -> None:
        super().__init__(404, "no_hold", "There is no such hold", "No hold has this id; `jubao hold list` names all.")


def holds_router(process: Process, watch: Watch) -> APIRouter:
    """The routes of holds."""
    router = APIRouter(prefix="/v1", tags=["holds"])
    database, clock, cursors = process.database("audit"), process.clock, process.cursors

    @router.post("/holds", status_code=201, summary="Place a legal hold", responses={201: {"links": _OF_HOLD}})
    async def place_hold(caller: SignedIn, wish: Annotated[HoldWish, body(HoldWish)]) -> Hold:
        """From the answer on nothing of that is ordered to be erased; an order that was given before is carried out."""
        hold_id, at = new_id(), clock.now()
        change = HoldChange(hold_id=hold_id, actor=caller.name, **wish.model_dump())
        message = hold_placed(change, new_id(), at)

        async def work(connection: Connection) -> Hold:
            await holding.place_hold(connection, {**change.model_dump(), "at": at})
            await enqueue(connection, [message])
            return await _hold(connection, hold_id)

        return await database.transact(work)

    @router.get("/holds", summary="Legal holds, the newest first", responses={200: {"links": _OF_HOLDS}})
    async def list_holds(
        caller: SignedIn, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=_MOST_HOLDS)] = 50
    ) -> HoldsPage:
        before = _place(cursors, cursor)

        async def work(connection: Connection) -> HoldsPage:
            rows = await holding.holds(connection, before, limit + 1)
            page = [_shown(row) for row in rows[:limit]]
            more = cursors.write({"before_hold": str(page[-1].hold_id)}) if len(rows) > limit else None
            await watch.note_holds(connection, caller, len(page))
            return HoldsPage(holds=page, next=more)

        return await database.transact(work)

    @router.post("/holds/{hold_id}/lift", summary="Lift a legal hold")
    async def lift_hold(caller: SignedIn, hold_id: UUID) -> Hold:
        """Erasures that it stopped go on by themselves; again on a lifted one it changes nothing."""
        at, event_id = clock.now(), new_id()

        async def work(connection: Connection) -> Hold:
            found = await _hold(connection, hold_id)
            if found.lifted_at is not None:
                return found
            await holding.lift(connection, hold_id, caller.name, at)
            told = found.model_dump(include={"hold_id", "content_id", "report_id", "source_id", "ground"})
            await enqueue(connection, [hold_lifted(HoldChange(actor=caller.name, **told), event_id, at)])
            return await _hold(connection, hold_id)

        return await database.transact(work)

    return router


async def _hold(connection: Connection, hold_id: UUID) -> Hold:
    row = await holding.hold_of(connection, hold_id)
    if row is None:
        raise NoHold
    return _shown(row)


def _shown(row: holding.Kept) -> Hold:
    return Hold.model_validate(row._asdict())


def _place(cursors: Cursors, cursor: str | None) -> UUID:
    if cursor is None:
        return _LAST_ID
    try:
        return UUID(str(cursors.read(cursor, "before_hold")["before_hold"]))
    except ValueError as other:
        raise Unprocessable(
            [{"loc": "query.cursor", "msg": "not a cursor of this listing; start without one"}]
        ) from other

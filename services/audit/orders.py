"""Erasures over HTTP: ordered, and followed until every service has answered."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator

from schemas.envelope import Contract
from schemas.erasure import Ground, Keeper, answer_id, order_id
from schemas.text import Identifier, Name, Timestamp
from schemas.vocabulary import Basis
from services.audit.holding import one_of, one_of_schema, says_something
from services.audit.store import erasing
from services.runtime.bodies import body
from services.runtime.database import Connection
from services.runtime.gate import SignedIn
from services.runtime.identity import new_id
from services.runtime.problems import Problem
from services.runtime.process import Process

KEEPERS: Final[tuple[Keeper, ...]] = ("audit", "intake", "review")

_MOST_REPORTS: Final = 1_000
_OF_ERASURE: Final = {
    "show": {"operationId": "show_erasure", "parameters": {"erasure_id": "$response.body#/erasure_id"}}
}


class ErasureWish(Contract):
    """Whose reports, about which item, or which reports are to be erased; exactly one, and on which ground."""

    model_config = one_of_schema(reporter="string", content_id="string", report_ids="array")

    reporter: Name | None = Field(None, description="The reporter, as the platform names him in reports.")
    content_id: Identifier | None = Field(None, description="The reported item.")
    report_ids: Annotated[list[UUID], Field(min_length=1, max_length=_MOST_REPORTS)] | None = None
    ground: Ground = Field(description="On which ground; name no person in it, for it is kept.")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        one_of(reporter=self.reporter, content_id=self.content_id, report_ids=self.report_ids)
        says_something(self.ground)
        return self


class Stopped(BaseModel):
    """A hold that stops reports of an erasure, and how many."""

    hold_id: UUID
    content_id: str | None
    report_id: UUID | None
    source_id: str | None
    reports: int


class Progress(BaseModel):
    """How far a service is with an erasure: parts that it has answered, and how many rows it changed or removed."""

    service: Keeper
    parts: int
    count: int


class Erasure(BaseModel):
    """An erasure: `finding` its reports, `telling` the services, `waiting` for their answers, or `done`.

    `reports` counts those found so far, `held` those of them that a legal hold stops: once it is lifted the erasure
    goes on with them by itself.
    """

    erasure_id: UUID
    state: Literal["finding", "telling", "waiting", "done"]
    basis: Basis
    content_id: str | None
    ordered_by: str
    ordered_at: Timestamp
    reports: int
    parts: int
    services: list[Progress]
    held: list[Stopped]


class NoErasure(Problem):
    """There is none of this id."""

    def __init__(self) -> None:
        super().__init__(
            404,
            "no_erasure",
            "There is no such erasure",
            "No erasure has this id; see that it is the one you were given.",
        )


def erasures_router(process: Process) -> APIRouter:
    """The routes of erasures."""
    router = APIRouter(prefix="/v1", tags=["erasures"])
    database, clock = process.database("audit"), process.clock

    @router.post(
        "/erasures", status_code=202, summary="Erase what is kept of reports and reporters",
        responses={202: {"links": _OF_ERASURE}},
    )  # fmt: skip
    async def order_erasure(caller: SignedIn, wish: Annotated[ErasureWish, body(ErasureWish)]) -> Erasure:
        """Text, reporter, digests and salts of the reports go wherever they are kept; entries and proofs stay."""
        wanted = _wanted(wish, caller.name, clock.now())

        async def work(connection: Connection) -> Erasure:
            await erasing.want(connection, wanted)
            return await _erasure(connection, wanted.erasure_id)

        return await database.transact(work)

    @router.get("/erasures/{erasure_id}", summary="How far an erasure is")
    async def show_erasure(erasure_id: UUID) -> Erasure:
        async def work(connection: Connection) -> Erasure:
            return await _erasure(connection, erasure_id)

        return await database.transact(work)

    return router


def _wanted(wish: ErasureWish, caller: str, at: datetime) -> erasing.Want:
    if wish.report_ids is not None:
        return erasing.Want(new_id(), Basis.REPORTS, wish.ground, caller, at, reports=wish.report_ids)
    basis = Basis.REPORTER if wish.reporter is not None else Basis.CONTENT
    return erasing.Want(new_id(), basis, wish.ground, caller, at, wish.reporter, wish.content_id)


async def _erasure(connection: Connection, erasure_id: UUID) -> Erasure:
    row = await erasing.erasure(connection, erasure_id)
    if row is None:
        raise NoErasure
    held = [Stopped.model_validate(hold._asdict()) for hold in await erasing.stopped(connection, erasure_id)]
    services = await _services(connection, erasure_id, row.parts)
    state = _state(row, services)
    told = {name: getattr(row, name) for name in ("erasure_id", "basis", "content_id", "ordered_by", "ordered_at")}
    return Erasure(**told, state=state, reports=row.reports, parts=row.parts, services=services, held=held)


def _state(row: erasing.Noted, services: list[Progress]) -> Literal["finding", "telling", "waiting", "done"]:
    if row.found_at is None:
        return "finding"
    if row.told_at is None:
        return "telling"
    return "done" if all(progress.parts == row.parts for progress in services) else "waiting"


async def _services(connection: Connection, erasure_id: UUID, parts: int) -> list[Progress]:
    """What each service has answered: its answers are entries of the log, whose ids follow from the orders'."""
    asked = {
        answer_id(order_id(erasure_id, part), service): service for part in range(1, parts + 1) for service in KEEPERS
    }
    done: dict[str, list[int]] = {service: [] for service in KEEPERS}
    for event_id, count in (await erasing.answers(connection, asked)).items():
        done[asked[event_id]].append(count)
    return [Progress(service=service, parts=len(done[service]), count=sum(done[service])) for service in KEEPERS]

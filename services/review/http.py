"""Review over HTTP: reviewers claim and decide, others look."""

from datetime import datetime
from typing import Annotated, Any, Final, cast
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from schemas.activity import FilterName
from schemas.text import Code, Identifier
from schemas.triage import ClassName
from schemas.vocabulary import CaseState, PriorityClass
from services.review.answers import (
    MOST_CASES,
    CaseAnswer,
    CasePage,
    CaseSummary,
    Claims,
    ClaimWish,
    DecisionAnswer,
    DecisionWish,
    LeaseAnswer,
    QueueAnswer,
    Release,
    Renewal,
    ReportAnswer,
    notice,
)
from services.review.decision import Proposal
from services.review.desk import Desk
from services.review.leasing import LeaseLost
from services.review.refusals import RefusedHere, ReportUnknown, problem_of
from services.review.store import queries
from services.review.store.decisions import CaseUnknown
from services.review.watching import Watch
from services.runtime.auth import Caller
from services.runtime.database import Connection, Database
from services.runtime.gate import SignedIn
from services.runtime.pages import Cursors
from services.runtime.problems import Unprocessable
from services.runtime.web import body

_LEASE: Final = "$response.body#/claims/0/lease/token"
_CASE: Final = "$response.body#/claims/0/case/id"
# The way of a case, for programs that follow it by the description alone; each of its steps uses what the last gave.
_OF_CLAIM: Final = {
    "renew": {"operationId": "renew", "parameters": {"token": _LEASE}},
    "release": {"operationId": "release", "parameters": {"token": _LEASE}},
    "decide": {
        "operationId": "decide",
        "parameters": {"case_id": _CASE},
        "requestBody": {"lease": _LEASE, "verdict": "no_violation", "actions": [], "reason": "No rule is broken."},
    },
    "case": {"operationId": "case", "parameters": {"case_id": _CASE}},
    "report": {
        "operationId": "report",
        "parameters": {"report_id": "$response.body#/claims/0/case/reports/0/report_id"},
    },
}
_CASE_ANSWERED: Final = {"case": {"operationId": "case", "parameters": {"case_id": "$response.body#/case_id"}}}
_OF_CASES: Final = {
    "case": {"operationId": "case", "parameters": {"case_id": "$response.body#/cases/0/id"}},
    "next": {"operationId": "cases", "parameters": {"cursor": "$response.body#/next"}},
}


class CaseFilter(BaseModel):
    """Which cases, and which page of them."""

    state: CaseState | None = None
    priority: Annotated[ClassName | None, Field(alias="class")] = None
    queue: Code | None = None
    content_id: Identifier | None = None
    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_CASES)] = 50

    @property
    def names(self) -> list[FilterName]:
        """By what the list is narrowed, without what says where a page begins and ends."""
        given = self.model_dump(by_alias=True, exclude_none=True)
        return cast("list[FilterName]", sorted(given.keys() - {"cursor", "limit"}))


def desk_router(desk: Desk) -> APIRouter:
    """Claiming and deciding."""
    router = APIRouter(prefix="/v1", tags=["desk"])

    @router.post(
        "/claims", summary="The caller's live leases, then the next cases", responses={200: {"links": _OF_CLAIM}}
    )
    async def claim(caller: SignedIn, wish: Annotated[ClaimWish, body(ClaimWish)]) -> Claims:
        return Claims(claims=await desk.claim(caller, wish.queues, wish.max))

    @router.post("/leases/{token}/renew", summary="Moves the end of a lease", responses={409: {}})
    async def renew(caller: SignedIn, token: str) -> Renewal:
        try:
            lease = await desk.renew(caller, _token(token))
        except LeaseLost as lost:
            raise problem_of(lost) from lost
        return Renewal(
            lease=LeaseAnswer(token=lease.token, expires_at=lease.expires_at, fence=lease.fence),
            notice=notice(lease.ends_by),
        )

    @router.post(
        "/leases/{token}/release", summary="Gives a case back to the queue",
        responses={200: {"links": _CASE_ANSWERED}, 409: {}},
    )  # fmt: skip
    async def release(caller: SignedIn, token: str) -> Release:
        try:
            case_id = await desk.release(caller, _token(token))
        except LeaseLost as lost:
            raise problem_of(lost) from lost
        return Release(case_id=case_id, state=CaseState.QUEUED)

    @router.post(
        "/cases/{case_id}/decisions", status_code=201, summary="Decides a case",
        responses={201: {"links": _CASE_ANSWERED}, 409: {}},
    )  # fmt: skip
    async def decide(
        caller: SignedIn, case_id: UUID, wish: Annotated[DecisionWish, body(DecisionWish)]
    ) -> DecisionAnswer:
        try:
            made = await desk.decide(Proposal(case_id, wish.lease, caller.name, wish.finding))
        except RefusedHere as refusal:
            raise problem_of(refusal) from refusal
        return DecisionAnswer(
            decision_id=made.decision_id,
            case_id=made.case_id,
            verdict=made.finding.verdict,
            violates=made.finding.violates,
            actions=made.finding.actions,
            reason=made.finding.reason,
            decided_by=made.reviewer,
            decided_at=made.decided_at,
        )

    return router


def reading_router(database: Database, cursors: Cursors, watch: Watch) -> APIRouter:
    """Cases, queues, and where a report stands."""
    router = APIRouter(prefix="/v1", tags=["reading"])

    @router.get("/cases/{case_id}", summary="One case with its first reports and its history")
    async def case(caller: SignedIn, case_id: UUID) -> CaseAnswer:
        async def work(connection: Connection) -> list[CaseAnswer]:
            return await _case(connection, watch, caller, case_id)

        found = await database.transact(work)
        if not found:
            raise problem_of(CaseUnknown(case_id))
        return found[0]

    @router.get("/cases", summary="Cases, the newest first", responses={200: {"links": _OF_CASES}})
    async def cases(caller: SignedIn, wanted: Annotated[CaseFilter, Query()]) -> CasePage:
        before = None if wanted.cursor is None else _place(cursors.read(wanted.cursor, "at", "id"))

        async def work(connection: Connection) -> list[CaseSummary]:
            return await _page(connection, watch, caller, wanted, before)

        found = await database.transact(work)
        shown, more = found[: wanted.limit], len(found) > wanted.limit
        last = {"at": shown[-1].opened_at.isoformat(), "id": str(shown[-1].id)} if more else None
        return CasePage(cases=shown, next=cursors.write(last) if last else None)

    @router.get("/queues", summary="What waits, class by class and queue by queue")
    async def queues() -> list[QueueAnswer]:
        return await database.transact(queries.queues)

    @router.get("/reports/{report_id}", summary="Where one report stands, for the service that answers reporters")
    async def report(report_id: UUID) -> ReportAnswer:
        async def work(connection: Connection) -> ReportAnswer | None:
            return await queries.report(connection, report_id)

        found = await database.transact(work)
        if found is None:
            raise ReportUnknown
        return found

    return router


async def _case(connection: Connection, watch: Watch, caller: Caller, case_id: UUID) -> list[CaseAnswer]:
    found = await queries.cases(connection, [case_id])
    for one in found:
        await watch.one(connection, caller, one.id, one.content_id)
    return found


async def _page(
    connection: Connection, watch: Watch, caller: Caller, wanted: CaseFilter, before: tuple[datetime, UUID] | None
) -> list[CaseSummary]:
    """A page of cases and the one behind it, if there is one."""
    found = await queries.page(
        connection,
        states=[wanted.state] if wanted.state else [],
        classes=[int(PriorityClass[wanted.priority])] if wanted.priority else [],
        queue=wanted.queue,
        content_id=wanted.content_id,
        before=before,
        most=wanted.limit + 1,
    )
    await watch.several(connection, caller, min(len(found), wanted.limit), wanted.names, wanted.content_id)
    return found


def _token(text: str) -> UUID:
    """A lease's token; what cannot be one is as unknown as any other that was never given out."""
    try:
        return UUID(text)
    except ValueError:
        raise problem_of(LeaseLost(UUID(int=0))) from None


def _place(cursor: dict[str, Any]) -> tuple[datetime, UUID]:
    try:
        return datetime.fromisoformat(str(cursor["at"])), UUID(str(cursor["id"]))
    except (KeyError, ValueError):
        raise Unprocessable(
            [{"loc": "query.cursor", "msg": "a cursor of another listing; start without one"}]
        ) from None

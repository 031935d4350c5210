"""What became of a report, for its source and the platform."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from schemas.text import Timestamp
from schemas.triage import ClassName
from schemas.vocabulary import Action, Verdict
from services.outcomes import store
from services.outcomes.asker import Asker, Askers
from services.outcomes.inquiry import Review, Standing
from services.outcomes.store import Reached
from services.runtime.database import Connection, Database
from services.runtime.problems import Problem


class ReportUnknown(Problem):
    """No queue knows the report, or it is not the asker's: whoever may not know it is not told which."""

    def __init__(self) -> None:
        super().__init__(
            404,
            "report_unknown",
            "No such report",
            "No queue knows this report, or it is another source's; if it was sent just now, ask again in a second.",
        )


class ReportStanding(BaseModel):
    """Where a report stands. From `verdict` on only once it is decided; `class` is the case's.

    `statement` is the code of the statement of reasons: the verdict with the weightiest action.
    """

    report_id: UUID
    state: Literal["queued", "in_review", "decided"]
    priority: Annotated[ClassName, Field(alias="class")]
    received_at: Timestamp
    verdict: Verdict | None = None
    violates: str | None = None
    actions: list[Action] | None = None
    statement: str | None = None
    decided_at: Timestamp | None = None


def reports_router(database: Database, askers: Askers, review: Review) -> APIRouter:
    """The routes of outcomes."""
    router = APIRouter(prefix="/v1", tags=["reports"])

    @router.get("/reports/{report_id}", summary="What became of a report", response_model_exclude_none=True)
    async def report(request: Request, report_id: UUID) -> ReportStanding:
        asker = await askers.of(request)
        reached = await _own(database, report_id)
        if reached is None:
            standing = await review.standing(report_id)
            # A decision made while review was asked may have come in meanwhile.
            reached = await _own(database, report_id) if standing and standing.state == "decided" else None
            if reached is None:
                return _waiting(asker, standing)
        if not asker.may_know(reached.source_id):
            raise ReportUnknown
        return _decided(reached)

    return router


async def _own(database: Database, report_id: UUID) -> Reached | None:
    async def work(connection: Connection) -> Reached | None:
        return await store.outcome(connection, report_id)

    return await database.transact(work)


def _waiting(asker: Asker, standing: Standing | None) -> ReportStanding:
    if standing is None or not asker.may_know(standing.source_id):
        raise ReportUnknown
    # Decided there and not yet here: the outcome is still on its way, so for the asker it is in review.
    return ReportStanding.model_validate(
        {
            "report_id": standing.report_id,
            "state": "queued" if standing.state == "queued" else "in_review",
            "class": standing.priority,
            "received_at": standing.received_at,
        }
    )


def _decided(reached: Reached) -> ReportStanding:
    return ReportStanding.model_validate(
        {
            "report_id": reached.report_id,
            "state": "decided",
            "class": reached.priority,
            "received_at": reached.received_at,
            "verdict": reached.verdict,
            "violates": reached.violates,
            "actions": list(reached.actions),
            "statement": reached.statement,
            "decided_at": reached.decided_at,
        }
    )

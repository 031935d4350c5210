"""What every service answers about itself: whether it lives and can serve, its metrics, its counts and its lag."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.topics import Topic
from services.runtime import metrics
from services.runtime.health import Worker
from services.runtime.process import Process, health_of
from services.runtime.standing import lag_of

Counts = Callable[[AsyncConnection], Awaitable[Mapping[str, int]]]

_WAITS = 503


class Alive(BaseModel):
    """The process lives."""

    status: str = "ok"


class Readiness(BaseModel):
    """Whether the service can serve, and what it waits for otherwise: by name, why."""

    status: str
    waits: dict[str, str]


class Status(BaseModel):
    """What a service counts, how many records it is behind on each topic, and its open dead letters."""

    service: str
    counts: dict[str, int]
    lag: dict[str, int]
    dead: int


def standing_router(
    process: Process, service: str, workers: Sequence[Worker], counts: Counts, consumes: Sequence[Topic]
) -> APIRouter:
    """The routes that are the same for all services."""
    router = APIRouter(tags=["standing"])

    @router.get("/healthz", summary="Whether the process lives")
    async def healthz() -> Alive:
        return Alive()

    @router.get(
        "/readyz", summary="Whether it can serve: 503 with what it waits for otherwise",
        responses={_WAITS: {"model": Readiness, "description": "It waits for something"}},
    )  # fmt: skip
    async def readyz(response: Response) -> Readiness:
        waits = {name: h.detail for name, h in health_of(workers).items() if not h.healthy}
        if not await process.database(service).answers():
            waits["database"] = "does not answer"
        if waits:
            response.status_code = _WAITS
        return Readiness(status="waits" if waits else "ok", waits=waits)

    @router.get(
        "/metrics", summary="Prometheus metrics", response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    async def exposition() -> Response:
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    @router.get("/v1/status", summary="What this service counts, its lag and its open dead letters")
    async def status() -> Status:
        async def work(connection: AsyncConnection) -> Mapping[str, int]:
            return await counts(connection)

        database = process.database(service)
        return Status(
            service=service,
            counts=dict(await database.transact(work)),
            lag=dict(await lag_of(process.settings, database, consumes)),
            dead=await process.dead_letters(service).count_open() if consumes else 0,
        )

    return router

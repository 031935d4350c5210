"""What every service answers about itself: whether it lives and can serve, its metrics, its counts and its lag."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus

from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.topics import Topic
from services.runtime import metrics
from services.runtime.health import Health, Worker
from services.runtime.process import Process, health_of
from services.runtime.standing import lag_of

Counts = Callable[[AsyncConnection], Awaitable[Mapping[str, int]]]

_WAITS = HTTPStatus.SERVICE_UNAVAILABLE


class Alive(BaseModel):
    """The process lives."""

    status: str = "ok"


class Readiness(BaseModel):
    """Whether the service can serve, and what it waits for otherwise: by name, why.

    `alarms` names what among `waits` no waiting will mend: a person has to decide.
    """

    status: str
    waits: dict[str, str]
    alarms: list[str] = []

    @classmethod
    def of(cls, parts: Mapping[str, Health]) -> "Readiness":
        """Ready if every part is well."""
        unwell = {name: health for name, health in parts.items() if not health.healthy}
        return cls(
            status="waits" if unwell else "ok",
            waits={name: health.detail for name, health in unwell.items()},
            alarms=[name for name, health in unwell.items() if health.alarm],
        )

    @property
    def status_code(self) -> int:
        """What goes with it."""
        return _WAITS if self.waits else HTTPStatus.OK


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
        answers = await process.database(service).answers()
        database = Health(healthy=answers, detail="does not answer")
        readiness = Readiness.of({**health_of(workers), "database": database})
        response.status_code = readiness.status_code
        return readiness

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

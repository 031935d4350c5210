"""One service's HTTP app: its routes, and around them what every service answers alike."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.topics import Topic
from services.runtime import metrics
from services.runtime.auth import Caller, require
from services.runtime.bodies import BodyBound, body, errors_of
from services.runtime.deadweb import dead_router
from services.runtime.health import Worker
from services.runtime.logs import logger, where_raised
from services.runtime.problems import Problem, Unprocessable
from services.runtime.process import Process, health_of
from services.runtime.standing import lag_of

__all__ = ["application", "body", "origin"]

log = logger(__name__)

PROBLEM_JSON = "application/problem+json"
# Anyone may send any word as a method, and every word would be a series that is kept for good.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
Counts = Callable[[AsyncConnection], Awaitable[Mapping[str, int]]]


async def _no_counts(_: AsyncConnection) -> Mapping[str, int]:
    return {}


def application(
    process: Process,
    service: str,
    title: str,
    routers: Sequence[APIRouter],
    *,
    workers: Sequence[Worker] = (),
    counts: Counts = _no_counts,
    consumes: Sequence[Topic] = (),
) -> FastAPI:
    """A service's app: its routers, and health, metrics, status, dead letters and problem details beside them.

    Args:
        process: settings and engines.
        service: the prefix it is mounted under, and its schema's name.
        title: for its OpenAPI document.
        routers: the service's own routes.
        workers: that run in the same process, for its readiness.
        counts: what the service counts for `status`, in one transaction.
        consumes: the topics whose lag it tells, and whose dead letters it keeps.
    """
    app = FastAPI(title=title, version="1", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.process, app.state.service = process, service
    included = [*routers, _standing_routes(process, service, workers, counts, consumes)]
    if consumes:
        included.append(dead_router(process, service))
    for router in included:
        app.include_router(router)
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_defect)
    app.add_middleware(BodyBound)
    app.add_middleware(_Measured, service=service)
    app.openapi = lambda: _openapi(app, included)  # type: ignore[method-assign] # FastAPI's own way to say so
    return app


def origin(apps: Mapping[str, FastAPI]) -> FastAPI:
    """One origin for several services: each under its prefix, and at the root where they and their descriptions are."""
    root = FastAPI(title="Jubao", docs_url=None, redoc_url=None, openapi_url=None)

    @root.get("/")
    async def index() -> dict[str, dict[str, str]]:
        return {"services": {service: f"/{service}/openapi.json" for service in apps}}

    for service, app in apps.items():
        root.mount(f"/{service}", app)
    root.add_exception_handler(HTTPException, _answer_http)
    return root


def _standing_routes(
    process: Process, service: str, workers: Sequence[Worker], counts: Counts, consumes: Sequence[Topic]
) -> APIRouter:
    router = APIRouter(tags=["standing"])

    @router.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="Whether it can serve: 503 with what it waits for otherwise")
    async def readyz() -> JSONResponse:
        waits = {name: h.detail for name, h in health_of(workers).items() if not h.healthy}
        if not await process.database(service).answers():
            waits["database"] = "does not answer"
        return JSONResponse({"status": "waits" if waits else "ok", "waits": waits}, 503 if waits else 200)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def exposition() -> Response:
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    @router.get("/v1/status", summary="What this service counts, its lag and its open dead letters")
    async def status(
        _: Annotated[Caller, require("admin", "auditor", "reviewer", "senior", "supervisor", "platform")],
    ) -> dict[str, Any]:
        async def work(connection: AsyncConnection) -> Mapping[str, int]:
            return await counts(connection)

        database = process.database(service)
        return {
            "service": service,
            "counts": await database.transact(work),
            "lag": await lag_of(process.settings, database, consumes),
            "dead": await process.dead_letters(service).count_open() if consumes else 0,
        }

    return router


class _Measured:
    """ASGI middleware that counts and times requests; a framework's own way would cost more than most answers."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            metrics.REQUESTS.labels(self._service, method, str(status)).inc()
            metrics.REQUEST_SECONDS.labels(self._service).observe(perf_counter() - started)


def _problem_response(problem: Problem) -> JSONResponse:
    return JSONResponse(problem.document(), problem.status, problem.headers, media_type=PROBLEM_JSON)


async def _answer_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):  # pragma: no cover -- registered for Problem alone
        raise error
    if error.status >= 500:  # noqa: PLR2004 -- the status classes of HTTP
        log.warning("request_unavailable", service=request.app.state.service, code=error.code)
    return _problem_response(error)


async def _answer_invalid(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):  # pragma: no cover -- registered for it alone
        raise error
    return _problem_response(Unprocessable(errors_of(error.errors())))


async def _answer_http(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # pragma: no cover -- registered for it alone
        raise error
    hints = {404: "There is nothing at this address.", 405: "This address takes other methods; see the Allow header."}
    detail = hints.get(error.status_code, str(error.detail))
    title = str(error.detail)
    return _problem_response(
        Problem(error.status_code, f"http_{error.status_code}", title, detail, headers=error.headers)
    )


async def _answer_defect(request: Request, error: Exception) -> Response:
    where = where_raised(error)
    # The error's text may quote a body or a row; where it happened is what an engineer needs.
    log.error("request_failed", service=request.app.state.service, error=type(error).__name__, where=where)
    return _problem_response(
        Problem(500, "defect", "A defect of ours", "The request met a defect; it is logged. Try again, or tell us.")
    )


class _ProblemDocument(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str


def _openapi(app: FastAPI, included: Sequence[APIRouter]) -> dict[str, Any]:
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    models: list[type[BaseModel]] = [_ProblemDocument]
    problem = {"description": "A problem", "content": {PROBLEM_JSON: {"schema": _reference("_ProblemDocument")}}}
    # An app's own list of routes shows included routers as one entry each, so the routers are asked.
    for route in (route for router in included for route in router.routes):
        if not isinstance(route, APIRoute):
            continue
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = problem
            model = _body_model(route)
            if model is not None:
                models.append(model)
                content = {"application/json": {"schema": _reference(model.__name__)}}
                operation["requestBody"] = {"required": True, "content": content}
    _, definitions = models_json_schema(
        [(m, "validation") for m in dict.fromkeys(models)], ref_template="#/components/schemas/{model}"
    )
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components.pop("HTTPValidationError", None)
    components.pop("ValidationError", None)
    components.update(definitions.get("$defs", {}))
    app.openapi_schema = document
    return document


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _body_model(route: APIRoute) -> type[BaseModel] | None:
    for dependant in route.dependant.dependencies:
        model = getattr(dependant.call, "body_model", None)
        if model is not None:
            return model  # type: ignore[no-any-return] # set by `body`
    return None

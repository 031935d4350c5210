"""One service's HTTP app: its routes, and around them what every service answers alike."""

import re
from collections.abc import Mapping, Sequence
from time import perf_counter

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.access import ACCESS, Rule
from schemas.topics import Topic
from services.runtime import metrics, openapi
from services.runtime.bodies import BodyBound, body, errors_of
from services.runtime.deadweb import dead_router
from services.runtime.gate import Gate
from services.runtime.health import Worker
from services.runtime.logs import logger, where_raised
from services.runtime.problems import PROBLEM_JSON, Problem, Unprocessable
from services.runtime.process import Process, StartRefused
from services.runtime.standingweb import Counts, standing_router
from services.runtime.time_limit import TimeLimit

__all__ = ["application", "body", "origin"]

log = logger(__name__)

# Anyone may send any word as a method, and every word would be a series that is kept for good.
_NOT_ALLOWED, _GONE = 405, 400
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


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

    Raises:
        StartRefused: a route that `schemas.access` does not know, or a row there without a route.
    """
    app = FastAPI(
        title=title,
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.process, app.state.service = process, service
    included = [*routers, standing_router(process, service, workers, counts, consumes)]
    if consumes:
        included.append(dead_router(process, service))
    rules = _checked_rules(service, included)
    gate = Gate(
        rules,
        tokens=process.tokens,
        rates=process.rates,
        turns=process.turns,
        settings=process.settings,
        clock=process.clock,
    )
    for router in included:
        app.include_router(router, dependencies=[Depends(gate)])
    app.state.addresses = [(route.path_regex, route.methods) for router in included for route in _api_routes(router)]
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_defect)
    app.add_middleware(BodyBound, most_seconds=process.settings.body_seconds)
    app.add_middleware(TimeLimit, most_seconds=process.settings.request_seconds)
    app.add_middleware(_Measured, service=service)
    app.openapi = lambda: openapi.document(app, included, rules)  # type: ignore[method-assign] # FastAPI's own way
    return app


def _checked_rules(service: str, included: Sequence[APIRouter]) -> Sequence[Rule]:
    """The service's rows of the table, if they are about its routes, all of them and no other."""
    routes = {(m, r.path_format) for router in included for r in _api_routes(router) for m in r.methods or ()}
    routes.add(("GET", "/openapi.json"))
    rules = ACCESS.get(service, ())
    known = {(rule.method, rule.path) for rule in rules}
    wrong = [f"{m} /{service}{p} has no row in schemas/access.py; add who may call it" for m, p in routes - known]
    wrong += [f"{m} /{service}{p} has a row in schemas/access.py and no route" for m, p in known - routes]
    if wrong:
        raise StartRefused("\n".join(sorted(wrong)))
    return rules


def _api_routes(router: APIRouter) -> list[APIRoute]:
    return [route for route in router.routes if isinstance(route, APIRoute)]


def origin(apps: Mapping[str, FastAPI]) -> FastAPI:
    """One origin for several services: each under its prefix, and at the root where they and their descriptions are."""
    root = FastAPI(title="Jubao", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    @root.get("/")
    async def index() -> dict[str, dict[str, str]]:
        return {"services": {service: f"/{service}/openapi.json" for service in apps}}

    for service, app in apps.items():
        root.mount(f"/{service}", app)
    root.state.addresses = ()
    root.add_exception_handler(HTTPException, _answer_http)
    return root


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


async def _answer_nobody(_: Request, __: Exception) -> Response:
    """The caller has gone, or was cut off: nobody reads this."""
    return Response(status_code=_GONE)


async def _answer_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # pragma: no cover -- registered for it alone
        raise error
    headers = dict(error.headers or {})
    if error.status_code == _NOT_ALLOWED and (methods := _methods_of(request)):
        headers["Allow"] = ", ".join(methods)
    hints = {404: "There is nothing at this address.", 405: "This address takes other methods; see the Allow header."}
    detail = hints.get(error.status_code, str(error.detail))
    title = str(error.detail)
    return _problem_response(Problem(error.status_code, f"http_{error.status_code}", title, detail, headers=headers))


def _methods_of(request: Request) -> list[str]:
    """What an address takes; the framework names the methods of the first of its routes alone."""
    path = str(request.scope["path"]).removeprefix(request.scope.get("root_path", ""))
    addresses: Sequence[tuple[re.Pattern[str], set[str]]] = request.app.state.addresses
    return sorted({method for pattern, methods in addresses if pattern.match(path) for method in methods})


async def _answer_defect(request: Request, error: Exception) -> Response:
    where = where_raised(error)
    # The error's text may quote a body or a row; where it happened is what an engineer needs.
    log.error("request_failed", service=request.app.state.service, error=type(error).__name__, where=where)
    return _problem_response(
        Problem(500, "defect", "A defect of ours", "The request met a defect; it is logged. Try again, or tell us.")
    )

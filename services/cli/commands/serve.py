"""`jubao serve`: runs units of services until it is told to stop."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import uvicorn
import uvloop
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from services.cli import units
from services.cli.errors import CliError
from services.runtime import logs, metrics
from services.runtime.edge import server_config
from services.runtime.health import Worker
from services.runtime.process import Process, StartRefused, health_of, run_workers, stop_signal
from services.runtime.settings import Settings
from services.runtime.standingweb import Readiness
from services.runtime.web import origin


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's, which stops the server when it stops the rest."""
        yield


def _health_app(workers: Sequence[Worker]) -> FastAPI:
    app = FastAPI(title="health", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        health = health_of(workers)
        readiness = Readiness.of(health)
        shown = {name: part.detail for name, part in health.items()}
        return JSONResponse({**readiness.model_dump(), "workers": shown}, readiness.status_code)

    @app.get("/metrics")
    async def exposition() -> Response:
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    return app


def _where(address: str) -> dict[str, object]:
    if address.startswith("unix:"):
        Path(address[5:]).unlink(missing_ok=True)
        return {"uds": address[5:]}
    host, _, port = address.rpartition(":")
    return {"host": host.strip("[]") or "127.0.0.1", "port": int(port)}


async def _serve(settings: Settings, names: Sequence[str]) -> None:
    stop = stop_signal()
    if settings.preflight and not await _may_start(settings, names, stop):
        return
    process = Process(settings)
    made = {name: units.make(process, name) for name in names}
    workers = list({id(w): w for unit in made.values() for w in unit.workers}.values())
    apps = {name.partition(".")[0]: unit.app for name, unit in made.items() if unit.app is not None}
    servers = []
    if apps:
        servers.append(_Server(server_config(origin(apps), settings, **_where(settings.bind))))
    if settings.health:
        servers.append(_Server(server_config(_health_app(workers), settings, **_where(settings.health))))
    running = [asyncio.create_task(server.serve()) for server in servers]
    working = asyncio.create_task(run_workers(workers, stop))
    logs.logger(__name__).info("serving", units=list(names), host=socket.gethostname())
    try:
        await asyncio.wait([working, *running], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(working, *running)
    finally:
        await process.close()


async def _may_start(settings: Settings, names: Sequence[str], stop: asyncio.Event) -> bool:
    """Whether all is as it must be; no when a stop came while an engine was waited for."""
    from services.runtime import preflight  # noqa: PLC0415 -- imports Alembic, which services have no need of

    services = list(dict.fromkeys(name.partition(".")[0] for name in names))
    looking, stopping = asyncio.create_task(preflight.check(settings, services)), asyncio.create_task(stop.wait())
    await asyncio.wait([looking, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not looking.done():
        looking.cancel()
        return False
    stopping.cancel()
    looking.result()
    return True


@click.command(name="serve")
@click.argument("names", nargs=-1, required=True, metavar="SERVICE...")
@click.option("--data", type=click.Path(path_type=Path), help="Accepted as by every command; serve goes by settings.")
def command(names: tuple[str, ...], data: Path | None) -> None:
    """Run units of services: a unit as triage.public, a service for all its units, or web, flagged, records."""
    del data
    try:
        chosen = units.expand(names)
    except units.UnknownUnit as error:
        raise click.UsageError(str(error)) from error
    settings = Settings()
    logs.configure(settings.log_level, slot="+".join(names))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, chosen))
    except StartRefused as refused:
        raise CliError(str(refused)) from refused

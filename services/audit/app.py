"""The parts of audit as processes run them: `http` answers auditors, `consume` writes the log."""

from collections.abc import Mapping
from typing import Final

from schemas.topics import ACTIVITY, CHECKPOINTS, ERASURES
from services.audit.disclosing import disclosures_router
from services.audit.erasing import Eraser
from services.audit.exporting import export_router
from services.audit.holding import holds_router
from services.audit.http import entries_router
from services.audit.keeper import Keeper
from services.audit.orders import erasures_router
from services.audit.proving import proofs_router
from services.audit.reading import LOGGED
from services.audit.retention import BadRetention, terms_of
from services.audit.store import entries
from services.audit.storytelling import stories_router
from services.audit.tiling import tiles_router
from services.audit.watching import Watch
from services.audit.writer import OneWriter
from services.runtime.database import Connection
from services.runtime.process import Process, StartRefused, Unit, UnitMaker
from services.runtime.web import application

_SERVICE: Final = "audit"


async def _counts(connection: Connection) -> Mapping[str, int]:
    return {"entries": await entries.size(connection)}


def _http(process: Process) -> Unit:
    database = process.database(_SERVICE)
    watch = Watch(process.clock)
    routers = [
        entries_router(process, watch),
        stories_router(database, watch),
        proofs_router(database, watch),
        export_router(database, watch),
        tiles_router(database, watch),
        erasures_router(process),
        holds_router(process, watch),
        disclosures_router(process),
    ]
    app = application(process, _SERVICE, "Jubao audit", routers, counts=_counts, consumes=LOGGED)
    return Unit(app)


def _consume(process: Process) -> Unit:
    database, settings = process.database(_SERVICE), process.settings
    writer = OneWriter(database, lambda: Keeper(process))
    try:
        terms = terms_of(settings.retention)
    except BadRetention as bad:
        raise StartRefused(f"{bad}.") from bad
    eraser = Eraser(database, process.clock, terms, every_seconds=settings.retention_seconds)
    return Unit(workers=(process.relay(_SERVICE), writer, eraser), publishes=(CHECKPOINTS, ACTIVITY, ERASURES))


UNITS: Final[Mapping[str, UnitMaker]] = {"http": _http, "consume": _consume}

"""The parts of audit as processes run them: `http` answers auditors, `consume` writes the log."""

from collections.abc import Mapping
from typing import Final

from schemas.topics import ACTIVITY, CHECKPOINTS
from services.audit.exporting import export_router
from services.audit.http import entries_router
from services.audit.keeper import Keeper
from services.audit.proving import proofs_router
from services.audit.reading import LOGGED
from services.audit.store import entries
from services.audit.storytelling import stories_router
from services.audit.tiling import tiles_router
from services.audit.watching import Watch
from services.audit.writer import OneWriter
from services.runtime.database import Connection
from services.runtime.process import Process, Unit, UnitMaker
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
    ]
    app = application(process, _SERVICE, "Jubao audit", routers, counts=_counts, consumes=LOGGED)
    return Unit(app)


def _consume(process: Process) -> Unit:
    writer = OneWriter(process.database(_SERVICE), lambda: Keeper(process))
    return Unit(workers=(process.relay(_SERVICE), writer), publishes=(CHECKPOINTS, ACTIVITY))


UNITS: Final[Mapping[str, UnitMaker]] = {"http": _http, "consume": _consume}

"""The parts of outcomes as processes run them: `http` answers sources and the platform, `consume` makes outcomes."""

from collections.abc import Mapping
from typing import Final

from schemas.topics import OUTCOMES
from services.outcomes import store
from services.outcomes.asker import Askers
from services.outcomes.consume import Outcomes
from services.outcomes.http import reports_router
from services.outcomes.inquiry import Review
from services.runtime.batch import BatchConsumer
from services.runtime.database import Connection
from services.runtime.process import Process, Unit, UnitMaker
from services.runtime.web import application

_SERVICE: Final = "outcomes"


async def _counts(connection: Connection) -> Mapping[str, int]:
    return {"decided": await store.decided(connection)}


def _http(process: Process) -> Unit:
    database = process.database(_SERVICE)
    review = Review(process.settings)
    app = application(
        process,
        _SERVICE,
        "Jubao outcomes",
        [reports_router(database, Askers(database), review)],
        workers=(review,),
        counts=_counts,
        consumes=Outcomes.topics,
    )
    return Unit(app, (review,))


def _consume(process: Process) -> Unit:
    consumer = BatchConsumer(process.settings, process.database(_SERVICE), Outcomes(process.clock))
    return Unit(workers=(process.relay(_SERVICE), consumer), publishes=(OUTCOMES,))


UNITS: Final[Mapping[str, UnitMaker]] = {"http": _http, "consume": _consume}

"""The parts of review as processes run them: `http` for people, `flagged` and `public` for the two lanes."""

from collections.abc import Callable, Mapping
from typing import Final

from schemas import topics
from services.review import consume
from services.review.consume import Triages
from services.review.desk import Desk
from services.review.erasing import Erasures
from services.review.http import desk_router, reading_router
from services.review.leasing import Terms
from services.review.store import queries
from services.review.sweep import Sweeper
from services.review.watching import Watch
from services.runtime.batch import BatchConsumer
from services.runtime.process import Process, Unit, UnitMaker
from services.runtime.settings import Settings
from services.runtime.web import application

_SERVICE: Final = "review"

# Events of a million ordinary reports are not sent by the process that police reports wait for, nor by the one that
# answers reviewers, unless no other is there to do it.
_HTTP_RESERVE_SECONDS: Final = 2.0
_FLAGGED_RESERVE_SECONDS: Final = 4.0


def _http(process: Process) -> Unit:
    database, settings = process.database(_SERVICE), process.settings
    desk = Desk(database, Terms(settings.lease_seconds, settings.p0_lease_seconds))
    workers = (process.relay(_SERVICE, reserve_seconds=_HTTP_RESERVE_SECONDS), Sweeper(database))
    app = application(
        process,
        _SERVICE,
        "Jubao review",
        [desk_router(desk), reading_router(database, process.cursors, Watch(process.clock))],
        workers=workers,
        counts=queries.counts,
        consumes=(topics.TRIAGE_FLAGGED, topics.TRIAGE_PUBLIC, topics.ERASURES),
    )
    return Unit(app, workers, publishes=(topics.CASES, topics.DECISIONS, topics.ACTIVITY))


def _lane(stage: Callable[[Settings], Triages], reserve_seconds: float) -> UnitMaker:
    def make(process: Process) -> Unit:
        consumer = BatchConsumer(process.settings, process.database(_SERVICE), stage(process.settings))
        workers = (process.relay(_SERVICE, reserve_seconds=reserve_seconds), consumer)
        return Unit(workers=workers, publishes=(topics.CASES, topics.DECISIONS))

    return make


def _public(process: Process) -> Unit:
    """Everybody's lane, and beside it erasures: nobody waits for these by the minute."""
    lane = _lane(consume.public, 0.0)(process)
    database = process.database(_SERVICE)
    eraser = BatchConsumer(process.settings, database, Erasures(database, process.clock))
    return Unit(workers=(*lane.workers, eraser), publishes=(*lane.publishes, topics.ERASURES))


UNITS: Final[Mapping[str, UnitMaker]] = {
    "http": _http,
    "flagged": _lane(consume.flagged, _FLAGGED_RESERVE_SECONDS),
    "public": _public,
}

"""Puts intake together: one unit, its HTTP app with the workers that it cannot do without."""

from collections.abc import Mapping

from schemas.topics import ERASURES, REPORTS_FLAGGED, REPORTS_PUBLIC, SOURCES
from services.intake import store
from services.intake.announce import Announcement
from services.intake.attestation import AttestingKey
from services.intake.erasing import Eraser
from services.intake.http import Parts, registry, reports
from services.intake.reception import Reception
from services.intake.registry import Registry
from services.intake.sweep import Sweeper
from services.runtime.process import Process, Unit, UnitMaker
from services.runtime.web import application


def http(process: Process) -> Unit:
    """The HTTP app, the relay of its outbox, the announcement of its key, the sweep of what has expired, and erasures.

    Raises:
        AttestingKeyUnusable: there is no key to attest with.
    """
    key = AttestingKey.read(process.settings.intake_key_file)
    database, clock = process.database("intake"), process.clock
    patience_seconds = process.settings.answer_timeout_seconds
    announcement = Announcement(database, key, clock, patience_seconds=patience_seconds)
    workers = (process.relay("intake"), announcement, Sweeper(database, clock), Eraser(process))
    app = application(process, "intake", "Jubao intake", (reports, registry), workers=workers, counts=store.counts)
    app.state.intake = Parts(
        Reception(database, process.publisher, clock, key), Registry(database, clock), announcement
    )
    return Unit(app=app, workers=workers, publishes=(REPORTS_PUBLIC, REPORTS_FLAGGED, SOURCES, ERASURES))


UNITS: Mapping[str, UnitMaker] = {"http": http}

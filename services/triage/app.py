"""Puts triage together: its HTTP app, and a consumer for each lane."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from schemas.topics import ACTIVITY, REPORTS_FLAGGED, REPORTS_PUBLIC, TRIAGE_FLAGGED, TRIAGE_PUBLIC
from services.runtime.batch import BatchConsumer
from services.runtime.database import Connection
from services.runtime.process import Process, StartRefused, Unit, UnitMaker
from services.runtime.web import application
from services.triage import policy_file, store
from services.triage.classing import Policy
from services.triage.consume import Flagged, Public, TakePlaces
from services.triage.http import routes
from services.triage.in_force import PolicyInForce
from services.triage.mistake import PolicyRefused, PolicyUnreadable
from services.triage.registry import Registry
from services.triage.store import PlaceWanted

SERVICE = "triage"


def http(process: Process) -> Unit:
    """The HTTP app.

    Raises:
        StartRefused: the policy in the settings is none; a line for each mistake.
    """
    policy = _policy(process)
    workers = (process.relay(SERVICE), _noted(process, policy))
    app = application(
        process,
        SERVICE,
        "Jubao triage",
        [routes(policy)],
        workers=workers,
        consumes=(REPORTS_PUBLIC, REPORTS_FLAGGED),
    )
    return Unit(app=app, workers=workers, publishes=(ACTIVITY,))


def public(process: Process) -> Unit:
    """The consumer of everybody's lane; raises as `http`."""
    policy = _policy(process)
    consumer = BatchConsumer(process.settings, process.database(SERVICE), Public(policy, process.publisher.publish))
    workers = (process.relay(SERVICE), _noted(process, policy), consumer)
    return Unit(workers=workers, publishes=(TRIAGE_PUBLIC, ACTIVITY))


def flagged(process: Process) -> Unit:
    """The consumer of the flagged sources' lane, after the registry it judges by; raises as `http`."""
    policy = _policy(process)
    registry = Registry(process.settings)
    stage = Flagged(policy, process.publisher.publish, registry, _taking_places(process))
    consumer = BatchConsumer(process.settings, process.database(SERVICE), stage)
    workers = (process.relay(SERVICE), _noted(process, policy), registry, consumer)
    return Unit(workers=workers, publishes=(TRIAGE_FLAGGED, ACTIVITY))


def _policy(process: Process) -> Policy:
    try:
        return policy_file.in_force(process.settings.policy_file)
    except (PolicyRefused, PolicyUnreadable) as refused:
        raise StartRefused(str(refused)) from refused


def _noted(process: Process, policy: Policy) -> PolicyInForce:
    return PolicyInForce(policy, process.database(SERVICE), process.clock)


def _taking_places(process: Process) -> TakePlaces:
    """Takes places in a transaction of its own: it is done before the batch's, and gives the same places again."""
    database = process.database(SERVICE)

    async def take(wanted: Sequence[PlaceWanted]) -> dict[tuple[UUID, UUID], int]:
        async def work(connection: Connection) -> dict[tuple[UUID, UUID], int]:
            return await store.take_places(connection, wanted)

        return await database.transact(work)

    return take


UNITS: Mapping[str, UnitMaker] = {"http": http, "flagged": flagged, "public": public}

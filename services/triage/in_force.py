"""Notes which policy a process classes by: whole in the database, and as an event the first time it is used."""

from typing import Final

from schemas.activity import POLICY_LOADED, PolicyLoad, PolicyLoaded
from schemas.envelope import CONTENT_TYPE
from schemas.topics import ACTIVITY
from services.runtime.clock import Clock
from services.runtime.database import Connection, Database
from services.runtime.health import Health
from services.runtime.identity import new_id
from services.runtime.logs import logger
from services.runtime.outbox import Message, enqueue, event_bytes
from services.runtime.process import StartRefused
from services.triage import store
from services.triage.classing import Policy
from services.triage.priority import SOURCE

log = logger(__name__)

_ACTOR: Final = "triage"


class PolicyVersionTaken(StartRefused):
    """Another policy text has this version already, so rulings that name it would mean two things."""

    def __init__(self, policy: str, version: str) -> None:
        self.policy = policy
        self.version = version
        super().__init__(
            f"the policy {policy} has been used with version {version} and another text; "
            "give the changed policy a new version"
        )


class PolicyInForce:
    """A worker that has noted the policy before the workers after it class anything by it."""

    def __init__(self, policy: Policy, database: Database, clock: Clock) -> None:
        self.name = "triage.policy"
        self._policy, self._database, self._clock = policy, database, clock
        self._noted = False

    async def start(self) -> None:
        """Notes the policy.

        Raises:
            DatabaseAway: the database does not answer.
            PolicyVersionTaken: its version was used with another text.
        """
        new, sha256 = await self._database.transact(self._note)
        if sha256 != self._policy.sha256:
            raise PolicyVersionTaken(self._policy.name, self._policy.version)
        self._noted = True
        log.info("policy_in_force", policy=self._policy.name, version=self._policy.version, first_use=new)

    async def stop(self) -> None:
        """Nothing is in hand."""

    def health(self) -> Health:
        """Healthy once the policy is noted."""
        shown = f"{self._policy.name} {self._policy.version}"
        return Health(healthy=self._noted, detail=shown if self._noted else f"{shown} is not noted yet")

    async def _note(self, connection: Connection) -> tuple[bool, str]:
        new, sha256 = await store.remember_policy(connection, self._policy)
        if new:
            await enqueue(connection, [self._loaded()])
        return new, sha256

    def _loaded(self) -> Message:
        policy = self._policy
        event = PolicyLoaded(
            specversion="1.0",
            id=new_id(),
            source=SOURCE,
            type=POLICY_LOADED,
            time=self._clock.now(),
            subject=policy.name,
            data=PolicyLoad(policy=policy.name, version=policy.version, sha256=policy.sha256, actor=_ACTOR),
        )
        headers = (("content-type", CONTENT_TYPE.encode()),)
        return Message(ACTIVITY.name, policy.name.encode(), event_bytes(event), event.id, None, headers)

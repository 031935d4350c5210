"""Makes intake's own key known on the registry's topic, once, before anything attested by it is sent."""

import asyncio
from typing import Final

from schemas.topics import SOURCES
from schemas.vocabulary import FLAGGED_KINDS
from services.intake import store
from services.intake.attestation import AttestingKey
from services.intake.forms import OWN_NAME
from services.intake.refusals import NotAnnounced
from services.intake.registry import tell_attester
from services.intake.store import AttesterRow, Connection
from services.runtime.background import Background
from services.runtime.clock import Clock
from services.runtime.database import Database, pause_seconds
from services.runtime.health import Health
from services.runtime.logs import logger
from services.runtime.problems import DatabaseAway

log = logger(__name__)

_LOOK_SECONDS: Final = 0.05
_MOST_PAUSE_SECONDS: Final = 5.0


class Announcement(Background):
    """Puts the key's record into the outbox if no process did before, and watches it leave.

    Whoever is about to attest waits for it: an attestation by a key that the registry does not know yet would cost the
    report its lane.
    """

    def __init__(self, database: Database, key: AttestingKey, clock: Clock, *, patience_seconds: float) -> None:
        super().__init__("intake.announcement")
        self._database = database
        self._key = key
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._made = asyncio.Event()

    def health(self) -> Health:
        """Unhealthy until the key is known."""
        return Health(healthy=self._made.is_set(), detail="" if self._made.is_set() else "intake's key is not yet told")

    async def awaited(self) -> None:
        """Returns once the key is known.

        Raises:
            NotAnnounced: it is not, and the caller has waited long enough.
        """
        try:
            await asyncio.wait_for(self._made.wait(), self._patience_seconds)
        except TimeoutError as unknown:
            raise NotAnnounced from unknown

    async def _run(self) -> None:
        attempt = 0
        while not self._made.is_set():
            try:
                if await self._database.transact(self._told):
                    self._made.set()
                    return
                attempt, pause = 0, _LOOK_SECONDS
            except DatabaseAway:
                log.warning("announcement_waits", why="database_away")
                attempt, pause = attempt + 1, pause_seconds(attempt, 0.2, _MOST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    async def _told(self, connection: Connection) -> bool:
        """Puts the record into the outbox if it never was there; whether it has been there and is gone."""
        key = self._key
        kinds = tuple(sorted(FLAGGED_KINDS))
        row = AttesterRow(key.key_id, OWN_NAME, key.public_bytes, kinds, True, 1, self._clock.now())  # noqa: FBT003
        if await store.add_attester(connection, row):
            await tell_attester(connection, row, "announced", OWN_NAME)
            log.info("attesting_key_announced", key_id=key.key_id)
            return False
        return not await store.waits_about(connection, SOURCES.name, key.key_id.encode())

"""Sources and attesters: who may report on the flagged lane, and whose word others take for it.

Every change is told in full on the registry's topic by the transaction that makes it; an answer waits a little until
the broker has it, so that whoever acts on the answer finds the other services able to know.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from schemas.envelope import CONTENT_TYPE
from schemas.source import (
    ATTESTER_CHANGED,
    SOURCE_CHANGED,
    Attester,
    AttesterChanged,
    Change,
    PublicKey,
    Source,
    SourceChanged,
)
from schemas.topics import SOURCES
from schemas.vocabulary import SourceStatus
from services.intake import store
from services.intake.forms import NewAttester, NewSource
from services.intake.keys import attester_key_id, base64url, source_key_id
from services.intake.refusals import KeysFull, KeyTaken, KeyUnknown, NameTaken, SourceUnknown
from services.intake.store import AttesterRow, Connection, KeyRow, SourceRow
from services.runtime.clock import Clock
from services.runtime.database import Database
from services.runtime.identity import new_id
from services.runtime.outbox import Message, enqueue, event_bytes

_EVENT_SOURCE: Final = "intake"
_HEADERS: Final = (("content-type", CONTENT_TYPE.encode()),)
_LOOK_SECONDS: Final = 0.05
_MOST_LOOKS: Final = 100
# A source's event holds all its keys, revoked ones too.
_MOST_KEYS: Final = 100


@dataclass(frozen=True, slots=True)
class Registered:
    """A source with its keys, oldest first."""

    source: SourceRow
    keys: list[KeyRow]


class Registry:
    """Changes and shows sources and attesters."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add_source(self, form: NewSource, actor: str) -> tuple[Registered, UUID]:
        """Registers a source; also gives the id of the event that tells of it.

        Raises:
            KeyTaken: the key is registered already, be it revoked.
        """
        now = self._clock.now()
        source = SourceRow(
            new_id(), form.kind, form.name, form.agency, form.parent, form.region,
            tuple(dict.fromkeys(form.categories)), form.quota_per_day, form.time_zone, SourceStatus.ACTIVE, 1,
        )  # fmt: skip
        key = None if form.public_key is None else _new_key(source.source_id, form.public_key, now)
        registered = Registered(source, [] if key is None else [key])

        async def work(connection: Connection) -> UUID:
            await store.add_source(connection, source)
            if key is not None and not await store.add_key(connection, key):
                raise KeyTaken(key.key_id)
            return await _tell(connection, registered, "added", actor, now)

        return registered, await self._database.transact(work)

    async def add_key(self, source_id: UUID, public_key: bytes, actor: str) -> tuple[Registered, UUID]:
        """Gives a source a further key.

        Raises:
            SourceUnknown, KeyTaken, KeysFull: no such source, the key is registered, or the source has too many.
        """
        now = self._clock.now()

        async def work(connection: Connection) -> tuple[Registered, UUID]:
            held = await _held(connection, source_id)
            if len(held.keys) >= _MOST_KEYS:
                raise KeysFull(source_id)
            key = _new_key(source_id, public_key, now)
            if not await store.add_key(connection, key):
                raise KeyTaken(key.key_id)
            return await _changed(connection, Registered(held.source, [*held.keys, key]), "key_added", actor, now)

        return await self._database.transact(work)

    async def set_status(self, source_id: UUID, status: SourceStatus, actor: str) -> tuple[Registered, UUID | None]:
        """Suspends or resumes a source; nothing is told, and no event id given, when it stands so already.

        Raises:
            SourceUnknown: no such source.
        """
        now = self._clock.now()
        change: Change = "suspended" if status is SourceStatus.SUSPENDED else "resumed"

        async def work(connection: Connection) -> tuple[Registered, UUID | None]:
            held = await _held(connection, source_id)
            if held.source.status is status:
                return held, None
            set_so = Registered(replace(held.source, status=status), held.keys)
            return await _changed(connection, set_so, change, actor, now)

        return await self._database.transact(work)

    async def revoke_key(self, source_id: UUID, key_id: str, actor: str) -> tuple[Registered, UUID | None]:
        """Ends a key for good; nothing is told, and no event id given, when it was ended before.

        Raises:
            SourceUnknown, KeyUnknown: no such source, or it has no such key.
        """
        now = self._clock.now()

        async def work(connection: Connection) -> tuple[Registered, UUID | None]:
            held = await _held(connection, source_id)
            if key_id not in {key.key_id for key in held.keys}:
                raise KeyUnknown(source_id, key_id)
            if not await store.revoke_key(connection, source_id, key_id, now):
                return held, None
            without = Registered(held.source, await store.keys_of(connection, [source_id]))
            return await _changed(connection, without, "key_revoked", actor, now)

        return await self._database.transact(work)

    async def source(self, source_id: UUID) -> Registered:
        """A source with its keys.

        Raises:
            SourceUnknown: no such source.
        """
        return await self._database.transact(lambda connection: _registered(connection, source_id))

    async def sources(self, after: UUID, most: int) -> list[Registered]:
        """A page of sources, in the order of their registration."""

        async def work(connection: Connection) -> list[Registered]:
            rows = await store.sources_after(connection, after, most)
            keys = await store.keys_of(connection, [row.source_id for row in rows])
            return [Registered(row, [key for key in keys if key.source_id == row.source_id]) for row in rows]

        return await self._database.transact(work)

    async def public_key(self, key_id: str) -> bytes | None:
        """The public key of a source's key id, revoked or not."""
        key = await self._database.transact(lambda connection: store.key(connection, key_id))
        return None if key is None else key.public_key

    async def add_attester(self, form: NewAttester, actor: str) -> tuple[AttesterRow, UUID]:
        """Registers a key that may vouch.

        Raises:
            KeyTaken, NameTaken: another attester has the key, or the name.
        """
        now = self._clock.now()
        key_id = attester_key_id(form.public_key)
        row = AttesterRow(
            key_id, form.name, form.public_key, tuple(form.kinds), verdicts=False, version=1, added_at=now
        )

        async def work(connection: Connection) -> UUID:
            if not await store.add_attester(connection, row):
                taken = await store.has_attester(connection, key_id)
                raise KeyTaken(key_id) if taken else NameTaken(form.name)
            return await tell_attester(connection, row, "added", actor)

        return row, await self._database.transact(work)

    async def attesters(self, after: str, most: int) -> list[AttesterRow]:
        """A page of attesters, in the order of their key ids."""
        return await self._database.transact(lambda connection: store.attesters_after(connection, after, most))

    async def told(self, event_id: UUID | None) -> bool:
        """Waits, for a few seconds at most, until the broker has an event; whether it has."""
        if event_id is None:
            return True
        for _ in range(_MOST_LOOKS):
            if not await self._database.transact(lambda connection: store.waits(connection, event_id)):
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False


async def tell_attester(connection: Connection, row: AttesterRow, change: Change, actor: str) -> UUID:
    """Puts an attester's state into the outbox; the id of the event."""
    event = AttesterChanged(
        specversion="1.0",
        id=new_id(),
        source=_EVENT_SOURCE,
        type=ATTESTER_CHANGED,
        time=row.added_at,
        subject=row.key_id,
        data=Attester(
            name=row.name,
            version=row.version,
            change=change,
            actor=actor,
            key=PublicKey(key_id=row.key_id, public_key=base64url(row.public_key)),
            kinds=list(row.kinds),
            verdicts=row.verdicts,
        ),
    )
    await enqueue(
        connection, [Message(SOURCES.name, row.key_id.encode(), event_bytes(event), event.id, None, _HEADERS)]
    )
    return event.id


async def _tell(connection: Connection, registered: Registered, change: Change, actor: str, now: datetime) -> UUID:
    source = registered.source
    event = SourceChanged(
        specversion="1.0",
        id=new_id(),
        source=_EVENT_SOURCE,
        type=SOURCE_CHANGED,
        time=now,
        subject=str(source.source_id),
        data=Source(
            source_id=source.source_id,
            version=source.version,
            change=change,
            actor=actor,
            kind=source.kind,
            name=source.name,
            agency=source.agency,
            parent=source.parent,
            region=source.region,
            categories=list(source.categories),
            quota_per_day=source.quota_per_day,
            time_zone=source.time_zone,
            status=source.status,
            keys=_public_keys(registered.keys),
        ),
    )
    key = str(source.source_id).encode()
    await enqueue(connection, [Message(SOURCES.name, key, event_bytes(event), event.id, None, _HEADERS)])
    return event.id


async def _changed(
    connection: Connection, registered: Registered, change: Change, actor: str, now: datetime
) -> tuple[Registered, UUID]:
    """Writes a held source's change of status or keys, counts it and tells of it."""
    source = replace(registered.source, version=registered.source.version + 1)
    await store.change_source(connection, source.source_id, source.status)
    counted = Registered(source, registered.keys)
    return counted, await _tell(connection, counted, change, actor, now)


async def _held(connection: Connection, source_id: UUID) -> Registered:
    return await _registered(connection, source_id, held=True)


async def _registered(connection: Connection, source_id: UUID, *, held: bool = False) -> Registered:
    source = await store.source(connection, source_id, held=held)
    if source is None:
        raise SourceUnknown(source_id)
    return Registered(source, await store.keys_of(connection, [source_id]))


def _new_key(source_id: UUID, public_key: bytes, now: datetime) -> KeyRow:
    return KeyRow(source_key_id(public_key), source_id, public_key, now, None)


def _public_keys(keys: Sequence[KeyRow]) -> list[PublicKey]:
    return [
        PublicKey(key_id=key.key_id, public_key=base64url(key.public_key), revoked_at=key.revoked_at) for key in keys
    ]

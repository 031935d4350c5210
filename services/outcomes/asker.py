"""Who asks for an outcome: a source that signs, an officer bound to a source, or the platform."""

import asyncio
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import Request

from services.outcomes import store
from services.outcomes.store import SourceKey
from services.runtime.auth import Caller
from services.runtime.database import Connection, Database
from services.runtime.gate import gate_of
from services.runtime.problems import Problem

_KEY_WAIT_SECONDS: Final = 2.0
_KEY_POLL_SECONDS: Final = 0.1
_MOST_WAITING: Final = 32


class KeyRevoked(Problem):
    """The signature holds, and its key no longer counts."""

    def __init__(self) -> None:
        super().__init__(
            403,
            "key_revoked",
            "The key was revoked",
            "The key of this signature was revoked; sign with another key of the source.",
        )


class SourceLacking(Problem):
    """A token of role police that names no source."""

    def __init__(self) -> None:
        super().__init__(
            403,
            "source_lacking",
            "The account has no source",
            "This account is not bound to a source; have it made again with `jubao staff add --source`.",
        )


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose reports may be asked for: those of one source, or all where `source_id` is None."""

    source_id: str | None

    def may_know(self, source_id: str | None) -> bool:
        """Whether a report of this source is the asker's to hear of."""
        return self.source_id is None or self.source_id == source_id


class Askers:
    """Recognises who asks.

    Args:
        database: where the keys of sources are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting = 0

    async def of(self, request: Request) -> Asker:
        """Who asks.

        Raises:
            Problem: 401 the signature does not hold; 403 a revoked key, an officer without a source.
        """
        caller: Caller | None = request.state.caller
        if caller is None:
            return await self._signed(request)
        if caller.role == "platform":
            return Asker(None)
        if caller.source_id is None:
            raise SourceLacking
        return Asker(caller.source_id)

    async def _signed(self, request: Request) -> Asker:
        found: dict[str, SourceKey] = {}

        async def resolve(key_id: str) -> Ed25519PublicKey | None:
            key = await self._key(key_id)
            if key is None:
                return None
            found[key_id] = key
            return Ed25519PublicKey.from_public_bytes(key.public_key)

        signed = await gate_of(request).signed(request, resolve)
        key = found[signed.key_id]
        if key.revoked_at is not None:
            raise KeyRevoked
        return Asker(key.source_id)

    async def _key(self, key_id: str) -> SourceKey | None:
        """The key, also one that was registered an instant ago and is still on its way to us."""
        key = await self._known(key_id)
        # Whoever sends made-up key ids is not to keep many calls waiting.
        if key is not None or self._waiting >= _MOST_WAITING:
            return key
        self._waiting += 1
        try:
            async with asyncio.timeout(_KEY_WAIT_SECONDS):
                while key is None:
                    await asyncio.sleep(_KEY_POLL_SECONDS)
                    key = await self._known(key_id)
        except TimeoutError:
            return None
        finally:
            self._waiting -= 1
        return key

    async def _known(self, key_id: str) -> SourceKey | None:
        async def work(connection: Connection) -> SourceKey | None:
            return await store.key_named(connection, key_id)

        return await self._database.transact(work)

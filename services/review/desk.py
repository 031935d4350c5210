"""What a reviewer does at the desk: take cases, keep them, give them back, decide them. Each step is a transaction."""

from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from services.review.answers import Claim
from services.review.decision import Proposal
from services.review.joining import reporter_digest
from services.review.leasing import Lease, Terms
from services.review.store import claims, decisions, queries
from services.review.store.changes import keep_to_indexes
from services.review.store.claims import Claimant
from services.review.store.decisions import Decided
from services.runtime.auth import Caller
from services.runtime.database import Connection, Database

# The cases in hand, and how they are shown once there are enough or no more.
_InHand = tuple[list[UUID], list[Claim] | None]

# How often one claim puts ended leases back before it looks for a case; the sweep does the rest.
_MOST_SWEEPS: Final = 3


class Desk:
    """The steps of claiming and deciding.

    Args:
        database: review's.
        terms: how long leases last.
    """

    def __init__(self, database: Database, terms: Terms) -> None:
        self._database, self._terms = database, terms

    async def claim(self, caller: Caller, queues: Sequence[str] | None, most: int) -> list[Claim]:
        """The caller's own live leases, then new ones, up to `most` together.

        Raises:
            DatabaseAway: it does not answer; what was claimed until then is among the caller's own next time.
        """
        claimant = Claimant(caller.name, _digests(caller), None if queues is None else tuple(queues))

        async def begin(connection: Connection) -> _InHand:
            await keep_to_indexes(connection)
            held = await claims.own_cases(connection, caller.name, most)
            if len(held) < most and await claims.any_ended(connection):
                return held, None
            return await self._step(connection, claimant, held, most)

        held, shown = await self._database.transact(begin)
        if shown is None:
            await self._sweep()
        while shown is None:
            held, shown = await self._database.transact(partial(self._next, claimant=claimant, held=held, most=most))
        return shown

    async def _next(self, connection: Connection, claimant: Claimant, held: list[UUID], most: int) -> _InHand:
        await keep_to_indexes(connection)
        return await self._step(connection, claimant, held, most)

    async def _step(self, connection: Connection, claimant: Claimant, held: list[UUID], most: int) -> _InHand:
        """One more case in hand; and all of them as they are shown once there are enough or no more."""
        another = await claims.claim_next(connection, claimant, self._terms) if len(held) < most else None
        in_hand = held if another is None else [*held, another]
        if another is not None and len(in_hand) < most:
            return in_hand, None
        return in_hand, await queries.claims(connection, in_hand, claimant.name)

    async def renew(self, caller: Caller, token: UUID) -> Lease:
        """The lease with its new end.

        Raises:
            LeaseLost: the caller has no such live lease.
        """

        async def work(connection: Connection) -> Lease:
            return await claims.renew(connection, token, caller.name, self._terms)

        return await self._database.transact(work)

    async def release(self, caller: Caller, token: UUID) -> UUID:
        """The id of the case that waits again.

        Raises:
            LeaseLost: the caller has no such live lease.
        """

        async def work(connection: Connection) -> UUID:
            return await claims.release(connection, token, caller.name)

        return await self._database.transact(work)

    async def decide(self, proposal: Proposal) -> Decided:
        """The decision, or the one that this very proposal became before.

        Raises:
            CaseUnknown: no such case.
            Refusal: it may not be made.
        """

        async def work(connection: Connection) -> Decided:
            return await decisions.decide(connection, proposal)

        return await self._database.transact(work)

    async def _sweep(self) -> None:
        for _ in range(_MOST_SWEEPS):
            if await self._database.transact(claims.sweep) < claims.SWEEP_CASES:
                break


def _digests(caller: Caller) -> tuple[bytes, ...]:
    names = (caller.name, caller.source_id)
    return tuple(reporter_digest(name) for name in names if name)

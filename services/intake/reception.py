"""Taking a report: fix it, hand it to the broker, note that the broker has it.

What a report's record is made of (its ids, its time, its standing) is committed before the record is sent. So whoever
repeats a call that was not answered, here or at another process, sends the same bytes again, and all later services
see one report. No transaction is open while the broker is waited for.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar
from uuid import UUID

from schemas.report import EARLY_SECONDS, FlaggedStatement, Report, Statement
from schemas.vocabulary import SourceStatus
from services.intake import store
from services.intake.attestation import AttestingKey, Vouched
from services.intake.record import flagged_message, public_message
from services.intake.refusals import (
    HappensLater,
    IdempotencyKeyReused,
    KeyRevoked,
    NonceReused,
    ReportIdReused,
    SourceDiffers,
    SourceSuspended,
    SourceUnbound,
)
from services.intake.standing import Remit, local_day, standing_of
from services.intake.store import Connection, Repeated, RepeatKey, SourceRow, Submission
from services.runtime.clock import Clock
from services.runtime.database import Database
from services.runtime.identity import new_id
from services.runtime.logs import logger
from services.runtime.outbox import Message, event_bytes
from services.runtime.problems import DatabaseAway, Unavailable

log = logger(__name__)

REPEAT_KEPT: Final = timedelta(hours=24)
"""How long a nonce or an Idempotency-Key stands for its report: longer than a signature counts."""

_EARLY: Final = timedelta(seconds=EARLY_SECONDS)
_MOST_TRIES: Final = 4
_NONCE_SCOPE: Final = "nonce:"

ResultT = TypeVar("ResultT")


class Sends(Protocol):
    """What reception needs of a publisher."""

    async def publish(self, messages: Sequence[Message]) -> object:
        """Sends all and waits until the broker has them; raises BrokerAway when it does not say so in time."""


@dataclass(frozen=True, slots=True)
class SignedCaller:
    """A source that signed its call; the signature is verified, but not whether the key still counts."""

    key_id: str
    nonce: str


@dataclass(frozen=True, slots=True)
class AccountCaller:
    """A police account with a bearer token, and the source that it is bound to."""

    name: str
    source_id: UUID


@dataclass(frozen=True, slots=True)
class Call:
    """What a call says beside its body."""

    idempotency_key: str | None = None
    source_id: UUID | None = None
    """The source that the caller believes to be, if it says so."""
    trace: bytes | None = None
    """The caller's W3C trace context."""


class _OvertakenError(Exception):
    """A call with the same nonce or key was committed between our look and our insert: look again."""


class Reception:
    """The way of a report through intake, on either lane."""

    def __init__(self, database: Database, publisher: Sends, clock: Clock, key: AttestingKey) -> None:
        self._database = database
        self._publisher = publisher
        self._clock = clock
        self._key = key

    async def take_public(self, report: Report, *, account: str, call: Call) -> Submission:
        """Takes a report for the public lane, whatever it says of its source; returns when the broker has it.

        Raises:
            HappensLater: it is said to have happened more than an hour from now.
            ReportIdReused, IdempotencyKeyReused: known with another body.
            Unavailable: database or broker do not answer; the call may be repeated.
        """
        now = self._now()
        _refuse_future(report, now)
        caller, digest = f"account:{account}", _digest(report)
        marks = [RepeatKey(caller, call.idempotency_key)] if call.idempotency_key else []

        async def work(connection: Connection) -> Submission:
            found = await _found(connection, marks, digest, now)
            fixed = await _submission(connection, found)
            if fixed is None:
                fixed = await _fix(connection, Submission(report.report_id, new_id(), caller, digest, now))
            await _mark(connection, marks, found, fixed, now)
            return fixed

        fixed = await self._until_settled(work)
        if fixed.accepted_at is None:
            await self._send(fixed, public_message(report, fixed, call.trace))
        return fixed

    async def take_flagged(
        self, statement: FlaggedStatement, *, caller: SignedCaller | AccountCaller, call: Call
    ) -> Submission:
        """Takes a proven source's report for the flagged lane and attests it; returns when the broker has it.

        Raises:
            HappensLater: it is said to have happened more than an hour from now.
            SourceSuspended, KeyRevoked, SourceUnbound, SourceDiffers: the source may not report so.
            NonceReused, IdempotencyKeyReused: known with another body.
            Unavailable: database or broker do not answer; the call may be repeated.
        """
        now = self._now()
        _refuse_future(statement, now)
        digest = _digest(statement)

        async def work(connection: Connection) -> tuple[Submission, SourceRow]:
            source = await _source_of(connection, caller, call.source_id)
            marks = _marks(caller, call.idempotency_key, source.source_id)
            found = await _found(connection, marks, digest, now)
            fixed = await _submission(connection, found)
            if fixed is None:
                fixed = await _fix(connection, await _judged(connection, statement, source, digest, now))
            await _mark(connection, marks, found, fixed, now)
            return fixed, source

        fixed, source = await self._until_settled(work)
        if fixed.accepted_at is None:
            vouched = _vouched(fixed, source)
            await self._send(fixed, flagged_message(statement, fixed, vouched, self._key, call.trace))
        return fixed

    def _now(self) -> datetime:
        # An attestation tells milliseconds: what is compared with it later must not be finer.
        now = self._clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def _until_settled(self, work: Callable[[Connection], Awaitable[ResultT]]) -> ResultT:
        for _ in range(_MOST_TRIES):
            try:
                return await self._database.transact(work)
            except _OvertakenError:
                continue
        raise Unavailable("The place where repeated calls are settled")

    async def _send(self, fixed: Submission, message: Message) -> None:
        await self._publisher.publish([message])
        try:
            await self._database.transact(lambda c: store.accept(c, fixed.report_id, self._clock.now()))
        except DatabaseAway:
            # The broker has it, which is what the caller asks. A repeat would be sent again, byte for byte.
            log.warning("acceptance_not_noted", correlation_id=str(fixed.report_id))


def _refuse_future(statement: Statement, now: datetime) -> None:
    if statement.occurred_at > now + _EARLY:
        raise HappensLater


def _digest(body: Statement) -> bytes:
    """Of what the body says, not of how it is spelled: a repeat may be serialised anew."""
    return hashlib.sha256(event_bytes(body)).digest()


def _marks(caller: SignedCaller | AccountCaller, idempotency_key: str | None, source_id: UUID) -> list[RepeatKey]:
    if isinstance(caller, AccountCaller):
        return [RepeatKey(f"account:{caller.name}", idempotency_key)] if idempotency_key else []
    nonce = RepeatKey(_NONCE_SCOPE + caller.key_id, caller.nonce)
    return [nonce, RepeatKey(f"source:{source_id}", idempotency_key)] if idempotency_key else [nonce]


async def _source_of(connection: Connection, caller: SignedCaller | AccountCaller, named: UUID | None) -> SourceRow:
    """The caller's source, if it may report now."""
    if isinstance(caller, SignedCaller):
        key = await store.key(connection, caller.key_id)
        if key is None or key.revoked_at is not None:
            raise KeyRevoked(caller.key_id)
        source = await store.source(connection, key.source_id)
    else:
        source = await store.source(connection, caller.source_id)
    if source is None:
        raise SourceUnbound
    if named is not None and named != source.source_id:
        raise SourceDiffers(source.source_id)
    if source.status is SourceStatus.SUSPENDED:
        raise SourceSuspended(source.source_id)
    return source


async def _found(connection: Connection, marks: Sequence[RepeatKey], digest: bytes, now: datetime) -> list[Repeated]:
    """What earlier calls used the marks for, the nonce first: it is the stronger one, since it was signed."""
    found = await store.repeats(connection, marks, now - REPEAT_KEPT) if marks else []
    for repeated in found:
        if repeated.digest != digest:
            raise NonceReused if repeated.scope.startswith(_NONCE_SCOPE) else IdempotencyKeyReused
    return sorted(found, key=lambda repeated: not repeated.scope.startswith(_NONCE_SCOPE))


async def _submission(connection: Connection, found: Sequence[Repeated]) -> Submission | None:
    """The report that an earlier call was for, if there was one."""
    return await store.submission(connection, found[0].report_id) if found else None


async def _judged(
    connection: Connection, statement: FlaggedStatement, source: SourceRow, digest: bytes, now: datetime
) -> Submission:
    """A new report of a source, counted against its day and judged."""
    used = await store.count_use(connection, source.source_id, local_day(now, source.time_zone))
    standing = standing_of(
        Remit(source.kind, source.region, source.categories, source.quota_per_day),
        used_today=used,
        place=statement.territory or statement.content.region,
        category=statement.category,
    )
    caller = f"source:{source.source_id}"
    return Submission(new_id(), new_id(), caller, digest, now, source.source_id, source.kind, standing)


async def _fix(connection: Connection, wanted: Submission) -> Submission:
    """Fixes a report, or finds what was fixed for its id before."""
    if await store.fix(connection, wanted):
        return wanted
    fixed = await store.submission(connection, wanted.report_id)
    if fixed is None:
        raise _OvertakenError
    if fixed.digest != wanted.digest:
        raise ReportIdReused(wanted.report_id)
    return fixed


async def _mark(
    connection: Connection,
    marks: Sequence[RepeatKey],
    found: Sequence[Repeated],
    fixed: Submission,
    now: datetime,
) -> None:
    """Takes those marks that do not stand for the report yet."""
    known = {repeated.scope for repeated in found}
    missing = [mark for mark in marks if mark.scope not in known]
    if not await store.take_repeats(connection, missing, fixed, now, now - REPEAT_KEPT):
        raise _OvertakenError


def _vouched(fixed: Submission, source: SourceRow) -> Vouched:
    if fixed.kind is None or fixed.standing is None:
        raise AssertionError  # a report of the flagged lane is fixed with both; the table holds it
    return Vouched(source.source_id, fixed.kind, fixed.standing, fixed.received_at)

"""The two lanes: a batch of reports in, the same reports with their classes out, published before offsets are written.

Nothing here must agree with a database row, so triage publishes first and commits after: ids are derived, and a record
that is handled twice is the same event.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from schemas.envelope import CONTENT_TYPE
from schemas.report import EARLY_SECONDS, FlaggedSubmitted, Submitted
from schemas.topics import ACTIVITY, REPORTS_FLAGGED, REPORTS_PUBLIC, TRIAGE_FLAGGED, TRIAGE_PUBLIC, Topic
from schemas.vocabulary import Lane
from services.runtime.batch import Item, Record, Refused, Rejection, decode_event
from services.runtime.database import Connection
from services.runtime.outbox import Message, event_bytes
from services.runtime.trace import HEADER as TRACE_HEADER
from services.runtime.trace import continued
from services.runtime.twins import Twin, Unlike
from services.triage import attestation
from services.triage.attestation import AttestationRefused, Claim
from services.triage.classing import Policy
from services.triage.priority import Arrival, alert, digest_of, triaged
from services.triage.registry import Registry
from services.triage.standing import Verdict, Vouched, judge, local_day, unattested, vouch
from services.triage.store import PlaceWanted

Publish = Callable[[Sequence[Message]], Awaitable[object]]
TakePlaces = Callable[[Sequence[PlaceWanted]], Awaitable[dict[tuple[UUID, UUID], int]]]

_EARLY: Final = timedelta(seconds=EARLY_SECONDS)
_JSON: Final = CONTENT_TYPE.encode()
_DOUBLES: Final = {model: Twin(model) for model in (Submitted, FlaggedSubmitted)}
# How long a poll waits for records, and then sleeps where there were none: the flagged lane's part in its own delay.
_FLAGGED_WAIT_MILLISECONDS: Final = 40
_PUBLIC_WAIT_MILLISECONDS: Final = 200


def arrival_of(record: Record, model: type[Submitted | FlaggedSubmitted], topic: Topic, lane: Lane) -> Arrival:
    """A record as a report that arrived.

    Raises:
        Refused: it does not fit the contract, or tells of something that has not happened yet.
    """
    try:
        submitted, occurred_at, written = _by_double(record, model, topic)
    except Unlike:
        submitted = decode_event(record, model, topic)
        occurred_at, written = submitted.data.occurred_at, event_bytes(submitted.data)
    if occurred_at > record.at + _EARLY:
        raise Refused("data.occurred_at: more than an hour after the report was received")
    return Arrival(submitted, lane, record.at, written, digest_of(written))


def _by_double(
    record: Record, model: type[Submitted | FlaggedSubmitted], topic: Topic
) -> tuple[Submitted | FlaggedSubmitted, datetime, bytes]:
    """The report by its model's lean double, when it occurred, and its data as the model would write it."""
    if len(record.value) > topic.max_value_bytes:
        raise Unlike
    submitted = _DOUBLES[model].read(record.value)
    report = submitted.data
    occurred_at = datetime.fromisoformat(report.occurred_at)
    # Of the three forms that a double takes, the one that is written: with microseconds.
    report.occurred_at = f"{report.occurred_at[:-1]:.<20}".ljust(26, "0") + "Z"
    return submitted, occurred_at, msgspec.json.encode(report)


def _messages(policy: Policy, topic: Topic, item: Item[Arrival], verdict: Verdict) -> list[Message]:
    """What goes out for one report: its triaged event, and an alert if its attestation did not count."""
    arrival = item.value
    headers = (("content-type", _JSON), (TRACE_HEADER, continued(item.record.header(TRACE_HEADER))))
    event_id, value = triaged(policy, arrival, verdict)
    key = arrival.report.content.id.encode()
    cause = arrival.submitted.id
    messages = [Message(topic.name, key, value, event_id, cause, headers)]
    raised = alert(arrival, verdict)
    if raised is not None:
        report_key = str(arrival.report.report_id).encode()
        messages.append(Message(ACTIVITY.name, report_key, event_bytes(raised), raised.id, cause, headers))
    return messages


class Public:
    """Everybody's lane: nothing on it is attested, whatever a record says of itself or carries in its headers."""

    group = "triage.public"
    topics: tuple[Topic, ...] = (REPORTS_PUBLIC,)
    wait_milliseconds = _PUBLIC_WAIT_MILLISECONDS

    def __init__(self, policy: Policy, publish: Publish) -> None:
        self._policy, self._publish = policy, publish

    def decode(self, record: Record) -> Arrival:
        """The report of a record; raises Refused as `arrival_of`."""
        return arrival_of(record, Submitted, REPORTS_PUBLIC, Lane.PUBLIC)

    async def prepare(self, items: Sequence[Item[Arrival]]) -> None:
        """Classes and publishes the batch."""
        out: list[Message] = []
        for item in items:
            verdict = unattested(item.value.report, item.value.at)
            out += _messages(self._policy, TRIAGE_PUBLIC, item, verdict)
        await self._publish(out)

    async def write(self, _: Connection, __: Sequence[Item[Arrival]]) -> Sequence[Rejection]:
        """Nothing: the offsets alone tell what is done."""
        return ()


class Flagged:
    """The flagged sources' lane: who is vouched for is judged here. What is not stays on the lane, as public."""

    group = "triage.flagged"
    topics: tuple[Topic, ...] = (REPORTS_FLAGGED,)
    wait_milliseconds = _FLAGGED_WAIT_MILLISECONDS

    def __init__(self, policy: Policy, publish: Publish, registry: Registry, take_places: TakePlaces) -> None:
        self._policy, self._publish = policy, publish
        self._registry, self._take_places = registry, take_places

    def decode(self, record: Record) -> Arrival:
        """The report of a record; raises Refused as `arrival_of`."""
        return arrival_of(record, FlaggedSubmitted, REPORTS_FLAGGED, Lane.FLAGGED)

    async def prepare(self, items: Sequence[Item[Arrival]]) -> None:
        """Judges attestations, classes and publishes the batch.

        Raises:
            BrokerAway: the registry cannot be read to its end, or the broker does not acknowledge.
            DatabaseAway: places in sources' days cannot be taken.
        """
        read = [_claim(item) for item in items]
        if any(self._unknown(item, claim) for item, claim in zip(items, read, strict=True)):
            await self._registry.catch_up()
        vouched = [self._vouched(item, claim) for item, claim in zip(items, read, strict=True)]
        places = await self._places(items, vouched)
        out: list[Message] = []
        for item, found in zip(items, vouched, strict=True):
            out += _messages(self._policy, TRIAGE_FLAGGED, item, self._verdict(item.value, found, places))
        await self._publish(out)

    async def write(self, _: Connection, __: Sequence[Item[Arrival]]) -> Sequence[Rejection]:
        """Nothing: the offsets alone tell what is done."""
        return ()

    def _unknown(self, item: Item[Arrival], claim: Claim | AttestationRefused) -> bool:
        """Whether the book may be behind: it lacks the key, or the source that the key does not judge itself."""
        if isinstance(claim, AttestationRefused):
            return False
        book = self._registry.book
        attester = book.attester(claim.key_id)
        return attester is None or (not attester.verdicts and book.source(item.value.report.source.id) is None)

    def _vouched(self, item: Item[Arrival], claim: Claim | AttestationRefused) -> Vouched | AttestationRefused:
        if isinstance(claim, AttestationRefused):
            return claim
        try:
            return vouch(claim, item.value.report, item.record.value, self._registry.book)
        except AttestationRefused as refused:
            return refused

    async def _places(
        self, items: Sequence[Item[Arrival]], vouched: Sequence[Vouched | AttestationRefused]
    ) -> dict[tuple[UUID, UUID], int]:
        wanted = [
            PlaceWanted(source.source_id, item.value.report.report_id, local_day(item.value.at, source.time_zone))
            for item, found in zip(items, vouched, strict=True)
            if isinstance(found, Vouched) and found.counts_quota and (source := found.source) is not None
        ]
        return await self._take_places(wanted) if wanted else {}

    def _verdict(
        self, arrival: Arrival, found: Vouched | AttestationRefused, places: dict[tuple[UUID, UUID], int]
    ) -> Verdict:
        if isinstance(found, AttestationRefused):
            return unattested(arrival.report, arrival.at, found)
        source = found.source
        ordinal = places.get((source.source_id, arrival.report.report_id)) if source else None
        return judge(found, arrival.report, arrival.at, ordinal)


def _claim(item: Item[Arrival]) -> Claim | AttestationRefused:
    try:
        return attestation.read(item.record.header(attestation.HEADER))
    except AttestationRefused as refused:
        return refused

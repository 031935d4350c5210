"""The two lanes of triaged reports, each a stage of its own so that police reports never stand behind the others."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson

from schemas import topics
from schemas.report import Report, registered_id
from schemas.topics import Topic
from schemas.triage import ReportTriaged, Ruling
from schemas.vocabulary import PriorityClass
from services.review.joining import Arrival, reporter_digest
from services.review.leasing import Terms
from services.review.store import ingest
from services.runtime import trace
from services.runtime.batch import Item, Record, Refused, Rejection, decode_event
from services.runtime.database import Connection
from services.runtime.settings import Settings
from services.runtime.twins import Twin, Unlike

# A report and a ruling are kept as they came, so they are cut out of the record and read by themselves.
_EVENT: Final = Twin(ReportTriaged, raw=(Report, Ruling))
_REPORT: Final = Twin(Report)
_RULING: Final = Twin(Ruling)

_CLASSES: Final = {priority.name: int(priority) for priority in PriorityClass}

# Beyond it a due time may have no date any more, and the column of targets no room.
_MOST_TARGET_SECONDS: Final = 366 * 86_400

_REPEATED: Final = "report id already used with other content"


class Triages:
    """Takes the triaged reports of one lane into cases.

    Args:
        topic: the lane's topic.
        group: the consumer group, `review.flagged` or `review.public`.
        wait_milliseconds: how long a poll waits for a fuller batch.
        settings: lengths of leases, and how long a decision answers late reports.
    """

    def __init__(self, topic: Topic, group: str, wait_milliseconds: int, settings: Settings) -> None:
        self.group = group
        self.topics: tuple[Topic, ...] = (topic,)
        self.wait_milliseconds = wait_milliseconds
        self._topic = topic
        self._terms = Terms(settings.lease_seconds, settings.p0_lease_seconds)
        self._late_report_days = settings.late_report_days

    def decode(self, record: Record) -> Arrival:
        """The triaged report of a record.

        Raises:
            Refused: it does not fit the contract.
        """
        arrival = self._read(record, trace.of_headers(record.headers))
        if arrival.target_seconds > _MOST_TARGET_SECONDS:
            raise Refused("data.target_seconds: more than a year")
        return arrival

    def _read(self, record: Record, traceparent: bytes | None) -> Arrival:
        if len(record.value) <= self._topic.max_value_bytes:
            try:
                return _quickly(record.value, traceparent)
            except Unlike:
                pass  # The model has the last word, and the words for what does not fit.
        return arrival_of(decode_event(record, ReportTriaged, self._topic), record.value, traceparent)

    async def prepare(self, items: Sequence[Item[Arrival]]) -> None:
        """Nothing needs the network."""

    async def write(self, connection: Connection, items: Sequence[Item[Arrival]]) -> Sequence[Rejection]:
        """Takes the batch in; what dies is a report id that was used before for something else."""
        refused = await ingest.take_in(
            connection,
            [item.value for item in items],
            terms=self._terms,
            late_report_days=self._late_report_days,
        )
        return [Rejection(items[position].record, _REPEATED) for position in refused]


def flagged(settings: Settings) -> Triages:
    """The flagged lane: small batches at once rather than full ones later."""
    return Triages(topics.TRIAGE_FLAGGED, "review.flagged", 40, settings)


def public(settings: Settings) -> Triages:
    """The public lane."""
    return Triages(topics.TRIAGE_PUBLIC, "review.public", 100, settings)


def arrival_of(event: ReportTriaged, value: bytes, traceparent: bytes | None = None) -> Arrival:
    """A triaged event as review takes it in; `value` is the event's own bytes."""
    written = orjson.loads(value)["data"]
    data, ruling = (orjson.dumps(written[name]).decode() for name in ("report", "ruling"))
    triaged = event.data
    return _arrival(event, triaged.report, triaged.ruling, triaged.received_at, (data, ruling, traceparent))


def _quickly(value: bytes, traceparent: bytes | None) -> Arrival:
    """The same for nearly every record at half the cost: lean doubles read it, and report and ruling are cut out."""
    event = _EVENT.read(value)
    data, ruling = bytes(event.data.report), bytes(event.data.ruling)
    kept = (data.decode(), ruling.decode(), traceparent)
    received_at = datetime.fromisoformat(event.data.received_at)
    return _arrival(event, _REPORT.read(data), _RULING.read(ruling), received_at, kept)


def _arrival(
    event: ReportTriaged, report: Report, ruling: Ruling, received_at: datetime, kept: tuple[str, str, bytes | None]
) -> Arrival:
    triaged, snapshot = event.data, report.content.snapshot
    data, ruling_text, traceparent = kept
    return Arrival(
        report_id=report.report_id,
        event_id=event.id,
        content_id=report.content.id,
        digest=bytes.fromhex(triaged.digest),
        attested=triaged.attestation is not None,
        priority=_CLASSES[triaged.priority],
        target_seconds=triaged.target_seconds,
        queue=triaged.queue,
        received_at=received_at,
        source_kind=report.source.kind.value,
        source_id=registered_id(report.source.kind, report.source.id),
        reporter=reporter_digest(_reporter(report)),
        rule=ruling.rule,
        snapshot=None if snapshot is None else snapshot.sha256.lower(),
        data=data,
        ruling=ruling_text,
        trace=traceparent,
    )


def _reporter(report: Report) -> str:
    """Who counts once per case: the named reporter, else the source, else everybody of that kind together."""
    return report.reporter or report.source.id or report.source.kind.value

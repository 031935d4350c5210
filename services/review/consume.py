"""The two lanes of triaged reports, each a stage of its own so that police reports never stand behind the others."""

from collections.abc import Sequence
from typing import Final

import orjson

from schemas import topics
from schemas.report import Report
from schemas.topics import Topic
from schemas.triage import ReportTriaged
from services.review.joining import Arrival, reporter_digest
from services.review.leasing import Terms
from services.review.store import ingest
from services.runtime import trace
from services.runtime.batch import Item, Record, Rejection, decode_event
from services.runtime.database import Connection
from services.runtime.settings import Settings

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
        """The triaged report of a record."""
        event = decode_event(record, ReportTriaged, self._topic)
        return arrival_of(event, record.value, trace.of_headers(record.headers))

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
    """A triaged event as review takes it in.

    What reviewers are shown is kept as it was written in `value`, the event's own bytes: that is several times quicker
    than to write the models out again.
    """
    triaged, report = event.data, event.data.report
    written = orjson.loads(value)["data"]
    snapshot = report.content.snapshot
    return Arrival(
        report_id=report.report_id,
        event_id=event.id,
        content_id=report.content.id,
        digest=bytes.fromhex(triaged.digest),
        attested=triaged.attestation is not None,
        priority=int(triaged.priority_class),
        target_seconds=triaged.target_seconds,
        queue=triaged.queue,
        received_at=triaged.received_at,
        source_kind=report.source.kind.value,
        source_id=report.source.id,
        reporter=reporter_digest(_reporter(report)),
        rule=triaged.ruling.rule,
        snapshot=None if snapshot is None else snapshot.sha256.lower(),
        data=orjson.dumps(written["report"]).decode(),
        ruling=orjson.dumps(written["ruling"]).decode(),
        trace=traceparent,
    )


def _reporter(report: Report) -> str:
    """Who counts once per case: the named reporter, else the source, else everybody of that kind together."""
    return report.reporter or report.source.id or report.source.kind.value

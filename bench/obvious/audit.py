"""Audit: every message of every topic becomes an entry of the log."""

import hmac
import json
import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from faststream import AckPolicy
from faststream.kafka import KafkaMessage
from sqlalchemy import select

from bench.obvious.engines import CASES, REPORTS, TRIAGED, make_broker, make_sessions, run
from bench.obvious.messages import CaseEvent, Submitted, Triaged
from bench.obvious.settings import Settings
from bench.obvious.tables import Entry, PrivatePart

settings = Settings()
broker = make_broker(settings)
sessions = make_sessions(settings)


def canonical(value: dict[str, Any]) -> bytes:
    """The one form in which a value is hashed: sorted keys, no blanks, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@broker.subscriber(
    REPORTS,
    group_id=f"obvious.audit.{REPORTS}",
    auto_offset_reset="earliest",
    isolation_level="read_committed",
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def report_submitted(event: Submitted, message: KafkaMessage) -> None:
    """Logs a report; its words and its reporter stay apart."""
    report = event.data
    data = report.model_dump(mode="json", exclude_none=True)
    hidden = ("reporter", "explanation", "legal_ground", "content")
    private: dict[str, Any] = {name: data.pop(name) for name in hidden if name in data}
    await append(event, message, data, private, report_id=report.report_id, content_id=report.content.id)


@broker.subscriber(
    TRIAGED,
    group_id=f"obvious.audit.{TRIAGED}",
    auto_offset_reset="earliest",
    isolation_level="read_committed",
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def report_triaged(event: Triaged, message: KafkaMessage) -> None:
    """Logs a class and why; the report itself has an entry of its own."""
    triaged = event.data
    data = triaged.model_dump(mode="json", exclude_none=True, exclude={"report", "digest"})
    report = triaged.report
    await append(
        event,
        message,
        data,
        {"digest": triaged.digest},
        report_id=report.report_id,
        content_id=report.content.id,
    )


@broker.subscriber(
    CASES,
    group_id=f"obvious.audit.{CASES}",
    auto_offset_reset="earliest",
    isolation_level="read_committed",
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def case_changed(event: CaseEvent, message: KafkaMessage) -> None:
    """Logs a change of a case."""
    changed = event.data
    data = changed.model_dump(mode="json", exclude_none=True)
    await append(
        event,
        message,
        data,
        {},
        report_id=changed.report_id,
        case_id=changed.case_id,
        content_id=changed.content_id,
    )


async def append(
    event: Submitted | Triaged | CaseEvent,
    message: KafkaMessage,
    detail: dict[str, Any],
    private: dict[str, Any],
    *,
    report_id: UUID,
    content_id: str,
    case_id: UUID | None = None,
) -> None:
    """Adds the entry, unless the log has it; what is private is only committed to."""
    raw: Any = message.raw_message
    at = datetime.fromtimestamp(raw.timestamp / 1000, UTC)
    leaf = {
        "v": 1,
        "id": str(event.id),
        "type": event.type,
        "topic": raw.topic,
        "partition": raw.partition,
        "offset": raw.offset,
        "time": at.isoformat(),
        "event_time": event.time.isoformat(),
        "actor": event.source,
        "detail": detail,
    }
    salt, part = os.urandom(32), canonical(private)
    if private:
        leaf["commitment"] = hmac.digest(salt, part, "sha256").hex()
    async with sessions() as session:
        known = await session.execute(select(Entry.index).where(Entry.identity == event.id))
        if known.scalar_one_or_none() is not None:
            return
        entry = Entry(
            identity=event.id,
            type=event.type,
            at=at,
            actor=event.source,
            report_id=report_id,
            case_id=case_id,
            content_id=content_id,
            leaf=canonical(leaf),
        )
        session.add(entry)
        if private:
            await session.flush()
            session.add(PrivatePart(index=entry.index, salt=salt, part=part))
        await session.commit()


if __name__ == "__main__":
    run(broker)

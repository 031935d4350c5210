"""Triage: a report in, the same report with its class out."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from faststream import AckPolicy
from faststream.kafka import KafkaMessage

from bench.obvious.engines import REPORTS, TRIAGED, make_broker, run
from bench.obvious.messages import Report, Ruling, Submitted, Triaged, TriagedReport, follow_up
from bench.obvious.settings import Settings

broker = make_broker(Settings())

TARGET_SECONDS = {0: 15 * 60, 1: 60 * 60, 2: 240 * 60, 3: 1440 * 60, 4: 4320 * 60}


def classed(report: Report) -> tuple[int, str]:
    """The class and the rule that gave it; nobody vouches for what comes on the public topic."""
    if report.keyword in {"imminent_harm", "child_sexual_abuse"}:
        return 1, "imminent_harm"
    return 3, "the_rest"


def routed(report: Report) -> str:
    """The queue."""
    if report.category == "protection_of_minors" or report.keyword == "child_sexual_abuse":
        return "minors"
    if report.category in {"violence", "self_harm", "risk_for_public_security"} or report.keyword in {
        "imminent_harm",
        "terrorism",
    }:
        return "safety"
    return "general"


@broker.subscriber(
    REPORTS,
    group_id="obvious.triage",
    auto_offset_reset="earliest",
    isolation_level="read_committed",
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def triage(event: Submitted, message: KafkaMessage) -> None:
    """Classes the report and passes it on."""
    report = event.data
    priority, rule = classed(report)
    raw: Any = message.raw_message
    received_at = datetime.fromtimestamp(raw.timestamp / 1000, UTC)
    triaged = Triaged(
        id=follow_up(event.id, "triaged"),
        source="triage",
        type="jubao.report.triaged.v1",
        time=received_at,
        subject=str(report.report_id),
        correlationid=report.report_id,
        causationid=event.id,
        data=TriagedReport(
            report=report,
            digest=hashlib.sha256(report.model_dump_json().encode()).hexdigest(),
            received_at=received_at,
            priority=priority,
            queue=routed(report),
            target_seconds=TARGET_SECONDS[priority],
            ruling=Ruling(policy="default", version="1", rule=rule, inputs={"report.keyword": report.keyword or ""}),
        ),
    )
    await broker.publish(triaged, TRIAGED, key=report.content.id.encode())


if __name__ == "__main__":
    run(broker)

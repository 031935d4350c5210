"""Review: a triaged report in, an open case with it in the queue."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from faststream import AckPolicy
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bench.obvious.engines import CASES, TRIAGED, make_broker, make_sessions, run
from bench.obvious.messages import CaseChanged, CaseEvent, Triaged, follow_up
from bench.obvious.settings import Settings
from bench.obvious.tables import Case, CaseReporter, History, Ready, Report

settings = Settings()
broker = make_broker(settings)
sessions = make_sessions(settings)


@broker.subscriber(
    TRIAGED,
    group_id="obvious.review",
    auto_offset_reset="earliest",
    isolation_level="read_committed",
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def review(event: Triaged) -> None:
    """Puts the report into the open case of its content, and tells the world."""
    async with sessions() as session:
        if await session.get(Report, event.data.report.report_id) is not None:
            return
        changed = await joined(session, event)
        await session.commit()
    await broker.publish(changed, CASES, key=str(changed.data.case_id).encode())


async def joined(session: AsyncSession, event: Triaged) -> CaseEvent:
    """The case's change, its rows in the session."""
    triaged, report, now = event.data, event.data.report, datetime.now(UTC)  # noqa: TID251 -- a build of its own
    found = await session.execute(
        select(Case).where(Case.content_id == report.content.id, Case.state != "decided").with_for_update()
    )
    case = found.scalar_one_or_none()
    if case is None:
        change, case = "opened", opened(event, now)
        session.add(case)
        session.add(
            Ready(
                case_id=case.case_id,
                queue=case.queue,
                priority=case.priority,
                due_at=case.due_at,
                received_at=triaged.received_at,
            )
        )
        # The rows below point to it.
        await session.flush()
    else:
        change = "joined"
        case.version += 1
        case.report_count += 1
        if triaged.priority < case.priority:
            change = "lifted"
            await lift(session, case, event)
    reporter = report.reporter or report.source.id or report.source.kind.value
    if await session.get(CaseReporter, (case.case_id, reporter)) is None:
        session.add(CaseReporter(case_id=case.case_id, reporter=reporter))
        case.reporter_count += 1
    session.add(
        Report(
            report_id=report.report_id,
            case_id=case.case_id,
            event_id=event.id,
            digest=triaged.digest,
            priority=triaged.priority,
            received_at=triaged.received_at,
            source_kind=report.source.kind.value,
            source_id=report.source.id,
            reporter=reporter,
            data=report.model_dump(mode="json", exclude_none=True),
        )
    )
    changed = told(event, case, change, now)
    if change != "joined":
        session.add(remembered(changed))
    return changed


def opened(event: Triaged, now: datetime) -> Case:
    """A new case."""
    triaged, content = event.data, event.data.report.content
    return Case(
        case_id=uuid4(),
        content_id=content.id,
        state="queued",
        priority=triaged.priority,
        queue=triaged.queue,
        target_seconds=triaged.target_seconds,
        due_at=triaged.received_at + timedelta(seconds=triaged.target_seconds),
        opened_at=now,
        version=1,
        report_count=1,
        reporter_count=0,
        ruling=triaged.ruling.model_dump(mode="json"),
        content=content.model_dump(mode="json", exclude_none=True),
    )


async def lift(session: AsyncSession, case: Case, event: Triaged) -> None:
    """Gives the case the better class of a report, and its place in the queue."""
    triaged = event.data
    case.priority, case.queue, case.target_seconds = triaged.priority, triaged.queue, triaged.target_seconds
    case.due_at = triaged.received_at + timedelta(seconds=triaged.target_seconds)
    case.ruling = triaged.ruling.model_dump(mode="json")
    ready = await session.get_one(Ready, case.case_id)
    ready.priority, ready.queue, ready.due_at = case.priority, case.queue, case.due_at


def told(event: Triaged, case: Case, change: str, now: datetime) -> CaseEvent:
    """The event of the change."""
    triaged = event.data
    return CaseEvent(
        id=follow_up(event.id, change),
        source="review",
        type=f"jubao.case.{change}.v1",
        time=now,
        subject=str(case.case_id),
        correlationid=triaged.report.report_id,
        causationid=event.id,
        data=CaseChanged(
            case_id=case.case_id,
            version=case.version,
            content_id=case.content_id,
            at=now,
            actor=triaged.report.source.kind.value,
            change=change,
            from_state=None if change == "opened" else case.state,
            to_state=case.state,
            why="better_class" if change == "lifted" else triaged.ruling.rule,
            priority=case.priority,
            queue=case.queue,
            due_at=case.due_at,
            report_count=case.report_count,
            report_id=triaged.report.report_id,
            ruling=None if change == "joined" else triaged.ruling,
        ),
    )


def remembered(event: CaseEvent) -> History:
    """The row of the change in the case's history."""
    changed = event.data
    return History(
        case_id=changed.case_id,
        version=changed.version,
        at=changed.at,
        actor=changed.actor,
        change=changed.change,
        from_state=changed.from_state,
        to_state=changed.to_state,
        priority=changed.priority,
        queue=changed.queue,
        why=changed.why,
        report_id=changed.report_id,
        event_id=event.id,
    )


if __name__ == "__main__":
    run(broker)

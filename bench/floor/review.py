"""Rows of triage and review for each record, without looking into it: the item is the record's key."""

from datetime import datetime, timedelta
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from bench.floor import offsets
from bench.floor.batches import Batch, fresh_ids, run

_PLAIN, _BETTER = 3, 1
_TARGETS = {_PLAIN: 86_400, _BETTER: 3_600}
_HEADS = [("general", 3), ("minors", 3), ("safety", 3), ("minors", 1), ("safety", 1)]
# As wide as what they stand for.
_DIGEST = bytes(32)
_RULING = '{"policy":"default","version":"1","rule":"the_rest","inputs":{}}'
_CONTENT_BYTES, _DATA_BYTES = 215, 435
_TRACE = b"00-b7aaf0a5cd176a73b01c563ba85c4938-34405044196c5d59-01"
_HINT_OF_BETTER = b'"keyword"'

_CASES = (
    "case_id", "kind", "content_id", "state", "class", "queue", "rank_from", "target_seconds", "due_at", "opened_at",
    "version", "last_event", "report_count", "reporter_count", "first_at", "targets", "lead_received_at",
    "lead_report_id", "ruling", "teller_hearsay", "teller_received_at", "teller_report_id", "content", "snapshots",
    "trace",
)  # fmt: skip
_REPORTS = (
    "report_id", "case_id", "digest", "attested", "class", "received_at", "source_kind", "source_id", "reporter",
    "data", "late",
)  # fmt: skip
_READY = ("case_id", "queue", "class", "target_seconds", "rank_from", "due_at", "received_at")
_HISTORY = (
    "case_id", "version", "at", "actor", "change", "from_state", "to_state", "class", "queue", "why", "report_id",
    "event_id",
)  # fmt: skip


class Review:
    """Which items have a case, and of which class; everything else is forgotten with its batch."""

    def __init__(self) -> None:
        self._cases: dict[bytes, UUID] = {}
        self._better: set[bytes] = set()
        self._heads = True

    async def first(self, connection: Any) -> None:  # noqa: ANN401 -- asyncpg has no types
        """The rows that a start leaves."""
        await offsets.take(connection, "triage")
        await offsets.take(connection, "review")

    async def write(self, connection: Any, batch: Batch) -> None:  # noqa: ANN401 -- likewise
        """All rows of the batch."""
        count, at = len(batch.records), batch.at
        ids = iter(fresh_ids(4 * count))
        cases: list[tuple[object, ...]] = []
        ready: list[tuple[object, ...]] = []
        reports: list[tuple[object, ...]] = []
        history: list[tuple[object, ...]] = []
        for record in batch.records:
            key, value, report_id, event_id = record.key, record.value, next(ids), next(ids)
            priority = _BETTER if _HINT_OF_BETTER in value else _PLAIN
            case_id = self._cases.get(key)
            if case_id is None:
                case_id = self._cases[key] = next(ids)
                due_at, target = at + timedelta(seconds=_TARGETS[priority]), _TARGETS[priority]
                cases.append(_case(case_id, report_id, event_id, priority=priority, at=at, key=key, value=value))
                ready.append((case_id, "general", priority, target, at, due_at, at))
                history.append(_told(case_id, report_id, event_id, version=1, at=at, priority=priority))
                if priority == _BETTER:
                    self._better.add(key)
            elif priority == _BETTER and key not in self._better:
                self._better.add(key)
                history.append(_told(case_id, report_id, event_id, version=2, at=at, priority=priority))
            data = value[:_DATA_BYTES].decode(errors="ignore")
            reports.append(
                (report_id, case_id, _DIGEST, False, priority, at, "user", None, report_id.bytes, data, False)
            )
        for table, columns, rows in (
            ("cases", _CASES, cases),
            ("reports", _REPORTS, reports),
            ("ready", _READY, ready),
            ("history", _HISTORY, history),
        ):
            await connection.copy_records_to_table(table, schema_name="review", columns=columns, records=rows)
        await self._rest(connection, batch)

    async def _rest(self, connection: Any, batch: Batch) -> None:  # noqa: ANN401 -- likewise
        if self._heads:
            self._heads = False
            rows = [(queue, priority, _TARGETS[priority]) for queue, priority in _HEADS]
            columns = ("queue", "class", "target_seconds")
            await connection.copy_records_to_table("heads", schema_name="review", columns=columns, records=rows)
        await offsets.advance(connection, "triage", batch.read)
        await offsets.advance(connection, "review", batch.read)


def _case(
    case_id: UUID, report_id: UUID, event_id: UUID, *, priority: int, at: datetime, key: bytes, value: bytes
) -> tuple[object, ...]:
    due_at = at + timedelta(seconds=_TARGETS[priority])
    first_at: list[object] = [None] * 5
    targets: list[object] = [None] * 5
    first_at[priority], targets[priority] = at, _TARGETS[priority]
    content = value[:_CONTENT_BYTES].decode(errors="ignore")
    return (
        case_id, "report", key.decode(), "queued", priority, "general", at, _TARGETS[priority], due_at, at,
        1, event_id, 1, 1, first_at, targets, at,
        report_id, _RULING, True, at, report_id, content, [],
        _TRACE,
    )  # fmt: skip


def _told(
    case_id: UUID, report_id: UUID, event_id: UUID, *, version: int, at: datetime, priority: int
) -> tuple[object, ...]:
    change = "opened" if version == 1 else "lifted"
    before = None if change == "opened" else "queued"
    return (
        case_id,
        version,
        at,
        "user",
        change,
        before,
        "queued",
        priority,
        "general",
        "the_rest",
        report_id,
        event_id,
    )


if __name__ == "__main__":
    review = Review()
    run(review.write, review.first)

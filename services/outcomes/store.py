"""All SQL of outcomes: statements and outcomes, and the keys of sources."""

from base64 import urlsafe_b64decode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.decision import AnsweredReport, Decision
from schemas.source import Source
from services.outcomes.wording import statement_code

# Keeps what was decided; a further part of the same decision says the same again.
STATE: Final = text("""
    INSERT INTO statements (
        decision_id, case_id, content_id, class, verdict, violates, actions, code, reason, decided_at
    ) VALUES (
        :decision_id, :case_id, :content_id, :class, :verdict, :violates, CAST(:actions AS text[]), :code, :reason,
        :decided_at
    )
    ON CONFLICT (decision_id) DO NOTHING
""")

# Gives reports their outcome, in one order everywhere; tells for which of them it is the first.
REACH: Final = text("""
    INSERT INTO outcomes (report_id, decision_id, source_kind, source_id, received_at, late)
    SELECT * FROM unnest(
        CAST(:report_ids AS uuid[]), CAST(:decision_ids AS uuid[]), CAST(:source_kinds AS text[]),
        CAST(:source_ids AS text[]), CAST(:received AS timestamptz[]), CAST(:late AS boolean[])
    )
    ON CONFLICT (report_id) DO NOTHING
    RETURNING report_id
""")

# A report's outcome with what was decided.
OUTCOME: Final = text("""
    SELECT o.source_id, s.class, s.verdict, s.violates, s.actions, s.code, o.received_at, s.decided_at
    FROM outcomes AS o JOIN statements AS s USING (decision_id)
    WHERE o.report_id = :report_id
""")

# How many reports have an outcome.
DECIDED: Final = text("SELECT count(*) FROM outcomes")

# Takes newer versions of sources; tells which they are.
RENEW: Final = text("""
    INSERT INTO sources AS known (source_id, version)
    SELECT * FROM unnest(CAST(:source_ids AS uuid[]), CAST(:versions AS bigint[]))
    ON CONFLICT (source_id) DO UPDATE SET version = excluded.version WHERE known.version < excluded.version
    RETURNING source_id
""")

# Forgets the keys of sources whose newer version follows.
FORGET_KEYS: Final = text("DELETE FROM source_keys WHERE source_id = ANY(CAST(:source_ids AS uuid[]))")

# Takes keys; a key id belongs to the source that had it first.
TAKE_KEYS: Final = text("""
    INSERT INTO source_keys (key_id, source_id, public_key, revoked_at)
    SELECT * FROM unnest(
        CAST(:key_ids AS text[]), CAST(:source_ids AS uuid[]), CAST(:public_keys AS bytea[]),
        CAST(:revoked AS timestamptz[])
    )
    ON CONFLICT (key_id) DO NOTHING
""")

# A key by its id.
KEY: Final = text("SELECT source_id, public_key, revoked_at FROM source_keys WHERE key_id = :key_id")


@dataclass(frozen=True, slots=True)
class Reached:
    """A report's outcome as it is kept. `statement` is the code of the statement of reasons."""

    report_id: UUID
    source_id: str | None
    priority: str
    verdict: str
    violates: str | None
    actions: tuple[str, ...]
    statement: str
    received_at: datetime
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class SourceKey:
    """A source's public key, 32 raw bytes, and since when it no longer counts."""

    source_id: str
    public_key: bytes
    revoked_at: datetime | None


async def reach(connection: AsyncConnection, decisions: Sequence[Decision]) -> set[UUID]:
    """Keeps the outcomes of all reports these decision parts answer; the ids of those that had none before.

    Where two parts answer one report, the first of them counts.
    """
    for decision in {d.decision_id: d for d in reversed(decisions)}.values():
        await connection.execute(STATE, _statement(decision))
    answers: dict[UUID, tuple[Decision, AnsweredReport]] = {}
    for decision in decisions:
        for answered in decision.reports:
            answers.setdefault(answered.report_id, (decision, answered))
    ordered = [answers[report_id] for report_id in sorted(answers)]
    rows = await connection.execute(
        REACH,
        {
            "report_ids": [answered.report_id for _, answered in ordered],
            "decision_ids": [decision.decision_id for decision, _ in ordered],
            "source_kinds": [answered.source_kind.value for _, answered in ordered],
            "source_ids": [answered.source_id for _, answered in ordered],
            "received": [answered.received_at for _, answered in ordered],
            "late": [decision.late for decision, _ in ordered],
        },
    )
    return set(rows.scalars())


def _statement(decision: Decision) -> dict[str, object]:
    finding = decision.finding
    return {
        "decision_id": decision.decision_id,
        "case_id": decision.case_id,
        "content_id": decision.content_id,
        "class": decision.priority,
        "verdict": finding.verdict.value,
        "violates": finding.violates,
        "actions": [action.value for action in finding.actions],
        "code": statement_code(finding.verdict, finding.actions),
        "reason": finding.reason,
        "decided_at": decision.decided_at,
    }


async def outcome(connection: AsyncConnection, report_id: UUID) -> Reached | None:
    """The outcome of a report, if it has one."""
    row = (await connection.execute(OUTCOME, {"report_id": report_id})).one_or_none()
    if row is None:
        return None
    source_id, priority, verdict, violates, actions, code, received_at, decided_at = row
    return Reached(
        report_id, source_id, priority, verdict, violates, tuple(actions), code,
        received_at, decided_at,
    )  # fmt: skip


async def decided(connection: AsyncConnection) -> int:
    """How many reports have an outcome."""
    count: int = (await connection.execute(DECIDED)).scalar_one()
    return count


async def take_sources(connection: AsyncConnection, sources: Iterable[Source]) -> None:
    """Takes what is said of sources; of each only the newest version, and that only if it is news."""
    newest = {source.source_id: source for source in sorted(sources, key=lambda source: source.version)}
    ordered = [newest[source_id] for source_id in sorted(newest)]
    rows = await connection.execute(
        RENEW, {"source_ids": [s.source_id for s in ordered], "versions": [s.version for s in ordered]}
    )
    renewed = set(rows.scalars())
    await connection.execute(FORGET_KEYS, {"source_ids": sorted(renewed)})
    keys = [(source.source_id, key) for source in ordered if source.source_id in renewed for key in source.keys]
    await connection.execute(
        TAKE_KEYS,
        {
            "key_ids": [key.key_id for _, key in keys],
            "source_ids": [source_id for source_id, _ in keys],
            "public_keys": [urlsafe_b64decode(key.public_key + "=") for _, key in keys],
            "revoked": [key.revoked_at for _, key in keys],
        },
    )


async def key_named(connection: AsyncConnection, key_id: str) -> SourceKey | None:
    """A source's key by its id, revoked or not."""
    row = (await connection.execute(KEY, {"key_id": key_id})).one_or_none()
    return SourceKey(str(row[0]), bytes(row[1]), row[2]) if row else None

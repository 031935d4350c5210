"""All SQL of intake: sources and their keys, attesters, and what was taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.vocabulary import Category, SourceKind, SourceStatus, Standing

Connection = AsyncConnection
"""A connection inside a transaction, for signatures outside of this file, where SQLAlchemy has no place."""

# Columns are named one by one: a newer version's migration may have added some while this one still runs.
_SOURCE = """
    source_id, kind, name, agency, parent, region, categories, quota_per_day, time_zone, status, version
"""
_KEY = "key_id, source_id, public_key, added_at, revoked_at"
_ATTESTER = "key_id, name, public_key, kinds, verdicts, version, added_at"
_SUBMISSION = "report_id, event_id, caller, digest, received_at, source_id, kind, standing, accepted_at"

# A source by its id.
SOURCE = text(f"SELECT {_SOURCE} FROM sources WHERE source_id = :source_id")

# A source by its id, held against other changes: its version must count without a gap.
SOURCE_HELD = text(f"SELECT {_SOURCE} FROM sources WHERE source_id = :source_id FOR UPDATE")

# Sources in the order of their ids, which is that of their registration, from behind one on.
SOURCES_AFTER = text(f"SELECT {_SOURCE} FROM sources WHERE source_id > :after ORDER BY source_id LIMIT :most")

# The keys of some sources, the oldest first.
KEYS_OF = text(
    f"SELECT {_KEY} FROM source_keys WHERE source_id = ANY(CAST(:source_ids AS uuid[])) ORDER BY added_at, key_id"
)

# A key by its id.
KEY = text(f"SELECT {_KEY} FROM source_keys WHERE key_id = :key_id")

# A new source.
ADD_SOURCE = text("""
    INSERT INTO sources
        (source_id, kind, name, agency, parent, region, categories, quota_per_day, time_zone, status, version)
    VALUES (:source_id, :kind, :name, :agency, :parent, :region, CAST(:categories AS text[]), :quota_per_day,
        :time_zone, :status, 1)
""")

# A new key; nothing when the key, or its name, is there already.
ADD_KEY = text("""
    INSERT INTO source_keys (key_id, source_id, public_key, added_at)
    VALUES (:key_id, :source_id, :public_key, :at)
    ON CONFLICT DO NOTHING
""")

# What a change does to the source's own row.
CHANGE_SOURCE = text("UPDATE sources SET status = :status, version = version + 1 WHERE source_id = :source_id")

# Ends a key of a source; nothing when it has none of this id or it ended before.
REVOKE_KEY = text("""
    UPDATE source_keys SET revoked_at = greatest(:at, added_at)
    WHERE key_id = :key_id AND source_id = :source_id AND revoked_at IS NULL
""")

# A new attester; nothing when its key or its name is there already.
ADD_ATTESTER = text("""
    INSERT INTO attesters (key_id, name, public_key, kinds, verdicts, version, added_at)
    VALUES (:key_id, :name, :public_key, CAST(:kinds AS text[]), :verdicts, 1, :at)
    ON CONFLICT DO NOTHING
""")

# Attesters in the order of their key ids, from behind one on.
ATTESTERS_AFTER = text(f"SELECT {_ATTESTER} FROM attesters WHERE key_id > :after ORDER BY key_id LIMIT :most")

# An attester of this name, or with this key.
ATTESTER_LIKE = text("SELECT key_id FROM attesters WHERE key_id = :key_id")

# What these keys of repetition stand for, as far as they still count.
REPEATS = text("""
    SELECT scope, report_id, digest FROM repeat_keys
    JOIN unnest(CAST(:scopes AS text[]), CAST(:keys AS text[])) AS wanted (scope, key) USING (scope, key)
    WHERE created_at > :expired
""")

# Takes keys of repetition for a report, in one order so that two callers cannot wait for each other; those that another
# transaction took meanwhile are left, and the count tells.
TAKE_REPEATS = text("""
    INSERT INTO repeat_keys (scope, key, report_id, digest, created_at)
    SELECT scope, key, :report_id, :digest, :at
    FROM unnest(CAST(:scopes AS text[]), CAST(:keys AS text[])) AS wanted (scope, key)
    ORDER BY scope, key
    ON CONFLICT (scope, key) DO UPDATE
        SET report_id = excluded.report_id, digest = excluded.digest, created_at = excluded.created_at
        WHERE repeat_keys.created_at <= :expired
""")

# What was fixed for a report.
SUBMISSION = text(f"SELECT {_SUBMISSION} FROM submissions WHERE report_id = :report_id")

# Fixes a report; nothing when its id was fixed before.
FIX = text("""
    INSERT INTO submissions (report_id, event_id, caller, digest, received_at, source_id, kind, standing)
    VALUES (:report_id, :event_id, :caller, :digest, :received_at, :source_id, :kind, :standing)
    ON CONFLICT (report_id) DO NOTHING
""")

# The broker has it.
ACCEPT = text("UPDATE submissions SET accepted_at = :at WHERE report_id = :report_id AND accepted_at IS NULL")

# Counts one more report of a source's day.
COUNT_USE = text("""
    INSERT INTO source_days (source_id, day, used) VALUES (:source_id, :day, 1)
    ON CONFLICT (source_id, day) DO UPDATE SET used = source_days.used + 1
    RETURNING used
""")

# Puts digests of nothing in the place of reports' digests; their ids stay taken.
ERASE = text("""
    UPDATE submissions SET digest = sha256(convert_to('erased:' || report_id, 'UTF8'))
    WHERE report_id = ANY(CAST(:report_ids AS uuid[]))
""")

# The same for the marks of repetition. They are kept for a day and found by no index: this reads that day's.
ERASE_REPEATS = text("""
    UPDATE repeat_keys SET digest = sha256(convert_to('erased:' || report_id, 'UTF8'))
    WHERE report_id = ANY(CAST(:report_ids AS uuid[]))
""")

# Whether an event still waits for the broker.
WAITS = text("SELECT EXISTS (SELECT FROM outbox WHERE event_id = :event_id)")

# Whether anything about a key of the registry's topic still waits for the broker.
WAITS_ABOUT = text("SELECT EXISTS (SELECT FROM outbox WHERE topic = :topic AND key = :key)")

# How many reports are remembered.
SUBMISSIONS = text("SELECT count(*) FROM submissions")

# A handful of what is too old to be asked for again. Rows that another sweep holds are left to it.
SWEEPS = tuple(
    text(f"""
        DELETE FROM {table} WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM {table} WHERE {column} < :before ORDER BY {column} LIMIT :most FOR UPDATE SKIP LOCKED))
    """)
    for table, column in (("repeat_keys", "created_at"), ("submissions", "received_at"), ("source_days", "day"))
)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A registered source."""

    source_id: UUID
    kind: SourceKind
    name: str
    agency: str | None
    parent: str | None
    region: str | None
    categories: tuple[Category, ...]
    quota_per_day: int | None
    time_zone: str
    status: SourceStatus
    version: int


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A source's public key and the time in which it counts."""

    key_id: str
    source_id: UUID
    public_key: bytes
    added_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class AttesterRow:
    """A key that may vouch; `verdicts` is true of intake's own."""

    key_id: str
    name: str
    public_key: bytes
    kinds: tuple[SourceKind, ...]
    verdicts: bool
    version: int
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Submission:
    """What fixes a report's record: with the same body it makes the same bytes and the same attestation."""

    report_id: UUID
    event_id: UUID
    caller: str
    digest: bytes
    received_at: datetime
    source_id: UUID | None = None
    kind: SourceKind | None = None
    standing: Standing | None = None
    accepted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RepeatKey:
    """What marks a call as the repeat of another: whose nonce or Idempotency-Key, and which."""

    scope: str
    key: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """What a key of repetition was used for."""

    scope: str
    report_id: UUID
    digest: bytes


async def source(connection: Connection, source_id: UUID, *, held: bool = False) -> SourceRow | None:
    """A source; `held` keeps others from changing it until the transaction ends."""
    row = (await connection.execute(SOURCE_HELD if held else SOURCE, {"source_id": source_id})).one_or_none()
    return None if row is None else _source(row)


async def sources_after(connection: Connection, after: UUID, most: int) -> list[SourceRow]:
    """A page of sources."""
    rows = await connection.execute(SOURCES_AFTER, {"after": after, "most": most})
    return [_source(row) for row in rows]


async def keys_of(connection: Connection, source_ids: Sequence[UUID]) -> list[KeyRow]:
    """All keys of some sources."""
    return [_key(row) for row in await connection.execute(KEYS_OF, {"source_ids": list(source_ids)})]


async def key(connection: Connection, key_id: str) -> KeyRow | None:
    """A source's key by its id, revoked or not."""
    row = (await connection.execute(KEY, {"key_id": key_id})).one_or_none()
    return None if row is None else _key(row)


async def add_source(connection: Connection, row: SourceRow) -> None:
    """Inserts a source at version 1."""
    await connection.execute(
        ADD_SOURCE,
        {
            "source_id": row.source_id, "kind": row.kind.value, "name": row.name, "agency": row.agency,
            "parent": row.parent, "region": row.region, "categories": [c.value for c in row.categories],
            "quota_per_day": row.quota_per_day, "time_zone": row.time_zone, "status": row.status.value,
        },
    )  # fmt: skip


async def add_key(connection: Connection, row: KeyRow) -> bool:
    """Adds a key to a source; false when that key is registered already."""
    bound = {"key_id": row.key_id, "source_id": row.source_id, "public_key": row.public_key, "at": row.added_at}
    return (await connection.execute(ADD_KEY, bound)).rowcount == 1


async def change_source(connection: Connection, source_id: UUID, status: SourceStatus) -> None:
    """Sets a held source's status and counts the change."""
    await connection.execute(CHANGE_SOURCE, {"source_id": source_id, "status": status.value})


async def revoke_key(connection: Connection, source_id: UUID, key_id: str, at: datetime) -> bool:
    """Ends a key; false when the source has no live key of that id."""
    bound = {"source_id": source_id, "key_id": key_id, "at": at}
    return (await connection.execute(REVOKE_KEY, bound)).rowcount == 1


async def add_attester(connection: Connection, row: AttesterRow) -> bool:
    """Inserts an attester at version 1; false when its key or name is taken."""
    bound = {
        "key_id": row.key_id, "name": row.name, "public_key": row.public_key, "kinds": [k.value for k in row.kinds],
        "verdicts": row.verdicts, "at": row.added_at,
    }  # fmt: skip
    return (await connection.execute(ADD_ATTESTER, bound)).rowcount == 1


async def has_attester(connection: Connection, key_id: str) -> bool:
    """Whether this key is an attester's."""
    return (await connection.execute(ATTESTER_LIKE, {"key_id": key_id})).first() is not None


async def attesters_after(connection: Connection, after: str, most: int) -> list[AttesterRow]:
    """A page of attesters."""
    rows = await connection.execute(ATTESTERS_AFTER, {"after": after, "most": most})
    return [_attester(row) for row in rows]


async def repeats(connection: Connection, marks: Sequence[RepeatKey], expired: datetime) -> list[Repeated]:
    """What the marks were used for after `expired`."""
    rows = await connection.execute(REPEATS, {**_columns(marks), "expired": expired})
    return [Repeated(row.scope, row.report_id, row.digest) for row in rows]


async def take_repeats(
    connection: Connection, marks: Sequence[RepeatKey], fixed: Submission, at: datetime, expired: datetime
) -> bool:
    """Takes the marks for a report; false when another call took one of them meanwhile."""
    if not marks:
        return True
    bound = {"report_id": fixed.report_id, "digest": fixed.digest, "at": at, "expired": expired}
    return (await connection.execute(TAKE_REPEATS, {**_columns(marks), **bound})).rowcount == len(marks)


async def submission(connection: Connection, report_id: UUID) -> Submission | None:
    """What was fixed for a report."""
    row = (await connection.execute(SUBMISSION, {"report_id": report_id})).one_or_none()
    return None if row is None else _submission(row)


async def fix(connection: Connection, fixed: Submission) -> bool:
    """Fixes a report; false when its id was fixed before."""
    bound = {
        "report_id": fixed.report_id, "event_id": fixed.event_id, "caller": fixed.caller, "digest": fixed.digest,
        "received_at": fixed.received_at, "source_id": fixed.source_id, "kind": fixed.kind and fixed.kind.value,
        "standing": fixed.standing and fixed.standing.value,
    }  # fmt: skip
    return (await connection.execute(FIX, bound)).rowcount == 1


async def accept(connection: Connection, report_id: UUID, at: datetime) -> None:
    """Notes that the broker has the report."""
    await connection.execute(ACCEPT, {"report_id": report_id, "at": at})


async def count_use(connection: Connection, source_id: UUID, day: date) -> int:
    """Counts a report of a source's day; the number includes it."""
    used: int = (await connection.execute(COUNT_USE, {"source_id": source_id, "day": day})).scalar_one()
    return used


async def waits(connection: Connection, event_id: UUID) -> bool:
    """Whether an event of the outbox is still to be acknowledged by the broker."""
    return bool((await connection.execute(WAITS, {"event_id": event_id})).scalar_one())


async def waits_about(connection: Connection, topic: str, key: bytes) -> bool:
    """Whether the outbox still holds something with this key for a topic."""
    return bool((await connection.execute(WAITS_ABOUT, {"topic": topic, "key": key})).scalar_one())


async def erase(connection: Connection, report_ids: Sequence[UUID]) -> int:
    """Erases the digests of reports; how many rows were changed."""
    bound = {"report_ids": list(report_ids)}
    changed = (await connection.execute(ERASE, bound)).rowcount
    # Marks are kept for a shorter time than the reports that they are of.
    return changed + (await connection.execute(ERASE_REPEATS, bound)).rowcount if changed else 0


async def counts(connection: Connection) -> dict[str, int]:
    """What `jubao status` shows of intake."""
    return {"submissions": (await connection.execute(SUBMISSIONS)).scalar_one()}


async def sweep(connection: Connection, befores: Sequence[datetime], most: int) -> int:
    """Deletes up to `most` expired repeat keys, forgotten submissions and counted days each; how many it was in all.

    Args:
        connection: in a transaction.
        befores: a moment for repeat keys, one for submissions, one for days; what is older goes.
        most: rows of each.
    """
    gone = 0
    for statement, before in zip(SWEEPS, befores, strict=True):
        gone += (await connection.execute(statement, {"before": before, "most": most})).rowcount
    return gone


def _columns(marks: Sequence[RepeatKey]) -> dict[str, list[str]]:
    return {"scopes": [mark.scope for mark in marks], "keys": [mark.key for mark in marks]}


def _source(row: Row[Any]) -> SourceRow:
    columns = row._asdict()
    columns["kind"] = SourceKind(row.kind)
    columns["categories"] = tuple(Category(category) for category in row.categories)
    columns["status"] = SourceStatus(row.status)
    return SourceRow(**columns)


def _key(row: Row[Any]) -> KeyRow:
    return KeyRow(**row._asdict())


def _attester(row: Row[Any]) -> AttesterRow:
    return AttesterRow(**row._asdict() | {"kinds": tuple(SourceKind(kind) for kind in row.kinds)})


def _submission(row: Row[Any]) -> Submission:
    columns = row._asdict()
    columns["kind"] = row.kind and SourceKind(row.kind)
    columns["standing"] = row.standing and Standing(row.standing)
    return Submission(**columns)

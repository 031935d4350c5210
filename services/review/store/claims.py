"""Claims, renewals and ends of leases. Candidates are read without locks, then one case is locked and looked at again.

Each claim is a transaction of its own that holds the lock of one case, so that thirty reviewers who go for the same
head pass one another by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.case import CaseChange
from schemas.vocabulary import CaseState
from services.review.events import Change, change_id
from services.review.leasing import Lease, LeaseLost, Terms
from services.review.ordering import CANDIDATES, IMMEDIATE, Head, in_order, is_overdue_turn, longest_overdue
from services.review.store.changes import clock, keep_to_indexes, put_ready, record
from services.review.store.leases import lease_now, leases_of

# The name that changes made by the clock rather than by a person carry.
ITSELF = "review"

# The moment at which no heads at all are compared.
_NEVER = datetime.max.replace(tzinfo=UTC)

# How many expired leases are put back at once.
SWEEP_CASES = 100

# A reviewer's own live leases, the oldest first.
OWN = text("""
SELECT case_id FROM leases WHERE reviewer = :reviewer AND expires_at > statement_timestamp()
ORDER BY claimed_at, case_id LIMIT :most
""")

# Whether a lease has ended and its case is not put back yet.
ENDED = text("SELECT EXISTS (SELECT 1 FROM leases WHERE expires_at <= statement_timestamp())")

# The first case of every queue, class and target: one step into the index each, however many wait behind.
HEADS = text("""
SELECT h.queue, h.class, h.target_seconds, first.rank_from, first.due_at, first.case_id, statement_timestamp()
FROM heads AS h
CROSS JOIN LATERAL (
    SELECT r.rank_from, r.due_at, r.case_id FROM ready AS r
    WHERE r.queue = h.queue AND r.class = h.class AND r.target_seconds = h.target_seconds
    ORDER BY r.rank_from, r.case_id LIMIT 1
) AS first
WHERE CAST(:queues AS text[]) IS NULL OR h.queue = ANY(CAST(:queues AS text[]))
""")

# The first to fall due below P0, of every queue.
FIRST_DUE = text("""
SELECT q.queue, first.class, first.target_seconds, first.rank_from, first.due_at, first.case_id,
       statement_timestamp()
FROM (SELECT DISTINCT queue FROM heads) AS q
CROSS JOIN LATERAL (
    SELECT r.class, r.target_seconds, r.rank_from, r.due_at, r.case_id FROM ready AS r
    WHERE r.queue = q.queue AND r.class > 0
    ORDER BY r.due_at, r.case_id LIMIT 1
) AS first
WHERE CAST(:queues AS text[]) IS NULL OR q.queue = ANY(CAST(:queues AS text[]))
""")

# Counts a claim below P0.
TURN = text("SELECT nextval('claims_below_p0')")

_CASE = """c.case_id, c.content_id, c.version, c.fence, c.class AS priority, c.queue, c.due_at, c.report_count,
       c.last_event, c.state, c.trace"""

_LOCK_FIRST = f"""
SELECT {_CASE}
FROM ({{candidates}}) AS r
JOIN cases AS c ON c.case_id = r.case_id
WHERE c.state = 'queued' AND NOT EXISTS (
    SELECT 1 FROM reports AS x WHERE x.case_id = c.case_id AND x.reporter = ANY(CAST(:myself AS bytea[])))
ORDER BY r.place, r.case_id
LIMIT 1
FOR NO KEY UPDATE OF c {{waiting}}"""

_BY_RANK = """
    SELECT case_id, rank_from AS place FROM ready
    WHERE queue = :queue AND class = :class AND target_seconds = :target_seconds
    ORDER BY rank_from, case_id LIMIT :candidates"""

_BY_DUE = """
    SELECT case_id, due_at AS place FROM ready WHERE queue = :queue AND class > 0
    ORDER BY due_at, case_id LIMIT :candidates"""

# Of the first cases of a head, the first that nobody is busy with and that this reviewer did not report.
LOCK_BY_RANK = text(_LOCK_FIRST.format(candidates=_BY_RANK, waiting="SKIP LOCKED"))

# The same, but waiting for whoever is busy with it: at a P0 head that may be a batch which adds one more report.
WAIT_BY_RANK = text(_LOCK_FIRST.format(candidates=_BY_RANK, waiting=""))

# Of the first cases of a queue to fall due below P0, the first that is to be had.
LOCK_BY_DUE = text(_LOCK_FIRST.format(candidates=_BY_DUE, waiting="SKIP LOCKED"))

# Hands a locked case to a reviewer.
GIVE = text("""
WITH gone AS (DELETE FROM ready WHERE case_id = :case_id),
     moved AS (UPDATE cases SET state = 'claimed', version = :version, fence = :fence, last_event = :event_id
               WHERE case_id = :case_id)
INSERT INTO leases (case_id, token, fence, reviewer, claimed_at, expires_at, claimed_event)
VALUES (:case_id, :token, :fence, :reviewer, :at, :expires_at, :event_id)
""")

# The case of a token, not locked yet.
OF_TOKEN = text("SELECT case_id FROM leases WHERE token = :token")

# One case, locked.
LOCK_CASE = text(f"SELECT {_CASE} FROM cases AS c WHERE c.case_id = :case_id FOR NO KEY UPDATE")

# Moves a lease's end.
RENEW = text("""
WITH moved AS (UPDATE cases SET version = :version, last_event = :event_id WHERE case_id = :case_id)
UPDATE leases SET expires_at = :expires_at WHERE case_id = :case_id
""")

# Cases whose lease has ended; those that somebody is busy with come next time.
LOCK_EXPIRED = text(f"""
SELECT {_CASE} FROM leases AS l JOIN cases AS c ON c.case_id = l.case_id
WHERE l.expires_at <= statement_timestamp() AND c.state = 'claimed'
ORDER BY l.expires_at LIMIT :most
FOR NO KEY UPDATE OF c SKIP LOCKED
""")

# Ends leases and makes their cases waiting again.
TAKE_BACK = text("""
WITH ended AS (DELETE FROM leases WHERE case_id = ANY(CAST(:case_id AS uuid[])))
UPDATE cases AS c SET state = 'queued', version = n.version, last_event = n.event_id
FROM unnest(CAST(:case_id AS uuid[]), CAST(:version AS integer[]), CAST(:event_id AS uuid[]))
    AS n (case_id, version, event_id)
WHERE c.case_id = n.case_id
""")


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims: their name, the digests by which they would appear as a reporter, and the queues they work on."""

    name: str
    digests: tuple[bytes, ...]
    queues: tuple[str, ...] | None = None


async def own_cases(connection: AsyncConnection, reviewer: str, most: int) -> list[UUID]:
    """The cases that a reviewer holds now, the oldest first."""
    return list((await connection.execute(OWN, {"reviewer": reviewer, "most": most})).scalars())


async def any_ended(connection: AsyncConnection) -> bool:
    """Whether there is something to sweep."""
    return bool((await connection.execute(ENDED)).scalar_one())


async def claim_next(connection: AsyncConnection, claimant: Claimant, terms: Terms) -> UUID | None:
    """Gives the claimant the next case; None when none waits that they may have.

    One case a transaction: a claim waits for a P0 case that a batch has in hand, and must not hold another meanwhile.
    """
    queues = {"queues": None if claimant.queues is None else list(claimant.queues)}
    heads = in_order(*await _heads(connection, HEADS, queues))
    immediate = [head for head in heads if head.priority == IMMEDIATE]
    for head in immediate:
        row = await _lock(connection, LOCK_BY_RANK, head, claimant) or await _lock(
            connection, WAIT_BY_RANK, head, claimant
        )
        if row:
            return await _give(connection, row, claimant, terms)
    if len(heads) == len(immediate):
        return None
    if is_overdue_turn((await connection.execute(TURN)).scalar_one()):
        first = longest_overdue(*await _heads(connection, FIRST_DUE, queues))
        row = await _lock(connection, LOCK_BY_DUE, first, claimant) if first else None
        if row:
            return await _give(connection, row, claimant, terms)
    for head in heads[len(immediate) :]:
        row = await _lock(connection, LOCK_BY_RANK, head, claimant)
        if row:
            return await _give(connection, row, claimant, terms)
    return None


async def renew(connection: AsyncConnection, token: UUID, reviewer: str, terms: Terms) -> Lease:
    """Moves the end of a lease; the lease as it now is.

    Raises:
        LeaseLost: unknown, another's, or ended.
    """
    row, lease, at = await _held(connection, token, reviewer)
    expires_at = terms.renewed_until(lease, at)
    version = row.version + 1
    event_id = change_id(row.case_id, CaseChange.RENEWED, version)
    await connection.execute(
        RENEW, {"case_id": row.case_id, "version": version, "event_id": event_id, "expires_at": expires_at}
    )
    await record(
        connection,
        [
            _change(
                row,
                CaseChange.RENEWED,
                to_state=CaseState.CLAIMED,
                at=at,
                actor=reviewer,
                why="renewed",
                fence=lease.fence,
                expires_at=expires_at,
            )
        ],
    )
    return lease.until(expires_at)


async def release(connection: AsyncConnection, token: UUID, reviewer: str) -> UUID:
    """Ends a lease before its time and puts the case back; the case's id.

    Raises:
        LeaseLost: unknown, another's, or ended.
    """
    row, lease, at = await _held(connection, token, reviewer)
    released = _change(
        row,
        CaseChange.RELEASED,
        to_state=CaseState.QUEUED,
        at=at,
        actor=reviewer,
        why="released",
        fence=lease.fence,
    )
    await _take_back(connection, [released])
    return lease.case_id


async def sweep(connection: AsyncConnection) -> int:
    """Puts cases with ended leases back into the queue, at most `SWEEP_CASES` of them; how many it found."""
    await keep_to_indexes(connection)
    rows = (await connection.execute(LOCK_EXPIRED, {"most": SWEEP_CASES})).all()
    if not rows:
        return 0
    at = await clock(connection)
    fences = {
        lease.case_id: lease.fence
        for lease in await leases_of(connection, [row.case_id for row in rows])
        if not lease.alive(at)
    }
    await _take_back(
        connection,
        [
            _change(
                row,
                CaseChange.EXPIRED,
                to_state=CaseState.QUEUED,
                at=at,
                actor=ITSELF,
                why="lease_ended",
                fence=fences[row.case_id],
            )
            for row in rows
            if row.case_id in fences
        ],
    )
    return len(rows)


async def _heads(
    connection: AsyncConnection, query: TextClause, queues: dict[str, list[str] | None]
) -> tuple[list[Head], datetime]:
    """The heads, and the moment at which they are compared."""
    rows = (await connection.execute(query, queues)).all()
    return [Head(*row[:-1]) for row in rows], rows[0][-1] if rows else _NEVER


async def _lock(connection: AsyncConnection, query: TextClause, head: Head, claimant: Claimant) -> Row[Any] | None:
    wanted: dict[str, object] = {"queue": head.queue, "candidates": CANDIDATES, "myself": list(claimant.digests)}
    if query is not LOCK_BY_DUE:
        wanted |= {"class": head.priority, "target_seconds": head.target_seconds}
    return (await connection.execute(query, wanted)).one_or_none()


async def _give(connection: AsyncConnection, row: Row[Any], claimant: Claimant, terms: Terms) -> UUID:
    at = await clock(connection)
    fence = row.fence + 1
    expires_at = terms.granted_until(at)
    claimed = _change(
        row,
        CaseChange.CLAIMED,
        to_state=CaseState.CLAIMED,
        at=at,
        actor=claimant.name,
        why="claim",
        fence=fence,
        expires_at=expires_at,
    )
    await connection.execute(
        GIVE,
        {
            "case_id": row.case_id,
            "version": claimed.version,
            "fence": fence,
            "event_id": claimed.event_id,
            "token": uuid4(),
            "reviewer": claimant.name,
            "at": at,
            "expires_at": expires_at,
        },
    )
    await record(connection, [claimed])
    case_id: UUID = row.case_id
    return case_id


async def _held(connection: AsyncConnection, token: UUID, reviewer: str) -> tuple[Row[Any], Lease, datetime]:
    """The case, locked, and the lease that a reviewer holds on it by this token."""
    await keep_to_indexes(connection)
    case_id = (await connection.execute(OF_TOKEN, {"token": token})).scalar_one_or_none()
    if case_id is None:
        raise LeaseLost(token)
    row = (await connection.execute(LOCK_CASE, {"case_id": case_id})).one()
    lease, at = await lease_now(connection, case_id)
    if lease is None or not lease.held_by(reviewer, token) or not lease.alive(at):
        raise LeaseLost(token)
    return row, lease, at


async def _take_back(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    if not changes:
        return
    case_ids = [change.case_id for change in changes]
    await connection.execute(
        TAKE_BACK,
        {
            "case_id": case_ids,
            "version": [change.version for change in changes],
            "event_id": [change.event_id for change in changes],
        },
    )
    await put_ready(connection, case_ids)
    await record(connection, changes)


def _change(
    row: Row[Any],
    change: CaseChange,
    *,
    to_state: CaseState,
    at: datetime,
    actor: str,
    why: str,
    fence: int,
    expires_at: datetime | None = None,
) -> Change:
    version = row.version + 1
    return Change(
        case_id=row.case_id,
        content_id=row.content_id,
        version=version,
        at=at,
        actor=actor,
        change=change,
        from_state=CaseState(row.state),
        to_state=to_state,
        why=why,
        priority=row.priority,
        queue=row.queue,
        due_at=row.due_at,
        report_count=row.report_count,
        event_id=change_id(row.case_id, change, version),
        cause_id=row.last_event,
        fence=fence,
        expires_at=expires_at,
        trace=row.trace,
    )

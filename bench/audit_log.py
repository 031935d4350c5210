"""A log of millions of entries, put into a throwaway database as fast as COPY takes them, with its tree.

Reports come to items as on a large platform: most items have one or two, a few have tens of thousands. Leaves have the
length of real ones, and every column a search goes by is filled as the consumers fill it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import asyncpg
from asyncpg.pgproto.pgproto import UUID

from bench.options import Advance
from services.audit.store.entries import SPAN_BITS
from services.audit.tiles import Edge
from services.audit.tree import leaf_hash

BEGIN = datetime(2026, 8, 1, tzinfo=UTC)
ENTRIES_A_REPORT = 4
"""Submitted, triaged, joined to a case, told its outcome; each case has a claim and a decision beside."""

REVIEWERS, SOURCES = 300, 40
# One report in twenty comes from a flagged source, and of these the first has a third.
_FLAGGED, _LARGEST_SOURCE = 0.05, 0.33
# One report in three is about something that many report.
# The most reported of these has about a hundredth of all reports.
_HOT, _HOT_ITEMS, _STEEP = 0.33, 20_000, 3
REPORTS_AT_ONCE = 2_000
_SECONDS_A_REPORT = 3
_OF_CASES, _BEFORE_CASES = ("claimed", "decided"), ("submitted", "triaged")
# In batches of reports.
_ALERT_EVERY = 3
# What a leaf has beside the fields below: ruling, sums and commitment; the lengths were those of a run of the pipeline.
_LENGTHS = {"submitted": 560, "triaged": 640, "joined": 700, "told": 620, "claimed": 420, "decided": 600, "alert": 400}
_FRAME = (
    b'{"actor":"%b",%b"detail":{"digest":"%b"},"event_time":"%b","id":"%b","offset":%d,"partition":%d,%b'
    b'"time":"%b","topic":"%b","type":"%b","v":1}'
)
# Of a leaf without its digest, about.
_FRAMED = 340
_MOST_SECONDS = 1_800
_COLUMNS = (
    "index", "identity", "event_id", "type", "at", "actor", "report_id", "case_id", "content_id", "source_id", "leaf",
)  # fmt: skip
_TOPICS = {
    "submitted": "reports.public.v1", "triaged": "triage.public.v1", "joined": "cases.v1", "told": "outcomes.v1",
    "claimed": "cases.v1", "decided": "decisions.v1", "alert": "activity.v1",
}  # fmt: skip
_TYPES = {
    "submitted": "jubao.report.submitted.v1", "triaged": "jubao.report.triaged.v1", "joined": "jubao.case.joined.v1",
    "told": "jubao.outcome.reached.v1", "claimed": "jubao.case.claimed.v1", "decided": "jubao.decision.made.v1",
    "alert": "jubao.activity.alert.v1",
}  # fmt: skip

_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'audit' AND tablename = 'entries' AND indexname <> 'entries_pkey'
"""
_QUICK = (
    "SET session_replication_role = replica",
    "SET synchronous_commit = off",
    "SET maintenance_work_mem = '1GB'",
    # What is read is the same; nobody restores this database after a crash.
    "ALTER TABLE audit.entries SET UNLOGGED",
)
_SETTLED = (
    "VACUUM (ANALYZE) audit.entries", "VACUUM (ANALYZE) audit.doings", "VACUUM (ANALYZE) audit.minutes",
    "VACUUM (ANALYZE) audit.tiles", "CHECKPOINT",
)  # fmt: skip
_HEAD = "UPDATE audit.head SET size = $1, root = $2"

Row = tuple[object, ...]


class _Report(NamedTuple):
    """One report: `opens` says that its case is new."""

    report: UUID
    content: str
    case: UUID
    source: str | None
    opens: bool


@dataclass
class Drawn:
    """Draws reports one after the other, and keeps what goes beside their entries until it is written."""

    random: Random
    index: int = 0
    reports: int = 0
    at: datetime = BEGIN
    cases: dict[str, UUID] = field(default_factory=dict)
    hashes: list[bytes] = field(default_factory=list)
    doings: set[tuple[str, int, str]] = field(default_factory=set)
    minutes: dict[datetime, list[int]] = field(default_factory=dict)
    noted: set[tuple[str, int, str]] = field(default_factory=set)

    def settle(self) -> None:
        """Forgets what was written, but for the span that goes on."""
        self.hashes.clear()
        self.minutes.clear()
        self.noted = {doing for doing in self.doings if doing[1] == self.index >> SPAN_BITS}
        self.doings.clear()

    def rows(self, reports: int) -> Iterator[Row]:
        """The entries of so many reports, in the order in which topics are read: one after the other."""
        drawn = [self._report() for _ in range(reports)]
        self.at = BEGIN + timedelta(seconds=_SECONDS_A_REPORT * self.reports)
        yield from (self._row("submitted", one.source or "app-backend", one) for one in drawn)
        yield from (self._row("triaged", "triage", one) for one in drawn)
        yield from (self._row("joined", "review", one) for one in drawn)
        for one in drawn:
            if one.opens:
                reviewer = f"reviewer-{self.random.randrange(REVIEWERS)}"
                yield self._row("claimed", reviewer, one)
                yield self._row("decided", reviewer, one)
        yield from (self._row("told", "outcomes", one) for one in drawn)
        if self.reports % (reports * _ALERT_EVERY) == 0:
            yield self._row("alert", "intake", None)
        self.reports += reports

    def _report(self) -> _Report:
        random = self.random
        hot = random.random() < _HOT
        number = int(random.random() ** _STEEP * _HOT_ITEMS) if hot else random.getrandbits(48) | 1 << 48
        content = f"v_{number:013x}"
        known = self.cases.get(content) if hot else None
        case = known or self._id()
        if hot:
            self.cases[content] = case
        source = None
        if random.random() < _FLAGGED:
            source = f"src-{0 if random.random() < _LARGEST_SOURCE else random.randrange(1, SOURCES):02d}"
        return _Report(self._id(), content, case, source, known is None)

    def _row(self, step: str, actor: str, one: _Report | None) -> Row:
        """An entry about a report, or about nothing; only some name the report, the case, the source."""
        index, identity, kind, at = self.index, self._id(), _TYPES[step], self.at
        self.index += 1
        report = one.report if one and step not in _OF_CASES else None
        case = one.case if one and step not in _BEFORE_CASES else None
        source = one.source if one and report else None
        content = one.content if one else None
        event = self._id() if step == "submitted" else None
        when = at.strftime("%Y-%m-%dT%H:%M:%S.000Z").encode()
        owners = _named("case_id", case) + _named("content_id", content)
        theirs = _named("report_id", report) + _named("source_id", source)
        rest = (when, str(event or identity).encode(), index, index % 6, theirs, when, _TOPICS[step].encode())
        digest = self.random.randbytes((_LENGTHS[step] - _FRAMED) // 2).hex().encode()
        leaf = _FRAME % (actor.encode(), owners, digest, *rest, kind.encode())
        self.hashes.append(leaf_hash(leaf))
        self.doings.add((actor, index >> SPAN_BITS, kind))
        minute = at.replace(second=0, microsecond=0)
        self.minutes.setdefault(minute, [index, index])[1] = index
        return (index, identity, event, kind, at, actor, report, case, content, source, leaf)

    def _id(self) -> UUID:
        return UUID(self.random.randbytes(16))


def _named(name: str, value: object) -> bytes:
    return b"" if value is None else f'"{name}":"{value}",'.encode()


async def build(database: str, entries: int, seed: int, advance: Advance) -> None:
    """Fills the log of a fresh database: entries, tiles, head, and what searches go by; then has it vacuumed.

    Args:
        database: its owner's address.
        entries: how many at least; it ends with the reports that were begun.
        seed: of what is drawn.
        advance: told of each entry.
    """
    connection = await asyncpg.connect(database, command_timeout=_MOST_SECONDS)
    try:
        for statement in _QUICK:
            await connection.execute(statement)
        indexes = await connection.fetch(_INDEXES)
        for name, _ in indexes:
            await connection.execute(f"DROP INDEX audit.{name}")
        drawn, edge = Drawn(Random(f"jubao audit log {seed}")), Edge()  # noqa: S311 -- to be the same again
        while drawn.index < entries:
            before = drawn.index
            edge = await _filled(connection, drawn, edge, list(drawn.rows(REPORTS_AT_ONCE)))
            advance(drawn.index - before)
        await connection.execute(_HEAD, edge.size, edge.root())
        for _, definition in indexes:
            await connection.execute(definition)
        for statement in _SETTLED:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _filled(connection: Any, drawn: Drawn, edge: Edge, rows: list[Row]) -> Edge:  # noqa: ANN401 -- untyped
    """The edge after some more entries, which are in the tables then."""
    edge, tiles = edge.extended(drawn.hashes)
    minutes = [(minute, *reach) for minute, reach in sorted(drawn.minutes.items())]
    doings = sorted(drawn.doings - drawn.noted)
    for table, columns, records in (
        ("entries", _COLUMNS, rows),
        ("tiles", ("level", "number", "hashes", "root"), tiles),
        ("doings", ("actor", "span", "type"), doings),
        ("minutes", ("minute", "first_index", "last_index"), minutes),
    ):
        await connection.copy_records_to_table(table, schema_name="audit", columns=columns, records=records)
    drawn.settle()
    return edge

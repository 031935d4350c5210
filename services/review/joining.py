"""What arriving reports do to a case. Pure: it is told what is known and what comes, and answers what follows.

Joins commute. All that a case keeps of its reports is a least or earliest of something (the earliest reception per
class, the least target per class, the best report, the most trusted description), so any order of arrival, and any
repetition, ends in the same case.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID

import orjson

from schemas.case import CaseChange
from schemas.envelope import derived_id
from schemas.vocabulary import CaseKind, CaseState
from services.review.ordering import CLASSES, IMMEDIATE, FirstAt, Rank, Targets, rank

# Reports of a hot item may each hold another snapshot of it; a case remembers so many, the least by their digits.
SNAPSHOTS_KEPT = 64

ValueT = TypeVar("ValueT")

_FIRST_CAUSE = UUID(int=0)
_DIGEST_BYTES = 16


def reporter_digest(name: str) -> bytes:
    """What tells reporters apart in a case without naming them: 16 bytes of SHA-256."""
    return hashlib.sha256(name.encode()).digest()[:_DIGEST_BYTES]


class Arrival(NamedTuple):
    """A triaged report as review takes it in.

    `priority` is its class as a number, 0 to 4; `digest` SHA-256 of the report, 32 bytes; `reporter` a digest that
    tells reporters apart without naming them; `data` and `ruling` are JSON texts kept as they are; `event_id` is that
    of the triaged event, `trace` its traceparent. A tuple, as all that is made for every report: a frozen dataclass of
    so many fields takes several times as long.
    """

    report_id: UUID
    event_id: UUID
    content_id: str
    digest: bytes
    attested: bool
    priority: int
    target_seconds: int
    queue: str
    received_at: datetime
    source_kind: str
    source_id: str | None
    reporter: bytes
    rule: str
    snapshot: str | None
    data: str
    ruling: str
    trace: bytes | None = None

    @property
    def content(self) -> str:
        """The report's description of the content, JSON text; few reports are asked for it, one for each case."""
        return orjson.dumps(orjson.loads(self.data)["content"]).decode()

    @property
    def actor(self) -> str:
        """Who acted, as the log may say it: a source that was vouched for by its id, all others by their kind."""
        return self.source_id if self.attested and self.source_id else self.source_kind


class Lead(NamedTuple):
    """The best report of a case, the earliest among equals: its ruling and queue are the case's."""

    priority: int
    received_at: datetime
    report_id: UUID
    queue: str


class Teller(NamedTuple):
    """The report whose description of the content the case shows: attested ones come first, then the earliest."""

    hearsay: bool
    received_at: datetime
    report_id: UUID


class Standing(NamedTuple):
    """All that a case keeps of its reports, and the rank that follows from it."""

    first_at: FirstAt
    targets: Targets
    lead: Lead
    teller: Teller
    snapshots: tuple[str, ...]
    rank: Rank

    @property
    def priority(self) -> int:
        """The case's class: the best of its reports'."""
        return self.lead.priority


def standing_of(
    first_at: FirstAt, targets: Targets, lead: Lead, teller: Teller, snapshots: tuple[str, ...]
) -> Standing:
    """A standing with its rank worked out."""
    return Standing(first_at, targets, lead, teller, snapshots, rank(first_at, targets))


def joined(before: Standing | None, arrival: Arrival) -> Standing:
    """The standing of a case after one more report; `before` itself, the same object, when nothing of it changes."""
    mine, received_at = arrival.priority, arrival.received_at
    lead = Lead(mine, received_at, arrival.report_id, arrival.queue)
    teller = Teller(not arrival.attested, received_at, arrival.report_id)
    if before is None:
        first_at = _placed((None,) * CLASSES, mine, received_at)
        targets = _placed((None,) * CLASSES, mine, arrival.target_seconds)
        return standing_of(first_at, targets, lead, teller, _with_snapshot((), arrival.snapshot))
    first, target = before.first_at[mine], before.targets[mine]
    earlier = first is None or received_at < first
    tighter = target is None or arrival.target_seconds < target
    snapshots = _with_snapshot(before.snapshots, arrival.snapshot)
    if not (earlier or tighter or lead < before.lead or teller < before.teller or snapshots is not before.snapshots):
        return before
    first_at = _placed(before.first_at, mine, received_at) if earlier else before.first_at
    targets = _placed(before.targets, mine, arrival.target_seconds) if tighter else before.targets
    return standing_of(first_at, targets, min(lead, before.lead), min(teller, before.teller), snapshots)


class Step(NamedTuple):
    """One report's effect on its case: what kind of change, and how the case stood right after it."""

    arrival: Arrival
    change: CaseChange
    version: int
    report_count: int
    standing: Standing
    event_id: UUID


@dataclass(slots=True)
class OpenCase:
    """A case on its way through a batch: as it was read, or new, and the steps that were added to it."""

    case_id: UUID
    content_id: str
    state: CaseState
    version: int
    report_count: int
    standing: Standing | None
    previous_case_id: UUID | None = None
    before: Standing | None = None
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.before = self.standing

    @property
    def is_new(self) -> bool:
        """Whether this batch opens it."""
        return self.before is None

    @property
    def now(self) -> Standing:
        """Its standing; only a new case before its first report has none, and no one asks then."""
        if self.standing is None:
            raise ValueError("a case has at least one report")
        return self.standing

    @property
    def becomes_immediate(self) -> bool:
        """Whether this batch lifts it to P0."""
        return self.before is not None and self.before.priority != IMMEDIATE and self.now.priority == IMMEDIATE

    def take(self, arrival: Arrival, *, counts: bool = True) -> None:
        """Adds a report; one that replaces its own earlier version does not count again."""
        before = self.standing
        self.standing = after = joined(before, arrival)
        if before is None:
            change = CaseChange.OPENED
        elif after.lead.priority < before.lead.priority:
            change = CaseChange.LIFTED
        else:
            change = CaseChange.JOINED
        self.version += 1
        self.report_count += counts
        event_id = derived_id(arrival.event_id, change)
        self.steps.append(Step(arrival, change, self.version, self.report_count, after, event_id))


def new_case(content_id: str, previous_case_id: UUID | None) -> OpenCase:
    """A case to be opened. Its id follows from the content and the case before it, whichever report comes first."""
    case_id = derived_id(previous_case_id or _FIRST_CAUSE, "case", CaseKind.REPORT, content_id)
    return OpenCase(case_id, content_id, CaseState.QUEUED, 0, 0, None, previous_case_id)


@dataclass(frozen=True, slots=True)
class DecidedCase:
    """The last decided case of a content item, as far as late reports are measured by it."""

    case_id: UUID
    priority: int
    decided_at: datetime
    snapshots: tuple[str, ...]


def is_late(arrival: Arrival, past: DecidedCase, at: datetime, late_report_days: int) -> bool:
    """Whether a report is answered by the decision there is, so that a hot item does not come back for ever.

    So it is for a recent decision about the same snapshot (equal, or none on either side) unless the report's class is
    better than the case's was: then somebody looks again.
    """
    recent = at - past.decided_at < timedelta(days=late_report_days)
    same = arrival.snapshot is None or not past.snapshots or arrival.snapshot in past.snapshots
    return recent and same and arrival.priority >= past.priority


class Known(NamedTuple):
    """The version of a report id that is already there."""

    case_id: UUID
    digest: bytes
    attested: bool
    reporter: bytes


@dataclass(slots=True)
class Sifted:
    """A batch after its repetitions are out: what comes in, in order, and the positions of what is refused."""

    accepted: list[Arrival]
    refused: list[int]


def sift(arrivals: Sequence[Arrival], known: Mapping[UUID, Known]) -> Sifted:
    """Takes out repeated report ids: equal ones silently, others with a refusal.

    A report id joins once. The first version of it stays, except that an attested version wins over one nobody vouched
    for: otherwise whoever learns a police report's id could have it refused by sending anything under it first.
    """
    winners: dict[UUID, int] = {}
    for position, arrival in enumerate(arrivals):
        held = winners.get(arrival.report_id)
        there = known.get(arrival.report_id) if held is None else arrivals[held]
        if there is None or (arrival.attested and not there.attested):
            winners[arrival.report_id] = position
    refused = []
    for position, arrival in enumerate(arrivals):
        winner = winners.get(arrival.report_id)
        stays = known[arrival.report_id] if winner is None else arrivals[winner]
        if winner != position and stays.digest != arrival.digest:
            refused.append(position)
    return Sifted([arrivals[position] for position in sorted(winners.values())], refused)


@dataclass(slots=True)
class Plan:
    """What a batch does: the cases it opens or adds to, by content, and the late reports of decided ones."""

    cases: dict[str, OpenCase]
    late: list[tuple[Arrival, UUID]]


def planned(
    arrivals: Iterable[Arrival],
    *,
    cases: Mapping[str, OpenCase],
    decided: Mapping[str, DecidedCase],
    known: Mapping[UUID, Known],
    at: datetime,
    late_report_days: int,
) -> Plan:
    """Gives every report its case: the open one of its content, the decided one it is late for, or a new one.

    Args:
        arrivals: the accepted reports, in order.
        cases: the open cases by content, locked; they take their steps.
        decided: the last decided case of contents without an open one.
        known: earlier versions of report ids that are being replaced.
        at: the database's clock.
        late_report_days: how long a decision answers late reports.
    """
    touched: dict[str, OpenCase] = {}
    late: list[tuple[Arrival, UUID]] = []
    for arrival in arrivals:
        case = touched.get(arrival.content_id) or cases.get(arrival.content_id)
        if case is None:
            past = decided.get(arrival.content_id)
            if past is not None and is_late(arrival, past, at, late_report_days):
                late.append((arrival, past.case_id))
                continue
            case = new_case(arrival.content_id, past.case_id if past else None)
        touched[arrival.content_id] = case
        earlier = known.get(arrival.report_id)
        case.take(arrival, counts=earlier is None or earlier.case_id != case.case_id)
    return Plan(touched, late)


def _with_snapshot(kept: tuple[str, ...], snapshot: str | None) -> tuple[str, ...]:
    if snapshot is None or snapshot in kept or (len(kept) == SNAPSHOTS_KEPT and snapshot > kept[-1]):
        return kept
    return tuple(sorted((*kept, snapshot))[:SNAPSHOTS_KEPT])


def _placed(row: tuple[ValueT | None, ...], place: int, value: ValueT) -> tuple[ValueT | None, ...]:
    return (*row[:place], value, *row[place + 1 :])

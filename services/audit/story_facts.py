"""What a story is made of: entries as they are read for it, the people in them, and lengths of time.

Nobody is called by name. Who claims, decides or looks is a role and a letter, the same throughout one story; the
reporter is in no leaf and so in no story.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from schemas.decision import MADE
from schemas.report import SUBMITTED
from schemas.vocabulary import Lane, Word
from services.audit.altered import reading

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Fact:
    """An entry as a story reads it: its leaf's fields by name, `logged_at` the broker's time, `at` the event's own."""

    index: int
    type: str
    logged_at: datetime
    at: datetime
    actor: str
    report_id: str | None
    case_id: str | None
    content_id: str | None
    source_id: str | None
    hidden: bool
    detail: Mapping[str, Any]

    def time(self, name: str) -> datetime | None:
        """A time of the detail; none where it is absent."""
        value = self.detail.get(name)
        return datetime.fromisoformat(value) if isinstance(value, str) else None

    def word(self, name: str) -> str:
        """A code or number of the detail as text, `?` where it is absent."""
        value = self.detail.get(name)
        return "?" if value is None else str(value)

    def words(self, name: str) -> list[str]:
        """A list of codes of the detail."""
        value = self.detail.get(name)
        return [str(one) for one in value] if isinstance(value, list) else []


def fact_of(index: int, leaf: bytes) -> Fact:
    """An entry, read out of its leaf.

    Raises:
        Altered: the leaf is none as we write them.
    """
    with reading(index):
        body: Mapping[str, Any] = orjson.loads(leaf)
        detail = {**body["detail"], "topic": body["topic"]}
        logged_at = datetime.fromisoformat(body["time"]).astimezone(UTC)
        # A case's changes and decisions say when they happened, by the clock that counts; all else goes by the
        # broker's.
        own = detail.get("decided_at") if body["type"] == MADE and not detail.get("late") else detail.get("at")
        return Fact(
            index=index,
            type=body["type"],
            logged_at=logged_at,
            at=datetime.fromisoformat(own) if own else logged_at,
            actor=body["actor"],
            report_id=body.get("report_id"),
            case_id=body.get("case_id"),
            content_id=body.get("content_id"),
            source_id=body.get("source_id"),
            hidden="commitment" in body,
            detail=detail,
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """Entries that one sentence tells of together: one, or several of a kind in a row.

    `own` says whether they are about the report of the story and not about others of its case; `again` whether the
    story has told of the same before.
    """

    facts: Sequence[Fact]
    own: bool
    again: bool = False

    @property
    def first(self) -> Fact:
        """The earliest."""
        return self.facts[0]

    @property
    def last(self) -> Fact:
        """The latest."""
        return self.facts[-1]

    @property
    def count(self) -> int:
        """How many."""
        return len(self.facts)


@dataclass(frozen=True, slots=True)
class Waited:
    """How long a report waited until `until`, in seconds, and of that how long a reviewer had its case."""

    since: datetime
    until: datetime
    total: int
    held: int
    due_at: datetime | None

    @property
    def queued(self) -> int:
        """How long nobody had it."""
        return self.total - self.held

    @property
    def in_time(self) -> bool:
        """Whether it came to an end by the time that was set for it."""
        return self.due_at is None or self.until <= self.due_at


class Cast:
    """Who appears in a story, each person with a number from 0 on in the order of appearance."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of a person, the same each time."""
        return self._numbers.setdefault(name, len(self._numbers))


@dataclass(frozen=True, slots=True)
class Stage:
    """What a sentence is put into words by: whose story, in which time zone, with which people."""

    report_id: str
    zone: ZoneInfo
    cast: Cast

    def local(self, moment: datetime) -> datetime:
        """A time as clocks of the zone show it."""
        return moment.astimezone(self.zone)


Wording = Callable[[Scene, Stage], str]


@dataclass(frozen=True, slots=True)
class Tongue:
    """A language: how it tells of each type, of a type it does not know, of a wait, and of what has not come yet."""

    wordings: Mapping[str, Wording]
    unknown: Wording
    waited: Callable[[Waited], str]
    undecided: Callable[[Fact, Stage], str]


def offset_of(moment: datetime) -> str:
    """The offset of a local time from UTC, as `+08:00`."""
    return moment.isoformat(timespec="seconds")[-6:]


def parts_of_time(seconds: int) -> list[tuple[int, str]]:
    """A length of time in its two largest units: 3 min and 12 s, 2 d and 5 h."""
    found: list[tuple[int, str]] = []
    left = seconds
    for size, unit in _UNITS:
        number, left = divmod(left, size)
        if number or found:
            found.append((number, unit))
    return [(number, unit) for number, unit in found[:2] if number] or [(0, "s")]


def meaning(words: type[Word], value: str, *, chinese: bool) -> str:
    """What a word of the vocabulary means, without its full stop; the bare word where it is unknown."""
    try:
        word = words(value)
    except ValueError:
        return value
    sentence = word.sentence_zh if chinese else word.sentence
    return sentence.rstrip("。.")


def held_seconds(spells: Iterable[tuple[datetime, datetime]], since: datetime, until: datetime) -> int:
    """How many whole seconds between two times are covered by spells, which may overlap."""
    covered, reached = timedelta(), since
    for start, end in sorted(spells):
        begin, finish = max(start, reached), min(end, until)
        if finish > begin:
            covered += finish - begin
            reached = finish
    return int(covered.total_seconds())


def same_report(fact: Fact, report_id: str) -> bool:
    """Whether an entry is about one report, or about its case as a whole."""
    return fact.report_id is None or UUID(fact.report_id) == UUID(report_id)


def is_flagged(fact: Fact) -> bool:
    """Whether an entry is a report's submission by a flagged source, which it names."""
    return fact.type == SUBMITTED and fact.detail.get("lane") == Lane.FLAGGED and fact.source_id is not None

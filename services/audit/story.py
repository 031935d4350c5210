"""A report's way in sentences: a pure function from entries to plain words, each sentence with the entries it rests on.

Nothing is told that no entry says, and no entry of the report or of its case is left out. What happens often and alike
(other reports that join, renewals) is told in one sentence that names all its entries.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from schemas.activity import ALERT, POLICY_LOADED, VIEWED
from schemas.case import CaseChange
from schemas.decision import MADE
from schemas.outcome import REACHED
from schemas.report import SUBMITTED
from schemas.source import ATTESTER_CHANGED, SOURCE_CHANGED
from schemas.triage import TRIAGED
from services.audit import story_en, story_zh
from services.audit.leaf import UNREADABLE
from services.audit.story_facts import Cast, Fact, Scene, Stage, Tongue, Waited, held_seconds, same_report

_CLAIMED: Final = CaseChange.CLAIMED.event_type
_RENEWED: Final = CaseChange.RENEWED.event_type
_GIVEN_BACK: Final = frozenset({CaseChange.RELEASED.event_type, CaseChange.EXPIRED.event_type})
# What befalls the reports of a case by the hundred.
_CROWDED: Final = frozenset({CaseChange.JOINED.event_type, CaseChange.ATTACHED.event_type, REACHED})
# What the entries of one sentence have in common.
_ALIKE: Final = ("verdict", "late", "what", "role")
# Of the same millisecond, what leads to another comes first.
_ORDER: Final[Mapping[str, int]] = {
    name: place
    for place, name in enumerate((
        UNREADABLE, POLICY_LOADED, ATTESTER_CHANGED, SOURCE_CHANGED, SUBMITTED, TRIAGED, ALERT,
        *(change.event_type for change in CaseChange), MADE, REACHED, VIEWED,
    ))
}  # fmt: skip


class Language(StrEnum):
    """A language that stories are told in."""

    CHINESE = "zh"
    ENGLISH = "en"


TONGUES: Final[Mapping[Language, Tongue]] = {
    Language.CHINESE: story_zh.TONGUE,
    Language.ENGLISH: story_en.TONGUE,
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, when it happened, and the indexes of the entries that say so."""

    text: str
    entries: tuple[int, ...]
    at: datetime


def told(report_id: UUID, facts: Iterable[Fact], language: Language, zone: ZoneInfo) -> list[Sentence]:
    """The story of a report.

    Args:
        report_id: whose story.
        facts: entries of the report and of its case, in any order.
        language: of the sentences.
        zone: whose clocks the times are told by.
    """
    ordered = sorted(facts, key=lambda fact: (fact.logged_at, _ORDER.get(fact.type, len(_ORDER)), fact.index))
    stage = Stage(str(report_id), zone, Cast())
    tongue = TONGUES[language]
    sentences: list[Sentence] = []
    decided = False
    for scene in _scenes(ordered, stage):
        say = tongue.wordings.get(scene.first.type, tongue.unknown)
        sentences.append(_sentence(say(scene, stage), scene.facts, scene.first.at, stage))
        if scene.first.type == MADE and not decided:
            decided = True
            wait = _wait(ordered, scene.first)
            if wait is not None:
                waited, said_by = wait
                sentences.append(_sentence(tongue.waited(waited), said_by, waited.until, stage))
    if ordered and not decided:
        sentences.append(_sentence(tongue.undecided(ordered[-1], stage), ordered[-1:], ordered[-1].at, stage))
    return sentences


def _sentence(text: str, facts: Sequence[Fact], at: datetime, stage: Stage) -> Sentence:
    return Sentence(text, tuple(sorted({fact.index for fact in facts})), stage.local(at))


def _scenes(facts: Sequence[Fact], stage: Stage) -> Iterator[Scene]:
    """The entries in order, those put together that one sentence tells of."""
    seen: set[tuple[str, bool, str]] = set()
    scene: list[Fact] = []
    for fact in facts:
        if scene and not _belongs(fact, scene[0], stage):
            yield _noted(scene, stage, seen)
            scene = []
        scene.append(fact)
    if scene:
        yield _noted(scene, stage, seen)


def _noted(facts: list[Fact], stage: Stage, seen: set[tuple[str, bool, str]]) -> Scene:
    first = facts[0]
    own = same_report(first, stage.report_id)
    # A decision comes in parts, a case is claimed again: only what belongs to one of these is the same once more.
    kind = (first.type, own, str(first.detail.get("decision_id", "")) + str(first.detail.get("late", "")))
    scene = Scene(tuple(facts), own)
    again = kind in seen
    seen.add(kind)
    return replace(scene, again=again)


def _belongs(fact: Fact, first: Fact, stage: Stage) -> bool:
    """Whether an entry goes with those before it: others' reports, one holder's renewals, one's looks."""
    if fact.type != first.type or fact.case_id != first.case_id:
        return False
    if fact.type in _CROWDED:
        return not same_report(fact, stage.report_id) and not same_report(first, stage.report_id) and _like(fact, first)
    if fact.type == VIEWED:
        return fact.actor == first.actor and _like(fact, first)
    return fact.type == _RENEWED and fact.actor == first.actor


def _like(fact: Fact, first: Fact) -> bool:
    return all(fact.detail.get(name) == first.detail.get(name) for name in _ALIKE)


def _wait(facts: Sequence[Fact], decision: Fact) -> tuple[Waited, list[Fact]] | None:
    """How long the report waited for the decision, and the entries that say so; none if it came after it."""
    arrived = next((fact for kind in (TRIAGED, SUBMITTED) for fact in facts if fact.type == kind), None)
    until = decision.time("decided_at") or decision.at
    since = _received(arrived) if arrived is not None else None
    if arrived is None or since is None or since > until or decision.detail.get("late"):
        return None
    case = [fact for fact in facts if fact.case_id == decision.case_id and fact.at <= until]
    steps = [fact for fact in case if fact.type == _CLAIMED or fact.type in _GIVEN_BACK]
    spells, taken = [], None
    for step in sorted(steps, key=lambda fact: (fact.at, fact.index)):
        if step.type == _CLAIMED:
            taken = taken or step.at
        elif taken is not None:
            spells.append((taken, step.at))
            taken = None
    if taken is not None:
        spells.append((taken, until))
    dated = [fact for fact in case if fact.time("due_at") is not None]
    due = max(dated, key=lambda fact: (fact.at, fact.index), default=None)
    waited = Waited(
        since=since,
        until=until,
        total=int((until - since).total_seconds()),
        held=held_seconds(spells, since, until),
        due_at=due.time("due_at") if due else None,
    )
    return waited, [arrived, *steps, *([due] if due else []), decision]


def _received(fact: Fact) -> datetime | None:
    return fact.time("received_at") or (fact.at if fact.type == SUBMITTED else None)

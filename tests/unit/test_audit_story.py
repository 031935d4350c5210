"""A report's story: every entry is named and none invented, in both languages; waits are told as they were."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas.registry import EVENTS
from schemas.topics import CHECKPOINTS, TOPICS
from services.audit.leaf import UNREADABLE
from services.audit.reading import LOGGED, Reader
from services.audit.search import TYPES
from services.audit.story import TONGUES, Language, Sentence, told
from services.audit.story_facts import Fact, fact_of, held_seconds, parts_of_time
from services.cli.auditing.story import language

REPORT, OTHER = UUID(int=70), UUID(int=80)
SOMEBODY = "zq81-wang"
SHANGHAI, LISBON = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Lisbon")
BEGIN = datetime(2026, 11, 23, 8, tzinfo=UTC)
SPACE = UUID("5d0c1d2e-7f0a-5b53-9d0c-5f6d0b8f3a11")
EXAMPLES = Path(schemas.__file__).parent / "examples"


class At:
    """A record's place."""

    def __init__(self, topic: str, offset: int, at: datetime) -> None:
        self.topic, self.partition, self.offset, self.at = topic, 0, offset, at


def leaves() -> list[dict[str, Any]]:
    """The leaf of every example of every type on every topic that takes it, and of one that cannot be read."""
    found: list[dict[str, Any]] = []
    for topic in LOGGED:
        reader = Reader(topic)
        values = [path.read_bytes() for name in topic.events for path in sorted(_folder(name).glob("*.json"))]
        for value in [*values, b"{}"]:
            leaf, _ = reader.leaf_or_unreadable(At(topic.name, len(found), BEGIN), value, bytes(32))
            found.append(orjson.loads(leaf.body))
    return found


def _folder(name: str) -> Path:
    family, _, version = name.rpartition(".")
    return EXAMPLES / family / version


LEAVES = leaves()


@st.composite
def stories(draw: st.DrawFn) -> list[Fact]:
    """Entries of a report and of others of its case, of any type, number and order."""
    chosen = draw(st.lists(st.sampled_from(LEAVES), min_size=1, max_size=30))
    facts = []
    for number, leaf in enumerate(chosen):
        at = BEGIN + timedelta(milliseconds=draw(st.integers(0, 10_000_000)))
        body = {
            **leaf,
            "actor": f"{SOMEBODY}-{draw(st.integers(0, 40))}",
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if "report_id" in body:
            body["report_id"] = str(draw(st.sampled_from([REPORT, OTHER])))
        if "case_id" in body:
            body["case_id"] = str(UUID(int=9))
        facts.append(fact_of(number * 3, orjson.dumps(body)))
    return draw(st.permutations(facts))


@given(stories(), st.sampled_from(Language), st.sampled_from([SHANGHAI, LISBON]))
def test_every_entry_is_named_and_none_is_invented(facts: list[Fact], lang: Language, zone: ZoneInfo) -> None:
    """Each entry is named by a sentence, each sentence names entries of the story, in their order and once."""
    sentences = told(REPORT, facts, lang, zone)
    assert {index for sentence in sentences for index in sentence.entries} == {fact.index for fact in facts}
    for sentence in sentences:
        assert sentence.entries
        assert list(sentence.entries) == sorted(set(sentence.entries))
        assert sentence.text.endswith("。" if lang is Language.CHINESE else ".")
        assert "None" not in sentence.text
        assert "?" not in sentence.text
        assert sentence.at.tzinfo is zone


@given(stories(), st.sampled_from(Language), st.randoms(use_true_random=False))
def test_the_order_of_the_entries_given_makes_no_difference(facts: list[Fact], lang: Language, random: Any) -> None:
    """The same entries in any order are the same story."""
    first = told(REPORT, facts, lang, SHANGHAI)
    random.shuffle(facts)
    assert told(REPORT, facts, lang, SHANGHAI) == first


@given(stories(), st.sampled_from(Language))
def test_nobody_is_called_by_name(facts: list[Fact], lang: Language) -> None:
    """Whoever did something stands in no sentence by name."""
    text = " ".join(sentence.text for sentence in told(REPORT, facts, lang, SHANGHAI))
    assert SOMEBODY not in text


@pytest.mark.parametrize("lang", Language)
def test_every_type_has_its_words_in_both_languages(lang: Language) -> None:
    """Each event of each logged topic, and the unreadable record, has a wording of its own in each language."""
    events = {name for topic in TOPICS if topic is not CHECKPOINTS for name in topic.events} | {UNREADABLE}
    assert events == set(TYPES)
    assert events <= set(EVENTS) | {UNREADABLE}
    assert set(TONGUES[lang].wordings) == events


@pytest.mark.parametrize("lang", Language)
def test_a_type_from_a_later_version_is_told_by_its_name(lang: Language) -> None:
    """An entry of a type that this version does not know is named all the same."""
    body = {**LEAVES[0], "type": "jubao.case.dreamt.v1", "time": "2026-11-23T08:00:00.000Z", "report_id": str(REPORT)}
    first = told(REPORT, [fact_of(4, orjson.dumps(body))], lang, SHANGHAI)[0]
    assert "jubao.case.dreamt.v1" in first.text
    assert first.entries == (4,)


def step(index: int, name: str, seconds: int, actor: str = "wang", /, **detail: object) -> Fact:
    """An entry of the story below: case 9, so many seconds after its begin."""
    at = BEGIN + timedelta(seconds=seconds)
    text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    report = detail.pop("report", REPORT)
    about = {"report_id": str(report)} if name in {"submitted", "triaged", "opened", "joined"} else {}
    family = {"submitted": "report", "triaged": "report", "made": "decision", "reached": "outcome"}.get(name, "case")
    ids = {} if family == "report" else {"case_id": str(UUID(int=9))}
    own_time = {"at": text} if family == "case" else {}
    body = {
        "v": 1, "id": str(uuid5(SPACE, str(index))), "type": f"jubao.{family}.{name}.v1", "topic": "t.v1", "time": text,
        "actor": actor, "content_id": "v_1", "detail": {**own_time, **detail}, **about, **ids,
    }  # fmt: skip
    return fact_of(index, orjson.dumps(body))


def texts(sentences: Sequence[Sentence]) -> list[str]:
    return [sentence.text for sentence in sentences]


DUE = "2026-11-23T08:05:00.000000Z"
CLAIM = {"class": "P0", "due_at": DUE, "expires_at": "2026-11-23T08:01:30.000000Z"}
RULE = {"policy": "default", "version": "1", "rule": "police_immediate", "class": "P0", "queue": "general"}
WAY = [
    step(0, "submitted", 0, "p", lane="flagged", channel="police_one_click", source_kind="police",
         content_type="video", category="scams_and_fraud"),
    step(1, "triaged", 1, "triage", received_at="2026-11-23T08:00:00.000000Z", target_seconds=300, **RULE),
    step(2, "opened", 2, "triage", **CLAIM, queue="general"),
    step(3, "claimed", 30, "wang", **CLAIM),
    step(4, "expired", 90, "review", **CLAIM),
    step(5, "claimed", 120, "li", **CLAIM),
    *(step(n, "joined", 115 + n, "triage", report=UUID(int=n), report_count=n - 4, due_at=DUE) for n in range(6, 11)),
    step(11, "made", 192, "li", decided_at="2026-11-23T08:03:12.000000Z", decision_id="d", verdict="no_violation",
         **RULE),
]  # fmt: skip


def test_waits_are_told_as_they_were() -> None:
    """A report that two reviewers had for 60 and 72 of its 192 seconds waited that long, in both languages."""
    english, chinese = (told(REPORT, WAY, lang, SHANGHAI) for lang in (Language.ENGLISH, Language.CHINESE))
    assert english[-1].text == (
        "Until the decision the report had waited 3 min 12 s since its reception, of which 1 min in the queue and "
        "2 min 12 s with a reviewer; that was in time."
    )
    assert english[-1].entries == (1, 3, 4, 5, 10, 11)
    assert chinese[-1].text == "自收到举报至作出决定共历时3分12秒，其中排队1分，审核员处理2分12秒；未超时限。"


def test_people_keep_their_letter_and_crowds_are_one_sentence() -> None:
    """The second reviewer is B at the claim and at the decision; five other reports that join are one sentence."""
    found = told(REPORT, WAY, Language.ENGLISH, SHANGHAI)
    said = texts(found)
    assert "reviewer A claimed" in said[3]
    assert "reviewer B claimed" in said[5]
    assert "reviewer B decided" in said[7]
    assert "2026-11-23 16:03:12 +08:00" in said[7]
    assert found[6].entries == (6, 7, 8, 9, 10)
    assert "5 other reports of the same item" in said[6]
    assert "审核员乙作出决定：未发现违规；不采取措施。" in texts(told(REPORT, WAY, Language.CHINESE, SHANGHAI))[7]


def test_a_report_without_decision_is_said_to_have_none() -> None:
    """Where no decision is among the entries the last sentence says so, by the last entry."""
    last = told(REPORT, WAY[:5], Language.ENGLISH, LISBON)[-1]
    assert last.text == "Up to this entry, of 2026-11-23 08:01:30 +00:00, the log knows of no decision."
    assert last.entries == (4,)


def test_lengths_of_time() -> None:
    """A length of time has its two largest units; spells that overlap count once, and only within the wait."""
    told_as = [parts_of_time(seconds) for seconds in (0, 59, 60, 3_605, 90_061)]
    assert told_as == [[(0, "s")], [(59, "s")], [(1, "min")], [(1, "h")], [(1, "d"), (1, "h")]]
    spells = [(0, 20), (10, 30), (50, 90)]
    moments = [(BEGIN + timedelta(seconds=a), BEGIN + timedelta(seconds=b)) for a, b in spells]
    assert held_seconds(moments, BEGIN + timedelta(seconds=5), BEGIN + timedelta(seconds=60)) == 35


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"JUBAO_LANG": "zh", "LANG": "en_GB.UTF-8"}, "zh"),
        ({"JUBAO_LANG": "fr", "LC_MESSAGES": "zh_CN"}, "zh"),
    ],
)
def test_the_language_of_whoever_asks(environment: dict[str, str], expected: str) -> None:
    """JUBAO_LANG comes first, then the locale's language; English where neither is one that stories are told in."""
    assert language(environment) == expected

"""The reports that every contestant is given: drawn from a seed, sized and repeated as on a large platform."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import orjson

from services.cli.demo.texts import CHINESE, HANDLES, PLACES, Texts

REPORTS_AN_ITEM = 3.0
"""On average. Most items have one or two, a few have thousands."""

LEAST_BYTES, MOST_BYTES = 570, 935
"""Of a record's value."""

# Exponent of the Pareto law by which items draw what goes beyond one report each: the smaller, the hotter.
_TAIL = 1.2
_WITH_URL = 0.5
_EXPLAINED = 0.6
_IN_DANGER = 0.01
_DANGEROUS = frozenset({"self_harm", "violence", "protection_of_minors"})
_CHANNELS = ("one_click", "one_click", "one_click", "one_click", "web_form", "mention")
_TYPES = ("video", "video", "comment", "live", "text", "image")


@dataclass(frozen=True, slots=True)
class Submission:
    """One record of the public topic: its key (the content's id) and its value, an event in JSON."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class _Item:
    content: dict[str, str]
    category: str
    texts: Texts
    words: dict[str, str]


def submissions(seed: int, count: int) -> list[Submission]:
    """`count` reports in the order they are sent, the same for a seed; items come back all the way through."""
    random = Random(f"jubao bench {seed}")  # noqa: S311 -- to be the same again, not to be secret
    items = [_item(random) for _ in range(max(1, round(count / REPORTS_AN_ITEM)))]
    heat = [random.paretovariate(_TAIL) for _ in items]
    chosen = [*items, *random.choices(items, heat, k=count - len(items))]
    random.shuffle(chosen)
    return list(_written(random, chosen))


def _item(random: Random) -> _Item:
    category, texts = random.choice(list(CHINESE.items()))
    words = {
        "handle": f"{random.choice(HANDLES['zh'])}{random.randrange(10**7):07d}",
        "place": random.choice(PLACES["zh"]),
        "number": str(random.randrange(2, 99)),
        "sum": str(random.randrange(50, 9_999)),
    }
    content_id = f"v_{random.getrandbits(64):016x}"
    content = {
        "id": content_id,
        "type": random.choice(_TYPES),
        "author": f"a_{random.getrandbits(40):010x}",
        "language": "zh",
        "region": f"CN-{random.randrange(11, 66)}",
        "excerpt": random.choice(texts.excerpts).format(**words),
    }
    if random.random() < _WITH_URL:
        content["url"] = f"https://example.org/{content_id}"
    return _Item(content, category.value, texts, words)


def _written(random: Random, chosen: list[_Item]) -> Iterator[Submission]:
    for item in chosen:
        event = _event(random, item)
        # People write nothing, a word or a whole story: it is what makes one record longer than another.
        if random.random() < _EXPLAINED:
            explanation = random.choice(item.texts.explanations).format(**item.words)
            event["data"]["explanation"] = explanation
            room = random.randrange(LEAST_BYTES, MOST_BYTES + 1) - len(orjson.dumps(event))
            event["data"]["explanation"] += f"，{explanation}" * (max(room, 0) // len(f"，{explanation}".encode()))
        yield Submission(item.content["id"].encode(), orjson.dumps(event))


def _event(random: Random, item: _Item) -> dict[str, Any]:
    report_id = str(UUID(int=random.getrandbits(128), version=4))
    data = {
        "report_id": report_id,
        "channel": random.choice(_CHANNELS),
        "reporter": f"u_{random.getrandbits(48):012x}",
        "occurred_at": f"2026-11-22T{random.randrange(24):02d}:{random.randrange(60):02d}:00Z",
        "source": {"kind": "user"},
        "content": item.content,
        "category": item.category,
    }
    if item.category in _DANGEROUS and random.random() < _IN_DANGER:
        data["keyword"] = "imminent_harm"
    return {
        "specversion": "1.0",
        "id": str(UUID(int=random.getrandbits(128), version=4)),
        "source": "app-backend",
        "type": "jubao.report.submitted.v1",
        "time": "2026-11-22T23:59:59Z",
        "subject": report_id,
        "datacontenttype": "application/json",
        "data": data,
    }

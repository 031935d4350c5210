"""Ordinary reports in the proportions of public filings, all of them drawn from a seed. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from schemas.report import Content, Report, ReportSource
from schemas.vocabulary import Category, Channel, ContentType, SourceKind
from services.cli.demo.texts import CHINESE, ENGLISH, HANDLES, PLACES, Texts

REPORTS = 10_000
REPORTS_AN_ITEM = 3.1
"""On average, as large platforms file; most items have one or two, a few have hundreds."""

# Exponent of the Pareto law by which items draw what goes beyond one report each: the smaller, the hotter.
_TAIL = 1.2
_REPORTERS = 20_000

# How often an item is of a category, of a kind and in a language, in hundredths.
_CATEGORIES = {
    Category.SCAMS: 20, Category.SPEECH: 14, Category.CYBER_VIOLENCE: 10, Category.OTHER_TERMS: 9,
    Category.MINORS: 7, Category.VIOLENCE: 6, Category.CONSUMER_INFORMATION: 5, Category.DATA_PROTECTION: 5,
    Category.CIVIC_DISCOURSE: 5, Category.INTELLECTUAL_PROPERTY: 4, Category.NOT_SPECIFIED: 4,
    Category.UNSAFE_PRODUCTS: 4, Category.CYBER_VIOLENCE_AGAINST_WOMEN: 3, Category.SELF_HARM: 2,
    Category.PUBLIC_SECURITY: 1, Category.ANIMAL_WELFARE: 1,
}  # fmt: skip
_TYPES = {
    ContentType.VIDEO: 44, ContentType.COMMENT: 20, ContentType.TEXT: 13, ContentType.LIVE: 8, ContentType.IMAGE: 6,
    ContentType.MESSAGE: 3, ContentType.ACCOUNT: 3, ContentType.PRODUCT: 2, ContentType.AUDIO: 1,
}  # fmt: skip
_LANGUAGES = {"zh": 70, "en": 30}

# And a report: how it was made, whether it differs from the item's category, says something, or tells of a danger.
_CHANNELS = {Channel.ONE_CLICK: 88, Channel.WEB_FORM: 6, Channel.DIRECT_MESSAGE: 3, Channel.MENTION: 3}
_OTHERWISE = 0.1
_EXPLAINED = 0.6
_IN_DANGER = 0.02
_DANGEROUS = frozenset({Category.SELF_HARM, Category.VIOLENCE, Category.MINORS})

# A fixed day, long enough ago for any clock: a report whose data differs the second time is another one.
_DAY = datetime(2025, 1, 1, tzinfo=UTC)
_DAY_SECONDS = 86_400
_HOT_SECONDS = 5_400


@dataclass(frozen=True)
class _Item:
    content: Content
    category: Category
    words: dict[str, str]
    texts: Texts
    first_second: int


def ordinary_reports(seed: int, count: int = REPORTS) -> list[Report]:
    """`count` reports in the order they are sent, the same for a seed at any time; another seed shares none of them.

    Every item is reported once, and the rest falls on items by a law with a heavy tail. Nobody reports an item twice.
    """
    random = Random(f"jubao demo {seed}")  # noqa: S311 -- to be the same again, not to be secret
    items = [_item(random) for _ in range(max(1, round(count / REPORTS_AN_ITEM)))]
    heat = [random.paretovariate(_TAIL) for _ in items]
    sizes = [1] * len(items)
    for number in random.choices(range(len(items)), heat, k=count - len(items)):
        sizes[number] += 1
    reports = [
        _report(random, item, reporter)
        for item, size in zip(items, sizes, strict=True)
        for reporter in random.sample(range(max(_REPORTERS, count)), size)
    ]
    random.shuffle(reports)
    return reports


def _item(random: Random) -> _Item:
    (category,) = random.choices(list(_CATEGORIES), list(_CATEGORIES.values()))
    (language,) = random.choices(list(_LANGUAGES), list(_LANGUAGES.values()))
    (kind,) = random.choices(list(_TYPES), list(_TYPES.values()))
    texts = (CHINESE if language == "zh" else ENGLISH)[category]
    words = {
        "handle": f"{random.choice(HANDLES[language])}{random.randrange(10**7):07d}",
        "place": random.choice(PLACES[language]),
        "number": str(random.randrange(2, 99)),
        "sum": str(random.randrange(50, 9_999)),
    }
    content_id = f"demo-{random.getrandbits(64):016x}"
    content = Content(
        id=content_id,
        type=kind,
        author=f"demo-author-{random.getrandbits(40):010x}",
        url=f"https://example.org/{content_id}",
        language=language,
        excerpt=random.choice(texts.excerpts).format(**words),
    )
    return _Item(content, category, words, texts, random.randrange(_DAY_SECONDS - _HOT_SECONDS))


def _report(random: Random, item: _Item, reporter: int) -> Report:
    category = random.choice(list(Category)) if random.random() < _OTHERWISE else item.category
    danger = item.category in _DANGEROUS and random.random() < _IN_DANGER
    explanation = random.choice(item.texts.explanations).format(**item.words) if random.random() < _EXPLAINED else None
    (channel,) = random.choices(list(_CHANNELS), list(_CHANNELS.values()))
    return Report(
        report_id=UUID(int=random.getrandbits(128), version=4),
        channel=channel,
        reporter=f"demo-user-{reporter:05d}",
        occurred_at=_DAY + timedelta(seconds=item.first_second + random.randrange(_HOT_SECONDS)),
        source=ReportSource(kind=SourceKind.USER),
        content=item.content,
        category=category,
        keyword="imminent_harm" if danger else None,
        explanation=explanation,
    )

"""The ordinary reports of the demonstration: their proportions, and that the seed makes all of them."""

from collections import Counter
from statistics import median
from string import Formatter

import pytest

from schemas.report import Report
from schemas.vocabulary import Category, SourceKind
from services.cli.demo.sample import REPORTS, ordinary_reports
from services.cli.demo.texts import CHINESE, ENGLISH
from services.cli.importing.record import record_of


def facts(reports: list[Report]) -> set[object]:
    """All that must differ from seed to seed: ids, items, texts."""
    return {
        fact
        for r in reports
        for fact in (r.report_id, r.content.id, r.content.excerpt, r.content.author, r.explanation)
        if fact is not None
    }


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return ordinary_reports(1)


def test_the_same_seed_gives_the_same_records(reports: list[Report]) -> None:
    """Made again, the reports are the same to the byte of their records and in the same order."""
    assert [record_of(r).value for r in ordinary_reports(1)] == [record_of(r).value for r in reports]


@pytest.mark.parametrize("seed", [2, -1, 10**30])
def test_another_seed_changes_all_of_them(reports: list[Report], seed: int) -> None:
    """Two seeds share no report, no item and no text."""
    others = ordinary_reports(seed)
    assert len(others) == REPORTS
    assert not facts(reports) & facts(others)


def test_items_have_three_reports_on_average_and_a_few_have_hundreds(reports: list[Report]) -> None:
    """10,000 reports on some 3,200 items: half of the items have one or two, the hottest hundreds."""
    sizes = Counter(r.content.id for r in reports)
    assert len(reports) == len({r.report_id for r in reports}) == 10_000
    assert 3.0 < len(reports) / len(sizes) < 3.2
    assert median(sizes.values()) <= 2
    assert 200 < max(sizes.values()) < 3_000
    # The hottest hundredth of items holds a large part of all reports.
    hottest = sum(size for _, size in sizes.most_common(len(sizes) // 100))
    assert 0.15 < hottest / len(reports) < 0.6


def test_nobody_reports_an_item_twice(reports: list[Report]) -> None:
    """The reporters of an item are different people, all of them ordinary users."""
    assert len({(r.content.id, r.reporter) for r in reports}) == len(reports)
    assert {r.source.kind for r in reports} == {SourceKind.USER}


def test_every_category_occurs_in_both_languages(reports: list[Report]) -> None:
    """All categories are met, in Chinese and in English, and frauds most often."""
    met = Counter((r.category, r.content.language) for r in reports)
    assert {(category, language) for category in Category for language in ("zh", "en")} == set(met)
    items = {r.content.id: r.category for r in reports}
    assert Counter(items.values()).most_common(1)[0][0] is Category.SCAMS


def test_few_tell_of_a_danger_to_life(reports: list[Report]) -> None:
    """Some ordinary reports are urgent by what they say, far fewer than a hundredth."""
    assert 0 < sum(r.keyword == "imminent_harm" for r in reports) < 100


@pytest.mark.parametrize("texts", [CHINESE, ENGLISH], ids=["zh", "en"])
def test_every_text_has_its_own_handle(texts: dict[Category, object]) -> None:
    """There are words for every category, and each text holds the item's handle, which makes it its own."""
    assert set(texts) == set(Category)
    known = {"handle", "place", "number", "sum"}
    for words in (CHINESE, ENGLISH):
        for of_category in words.values():
            for text in (*of_category.excerpts, *of_category.explanations):
                slots = {name for _, name, _, _ in Formatter().parse(text) if name}
                assert "handle" in slots <= known

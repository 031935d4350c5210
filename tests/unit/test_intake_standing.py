"""How a flagged source stands with a report."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vocabulary import Category, SourceKind, Standing
from services.intake.standing import Remit, lies_in, local_day, standing_of

POLICE = Remit(SourceKind.POLICE, "CN-31", (), 2)
FLAGGER = Remit(SourceKind.TRUSTED_FLAGGER, None, (Category.SCAMS, Category.MINORS), None)


def stands(remit: Remit, used: int = 1, place: str | None = None, category: Category = Category.VIOLENCE) -> Standing:
    return standing_of(remit, used_today=used, place=place, category=category)


@pytest.mark.parametrize(
    ("place", "region", "inside"),
    [
        ("CN-31", "CN-31", True),
        ("CN-31-0104", "CN-31", True),
        ("cn-31-0104", "CN-31", True),
        ("CN-310", "CN-31", False),
        ("CN-3", "CN-31", False),
        ("CN", "CN-31", False),
        ("CN-31", "CN", True),
        ("DE-31", "CN", False),
    ],
)
def test_a_region_holds_what_lies_below_it(place: str, region: str, *, inside: bool) -> None:
    """Region codes are compared segment by segment, whatever their case."""
    assert lies_in(place, region) is inside


def test_the_quota_is_the_last_report_that_counts() -> None:
    """The report that fills the quota is within it, the next one is over it, and none at all may be allowed."""
    assert stands(POLICE, used=2) is Standing.GOOD
    assert stands(POLICE, used=3) is Standing.OVER_QUOTA
    assert stands(Remit(SourceKind.POLICE, None, (), 0), used=1) is Standing.OVER_QUOTA
    assert stands(Remit(SourceKind.POLICE, None, (), None), used=10**9) is Standing.GOOD


def test_territory_needs_both_sides() -> None:
    """Where the source has no region, or the report says none, nothing is out of territory."""
    assert stands(POLICE, place="CN-11") is Standing.OUT_OF_TERRITORY
    assert stands(POLICE, place="CN-31-0104") is Standing.GOOD
    assert stands(POLICE, place=None) is Standing.GOOD
    assert stands(FLAGGER, place="CN-11", category=Category.SCAMS) is Standing.GOOD


def test_expertise_is_a_trusted_flaggers() -> None:
    """Only trusted flaggers are held to categories, and only those that were registered with some."""
    assert stands(FLAGGER, category=Category.SCAMS) is Standing.GOOD
    assert stands(FLAGGER, category=Category.VIOLENCE) is Standing.OUT_OF_EXPERTISE
    assert stands(Remit(SourceKind.TRUSTED_FLAGGER, None, (), None)) is Standing.GOOD
    assert stands(Remit(SourceKind.POLICE, None, (Category.SCAMS,), None)) is Standing.GOOD
    assert stands(Remit(SourceKind.GOVERNMENT, None, (Category.SCAMS,), None)) is Standing.GOOD


def test_the_first_reason_is_told() -> None:
    """Quota comes before territory, territory before expertise."""
    strict = Remit(SourceKind.TRUSTED_FLAGGER, "CN-31", (Category.SCAMS,), 1)
    assert stands(strict, used=2, place="CN-11") is Standing.OVER_QUOTA
    assert stands(strict, used=1, place="CN-11") is Standing.OUT_OF_TERRITORY
    assert stands(strict, used=1, place="CN-31") is Standing.OUT_OF_EXPERTISE


segment = st.from_regex(r"[A-Za-z0-9]{1,6}", fullmatch=True)
code = st.lists(segment, min_size=1, max_size=5).map("-".join)


@given(code, code)
def test_lying_in_is_an_order(one: str, other: str) -> None:
    """Every region lies in itself and in all that it lies below, and two regions lie in each other only when equal."""
    assert lies_in(one, one)
    assert lies_in(f"{one}-{other}", one)
    assert (lies_in(one, other) and lies_in(other, one)) == (one.casefold() == other.casefold())


def test_the_day_is_the_sources_own() -> None:
    """The same moment is another day in another time zone."""
    late = datetime(2026, 11, 23, 16, 30, tzinfo=UTC)
    assert local_day(late, "Asia/Shanghai") == date(2026, 11, 24)
    assert local_day(late, "Europe/Berlin") == date(2026, 11, 23)

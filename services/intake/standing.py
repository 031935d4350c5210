"""How a flagged source stands with one report: within quota, territory and expertise, or not.

A source that stands badly is still heard; what it loses is its precedence, and it is told why.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from schemas.vocabulary import Category, SourceKind, Standing


@dataclass(frozen=True, slots=True)
class Remit:
    """What a source was registered for. None, or no categories: not limited in that respect."""

    kind: SourceKind
    region: str | None
    categories: Collection[Category]
    quota_per_day: int | None


def standing_of(remit: Remit, *, used_today: int, place: str | None, category: Category) -> Standing:
    """The first of quota, territory and expertise that the report does not keep, or good.

    Suspension is not judged here: a suspended source is refused and its report is not taken at all.

    Args:
        remit: what the source may do.
        used_today: its reports of this local day, this one counted.
        place: the report's territory, or the content's region where it names none; none: not said.
        category: the report's.
    """
    if remit.quota_per_day is not None and used_today > remit.quota_per_day:
        return Standing.OVER_QUOTA
    if remit.region is not None and place is not None and not lies_in(place, remit.region):
        return Standing.OUT_OF_TERRITORY
    if remit.kind is SourceKind.TRUSTED_FLAGGER and remit.categories and category not in remit.categories:
        return Standing.OUT_OF_EXPERTISE
    return Standing.GOOD


def lies_in(place: str, region: str) -> bool:
    """Whether a region code equals another or lies below it: CN-31-0104 lies in CN-31, CN-310 does not."""
    inner, outer = place.casefold().split("-"), region.casefold().split("-")
    return inner[: len(outer)] == outer


def local_day(at: datetime, time_zone: str) -> date:
    """The calendar day that a moment falls on where the source is: its quota is counted by that day."""
    return at.astimezone(ZoneInfo(time_zone)).date()

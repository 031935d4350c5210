"""How long the text of a decided report is kept, by its class; pure."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from schemas.vocabulary import PriorityClass

_CLASSES: Final = tuple(priority.name for priority in PriorityClass)
_MOST_DAYS: Final = 36_500


class BadRetention(ValueError):
    """The setting cannot be used; the text says why."""


def terms_of(setting: str) -> Mapping[str, timedelta]:
    """The terms of a setting: `CLASS=DAYS` with commas between; a class that is not named is kept for ever.

    Raises:
        BadRetention: a part is not that, or names a class twice.
    """
    terms: dict[str, timedelta] = {}
    for part in filter(None, map(str.strip, setting.split(","))):
        priority, equals, days = (word.strip() for word in part.partition("="))
        if priority not in _CLASSES or not equals or not (days.isascii() and days.isdigit()):
            raise BadRetention(f"JUBAO_RETENTION has {part!r}; give CLASS=DAYS, as P3=180, with commas between")
        if priority in terms:
            raise BadRetention(f"JUBAO_RETENTION names {priority} twice; name each class once")
        if not 1 <= int(days) <= _MOST_DAYS:
            raise BadRetention(f"JUBAO_RETENTION gives {priority} {days} days; give 1 to {_MOST_DAYS}")
        terms[priority] = timedelta(days=int(days))
    return terms

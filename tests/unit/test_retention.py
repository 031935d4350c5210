"""The setting of retention is read as it was meant, or refused with what to write instead."""

from datetime import timedelta

import pytest

from services.audit.retention import BadRetention, terms_of
from services.runtime.settings import Settings


def test_default_keeps_every_class_for_a_time() -> None:
    """By default each class has a term, the better classes the longer ones."""
    terms = terms_of(Settings().retention)
    assert list(terms) == ["P0", "P1", "P2", "P3", "P4"]
    assert sorted(terms.values(), reverse=True) == list(terms.values())


def test_class_left_out_has_no_term() -> None:
    """A class that is not named is kept for ever, and an empty setting keeps all."""
    assert terms_of(" P3 = 7 ,") == {"P3": timedelta(days=7)}
    assert terms_of("") == {}


@pytest.mark.parametrize(
    ("setting", "said"),
    [("P5=1", "CLASS=DAYS"), ("P3", "CLASS=DAYS"), ("P3=-1", "CLASS=DAYS"), ("P3=1,P3=2", "twice"), ("P3=0", "1 to")],
)
def test_wrong_terms_are_refused(setting: str, said: str) -> None:
    """What is no term is refused, with what to write."""
    with pytest.raises(BadRetention, match=said):
        terms_of(setting)

"""Buckets of calls: a burst, a rate behind it, and a bound on what is remembered."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.rates import Budget, Rates, TooManyCalls, network_of


@dataclass
class Seconds:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def calls_taken(rates: Rates, caller: str, budget: Budget, tries: int) -> int:
    taken = 0
    for _ in range(tries):
        try:
            rates.take(caller, budget)
        except TooManyCalls:
            continue
        taken += 1
    return taken


@given(
    st.floats(0.1, 10_000), st.integers(1, 500), st.lists(st.floats(0, 20, allow_nan=False), min_size=1, max_size=20)
)
def test_no_more_than_burst_and_rate(per_second: float, burst: int, pauses: list[float]) -> None:
    """However a caller spreads its calls, it gets at most its burst and what the rate gives in the time that passed."""
    seconds, budget = Seconds(), Budget(per_second, burst)
    rates, began, taken = Rates(seconds=seconds), seconds.now, 0
    for pause in pauses:
        taken += calls_taken(rates, "a", budget, 700)
        seconds.now += pause
        assert taken <= burst + per_second * (seconds.now - began) + 1


def test_whoever_waits_as_told_is_let_in() -> None:
    """An empty bucket says how long to wait, asking meanwhile does not make it longer, and then the call is taken."""
    seconds = Seconds()
    rates = Rates(seconds=seconds)
    budget = Budget(0.5, 3)
    assert calls_taken(rates, "a", budget, 50) == 3
    with pytest.raises(TooManyCalls) as refused:
        rates.take("a", budget)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "2")
    seconds.now += 2
    assert calls_taken(rates, "a", budget, 50) == 1


def test_callers_do_not_share_a_bucket() -> None:
    """One caller's flood takes nothing from another; a call that is given back may be made again."""
    rates, budget = Rates(seconds=Seconds()), Budget(1, 2)
    assert calls_taken(rates, "a", budget, 100) == 2
    assert calls_taken(rates, "b", budget, 100) == 2
    rates.give_back("b", budget)
    assert calls_taken(rates, "b", budget, 100) == 1


def test_memory_is_bounded() -> None:
    """Callers beyond the bound share one bucket; those who were there keep theirs, and the quiet are forgotten."""
    seconds = Seconds()
    rates, budget = Rates(most_callers=10, seconds=seconds), Budget(1, 2)
    assert calls_taken(rates, "first", budget, 1) == 1
    assert sum(calls_taken(rates, f"crowd {n}", budget, 1) for n in range(1_000)) == 9 + 2
    assert len(rates) <= 11
    assert calls_taken(rates, "first", budget, 5) == 1
    seconds.now += 60
    assert sum(calls_taken(rates, f"later {n}", budget, 1) for n in range(8)) == 8
    assert len(rates) <= 11


def test_addresses_stand_for_customers() -> None:
    """Of IPv6 the network of one customer is one caller, an IPv4 address in IPv6 form is itself."""
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:203.0.113.9") == network_of("203.0.113.9") == "203.0.113.9"
    assert (network_of(None), network_of("a name")) == ("local", "unknown")

"""How often a caller may call: a bucket of tokens for each, in the memory of one process and within a bound.

The generic cell rate algorithm: a bucket is one moment, that at which it would be full again. A caller who has been
quiet is not remembered at all, so what is kept is bounded by who calls just now.
"""

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import ceil
from time import monotonic
from typing import Final

from services.runtime.problems import Problem

_MOST_CALLERS: Final = 20_000
_MOST_LOOKED_AT: Final = 8
_IPV6_NETWORK_BITS: Final = 64


class TooManyCalls(Problem):
    """The caller has used up what it may call for the moment."""

    def __init__(self, wait_seconds: float) -> None:
        seconds = max(1, ceil(wait_seconds))
        super().__init__(
            429,
            "too_many_calls",
            "Too many calls",
            f"More calls than one caller may make; send the same request again in {seconds} s, and fewer a second.",
            headers={"Retry-After": str(seconds)},
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """What one caller may do: `burst` calls at once, and `per_second` again."""

    per_second: float
    burst: int


class Rates:
    """The buckets of all callers of one process.

    Args:
        most_callers: whoever calls beyond that many callers at a time shares one bucket with the rest of them, so that
            a flood from many addresses costs neither memory nor those who were there before.
        seconds: a clock that never goes back.
    """

    def __init__(self, most_callers: int = _MOST_CALLERS, seconds: Callable[[], float] = monotonic) -> None:
        self._most_callers, self._seconds = most_callers, seconds
        self._full_again: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_again)

    def take(self, caller: str, budget: Budget) -> str:
        """Takes one call from the caller's bucket; the bucket's name, for `give_back`.

        Raises:
            TooManyCalls: the bucket is empty; nothing is taken, so asking again does not make the wait longer.
        """
        now = self._seconds()
        caller = self._name_kept(caller, now)
        full_again = max(self._full_again.pop(caller, now), now) + 1 / budget.per_second
        wait_seconds = full_again - now - budget.burst / budget.per_second
        # Added up in floating point: a bucket that is full again must not miss one call by a rounding.
        if wait_seconds > 1e-9:  # noqa: PLR2004 -- a nanosecond
            self._full_again[caller] = full_again - 1 / budget.per_second
            raise TooManyCalls(wait_seconds)
        self._full_again[caller] = full_again
        return caller

    def give_back(self, bucket: str, budget: Budget) -> None:
        """Puts one call back: it has turned out to be another caller's."""
        if bucket in self._full_again:
            self._full_again[bucket] -= 1 / budget.per_second

    def _name_kept(self, caller: str, now: float) -> str:
        if caller in self._full_again or len(self._full_again) < self._most_callers:
            return caller
        # Those who called longest ago come first; a bucket that is full again need not be remembered.
        for quiet in [name for name in self._oldest() if self._full_again[name] <= now]:
            del self._full_again[quiet]
        return caller if len(self._full_again) < self._most_callers else "the rest"

    def _oldest(self) -> Iterator[str]:
        return islice(self._full_again, _MOST_LOOKED_AT)


def network_of(address: str | None) -> str:
    """What stands for an address: itself, and of IPv6 the network that one customer is given; unix sockets are one."""
    if address is None:
        return "local"
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:  # noqa: PLR2004 -- IPv4
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((int(parsed), _IPV6_NETWORK_BITS), strict=False))

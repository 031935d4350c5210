"""The arithmetic of a benchmark: medians, spreads, ratios of pairs, and whether a goal holds. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles


@dataclass(frozen=True)
class Result:
    """One line of `jubao bench`: a ratio beside its goal, which it holds when it is at least as great."""

    name: str
    ratio: float
    goal: float
    runs: int
    figures: Mapping[str, object] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio >= self.goal

    def plain(self) -> dict[str, object]:
        """As `--json` prints it."""
        told = asdict(self)
        return {
            "name": self.name, "ratio": round(self.ratio, 4), "goal": self.goal, "holds": self.holds,
            "figures": told["figures"], "runs": self.runs,
        }  # fmt: skip


def spread(values: Sequence[float]) -> dict[str, float]:
    """Least, median and greatest of some figures.

    Raises:
        ValueError: there is none.
    """
    if not values:
        raise ValueError("a spread needs at least one figure")
    return {
        "min": round(min(values), 4),
        "median": round(float(median(values)), 4),
        "max": round(max(values), 4),
    }


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours over theirs, pair by pair: two turns that follow one another meet the machine in the same mood.

    Raises:
        ValueError: they are no pairs, or one of theirs is nothing.
    """
    if len(ours) != len(theirs) or not all(rate > 0 for rate in theirs):
        raise ValueError("a ratio needs pairs of rates above zero")
    return [own / their for own, their in zip(ours, theirs, strict=True)]


def compared(
    name: str, ours: Sequence[float], theirs: Sequence[float], goal: float, figures: Mapping[str, object]
) -> Result:
    """The result of some pairs of rates: the median of their ratios beside the goal."""
    of_pairs = ratios(ours, theirs)
    told = {
        **figures,
        "ratio": spread(of_pairs),
        "rate": spread(ours),
        "other_rate": spread(theirs),
        "rates": [round(rate, 1) for rate in ours],
        "other_rates": [round(rate, 1) for rate in theirs],
    }
    return Result(name, float(median(of_pairs)), goal, len(of_pairs), told)


def within(name: str, taken_ms: Sequence[float], goal_ms: float, figures: Mapping[str, object]) -> Result:
    """The result of some calls that are to be answered within a time: the goal over what 95 of 100 of them took.

    Raises:
        ValueError: there are too few calls for that to be said.
    """
    p50, p95 = percentile(taken_ms, 50), percentile(taken_ms, 95)
    told = {
        "goal_ms": goal_ms,
        "p50_ms": round(p50, 3),
        "p95_ms": round(p95, 3),
        "max_ms": round(max(taken_ms), 3),
        "calls": len(taken_ms),
        **figures,
    }
    return Result(name, goal_ms / p95, 1.0, 1, told)


def percentile(values: Sequence[float], percent: int) -> float:
    """What so many of a hundred do not exceed.

    Raises:
        ValueError: there are fewer than two.
    """
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def medians(readings: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each named figure over several readings that have the same names."""
    return {name: round(float(median(reading[name] for reading in readings)), 4) for name in readings[0]}

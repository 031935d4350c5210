"""The units that `jubao serve` runs, by name: which service's which part, and the groups they are run in."""

from importlib import import_module
from typing import cast

from services.runtime.process import Process, Unit, UnitMaker

UNITS: tuple[str, ...] = (
    "intake.http",
    "triage.http",
    "triage.flagged",
    "triage.public",
    "review.http",
    "review.flagged",
    "review.public",
    "outcomes.http",
    "outcomes.consume",
    "audit.http",
    "audit.consume",
)

# The flagged lane has a process of its own; what may be slow shares one.
GROUPS: dict[str, tuple[str, ...]] = {
    "web": tuple(name for name in UNITS if name.endswith(".http")),
    "flagged": ("triage.flagged", "review.flagged"),
    "records": ("outcomes.consume", "audit.consume"),
}


class UnknownUnit(ValueError):
    """No unit, service or group of that name."""

    def __init__(self, name: str) -> None:
        known = ", ".join([*GROUPS, *dict.fromkeys(u.partition(".")[0] for u in UNITS), *UNITS])
        super().__init__(f"there is no unit {name}; choose among {known}")


def expand(names: tuple[str, ...]) -> list[str]:
    """The units that names stand for: a unit, a group, or a service for all its units.

    Raises:
        UnknownUnit: a name stands for nothing.
    """
    units: list[str] = []
    for name in names:
        found = GROUPS.get(name) or tuple(u for u in UNITS if name in {u, u.partition(".")[0]})
        if not found:
            raise UnknownUnit(name)
        units.extend(found)
    return list(dict.fromkeys(units))


def make(process: Process, name: str) -> Unit:
    """A unit, built by its service's composition root."""
    service, _, part = name.partition(".")
    makers = cast("dict[str, UnitMaker]", import_module(f"services.{service}.app").UNITS)
    return makers[part](process)

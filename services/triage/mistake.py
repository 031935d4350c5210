"""What is wrong with a policy file, told so that its author can mend it without asking."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake, with the line and column (both from 1) where an editor should stand to mend it."""

    line: int
    column: int
    what: str


class PolicyRefused(Exception):
    """A policy with mistakes; nothing is classed by it. Its text holds one line for each mistake."""

    def __init__(self, mistakes: Sequence[Mistake], name: str = "policy") -> None:
        self.mistakes = tuple(mistakes)
        self.name = name
        super().__init__("\n".join(f"{name}:{m.line}: {m.what}" for m in self.mistakes))


class PolicyUnreadable(Exception):
    """A policy file that cannot be read at all: not there, no permission, a directory, not UTF-8, too large.

    `missing` tells a path that leads nowhere (wrong use) from a file whose content is no policy.
    """

    def __init__(self, path: str, why: str, *, missing: bool) -> None:
        self.path = path
        self.why = why
        self.missing = missing
        super().__init__(f"{path}: {why}")

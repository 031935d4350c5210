"""A policy at work: facts in, class, queue and ruling out; a pure function, remembered by exactly what it reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import orjson

from schemas.triage import ClassName, Ruling
from services.runtime.writing import event_bytes
from services.triage.condition import Condition, context_of
from services.triage.inputs import INPUTS, Facts, Value

IMMEDIATE: Final = "P0"
_ATTESTED: Final = "source.attested"

# The rules read few inputs with few values, so most reports find their ruling here. A keyword is free text, so the
# number of different ones has no end and the memory for them must have one.
_REMEMBERED: Final = 16_384


@dataclass(frozen=True, slots=True)
class ClassTerms:
    """What a class promises: by when a report of it is to be decided, and where it waits if no route says otherwise."""

    name: ClassName
    target_seconds: int
    queue: str


@dataclass(frozen=True, slots=True)
class Rule:
    """If the condition holds, the class. The first rule that holds decides."""

    id: str
    terms: ClassTerms
    condition: Condition
    note: str | None


@dataclass(frozen=True, slots=True)
class Route:
    """If the condition holds, the queue instead of the class's own. The first route that holds decides."""

    queue: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Classed:
    """What the policy says of a report; `written` is that as it stands in the event, without the object's braces."""

    terms: ClassTerms
    queue: str
    ruling: Ruling
    written: bytes


class Policy:
    """A checked policy. Made by `policy.load`, which refuses what this class relies on: a catch-all at the end.

    Attributes:
        name, version: what rulings name it by.
        text, sha256: the file as written, and the digest of its bytes.
        classes, rules, routes: its parts, in the order written.
        reads: every input that any condition reads, and `source.attested`, in table order.
    """

    def __init__(
        self,
        *,
        name: str,
        version: str,
        text: str,
        sha256: str,
        classes: Mapping[str, ClassTerms],
        rules: tuple[Rule, ...],
        routes: tuple[Route, ...],
    ) -> None:
        self.name = name
        self.version = version
        self.text = text
        self.sha256 = sha256
        self.classes = classes
        self.rules = rules
        self.routes = routes
        conditions = [rule.condition for rule in rules] + [route.condition for route in routes]
        named = {path for condition in conditions for path in condition.reads} | {_ATTESTED}
        self.reads = tuple(path for path in INPUTS if path in named)
        self._readers = tuple(INPUTS[path].read for path in self.reads)
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._class_of)

    def class_of(self, facts: Facts) -> Classed:
        """The class, queue and ruling for a report; equal facts give the equal answer, remembered or not."""
        return self._remembered(tuple([read(facts) for read in self._readers]))

    def class_afresh(self, facts: Facts) -> Classed:
        """The same as `class_of`, evaluated anew: what the memory is held against."""
        return self._class_of(tuple([read(facts) for read in self._readers]))

    def _class_of(self, values: tuple[Value, ...]) -> Classed:
        given = dict(zip(self.reads, values, strict=True))
        context = context_of(given)
        # The checker has proved that a P0 rule cannot hold without attestation; this holds even if the proof errs.
        barred = IMMEDIATE if given[_ATTESTED] is not True else None
        rule = next(r for r in self.rules if r.terms.name != barred and r.condition.holds(context))
        queue = next((r.queue for r in self.routes if r.condition.holds(context)), rule.terms.queue)
        ruling = Ruling(
            policy=self.name,
            version=self.version,
            rule=rule.id,
            inputs={path: given[path] for path in rule.condition.reads},
        )
        return Classed(rule.terms, queue, ruling, _written(rule.terms, queue, ruling))


def _written(terms: ClassTerms, queue: str, ruling: Ruling) -> bytes:
    return b'"class":%b,"queue":%b,"target_seconds":%d,"ruling":%b' % (
        orjson.dumps(terms.name),
        orjson.dumps(queue),
        terms.target_seconds,
        event_bytes(ruling),
    )

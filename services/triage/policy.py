"""The policy file: what it may hold, every mistake in it, and the policy it makes.

`check` tells all mistakes at once, each with its line, so that an author mends a file in one round. `load` makes a
policy of a file without mistakes and refuses any other. What a policy does with a report stands in `classing.py`,
what a condition may say in `condition.py`, what it may ask in `inputs.py`.
"""

import hashlib
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeVar, get_args

from schemas.triage import ClassName
from services.triage import document
from services.triage.classing import IMMEDIATE, ClassTerms, Policy, Route, Rule
from services.triage.condition import Reading
from services.triage.condition import read as read_condition
from services.triage.document import Entry, Listing, Mapping, Node, Place, Scalar
from services.triage.mistake import Mistake, PolicyRefused

MOST_RULES: Final = 200
MOST_TARGET_MINUTES: Final = 525_600
_MOST_NOTE: Final = 500
_CLASSES: Final[tuple[ClassName, ...]] = get_args(ClassName)
_WORD: Final = re.compile(r"\w[\w.-]{0,63}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,6})?")

PartT = TypeVar("PartT")


def check(text: str) -> list[Mistake]:
    """Every mistake in a policy's text, in the order of its lines; none: `load` will take it."""
    return _Reading(text).mistakes


def load(text: str, name: str = "policy") -> Policy:
    """Makes the policy of a text.

    Args:
        text: the policy file's content.
        name: what the refusal calls the file.

    Raises:
        PolicyRefused: it has mistakes.
    """
    reading = _Reading(text)
    if reading.policy is None:
        raise PolicyRefused(reading.mistakes, name)
    return reading.policy


class _Reading:
    """One pass over a text. It goes on after a mistake, with what can still be trusted."""

    def __init__(self, text: str) -> None:
        self._found: list[Mistake] = []
        self.policy: Policy | None = None
        root, found = document.read(text)
        self._found += found
        if root is not None:
            policy = self._policy(root, text)
            self.policy = policy if not self._found else None
        self.mistakes = sorted(set(self._found))

    def _tell(self, place: Place, what: str, *, further: int = 0) -> None:
        self._found.append(place.mistake(what, further=further))

    def _policy(self, root: Node, text: str) -> Policy | None:
        keys = self._mapping(root, "the policy", ("name", "version", "classes", "rules"), ("routing",))
        if keys is None:
            return None
        name = self._word(keys.get("name"), "name")
        version = self._word(keys.get("version"), "version")
        classes = self._classes(keys.get("classes"))
        rules = self._rules(keys.get("rules"), classes)
        routes = self._routes(keys.get("routing"))
        if name is None or version is None or rules is None or routes is None:
            return None
        return Policy(
            name=name,
            version=version,
            text=text,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            classes={key: terms for key, terms in classes.items() if terms is not None},
            rules=rules,
            routes=routes,
        )

    # Classes

    def _classes(self, entry: Entry | None) -> dict[str, ClassTerms | None]:
        """The classes by name; None where one is named but its terms are no good, so that rules may still name it."""
        if entry is None:
            return {}
        if not isinstance(entry.value, Mapping):
            self._tell(entry.value.place, f"classes is a mapping from {_CLASSES[0]} .. {_CLASSES[-1]} to their terms")
            return {}
        self._repeated(entry.value, "classes")
        classes: dict[str, ClassTerms | None] = {}
        for item in entry.value.entries:
            name = next((known for known in _CLASSES if known == item.key), None)
            if name is None:
                self._tell(item.place, f"{item.key} is no class; there are {', '.join(_CLASSES)}")
                continue
            classes[name] = self._terms(item, name)
        self._hold_order(entry.value, classes)
        return classes

    def _terms(self, item: Entry, name: ClassName) -> ClassTerms | None:
        keys = self._mapping(item.value, name, ("target_minutes", "queue"), (), at=item.place)
        if keys is None:
            return None
        target_seconds = self._target_seconds(keys.get("target_minutes"))
        queue = self._word(keys.get("queue"), "queue")
        return ClassTerms(name, target_seconds, queue) if target_seconds and queue else None

    def _target_seconds(self, entry: Entry | None) -> int | None:
        if entry is None:
            return None
        value = entry.value
        if isinstance(value, Scalar) and value.plain and _NUMBER.fullmatch(value.text):
            minutes = float(value.text)
            if 0 < minutes <= MOST_TARGET_MINUTES and round(minutes * 60) > 0:
                return round(minutes * 60)
        self._tell(value.place, f"target_minutes is a positive number of minutes, at most {MOST_TARGET_MINUTES}")
        return None

    def _hold_order(self, classes: Mapping, terms: dict[str, ClassTerms | None]) -> None:
        """A better class with a later target would make a case wait longer by being lifted."""
        known = [(name, found) for name in _CLASSES if (found := terms.get(name)) is not None]
        for (better, first), (worse, second) in pairwise(known):
            entry = classes.get(better)
            if first.target_seconds > second.target_seconds and entry is not None:
                self._tell(
                    entry.place, f"{better} has a later target than {worse}; a better class must not wait longer"
                )

    # Rules and routes

    def _rules(self, entry: Entry | None, classes: dict[str, ClassTerms | None]) -> tuple[Rule, ...] | None:
        if entry is None:
            return None
        first_line_of: dict[str, int] = {}
        catch_all: Place | None = None
        rules: list[Rule | None] = []
        items = self._items(entry, "rules")
        for item in items:
            keys = self._mapping(item, "a rule", ("id", "class", "when"), ("note",))
            if keys is None:
                rules.append(None)
                continue
            if catch_all is not None:
                self._tell(item.place, f"never reached: the rule on line {catch_all.line} holds always")
            rule_id = self._rule_id(keys.get("id"), first_line_of)
            read = self._condition(keys.get("when"))
            condition = read.condition
            terms = self._class_of(keys.get("class"), classes, read, keys)
            note = self._note(keys.get("note"))
            if condition is not None and condition.always and catch_all is None:
                catch_all = item.place
            if rule_id is None or terms is None or condition is None:
                rules.append(None)
            else:
                rules.append(Rule(rule_id, terms, condition, note))
        if catch_all is None:
            place = items[-1].place if items else entry.place
            self._tell(place, 'the last rule must be a catch-all (when: "true"), so that every report has a class')
        return _whole(rules)

    def _rule_id(self, entry: Entry | None, first_line_of: dict[str, int]) -> str | None:
        rule_id = self._word(entry, "id")
        if rule_id is None or entry is None:
            return None
        if rule_id in first_line_of:
            self._tell(
                entry.value.place, f"the id {rule_id} is already that of the rule on line {first_line_of[rule_id]}"
            )
        first_line_of.setdefault(rule_id, entry.value.place.line)
        return rule_id

    def _class_of(
        self, entry: Entry | None, classes: dict[str, ClassTerms | None], read: Reading, keys: Mapping
    ) -> ClassTerms | None:
        """The terms of the class a rule gives; P0 only where the condition cannot hold without attestation."""
        name = self._word(entry, "class")
        if name is None or entry is None:
            return None
        if name not in classes:
            known = ", ".join(classes) or "none"
            self._tell(entry.value.place, f"{name} is no class of this policy; it has {known}")
        when = keys.get("when")
        if name == IMMEDIATE and read.attested is False and when is not None:
            self._tell(
                when.place,
                f"{IMMEDIATE} is given to reports that nobody attests; begin the condition with `source.attested &&` "
                "and put the rest in brackets",
            )
        return classes.get(name)

    def _routes(self, entry: Entry | None) -> tuple[Route, ...] | None:
        if entry is None:
            return ()
        routes: list[Route | None] = []
        catch_all: Place | None = None
        for item in self._items(entry, "routing"):
            keys = self._mapping(item, "a route", ("queue", "when"), ())
            if keys is None:
                routes.append(None)
                continue
            if catch_all is not None:
                self._tell(item.place, f"never reached: the route on line {catch_all.line} holds always")
            queue = self._word(keys.get("queue"), "queue")
            condition = self._condition(keys.get("when")).condition
            if condition is not None and condition.always and catch_all is None:
                catch_all = item.place
            routes.append(Route(queue, condition) if queue is not None and condition is not None else None)
        return _whole(routes)

    def _condition(self, entry: Entry | None) -> Reading:
        if entry is None:
            return Reading(None, (), None)
        value = entry.value
        if not isinstance(value, Scalar):
            self._tell(value.place, "when is a condition, written as one text")
            return Reading(None, (), None)
        read = read_condition(value.text)
        for fault in read.faults:
            further = fault.offset + (0 if value.plain else 1) if value.inline else 0
            self._tell(value.place, fault.what, further=further)
        return read

    # Shapes

    def _items(self, entry: Entry, what: str) -> Sequence[Node]:
        if not isinstance(entry.value, Listing):
            self._tell(entry.value.place, f"{what} is a list; begin each item with a dash")
            return ()
        items = entry.value.items
        if len(items) > MOST_RULES:
            self._tell(items[MOST_RULES].place, f"{what} has more than {MOST_RULES} items")
        return items[:MOST_RULES]

    def _mapping(
        self, node: Node, what: str, required: Sequence[str], optional: Sequence[str], *, at: Place | None = None
    ) -> Mapping | None:
        """The node as a mapping with these keys; unknown, repeated and missing ones are told, and reading goes on."""
        place = at or node.place
        if not isinstance(node, Mapping):
            self._tell(place, f"{what} is a mapping with {', '.join(required)}")
            return None
        self._repeated(node, what)
        allowed = (*required, *optional)
        for entry in node.entries:
            if entry.key not in allowed:
                self._tell(entry.place, f"{what} has no key {entry.key!r}; its keys are {', '.join(allowed)}")
        for key in required:
            if node.get(key) is None:
                self._tell(place, f"{what} lacks {key}")
        return node

    def _repeated(self, node: Mapping, what: str) -> None:
        for entry in node.repeated:
            first = node.get(entry.key)
            line = first.place.line if first else node.place.line
            self._tell(entry.place, f"{what}: the key {entry.key!r} stands on line {line} already")

    def _word(self, entry: Entry | None, what: str) -> str | None:
        if entry is None:
            return None
        value = entry.value
        if isinstance(value, Scalar) and _WORD.fullmatch(value.text):
            return value.text
        self._tell(value.place, f"{what} is one word of at most 64 letters, digits, dots, dashes and underscores")
        return None

    def _note(self, entry: Entry | None) -> str | None:
        if entry is None:
            return None
        value = entry.value
        if isinstance(value, Scalar) and len(value.text) <= _MOST_NOTE:
            return value.text
        self._tell(value.place, f"note is a text of at most {_MOST_NOTE} characters")
        return None


def _whole(parts: Sequence[PartT | None]) -> tuple[PartT, ...] | None:
    """The parts, if each could be read."""
    whole = tuple(part for part in parts if part is not None)
    return whole if len(whole) == len(parts) else None

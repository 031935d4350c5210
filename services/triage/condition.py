"""A rule's condition: the part of CEL a policy may use, what it reads, and whether it can hold for the unattested.

The language is CEL (Common Expression Language), held to comparisons, `in`, `&& || !`, `? :`, lists of literals and
five functions over the declared inputs. No loops, no arithmetic, no indexing: so each condition ends at once, its
inputs can be listed from its text, and a reader of the ruling sees all that it went by.
"""

import difflib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Final

import cel

from services.triage.inputs import INPUTS, VARIABLES, Value

MOST_CHARACTERS: Final = 4_000
_MOST_DEPTH: Final = 32
_MOST_SAMPLES: Final = 512
_ATTESTED: Final = ("source", ".", "attested")

_METHODS: Final = frozenset({"startsWith", "endsWith", "contains", "matches", "size"})
_FUNCTIONS: Final = frozenset({"size"})
_LITERALS: Final = frozenset({"true", "false", "in"})
_TOKEN: Final = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<text>"(?:[^"\\\n]|\\["'\\nrt])*"|'(?:[^'\\\n]|\\["'\\nrt])*')
    | (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>&&|\|\||==|!=|<=|>=|[<>!?:()\[\],.])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a condition, and at which character of it, from 0."""

    offset: int
    what: str


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a condition: its kind (text, number, name or sign), as written, and where."""

    kind: str
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that compiled: its text, its program, and the paths of every input it reads, in table order.

    `always` marks a catch-all; `requires_attestation` one that cannot hold where `source.attested` is false.
    """

    text: str
    program: cel.Program
    reads: tuple[str, ...]
    always: bool
    requires_attestation: bool

    def holds(self, context: cel.Context) -> bool:
        """Whether the condition is true in a context; what cannot be evaluated there does not hold.

        Checked conditions fail to evaluate only where a test is applied to a value of another type, which the
        checker's samples look for; a rule that slips through must not stop the lane, so the next rule is asked.
        """
        try:
            return self.program.execute(context) is True
        except (TypeError, ValueError, KeyError, RuntimeError):
            return False


def context_of(values: Mapping[str, Value]) -> cel.Context:
    """What CEL sees: the values by path, as fields of `report` and `source`."""
    variables: dict[str, dict[str, Value]] = {name: {} for name in VARIABLES}
    for path, value in values.items():
        row = INPUTS[path]
        variables[row.variable][row.field] = value
    return cel.Context(variables)


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a condition: the condition, or everything found wrong with it.

    `attested` is whether it cannot hold without attestation, as far as that can be told of a faulty one; None where
    its words could not even be told apart.
    """

    condition: Condition | None
    faults: tuple[Fault, ...]
    attested: bool | None


def read(text: str) -> Reading:
    """Reads a condition."""
    if len(text) > MOST_CHARACTERS:
        fault = Fault(0, f"the condition is longer than {MOST_CHARACTERS} characters; split it into rules")
        return Reading(None, (fault,), None)
    tokens, faults = _tokens(text)
    if faults:
        return Reading(None, tuple(faults), None)
    attested = _requires_attestation(tokens)
    faults = [*_depth_faults(tokens), *_name_faults(tokens), *_word_faults(tokens)]
    if faults:
        return Reading(None, tuple(sorted(faults, key=lambda fault: fault.offset)), attested)
    made = _compiled(text, tokens, attested=attested)
    return Reading(None, (made,), attested) if isinstance(made, Fault) else Reading(made, (), attested)


def _compiled(text: str, tokens: Sequence[Token], *, attested: bool) -> Condition | Fault:
    try:
        program = cel.compile(text)
    except ValueError as error:
        return _compile_fault(text, str(error))
    named = {f"{a.text}.{c.text}" for a, _, c in _paths(tokens)}
    reads = tuple(path for path in INPUTS if path in named)
    fault = _sample_fault(program, reads, tokens)
    if fault is not None:
        return fault
    always = not reads and program.execute(context_of({})) is True
    return Condition(text, program, reads, always, attested)


def _tokens(text: str) -> tuple[list[Token], list[Fault]]:
    """Cuts the text into words; a single fault where it cannot be cut, since nothing after it can be trusted."""
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return tokens, [Fault(at, _unreadable(text, at))]
        kind = match.lastgroup
        if kind == "text" and at and text[at - 1] in "\"'":
            return tokens, [Fault(at, "write a text in one pair of quotes; triple quotes are not part of a policy")]
        if kind is not None and kind != "space":
            tokens.append(Token(kind, match.group(), at))
        at = match.end()
    return tokens, [] if tokens else [Fault(0, 'the condition is empty; a catch-all is "true"')]


def _unreadable(text: str, at: int) -> str:
    here = text[at]
    if here in "\"'":
        return "a text in quotes does not end, or has an escape other than \\\" \\' \\\\ \\n \\r \\t"
    if here in "+-*/%":
        return f"{here!r} is not part of a policy: conditions compare, they do not calculate"
    if here in "&|=":
        return f"{here!r} stands alone; write && for and, || for or, == for equal"
    return f"{here!r} is not part of a condition"


def _depth_faults(tokens: Sequence[Token]) -> Iterator[Fault]:
    depth = 0
    for token in tokens:
        depth += (token.text in {"(", "["}) - (token.text in {")", "]"})
        if depth > _MOST_DEPTH:
            yield Fault(token.offset, f"brackets are nested deeper than {_MOST_DEPTH}; split the rule")
            return


def _name_faults(tokens: Sequence[Token]) -> Iterator[Fault]:
    """Every name that is no declared input, literal or allowed function, and every use of `[` as an index."""
    for index, token in enumerate(tokens):
        before = tokens[index - 1].text if index else ""
        after = tokens[index + 1].text if index + 1 < len(tokens) else ""
        if token.text == "[" and index and not _opens_list(tokens[index - 1]):
            yield Fault(token.offset, "indexing is not part of a policy; name the input as report.x or source.x")
        if token.kind != "name":
            continue
        if before == ".":
            yield from _member_faults(tokens, index)
        elif after == "(":
            if token.text not in _FUNCTIONS:
                yield Fault(token.offset, _no_function(token.text))
        elif token.text in VARIABLES:
            if after != "." or index + 2 >= len(tokens) or tokens[index + 2].kind != "name":
                yield Fault(token.offset, f"{token.text} alone is no value; name one of its fields as {token.text}.x")
        elif token.text not in _LITERALS:
            yield Fault(token.offset, _unknown(token.text, [*INPUTS, *_LITERALS]))


def _opens_list(before: Token) -> bool:
    return before.text == "in" or (before.kind == "sign" and before.text not in {")", "]"})


def _member_faults(tokens: Sequence[Token], index: int) -> Iterator[Fault]:
    """What follows a dot: a field of `report` or `source`, or one of the methods, called."""
    name = tokens[index]
    called = index + 1 < len(tokens) and tokens[index + 1].text == "("
    owner = tokens[index - 2] if index >= 2 else None  # noqa: PLR2004 -- two words back: the name before the dot
    root = owner is not None and owner.text in VARIABLES and (index < 3 or tokens[index - 3].text != ".")  # noqa: PLR2004
    if owner is not None and root:
        path = f"{owner.text}.{name.text}"
        if path not in INPUTS:
            yield Fault(owner.offset, _unknown(path, list(INPUTS)))
    elif not called:
        yield Fault(name.offset, f".{name.text} is no field; an input has no fields of its own")
    elif name.text not in _METHODS:
        yield Fault(name.offset, _no_function(name.text))
    elif name.text == "matches" and not _literal_argument(tokens, index + 2):
        yield Fault(name.offset, "matches takes one text in quotes, so that its pattern can be checked beforehand")


def _literal_argument(tokens: Sequence[Token], index: int) -> bool:
    return index + 1 < len(tokens) and tokens[index].kind == "text" and tokens[index + 1].text == ")"


def _no_function(name: str) -> str:
    if name == "has":
        return 'has() is not needed: every input is there, and an absent text is ""'
    return f"{name}() is not part of a policy; there are {', '.join(sorted(_METHODS))}"


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name} is not known" + (f"; did you mean {near[0]}?" if near else "; see the inputs at the policy's head")


def _paths(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token, Token]]:
    for a, b, c in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if a.text in VARIABLES and a.kind == "name" and b.text == "." and c.kind == "name":
            yield a, b, c


def _word_faults(tokens: Sequence[Token]) -> Iterator[Fault]:
    """A comparison with a word that its input never has: such a rule would silently never match."""
    for index, (owner, _, name) in (
        (i, three) for i, three in enumerate(zip(tokens, tokens[1:], tokens[2:], strict=False))
    ):
        row = INPUTS.get(f"{owner.text}.{name.text}") if owner.text in VARIABLES else None
        if row is None or row.words is None or index + 3 >= len(tokens):
            continue
        for literal in _compared(tokens, index + 3):
            word = literal.text[1:-1]
            if word not in row.words:
                near = difflib.get_close_matches(word, row.words, n=1)
                hint = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(sorted(row.words))}"
                yield Fault(literal.offset, f"{row.path} is never {word!r}; {hint}")


def _compared(tokens: Sequence[Token], at: int) -> Iterator[Token]:
    """The texts right of `==`, `!=` or `in [` at a position."""
    sign = tokens[at].text if at < len(tokens) else ""
    if sign in {"==", "!="}:
        yield from (t for t in tokens[at + 1 : at + 2] if t.kind == "text")
    elif sign == "in" and at + 1 < len(tokens) and tokens[at + 1].text == "[":
        for token in tokens[at + 2 :]:
            if token.text == "]":
                return
            if token.kind == "text":
                yield token


def _compile_fault(text: str, message: str) -> Fault:
    """CEL's own complaint, cut to its first line and put at its place."""
    first = next((line for line in message.splitlines() if "ERROR: <input>:" in line), message.splitlines()[0])
    match = re.search(r"<input>:(\d+):(\d+): (?:Syntax error: )?(.*)$", first)
    if match is None:
        return Fault(0, "the condition does not compile")
    lines = text.split("\n")[: int(match.group(1)) - 1]
    offset = sum(len(line) + 1 for line in lines) + int(match.group(2)) - 1
    return Fault(min(offset, len(text)), f"the condition does not compile: {match.group(3)}")


def _requires_attestation(tokens: Sequence[Token]) -> bool:
    """Whether the condition is a conjunction, at its top, with the bare term `source.attested`.

    `a && source.attested` is false wherever `source.attested` is, whatever `a` is; with `||` or `? :` at the top
    nothing of the kind can be read off the text, so it is not even tried.
    """
    terms: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == "sign":
            depth += (token.text in "([") - (token.text in ")]")
        if depth == 0 and token.kind == "sign" and token.text in {"||", "?", ":"}:
            return False
        if depth == 0 and token.kind == "sign" and token.text == "&&":
            terms.append([])
        else:
            terms[-1].append(token.text)
    return list(_ATTESTED) in terms


def _sample_fault(program: cel.Program, reads: Sequence[str], tokens: Sequence[Token]) -> Fault | None:
    """Evaluates the condition on samples of what it reads: it must be true or false on each."""
    texts = sorted({t.text[1:-1] for t in tokens if t.kind == "text"})
    for values in _samples(reads, texts):
        try:
            result = program.execute(context_of(values))
        except (TypeError, ValueError, KeyError, RuntimeError) as error:
            return Fault(0, f"the condition cannot be evaluated: {_plain(error)}")
        if not isinstance(result, bool):
            return Fault(0, f"the condition gives {type(result).__name__}, not true or false")
    return None


def _plain(error: Exception) -> str:
    text = str(error)
    if isinstance(error, TypeError):
        return "it compares or combines values of different types (inputs are texts, or true and false)"
    if "regex" in text:
        return "the pattern given to matches is no valid regular expression"
    return "a function is called with the wrong arguments"


def _samples(paths: Sequence[str], texts: Sequence[str]) -> Iterator[dict[str, Value]]:
    """Contexts to try: every mix of flags with the condition's own texts, or a fixed draw where those are too many."""
    choices: list[Sequence[Value]] = [_choices(path, texts) for path in paths]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count <= _MOST_SAMPLES:
        for mix in product(*choices):
            yield dict(zip(paths, mix, strict=True))
        return
    draw = random.Random(0)  # noqa: S311 -- the same draw each time, no secret
    for flag in (False, True):
        yield {
            path: flag if INPUTS[path].of is bool else choice[0] for path, choice in zip(paths, choices, strict=True)
        }
    for _ in islice(iter(int, 1), _MOST_SAMPLES):
        yield {path: draw.choice(choice) for path, choice in zip(paths, choices, strict=True)}


def _choices(path: str, texts: Sequence[str]) -> Sequence[Value]:
    row = INPUTS[path]
    if row.of is bool:
        return (False, True)
    fitting = [text for text in texts if row.words is None or text in row.words]
    return (*fitting, min(row.words) if row.words else "")

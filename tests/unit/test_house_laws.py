"""The laws of this house that no other tool holds, read off the source as it stands in the repository."""

import ast
import io
import os
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
OURS = sorted(path for folder in ("services", "schemas") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MOST_FUNCTION_LINES = 60
MOST_FILE_LINES = 400
DRAWERS = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc", "lib"}

# Where a module of the outside may be imported; everywhere else what it does is asked of these files.
ONLY_HERE = {
    "sqlalchemy": re.compile(r"services/(runtime/.*|[a-z]+/store(\.py|/.*)|[a-z]+/migrations/.*)"),
    "alembic": re.compile(r"services/(runtime/migrate\.py|[a-z]+/migrations/.*)"),
    "asyncpg": re.compile(r"services/runtime/.*"),
    "aiokafka": re.compile(r"services/runtime/(broker|publisher|administration|access|copying|kafkawire)\.py"),
    "faststream": re.compile(r"services/runtime/(broker|description|kafkalogin)\.py"),
}

# The last is the one that makes an engine of its own before anyone can connect to it.
WITH_SQL = re.compile(r"services/(runtime/.*|[a-z]+/store(\.py|/.*)|[a-z]+/migrations/.*|cli/stack/postgres\.py)")
SQL = re.compile(
    r"\bSELECT\s[\s\S]+\sFROM\b|\bINSERT\s+INTO\b|\bUPDATE\s+\S+\s+SET\b|\bDELETE\s+FROM\b"
    r"|\b(CREATE|ALTER|DROP|TRUNCATE)\s+(TABLE|SCHEMA|ROLE|INDEX)\b|\bSET\s+(LOCAL\s+)?\w+\s*=|\bLISTEN\b|\bNOTIFY\b"
)

# What a log line may not be told: what people wrote, who reported, what opens doors, and the things that hold them.
PRIVATE = {
    "explanation", "excerpt", "legal_ground", "reporter", "reason", "password", "token", "secret", "private_key",
    "snapshot", "body", "value", "data", "payload", "report", "statement", "finding", "headers", "url", "dsn",
}  # fmt: skip
LOG_METHODS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log", "msg", "bind"}
EVENT_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")

# A place that only one machine has, and the hosts that the project may name: others are somebody's own.
MACHINE_PATH = re.compile(r"(?<![\w.}/-])/(?:home|Users|root|tmp|work|workspace|mnt|media)/")
# Tests may try ways up that must lead nowhere, to files that every machine has.
UPWARDS = re.compile(r"(?<![\w./])(?:\.\./)++(?!etc/)[\w./-]*")
HOST = re.compile(r"\b[a-z][a-z0-9+]*://(?:[^\s/@\"'`]*@)?([A-Za-z0-9][A-Za-z0-9.-]*)")
KNOWN_HOSTS = re.compile(
    # Nobody's (RFC 2606) and our own, as upper-case words where a reader puts in theirs.
    r"(?:[a-z0-9-]+\.)*example(?:\.(?:org|com|net))?|127\.0\.0\.1|0\.0\.0\.0|localhost|test|HOST|host"
    # The services and engines of the compose file.
    r"|postgres|kafka(?:-[123])?|web|intake|triage|review|outcomes|audit|jubao|gateway"
    r"|(?:triage|review)-(?:flagged|public)|(?:outcomes|audit)-consume"
    # Specifications, licences and the homes of what we stand on.
    r"|json-schema\.org|www\.w3\.org|www\.apache\.org|www\.rfc-editor\.org|cloudevents\.io|cel\.dev|c2sp\.org"
    r"|keepachangelog\.com|semver\.org|kafka\.apache\.org|www\.postgresql\.org|docs\.astral\.sh"
)
UNSEEN_FOLDERS = {"build", "dist", "__pycache__", "node_modules"}
SEEN_DOT_FOLDERS = {".ci", ".github"}

CLOCK = "services/runtime/clock.py"
HOUR = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
LATER = {
    "NotImplementedError",
    "pytest.skip",
    "pytest.xfail",
    "pytest.mark.skip",
    "pytest.mark.skipif",
    "pytest.mark.xfail",
}

Found = tuple[int, str]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(tree(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def broken(law: Callable[[Path], Iterator[Found]], paths: Iterable[Path]) -> list[str]:
    """What breaks a law as `file:line: what`, so that a failing test says where to go."""
    return [f"{place(path)}:{line}: {what}" for path in paths for line, what in law(path)]


def imported(path: Path) -> Iterator[tuple[int, str, str]]:
    """Each import as line, module and name; the name is empty where the module itself is imported."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, node.module, alias.name) for alias in node.names)


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an expression that is only names and dots, else an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        holder = dotted(node.value)
        return f"{holder}.{node.attr}" if holder else ""
    return ""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Each text literal with its line; the pieces of an f-string are one text, with `{}` for what is put in."""
    inner: set[int] = set()
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(piece) for piece in node.values}
            yield (
                node.lineno,
                "".join(piece.value if isinstance(piece, ast.Constant) else "{}" for piece in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner | documentation:
            yield node.lineno, node.value


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def log_calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_METHODS:
            holder = dotted(node.func.value).rpartition(".")[2]
            if holder.strip("_") in {"log", "logger"}:
                yield node


def project_files() -> Iterator[Path]:
    """Every file of the project as a clone has it; what tools leave behind is passed over."""
    for folder, inner, names in os.walk(ROOT):
        inner[:] = sorted(
            name
            for name in inner
            if name not in UNSEEN_FOLDERS
            and not name.endswith(".egg-info")
            and (not name.startswith(".") or name in SEEN_DOT_FOLDERS)
        )
        yield from (
            Path(folder) / name for name in sorted(names) if not name.endswith((".pyc", ".pem")) and name != ".git"
        )


def lines_of(path: Path) -> list[tuple[int, str]]:
    """The file's lines with their numbers; none where it is no text."""
    try:
        return list(enumerate(path.read_text("utf-8").splitlines(), start=1))
    except UnicodeDecodeError:
        return []


def test_the_tree_is_seen() -> None:
    """The laws look at files that are there: each service, the contracts and the tests."""
    seen = {place(path) for path in (*OURS, *TESTS)}
    assert {"services/runtime/clock.py", "schemas/topics.py", place(Path(__file__))} <= seen
    assert len(seen) > 100
    assert ROOT / "pyproject.toml" in set(project_files())


def sentences(path: Path) -> Iterator[Found]:
    for function in functions(path):
        sentence = ast.get_docstring(function, clean=False) or ""
        said = sentence.endswith(".") and "\n" not in sentence and not re.search(r"[.!?]\s+[A-Z]", sentence)
        if function.name.startswith("test_") and not said:
            yield function.lineno, f"{function.name} wants one sentence: {sentence!r}"


def test_tests_say_one_true_sentence() -> None:
    """Every test function has a docstring of one sentence on one line."""
    assert broken(sentences, TESTS) == []


def long_functions(path: Path) -> Iterator[Found]:
    for function in functions(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > MOST_FUNCTION_LINES:
            yield function.lineno, f"{function.name} has {length} lines"


def test_functions_are_short() -> None:
    """No function of services and contracts is longer than sixty lines."""
    assert broken(long_functions, OURS) == []


def test_files_are_short() -> None:
    """No file of services and contracts is longer than four hundred lines."""
    lengths = {place(path): len(lines_of(path)) for path in OURS}
    assert {name: length for name, length in lengths.items() if length > MOST_FILE_LINES} == {}


def test_there_are_no_drawers() -> None:
    """No module or folder is named for being useful instead of for what it does."""
    named = {place(path): set(place(path).removesuffix(".py").split("/")) for path in (*OURS, *TESTS)}
    assert [name for name, parts in named.items() if parts & DRAWERS] == []


def sleeping(path: Path) -> Iterator[Found]:
    for function in functions(path):
        if isinstance(function, ast.AsyncFunctionDef):
            calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
            yield from (
                (call.lineno, "time.sleep in a coroutine") for call in calls if dotted(call.func) == "time.sleep"
            )
    for line, module, name in imported(path):
        if (module, name) == ("time", "sleep"):
            yield line, "import time and call time.sleep, so that it can be seen"


def test_nothing_sleeps_in_async_code() -> None:
    """No coroutine of services blocks its loop by `time.sleep`, and none imports it under another name."""
    assert broken(sleeping, OURS) == []


def asking_the_hour(path: Path) -> Iterator[Found]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and ".".join(dotted(node).split(".")[-2:]) in HOUR:
            yield node.lineno, f"{dotted(node)}: take a Clock"


def test_time_comes_from_the_clock() -> None:
    """Only the clock asks the machine for the hour."""
    assert broken(asking_the_hour, [path for path in OURS if place(path) != CLOCK]) == []


def silenced(path: Path) -> Iterator[Found]:
    mute = re.compile(r"#\s*(type:\s*ignore(?!\[)|noqa(?!:\s*[A-Z]+\d)|mypy:)")
    return ((line, said) for line, said in comments(path) if mute.search(said))


def test_exemptions_name_their_rule() -> None:
    """Every comment that silences a tool says which of its rules."""
    assert broken(silenced, [*OURS, *TESTS]) == []


def left_for_later(path: Path) -> Iterator[Found]:
    for node in ast.walk(tree(path)):
        name = dotted(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""
        if name in LATER:
            yield node.lineno, name
    yield from ((line, said) for line, said in comments(path) if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", said))


def test_nothing_is_left_for_later() -> None:
    """There is no stub, no test that is passed over, and no note of what should be done one day."""
    assert broken(left_for_later, [*OURS, *TESTS]) == []


def strayed_imports(path: Path) -> Iterator[Found]:
    for line, module, name in imported(path):
        allowed = ONLY_HERE.get(module.partition(".")[0])
        if allowed and not allowed.fullmatch(place(path)):
            yield line, f"{module}.{name}".rstrip(".")


def test_engines_are_reached_in_one_place() -> None:
    """What reaches a database or the broker is imported only in the files that are there for it."""
    assert broken(strayed_imports, OURS) == []


def sql(path: Path) -> Iterator[Found]:
    return ((line, text[:60]) for line, text in texts(path) if SQL.search(text))


def test_sql_stands_in_stores() -> None:
    """SQL is written only in stores, migrations and runtime."""
    assert broken(sql, [path for path in OURS if not WITH_SQL.fullmatch(place(path))]) == []


def private_fields(path: Path) -> Iterator[Found]:
    for call in log_calls(path):
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg in PRIVATE:
                yield call.lineno, f"{keyword.arg or 'fields without names'} in a log line"


def test_logs_are_told_nothing_private() -> None:
    """No log call has an argument for what people wrote, who reported, or what opens doors."""
    assert broken(private_fields, OURS) == []


def odd_events(path: Path) -> Iterator[Found]:
    for call in log_calls(path):
        match call.args:
            case [ast.Constant(value=str(event))] if EVENT_NAME.fullmatch(event):
                continue
        yield call.lineno, ast.unparse(call)[:80]


def test_log_events_are_names() -> None:
    """A log call's one positional argument is a literal name, so nothing is put into a sentence unseen."""
    assert broken(odd_events, OURS) == []


def quoted_errors(path: Path) -> Iterator[Found]:
    for handler in (node for node in ast.walk(tree(path)) if isinstance(node, ast.ExceptHandler)):
        for call in log_calls(path):
            if not handler.lineno <= call.lineno <= (handler.end_lineno or 0):
                continue
            if dotted(call.func).endswith(".exception") or {k.arg for k in call.keywords} & {"exc_info", "stack_info"}:
                yield call.lineno, "a traceback in a log line"
            for keyword in call.keywords:
                if handler.name and quotes(keyword.value, handler.name):
                    yield call.lineno, f"{ast.unparse(keyword.value)} in a log line"


def quotes(value: ast.expr, error: str) -> bool:
    """Whether an expression shows the error itself rather than its type or an attribute."""
    shown = {id(node) for node in ast.walk(value) if isinstance(node, ast.Name) and node.id == error}
    for node in ast.walk(value):
        if isinstance(node, ast.Attribute):
            shown.discard(id(node.value))
        elif isinstance(node, ast.Call) and dotted(node.func) in {"type", "fault_of", "sqlstate"}:
            shown -= {id(argument) for argument in node.args}
    return bool(shown)


def test_logs_quote_no_error() -> None:
    """An error is logged by its type or an attribute, never by its text or traceback, which may quote."""
    assert broken(quoted_errors, OURS) == []


def test_nothing_names_a_machine() -> None:
    """No file names a path of one machine, or a way up that leads out of the repository."""
    found = []
    for path in project_files():
        for line, text in lines_of(path):
            found += [f"{place(path)}:{line}: {hit.group()}" for hit in MACHINE_PATH.finditer(text)]
            for hit in UPWARDS.finditer(text):
                target = (path.parent / hit.group()).resolve()
                if not (target.is_relative_to(ROOT) and target.exists()):
                    found.append(f"{place(path)}:{line}: {hit.group()}")
    assert found == []


def test_hosts_are_known() -> None:
    """Every address in the project is of a host that anyone can reach or that nobody has; a registry is a setting."""
    found = [
        f"{place(path)}:{line}: {hit.group()}"
        for path in project_files()
        for line, text in lines_of(path)
        for hit in HOST.finditer(text)
        if not KNOWN_HOSTS.fullmatch(hit.group(1).rstrip("."))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        (test_tests_say_one_true_sentence, 'def test_x():\n    """Two. Sentences."""\n'),
        (test_tests_say_one_true_sentence, "def test_x():\n    pass\n"),
        (test_functions_are_short, "def f():\n" + "    x = 1\n" * 60),
        (test_files_are_short, "x = 1\n" * 401),
        (test_nothing_sleeps_in_async_code, "import time\nasync def f():\n    time.sleep(1)\n"),
        (test_nothing_sleeps_in_async_code, "from time import sleep\n"),
        (test_time_comes_from_the_clock, "import datetime\nx = datetime.datetime.now(datetime.UTC)\n"),
        (test_time_comes_from_the_clock, "from datetime import date\nx = date.today()\n"),
        (test_exemptions_name_their_rule, "x = 1  # type" + ": ignore\n"),
        (test_exemptions_name_their_rule, "x = 1  # no" + "qa\n"),
        (test_nothing_is_left_for_later, "raise NotImplementedError\n"),
        (test_nothing_is_left_for_later, "import pytest\n@pytest.mark.skip\ndef f(): pass\n"),
        (test_nothing_is_left_for_later, "x = 1  # TO" + "DO later\n"),
        (test_engines_are_reached_in_one_place, "from sqlalchemy.ext.asyncio import AsyncConnection\n"),
        (test_engines_are_reached_in_one_place, "import aiokafka.errors\n"),
        (test_sql_stands_in_stores, 'x = f"SELECT * FROM {1}"\n'),
        (test_sql_stands_in_stores, 'x = "DELETE FROM cases"\n'),
        (test_logs_are_told_nothing_private, 'log.info("x", explanation="y")\n'),
        (test_logs_are_told_nothing_private, 'self._log.info("x", **fields)\n'),
        (test_log_events_are_names, 'log.info(f"x {1}")\n'),
        (test_log_events_are_names, 'log.info("a sentence", x=1)\n'),
        (test_logs_quote_no_error, 'try:\n    pass\nexcept OSError as e:\n    log.info("x", error=str(e))\n'),
        (test_logs_quote_no_error, 'try:\n    pass\nexcept OSError:\n    log.exception("x")\n'),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_laws_can_be_broken(law: Any, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each law finds what it forbids."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "services" / "intake" / "http.py"
    for name in ("OURS", "TESTS"):
        monkeypatch.setitem(globals(), name, [path])
    path.parent.mkdir(parents=True)
    path.write_text(wrong)
    with pytest.raises(AssertionError):
        law()
    path.write_text('"""A module."""\n')
    tree.cache_clear()
    law()


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        (test_nothing_names_a_machine, "see /wo" + "rk/main\n"),
        (test_nothing_names_a_machine, "see /ho" + "me/lin/jubao\n"),
        (test_nothing_names_a_machine, "see .." + "/elsewhere/data.csv\n"),
        (test_hosts_are_known, "https:" + "//packages.internal/simple\n"),
        (test_there_are_no_drawers, ""),
    ],
)
def test_laws_of_the_tree_can_be_broken(law: Any, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each law of the whole tree finds what it forbids."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "services" / "utils.py"
    monkeypatch.setitem(globals(), "OURS", [path])
    monkeypatch.setitem(globals(), "TESTS", [])
    path.parent.mkdir()
    path.write_text(wrong)
    with pytest.raises(AssertionError):
        law()

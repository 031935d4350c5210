"""The pages an operator is paged with know every metric and every log event of the code, and no other."""

import ast
import re
from pathlib import Path

from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from services.runtime import metrics

REPOSITORY = Path(__file__).parents[2]
PAGES = REPOSITORY / "docs" / "operations"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
EXPOSED = re.compile(r"`(jubao_[a-z0-9_]+)`")
NAMED = re.compile(r"`([a-z0-9_]+)`")


def first_cells(page: Path) -> dict[str, str]:
    """The rows of a page's tables, by each name that stands in their first cell."""
    rows = [line for line in page.read_text("utf-8").splitlines() if line.startswith("| `")]
    return {name: row for row in rows for name in NAMED.findall(row.split("|")[1])}


def logged_events() -> dict[str, str]:
    """Every event that the services log, with a file that does."""
    found = {}
    for file in sorted((REPOSITORY / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=logger, attr=level), args=[first, *_]) if (
                    level in LEVELS and is_logger(logger)
                ):
                    assert isinstance(first, ast.Constant), f"{file}:{node.lineno}: an event's name is to be a constant"
                    found[str(first.value)] = f"{file.relative_to(REPOSITORY)}:{node.lineno}"
    return found


def is_logger(node: ast.expr) -> bool:
    """Whether an expression is a module's `log`, or a logger made on the spot."""
    match node:
        case ast.Name(id="log") | ast.Call(func=ast.Name(id="logger") | ast.Attribute(attr="logger")):
            return True
        case _:
            return False


def declared_metrics() -> dict[str, MetricWrapperBase]:
    """Every metric that is declared, by the name under which it is exposed."""
    declared = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    return {f"{m._name}_total" if isinstance(m, Counter) else m._name: m for m in declared}


def test_every_log_event_has_its_row() -> None:
    """The page of events has a row for each event that the code logs, and none that it does not."""
    events = logged_events()
    told = first_cells(PAGES / "events.md").keys()
    assert {name: where for name, where in events.items() if name not in told} == {}
    assert told - events.keys() == set()


def test_every_metric_has_its_row() -> None:
    """The page of metrics has a row for each declared metric with all its labels, and none for another."""
    declared = declared_metrics()
    rows = first_cells(PAGES / "metrics.md")
    assert rows.keys() == declared.keys()
    for name, metric in declared.items():
        assert set(metric._labelnames) <= set(NAMED.findall(rows[name])), name


def test_all_metrics_are_declared_in_one_file() -> None:
    """No file but the vocabulary of metrics makes one, so the page's test sees them all."""
    elsewhere = [
        str(file.relative_to(REPOSITORY))
        for file in sorted((REPOSITORY / "services").rglob("*.py"))
        if "prometheus_client" in file.read_text("utf-8") and file.name != "metrics.py"
    ]
    assert elsewhere == []


def test_pages_name_no_metric_that_is_not() -> None:
    """Every metric that any page of operations mentions is one that a service answers."""
    pages = [REPOSITORY / "docs" / "operations.md", *sorted(PAGES.glob("*.md"))]
    named = {name for page in pages for name in EXPOSED.findall(page.read_text("utf-8"))}
    assert named <= declared_metrics().keys()

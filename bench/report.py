"""A benchmark's report: raw data, plots and a page, written into one directory so that anyone can renew them."""

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.figures import Result
from bench.measure import Measured
from bench.profile import Profile, by_kind
from services.cli.errors import CliError

RAW, PAGE, RATES, COSTS = "pipeline.json", "pipeline.md", "pipeline-rates.svg", "pipeline-costs.svg"


class PlotsMissing(CliError):
    """The library that draws is not installed."""

    def __init__(self) -> None:
        super().__init__("A report needs matplotlib; install it with `pip install -e '.[embedded,bench]'`.")


@dataclass(frozen=True)
class Told:
    """All that a report of the pipeline is made of."""

    machine: Mapping[str, object]
    results: Sequence[Result]
    turns: Mapping[str, Sequence[Measured]]
    profile: Profile


def check_plots() -> None:
    """Holds that a report can be drawn, before anybody waits half an hour for it.

    Raises:
        PlotsMissing: it cannot.
    """
    if find_spec("matplotlib") is None:
        raise PlotsMissing


def write(directory: Path, told: Told) -> None:
    """Writes raw data, plots and page over the last ones."""
    plots = importlib.import_module("bench.plots")
    directory.mkdir(parents=True, exist_ok=True)
    raw = {
        "machine": told.machine,
        "results": [result.plain() for result in told.results],
        "turns": {name: [turn.plain() for turn in turns] for name, turns in told.turns.items()},
        "profile_ms_a_report": told.profile,
    }
    (directory / RAW).write_text(json.dumps(raw, indent=1) + "\n")
    plots.rates(directory / RATES, {name: [turn.rate for turn in turns] for name, turns in told.turns.items()})
    plots.costs(directory / COSTS, told.profile)
    (directory / PAGE).write_text(page(told))


def page(told: Told) -> str:
    """The page, in Markdown."""
    parts = (
        "# Pipeline",
        "<!-- Written by `jubao bench pipeline --report`; README.md beside this page says how it is measured. -->",
        _where(told.machine),
        _results(told.results),
        f"![Reports a second]({RATES})",
        "## Turns",
        _turns(told.turns),
        "## Where the processor time goes",
        "Of one report, in microseconds, all processes together; from one more turn with the processes sampled.",
        _kinds(told.profile),
        f"![Processor time by process]({COSTS})",
    )
    return "\n\n".join(parts) + "\n"


def _where(machine: Mapping[str, object]) -> str:
    versions = machine["versions"]
    named = ", ".join(f"{name} {number}" for name, number in versions.items()) if isinstance(versions, dict) else ""
    changed = " with changes that are not committed" if machine["changed_since"] else ""
    return (
        f"Measured {machine['date']} at commit {machine['commit']}{changed} on {machine['cores']} cores of "
        f"{machine['processor']} with {machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}; "
        f"load before: {machine['load_before']}. {named}."
    )


def _results(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        spread = result.figures["ratio"]
        reach = f"{spread['min']:.3g} to {spread['max']:.3g}" if isinstance(spread, dict) else ""
        held = "holds" if result.holds else "is missed"
        rows.append((result.name, f"{result.ratio:.3g}", reach, f">= {result.goal:g}", held, str(result.runs)))
    return _table(("", "median ratio", "of pairs", "goal", "", "pairs"), rows)


def _turns(turns: Mapping[str, Sequence[Measured]]) -> str:
    rows = [
        (
            name,
            f"{turn.records:,}",
            f"{turn.seconds:.1f}",
            f"{turn.rate:,.0f}",
            f"{sum(turn.cpu_ms_a_report.values()) * 1000:,.0f}",
            f"{turn.wal_bytes_a_report:,}",
        )
        for name, taken in turns.items()
        for turn in taken
    ]
    head = ("", "reports", "seconds", "reports a second", "µs of processor time a report", "bytes of WAL a report")
    return _table(head, rows)


def _kinds(profile: Profile) -> str:
    kinds = by_kind(profile)
    total = sum(kinds.values()) or 1.0
    rows = [(kind, f"{spent * 1000:.1f}", f"{100 * spent / total:.0f} %") for kind, spent in kinds.items()]
    return _table(("", "µs", "share"), [*rows, ("all", f"{total * 1000:.1f}", "")])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

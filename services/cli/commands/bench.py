"""`jubao bench`: Jubao's figures on this machine, beside their goals."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from services.cli.errors import CliError
from services.cli.options import json_option
from services.cli.output import emit, progress
from services.cli.tables import table_of

_CHECKOUT = Path(__file__).parents[3]
_RUNS = 5


class NoCheckout(CliError):
    """The command is run from an installed wheel, which has no benchmarks in it."""

    def __init__(self) -> None:
        super().__init__(
            "Benchmarks stand in the folder bench/ of a checkout, which an installed package has not; "
            "clone the repository and run `make bench` there."
        )


@click.command(name="bench")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--runs", type=click.IntRange(1, 100), default=_RUNS, show_default=True, help="Turns of each contestant.")
@click.option("--records", type=click.IntRange(min=1000), metavar="N", help="Records a turn, for a short trial.")
@click.option("--entries", type=click.IntRange(min=1000), metavar="N", help="Entries of the log, likewise.")
@click.option("--seed", type=int, default=1, show_default=True, help="Other records.")
@click.option(
    "--report", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Write figures, profile, plots and raw data there; needs the extra `bench`.",
)  # fmt: skip
@json_option
def command(
    names: tuple[str, ...],
    *,
    runs: int,
    records: int | None,
    entries: int | None,
    seed: int,
    report: Path | None,
    as_json: bool,
) -> int:
    """Run benchmarks, all unless named: pipeline, audit. Exit 1 where a goal is missed.

    Each runs on engines and data directories of its own and takes both cores: let the machine be idle. The whole takes
    about half an hour, and the log of ten million entries 15 GB on the disk for temporary files.
    """
    bench = _bench()
    unknown = [name for name in names if name not in bench.BENCHES]
    if unknown:
        raise click.UsageError(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(bench.BENCHES)}")
    options = importlib.import_module("bench.options").Options(
        runs=runs, records=records, entries=entries, seed=seed, report=report, progress=progress
    )
    results = bench.run(names, options)
    emit([result.plain() for result in results], json=as_json, table=lambda: table_of(list(_lines(results))))
    return 0 if all(result.holds for result in results) else 1


def _lines(results: list[Any]) -> Iterator[dict[str, object]]:
    for result in results:
        told = result.plain()
        spread = told["figures"].get("ratio", {"min": told["ratio"], "max": told["ratio"]})
        yield {
            "name": told["name"],
            "ratio": f"{told['ratio']:.3g}",
            "from": f"{spread['min']:.3g}",
            "to": f"{spread['max']:.3g}",
            "goal": f"{told['goal']:g}",
            "holds": told["holds"],
            "runs": told["runs"],
        }


def _bench() -> Any:  # noqa: ANN401 -- a module that only a checkout has
    if not (_CHECKOUT / "bench" / "main.py").is_file():
        raise NoCheckout
    if str(_CHECKOUT) not in sys.path:
        sys.path.insert(0, str(_CHECKOUT))
    return importlib.import_module("bench.main")

"""`jubao bench pipeline`: from the public topic to claimable and in the log, beside two builds of the same job."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import report, rows
from bench.contestants import FLOOR, JUBAO, OBVIOUS, Contestant
from bench.figures import Result, compared, medians
from bench.machine import facts
from bench.measure import Measured, take_turn
from bench.options import Options
from bench.profile import Profile, profile
from bench.reports import submissions
from services.cli.errors import CliError

OBVIOUS_GOAL = 30.0
FLOOR_GOAL = 0.25

# Enough that neither a start nor an end shows in the rate, and that it stays the same for three times as many.
RECORDS = 100_000
# At a fiftieth of the rate, so few are enough.
OBVIOUS_RECORDS = 10_000
# Statements prepared, connections open, the broker's code compiled, the first cases there to be joined.
WARM_UP_RECORDS = 10_000
OBVIOUS_WARM_UP_RECORDS = 500
LEAST_RECORDS = 100

_ORDERS = ((JUBAO, OBVIOUS, FLOOR), (FLOOR, JUBAO, OBVIOUS), (OBVIOUS, FLOOR, JUBAO))


class RowsDiffer(CliError):
    """The floor did not leave what Jubao leaves, so their rates say nothing of one another."""

    def __init__(self, tables: Sequence[rows.Uneven]) -> None:
        self.tables = tables
        told = ", ".join(f"{t.table} has {t.ours} rows of Jubao's and {t.theirs} of the floor's" for t in tables)
        super().__init__(
            f"The floor did other work than Jubao: {told}; bring bench/floor up to what migrations and consumers do."
        )


@dataclass(frozen=True)
class Pair:
    """One run: each of the three, one after the other."""

    jubao: Measured
    obvious: Measured
    floor: Measured


def run(options: Options) -> list[Result]:
    """Runs all pairs; a result beside the obvious build and one beside the floor.

    Raises:
        TurnFailed: a contestant did not start or did not finish.
        RowsDiffer: the floor did not leave the same rows.
        PlotsMissing: a report was asked for that cannot be drawn.
    """
    if options.report is not None:
        report.check_plots()
    before = facts()
    pairs = [_pair(options, number) for number in range(options.runs)]
    results = results_of(pairs)
    if options.report is not None:
        turns = {name: [getattr(pair, name) for pair in pairs] for name in ("jubao", "obvious", "floor")}
        report.write(options.report, report.Told(before, results, turns, _profile(options)))
    return results


def _profile(options: Options) -> Profile:
    warm_up, count = sizes(JUBAO, options.records)
    drawn = submissions(options.seed, warm_up + count)
    with options.progress("profile", warm_up + count) as advance:
        return profile(drawn[:warm_up], drawn[warm_up:], advance)


def results_of(pairs: Sequence[Pair]) -> list[Result]:
    """The two results of some pairs."""
    ours = [pair.jubao.rate for pair in pairs]
    return [
        compared("pipeline.obvious", ours, [p.obvious.rate for p in pairs], OBVIOUS_GOAL, _figures(pairs, "obvious")),
        compared("pipeline.floor", ours, [p.floor.rate for p in pairs], FLOOR_GOAL, _figures(pairs, "floor")),
    ]


def _figures(pairs: Sequence[Pair], other: str) -> dict[str, object]:
    theirs: list[Measured] = [getattr(pair, other) for pair in pairs]
    ours = [pair.jubao for pair in pairs]
    return {
        "records": ours[0].records,
        "other_records": theirs[0].records,
        "seconds": [measured.seconds for measured in ours],
        "other_seconds": [measured.seconds for measured in theirs],
        "cpu_ms_a_report": medians([measured.cpu_ms_a_report for measured in ours]),
        "other_cpu_ms_a_report": medians([measured.cpu_ms_a_report for measured in theirs]),
        "wal_bytes_a_report": ours[0].wal_bytes_a_report,
        "other_wal_bytes_a_report": theirs[0].wal_bytes_a_report,
        "rows": ours[0].rows,
        "other_rows": theirs[0].rows,
    }


def _pair(options: Options, number: int) -> Pair:
    measured = {contestant.name: _turn(contestant, options, number) for contestant in _ORDERS[number % len(_ORDERS)]}
    if uneven := rows.uneven(measured[JUBAO.name].rows, measured[FLOOR.name].rows):
        raise RowsDiffer(uneven)
    return Pair(**measured)


def _turn(contestant: Contestant, options: Options, number: int) -> Measured:
    warm_up, count = sizes(contestant, options.records)
    drawn = submissions(options.seed + number, warm_up + count)
    told = f"{number + 1}/{options.runs} {contestant.name}"
    with options.progress(told, warm_up + count) as advance:
        return take_turn(contestant, drawn[:warm_up], drawn[warm_up:], advance)


def sizes(contestant: Contestant, records: int | None) -> tuple[int, int]:
    """How many records warm a contestant up, and over how many it is measured; a short trial keeps the proportions."""
    wanted = records or RECORDS
    warm_up, most = WARM_UP_RECORDS, RECORDS
    if contestant is OBVIOUS:
        wanted, warm_up, most = (
            max(LEAST_RECORDS, wanted * OBVIOUS_RECORDS // RECORDS),
            OBVIOUS_WARM_UP_RECORDS,
            OBVIOUS_RECORDS,
        )
    return max(LEAST_RECORDS, min(warm_up, warm_up * wanted // most)), wanted

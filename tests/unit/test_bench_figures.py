"""The arithmetic of the benchmark: ratios of pairs, their medians, what holds, and which rows must be even."""

import hashlib
from pathlib import Path

import pytest

from bench import rows
from bench.contestants import FLOOR, JUBAO, OBVIOUS
from bench.figures import Result, compared, medians, ratios, spread, within
from bench.measure import Measured
from bench.pipeline import FLOOR_GOAL, OBVIOUS_GOAL, Pair, results_of, sizes
from bench.processes import spent
from bench.profile import by_kind, shared_out
from bench.report import Told, page
from bench.reports import LEAST_BYTES, MOST_BYTES, REPORTS_AN_ITEM, submissions
from bench.rows import Uneven
from bench.sampler.sampling import KINDS, REST, kind_of

ROOT = Path(__file__).parents[2]


def measured(contestant: str, rate: float) -> Measured:
    return Measured(contestant, 1_000, round(1_000 / rate, 3), rate, {"postgres": 0.1}, 3_000, {"a": 1}, {"a": 8192})


def pair(jubao: float, obvious: float, floor: float) -> Pair:
    return Pair(measured("jubao", jubao), measured("obvious", obvious), measured("floor", floor))


def test_a_ratio_is_of_pairs() -> None:
    """Each of ours is divided by its own neighbour in time, not by an average."""
    assert ratios([100.0, 50.0], [10.0, 5.0]) == [10.0, 10.0]


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], []), ([1.0], [1.0, 2.0]), ([1.0], [0.0]), ([1.0], [-1.0])])
def test_what_is_no_pair_has_no_ratio(ours: list[float], theirs: list[float]) -> None:
    """Rates without a neighbour, or beside one that did nothing, are refused rather than counted."""
    with pytest.raises(ValueError, match="pairs"):
        ratios(ours, theirs)


def test_the_median_is_compared() -> None:
    """One turn that a busy machine spoiled does not change the result."""
    found = compared("x", [30.0, 31.0, 3.0], [1.0, 1.0, 1.0], 30.0, {})
    assert found.ratio == 30.0
    assert found.holds
    assert found.figures["ratio"] == {"min": 3.0, "median": 30.0, "max": 31.0}
    assert found.runs == 3


def test_a_goal_is_held_by_reaching_it() -> None:
    """A ratio equal to its goal holds it, and one below does not."""
    assert Result("x", 0.25, 0.25, 1).holds
    assert not Result("x", 0.2499, 0.25, 1).holds


def test_a_result_has_the_fields_of_the_interface() -> None:
    """What is printed has the six fields that others read, and no more."""
    plain = Result("x", 1 / 3, 0.25, 5, {"a": 1}).plain()
    assert plain == {"name": "x", "ratio": 0.3333, "goal": 0.25, "holds": True, "figures": {"a": 1}, "runs": 5}


def test_a_spread_needs_a_figure() -> None:
    """Least, median and greatest are told of one figure too, and of none they are not."""
    assert spread([2.0]) == {"min": 2.0, "median": 2.0, "max": 2.0}
    assert spread([1.0, 2.0, 4.0, 3.0]) == {"min": 1.0, "median": 2.5, "max": 4.0}
    with pytest.raises(ValueError, match="at least one"):
        spread([])


def test_medians_are_taken_by_name() -> None:
    """Of each process its own median."""
    assert medians([{"a": 1.0, "b": 9.0}, {"a": 2.0, "b": 8.0}, {"a": 9.0, "b": 1.0}]) == {"a": 2.0, "b": 8.0}


def test_both_goals_are_asked_of_the_same_turns() -> None:
    """Pairs give two results, beside the obvious build and beside the floor."""
    obvious, floor = results_of([pair(4_000, 100, 20_000), pair(4_200, 100, 20_000), pair(4_400, 100, 20_000)])
    assert (obvious.name, obvious.ratio, obvious.goal, obvious.holds) == ("pipeline.obvious", 42.0, OBVIOUS_GOAL, True)
    assert (floor.name, floor.ratio, floor.goal, floor.holds) == ("pipeline.floor", 0.21, FLOOR_GOAL, False)


def test_rows_are_held_even() -> None:
    """A table that one filled otherwise than the other is named with both counts; a new table is no exception."""
    assert rows.uneven({"review.cases": 3}, {"review.cases": 3}) == []
    assert rows.uneven({"review.cases": 3, "audit.new": 1}, {"review.cases": 4}) == [
        Uneven("audit.new", 1, 0),
        Uneven("review.cases", 3, 4),
    ]


def test_what_the_clock_decides_may_differ() -> None:
    """Minutes are not held even, and a tile more or less is what the start's own entries make."""
    assert rows.uneven({"audit.minutes": 3, "audit.tiles": 11}, {"audit.minutes": 1, "audit.tiles": 10}) == []
    assert rows.uneven({"audit.tiles": 14}, {"audit.tiles": 10}) == [Uneven("audit.tiles", 14, 10)]


def test_growth_is_what_came_in() -> None:
    """Tables that stayed as they were are not told."""
    assert rows.growth({"a": 1, "b": 2}, {"a": 1, "b": 5, "c": 1}) == {"b": 3, "c": 1}


def test_processor_time_is_a_difference() -> None:
    """What was used before the measured time is taken off, and a process that came later counts whole."""
    assert spent({"a": 1.0}, {"a": 1.5, "b": 0.25}) == {"a": 0.5, "b": 0.25}


def test_a_trial_keeps_proportions() -> None:
    """A tenth of the records is a tenth for the obvious build too; the floor gets what we get."""
    assert sizes(JUBAO, None) == (10_000, 100_000)
    assert sizes(OBVIOUS, None) == (500, 10_000)
    assert sizes(JUBAO, 10_000) == sizes(FLOOR, 10_000) == (1_000, 10_000)
    assert sizes(OBVIOUS, 10_000) == (100, 1_000)
    assert sizes(JUBAO, 300_000) == (10_000, 300_000)


def test_samples_share_out_the_time() -> None:
    """A process's time goes to what its samples say, and an engine's stays whole."""
    told = shared_out({"records": 0.2, "postgres": 0.1}, {"records": {"SQL": 3, "decode": 1}})
    assert told == {"records": {"SQL": 0.15, "decode": 0.05}, "postgres": {"postgres": 0.1}}
    assert by_kind({**told, "x": {"SQL": 0.05}}) == pytest.approx({"SQL": 0.2, "postgres": 0.1, "decode": 0.05})


@pytest.mark.parametrize(
    ("stack", "kind"),
    [
        (["/v/asyncpg/connection.py:fetch", "/x/services/runtime/outbox.py:_wave"], "outbox and publishing"),
        (["/v/asyncpg/connection.py:fetch", "/x/services/audit/store/entries.py:append"], "SQL"),
        (["/v/asyncpg/transaction.py:commit", "/x/services/runtime/batch.py:_write"], "commit"),
        (["/x/services/triage/classing.py:class_of", "/x/services/triage/consume.py:prepare"], "policy"),
        (["/x/services/runtime/decoding.py:decode_event", "/x/services/runtime/batch.py:_process"], "decode"),
        (["/v/aiokafka/consumer/fetcher.py:_proc"], "broker"),
        (["/x/asyncio/base_events.py:run_forever"], REST),
    ],
)
def test_a_stack_is_counted_once(stack: list[str], kind: str) -> None:
    """What a process does is told by the first line of the table that fits any frame of its stack."""
    assert kind_of(stack) == kind


def test_the_parts_that_are_asked_for_are_told() -> None:
    """The profile knows decode, attestation, policy, SQL, commit and broker by name, and their files are there."""
    assert {"decode", "attestation", "policy", "SQL", "commit", "broker"} <= {kind for kind, _ in KINDS}
    ours = [
        hint for _, hints in KINDS for hint in hints if hint.startswith(("runtime/", "triage/", "review/", "audit/"))
    ]
    assert ours
    assert [hint for hint in ours if not (ROOT / "services" / hint.partition(":")[0]).exists()] == []


def test_reports_are_like_real_ones() -> None:
    """Records have the size of real ones, items come back thrice, some are hot, and a seed gives them again."""
    drawn = submissions(7, 6_000)
    assert drawn == submissions(7, 6_000)
    assert drawn != submissions(8, 6_000)
    sizes_bytes = [len(record.value) for record in drawn]
    assert min(sizes_bytes) >= LEAST_BYTES
    assert max(sizes_bytes) <= MOST_BYTES
    items = [record.key for record in drawn]
    assert len(items) / len(set(items)) == pytest.approx(REPORTS_AN_ITEM, rel=0.01)
    assert max(items.count(item) for item in set(items[:200])) > 20
    assert len({record.value for record in drawn}) == len(drawn)


def test_the_page_tells_what_was_measured() -> None:
    """The page names machine, commit, goals and every turn."""
    pairs = [pair(4_000, 100, 10_000)]
    turns = {"jubao": [pairs[0].jubao], "obvious": [pairs[0].obvious], "floor": [pairs[0].floor]}
    machine = {
        "date": "2026-01-05", "commit": "abc1234", "changed_since": False, "processor": "P", "cores": 2,
        "memory_gib": 8, "load_before": 0.1, "system": "Linux", "python": "3.13", "versions": {"asyncpg": "1"},
    }  # fmt: skip
    told = page(Told(machine, results_of(pairs), turns, {"records": {"SQL": 0.1}}))
    assert "at commit abc1234 on 2 cores of P" in told
    assert "| pipeline.obvious | 40 | 40 to 40 | >= 30 | holds | 1 |" in told
    assert "| floor | 1,000 | 0.1 | 10,000 | 100 | 3,000 |" in told


def test_the_obvious_build_is_frozen() -> None:
    """The obvious build is, byte for byte, the one that earlier figures were measured against."""
    folder = ROOT / "bench" / "obvious"
    known = dict(line.split()[::-1] for line in (folder / "FROZEN").read_text().splitlines())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.py")}
    assert found == known


def test_a_time_is_held_by_most_calls() -> None:
    """Of a hundred calls the five slowest may take longer than the goal, and no more; the ratio is above one then."""
    calls = [float(number) for number in range(1, 101)]
    told = within("a", calls, 96.0, {"entries": 5})
    assert told.holds
    assert told.figures["p95_ms"] == pytest.approx(95.05)
    assert (told.figures["max_ms"], told.figures["calls"], told.figures["entries"]) == (100.0, 100, 5)
    assert not within("a", calls, 95.0, {}).holds

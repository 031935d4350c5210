"""Searches by two things at once: what they find, and how much they read where an item has thousands of entries."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from random import Random
from typing import Any
from uuid import UUID

import pytest

from services.audit.store import search as find
from services.audit.store.erasing import OF_CONTENT
from services.audit.store.search import Wanted
from services.runtime.database import Connection
from services.runtime.process import Process
from tests.integration.audit_logs import Said, fresh_process, logged, planned

BEGIN = datetime(2026, 11, 23, 8, tzinfo=UTC)
FILTERS = ("type", "report_id", "case_id", "content_id", "source_id", "actor", "event_id", "time")
ENTRIES, DRAWS = 300, 12
SUBMITTED, JOINED, CLAIMED = "jubao.report.submitted.v1", "jubao.case.joined.v1", "jubao.case.claimed.v1"
ALERT = "jubao.activity.alert.v1"
REPORTS_EACH = 2_500
LIMIT = 101
MOST_READ = 1_200


def made_up(random: Random) -> list[Said]:
    """Entries whose every id, type and actor is one of a few, so that all kinds of meetings come about."""

    def one_of(count: int, make: Callable[[int], Any], absent: float = 0.3) -> Any:
        return None if random.random() < absent else make(random.randrange(count))

    return [
        Said(
            type=one_of(4, "jubao.kind.{}.v1".format, 0),
            actor=one_of(5, "actor-{}".format, 0),
            at=BEGIN + timedelta(seconds=number * 20 + random.randrange(600)),
            event_id=UUID(int=number),
            identity=UUID(int=1_000_000 + number) if random.random() < 0.2 else None,
            report_id=one_of(40, lambda n: UUID(int=100 + n)),
            case_id=one_of(6, lambda n: UUID(int=200 + n), 0.6),
            content_id=one_of(5, "v_{}".format),
            source_id=one_of(3, "src-{}".format),
        )
        for number in range(ENTRIES)
    ]


def drawn(random: Random, said: Sequence[Said], names: Sequence[str]) -> Wanted:
    """A search by these: by what an entry has, or another one, or by what no entry has."""
    given: dict[str, Any] = {}
    one = random.choice(said)
    for name in names:
        row = one if random.random() < 0.6 else random.choice(said)
        if name == "time":
            since = row.at - timedelta(seconds=random.randrange(1_200))
            both = {"since": since, "until": since + timedelta(seconds=random.randrange(2_400))}
            given |= random.choice((both, {"since": both["since"]}, {"until": both["until"]}))
        elif (value := getattr(row, name)) is not None:
            given[name] = value
        else:
            given[name] = "nobody" if name in {"content_id", "source_id"} else UUID(int=7)
    return Wanted(**given)


def expected(said: Sequence[Said], wanted: Wanted) -> list[int]:
    """The indexes of the entries that fit, by the words of the documentation."""
    cases = {s.case_id for s in said if s.report_id == wanted.report_id and s.case_id is not None}
    plain = ("type", "actor", "case_id", "content_id", "source_id", "event_id")
    return [
        index
        for index, s in enumerate(said)
        if all(getattr(wanted, name) in {None, getattr(s, name)} for name in plain)
        and (wanted.report_id is None or s.report_id == wanted.report_id or s.case_id in cases)
        and (wanted.since is None or s.at >= wanted.since)
        and (wanted.until is None or s.at < wanted.until)
    ]


@pytest.fixture(scope="module", params=[1, 2, 3])
async def small(
    request: pytest.FixtureRequest, postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Process, Random, list[Said]]]:
    """A small log that is made up, and how it goes on being made up."""
    random = Random(f"searches {request.param}")
    said = made_up(random)
    async with fresh_process(postgres_dsn, tmp_path_factory.mktemp("small")) as process:
        await logged(process, [one.leaf() for one in said])
        yield process, random, said


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_a_search_finds_what_fits(
    small: tuple[Process, Random, list[Said]], count: int, *, generic: bool
) -> None:
    """Any one, two or three filters find the entries that fit them all, in order, on pages of any size."""
    process, random, said = small

    async def work(connection: Connection) -> None:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute(f"SET LOCAL plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
        for names in combinations(FILTERS, count):
            for _ in range(DRAWS if count < 3 else 3):
                wanted = drawn(random, said, names)
                assert await paged(connection, wanted, random.choice((1, 2, 7, 400))) == expected(said, wanted), wanted

    await process.database("audit").transact(work)


async def paged(connection: Connection, wanted: Wanted, limit: int) -> list[int]:
    found: list[int] = []
    while page := await find.search(connection, wanted, limit):
        found += [index for index, _ in page]
        if len(page) < limit:
            break
        names = {name: getattr(wanted, name) for name in wanted.__slots__}
        wanted = Wanted(**names | {"after": page[-1][0]})
    return found


def hot_log() -> Iterator[Said]:
    """An item that many report, another one that only the largest source reports, both as often, and a log around."""
    for number in range(REPORTS_EACH):
        at = BEGIN + timedelta(seconds=number)
        for kind, (item, case, actor, source) in enumerate(
            (("hot", CASE, "app-backend", None), ("other", OTHER_CASE, "src-large", "src-large"))
        ):
            report = report_of(number, kind)
            yield Said(SUBMITTED, actor, at, event_of(report, 0), report, None, item, source)
            yield Said(JOINED, "review", at, event_of(report, 1), report, case, item, source)
        for kind in (2, 3):
            report = report_of(number, kind)
            item, case, actor = f"v_{report.int}", UUID(int=report.int + 1), f"reviewer-{number % 50}"
            source = "src-small" if number % 50 == 0 else None
            yield Said(SUBMITTED, source or "app-backend", at, event_of(report, 0), report, None, item, source)
            yield Said(JOINED, "review", at, event_of(report, 1), report, case, item, source)
            yield Said(CLAIMED, actor, at, event_of(report, 2), None, case, item, None)
        if number % 500 == 0:
            yield Said(ALERT, "intake", at, UUID(int=number + 5), None, None, None, None)
            yield Said(CLAIMED, "reviewer-7", at, UUID(int=number + 6), None, CASE, "hot", None)


def report_of(number: int, kind: int) -> UUID:
    return UUID(int=(number * 4 + kind + 1) << 64)


def event_of(report: UUID, step: int) -> UUID:
    return UUID(int=report.int + (step + 1 << 32))


CASE, OTHER_CASE = UUID(int=8), UUID(int=9)
HALF = BEGIN + timedelta(seconds=REPORTS_EACH // 2)
ASKED: dict[str, list[dict[str, Any]]] = {
    "type": [{"type": SUBMITTED}, {"type": JOINED}, {"type": CLAIMED}, {"type": ALERT}],
    "report_id": [{"report_id": report_of(2_000, kind)} for kind in range(3)],
    "case_id": [{"case_id": CASE}, {"case_id": OTHER_CASE}],
    "content_id": [{"content_id": "hot"}, {"content_id": "other"}, {"content_id": f"v_{report_of(50, 2).int}"}],
    "source_id": [{"source_id": "src-large"}, {"source_id": "src-small"}],
    "actor": [{"actor": name} for name in ("app-backend", "review", "reviewer-7", "src-large", "src-small", "intake")],
    "event_id": [{"event_id": event_of(report_of(2_000, 0), 1)}],
    "time": [{"since": HALF}, {"until": HALF}, {"since": HALF, "until": HALF + timedelta(minutes=1)}],
}


@pytest.fixture(scope="module")
async def hot(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """A process with that log."""
    async with fresh_process(postgres_dsn, tmp_path_factory.mktemp("hot")) as process:
        await logged(process, [said.leaf() for said in hot_log()])
        yield process


@pytest.mark.parametrize("pair", list(combinations(ASKED, 2)), ids="+".join)
async def test_two_large_ones_are_read_for_a_page(hot: Process, pair: tuple[str, str]) -> None:
    """Any two filters read a few pages of entries for one, by either kind of plan, and apart each large one once."""
    asked = [Wanted(**one, **other) for one, other in product(ASKED[pair[0]], ASKED[pair[1]])]
    for wanted in asked:
        if find.is_walk(wanted):
            continue
        for generic in (False, True):
            read = await hot.database("audit").transact(lambda c, w=wanted, g=generic: rows_read(c, w, generic=g))
            apart = {wanted.content_id, wanted.case_id or wanted.report_id} - {None}
            most = 2 * REPORTS_EACH + MOST_READ if wanted.content_id and len(apart) == 2 else MOST_READ
            assert read <= most, (wanted, generic, read)


async def test_stories_and_erasures_read_no_more(hot: Process) -> None:
    """The claims of a large case, and the next entries of a large item, are found without a look at other rows."""
    report = {"report_id": report_of(2_000, 0), "limit": 1_000, "of_reports": [JOINED]}
    item = {"content_id": "hot", "start": 1_000, "most": 100}

    async def work(connection: Connection) -> list[int]:
        return [
            looked_at(await planned(connection, statement.text, values, generic=generic, run=True))
            for generic in (False, True)
            for statement, values in ((find.OF_ITS_CASES, report), (OF_CONTENT, item))
        ]

    claims, entries, *_ = both = await hot.database("audit").transact(work)
    assert both[2:] == [claims, entries]
    assert claims <= 100
    assert entries <= 2 * REPORTS_EACH + 200


async def rows_read(connection: Connection, wanted: Wanted, *, generic: bool) -> int:
    """How many rows the plan's scans of tables and indexes looked at."""
    bounds = None
    if wanted.since or wanted.until:
        first, last = (await connection.execute(find.BOUNDS, {"since": wanted.since, "until": wanted.until})).one()
        bounds = first, last
    statement, values = find.asked(wanted, bounds)
    nodes = await planned(connection, statement, values | {"limit": LIMIT}, generic=generic, run=True)
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"], wanted
    return looked_at(nodes)


def looked_at(nodes: Sequence[dict[str, Any]]) -> int:
    """How many rows the scans of a plan that was run have seen."""
    return sum(
        int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes
        if "Index Name" in node
    )

"""Searching a log of 50,000 entries: what is found, in pages, by whom, and by which index."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID, uuid4, uuid5

import httpx
import orjson
import pytest

from services.audit.app import UNITS
from services.audit.leaf import Disclosure, Leaf, Origin, leaf_of
from services.audit.store import search as find
from services.audit.store import tree
from services.audit.store.search import Wanted
from services.runtime.database import Connection
from services.runtime.issuer import LocalIssuer, Role
from services.runtime.process import Process
from tests.integration.audit_logs import At, fresh_process, logged, planned

SPACE = UUID("5d0c1d2e-7f0a-5b53-9d0c-5f6d0b8f3a11")
BEGIN = datetime(2026, 11, 23, 8, tzinfo=UTC)
REPORTS = 12_500
PATIENCE_SECONDS = 60


def named(what: str, number: int) -> UUID:
    return uuid5(SPACE, f"{what} {number}")


def four_entries(number: int) -> list[Leaf]:
    """A report's way in four entries: submitted, triaged, joined to the case of its item, and that case's claim.

    Three reports share an item, ten items a source; a report's entries begin at its second, its claim an hour later.
    """
    at = BEGIN + timedelta(seconds=number)
    report, case, content = named("report", number), named("case", number // 3), f"v_{number // 3}"
    source = f"src-{number // 30}" if number % 30 == 0 else None
    steps: list[tuple[str, str, str, datetime, dict[str, UUID], str | None]] = [
        ("reports.public.v1", "jubao.report.submitted.v1", "app-backend", at, {"report_id": report}, source),
        ("triage.public.v1", "jubao.report.triaged.v1", "triage", at, {"report_id": report}, None),
        ("cases.v1", "jubao.case.joined.v1", "review", at, {"report_id": report, "case_id": case}, None),
        ("cases.v1", "jubao.case.claimed.v1", f"anna-{number % 100}", at + timedelta(hours=1), {"case_id": case}, None),
    ]
    leaves = []
    for step, (topic, name, actor, time, ids, source_id) in enumerate(steps):
        origin = Origin(named(name, number), name, time, report, named(steps[step - 1][1], number) if step else None)
        shown = Disclosure(
            actor=actor,
            detail={"n": number},
            content_id=content,
            source_id=source_id,
            report_id=ids.get("report_id"),
            case_id=ids.get("case_id"),
        )
        identity = named("identity", number) if step == 0 else origin.id
        leaves.append(leaf_of(At(topic, number, time), origin, shown, identity=identity, salt=bytes(32)))
    return leaves


@pytest.fixture(scope="module")
async def process(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """A process with a log of 50,000 entries, and an issuer of tokens."""
    async with fresh_process(postgres_dsn, tmp_path_factory.mktemp("audit")) as made:
        await logged(made, [leaf for number in range(REPORTS) for leaf in four_entries(number)])
        yield made


def token(process: Process, role: Role) -> dict[str, str]:
    issuer = LocalIssuer(
        process.settings.data / "issuer.pem", issuer=process.settings.issuer, audience=process.settings.audience
    )
    return {"Authorization": f"Bearer {issuer.mint('ada', role)}"}


@pytest.fixture(scope="module")
async def http(process: Process) -> AsyncIterator[httpx.AsyncClient]:
    app = UNITS["http"](process).app
    assert app is not None
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://audit", headers=token(process, Role.AUDITOR)
    ) as client:
        yield client


async def search(http: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    """All entries that fit, page by page."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = await http.get("/v1/entries", params=filters | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found += answer.json()["entries"]
        cursor = answer.json()["next"]
        if cursor is None:
            return found


async def test_a_report_is_found_with_its_case(http: httpx.AsyncClient) -> None:
    """A search by report finds its own entries and all of its case, once each, in order of index."""
    found = await search(http, report_id=str(named("report", 300)), limit=2)
    own = [e for e in found if e.get("report_id") == str(named("report", 300))]
    assert [e["type"].split(".")[2] for e in own] == ["submitted", "triaged", "joined"]
    assert len(found) == 2 + 2 * 3
    indexes = [e["index"] for e in found]
    assert indexes == sorted(set(indexes))
    assert {e["case_id"] for e in found if "case_id" in e} == {str(named("case", 100))}


async def test_an_entry_is_shown_out_of_its_leaf(http: httpx.AsyncClient) -> None:
    """What an entry shows is in its leaf, id, cause and event time under `detail`."""
    (entry,) = await search(http, event_id=str(named("jubao.case.joined.v1", 7)))
    leaf = orjson.loads(b64decode(entry["leaf"]))
    assert entry["time"] == leaf["time"] == "2026-11-23T08:00:07.000Z"
    assert entry["actor"] == "review"
    assert entry["content_id"] == "v_2"
    assert "source_id" not in entry
    detail = entry["detail"]
    assert detail["id"] == str(named("jubao.case.joined.v1", 7))
    assert detail["causationid"] == str(named("jubao.report.triaged.v1", 7))
    assert detail["correlationid"] == str(named("report", 7))
    assert detail["event_time"] == "2026-11-23T08:00:07.000000Z"
    assert (detail["topic"], detail["partition"], detail["offset"], detail["n"]) == ("cases.v1", 0, 7, 7)


async def test_a_cause_is_found_by_its_event_id(http: httpx.AsyncClient) -> None:
    """A submitted event, whose identity is not its id, is found by that id all the same."""
    (entry,) = await search(http, event_id=str(named("jubao.report.submitted.v1", 8)))
    assert entry["report_id"] == str(named("report", 8))


async def test_filters_narrow_one_another(http: httpx.AsyncClient) -> None:
    """Each filter finds what fits it, and all that are given must fit."""
    assert len(await search(http, content_id="v_50")) == 12
    assert len(await search(http, content_id="v_50", type="jubao.case.joined.v1")) == 3
    assert len(await search(http, case_id=str(named("case", 50)))) == 6
    assert len(await search(http, source_id="src-4")) == 1
    assert len(await search(http, actor="anna-3", limit=1000)) == REPORTS // 100
    assert await search(http, actor="anna-3", content_id="v_50") == []
    story = await search(http, report_id=str(named("report", 300)), type="jubao.case.claimed.v1")
    assert len(story) == 3


async def test_time_is_cut_exactly(http: httpx.AsyncClient) -> None:
    """`from` is inclusive and `to` exclusive, however the entries of a time lie in the log."""
    since, until = BEGIN + timedelta(seconds=100), BEGIN + timedelta(seconds=103)
    found = await search(http, **{"from": since.isoformat(), "to": until.isoformat()})
    assert {e["time"][11:19] for e in found} == {"08:01:40", "08:01:41", "08:01:42"}
    assert len(found) == 9
    # The claims of an hour ago lie among the reports of now.
    since, until = since + timedelta(hours=1), until + timedelta(hours=1)
    found = await search(http, **{"from": since.isoformat(), "to": until.isoformat()})
    assert sorted(e["detail"]["n"] for e in found if e["type"].endswith("claimed.v1")) == [100, 101, 102]
    assert len(found) == 12
    last = BEGIN + timedelta(seconds=REPORTS - 1, hours=1)
    assert len(await search(http, **{"from": last.isoformat()})) == 1
    assert await search(http, **{"from": (last + timedelta(days=1)).isoformat()}) == []
    assert len(await search(http, to=(BEGIN + timedelta(seconds=1)).isoformat())) == 3


async def test_pages_hold_while_the_log_grows(http: httpx.AsyncClient, process: Process) -> None:
    """Entries that are appended between two pages are neither missed nor make another come twice."""
    actor = f"growing-{uuid4()}"

    def more(count: int) -> list[Leaf]:
        origins = [Origin(uuid4(), "jubao.activity.alert.v1", BEGIN, None, None) for _ in range(count)]
        shown = Disclosure(actor=actor, detail={})
        place = At("activity.v1", 0, BEGIN)
        return [leaf_of(place, origin, shown, identity=origin.id, salt=bytes(32)) for origin in origins]

    async with process.database("audit").begin() as writing:
        await tree.append(writing, more(5))
    first = (await http.get("/v1/entries", params={"actor": actor, "limit": 3})).json()
    async with process.database("audit").begin() as writing:
        await tree.append(writing, more(5))
    second = (await http.get("/v1/entries", params={"actor": actor, "limit": 100, "cursor": first["next"]})).json()
    indexes = [e["index"] for page in (first, second) for e in page["entries"]]
    assert len(indexes) == len(set(indexes)) == 10
    assert second["next"] is None


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=many",
        "cursor=AAAA",
        "cursor=%00",
        "report_id=17",
        "from=yesterday",
        "from=2026-11-23T08:00:00",
        "to=9999-12-31T23:59:59-14:00",
        "content_id=a%00b",
        "actor=a%00b",
        "actor=" + "x" * 201,
        "tpye=jubao.case.joined.v1",
    ],
)
async def test_what_does_not_fit_is_refused(http: httpx.AsyncClient, query: str) -> None:
    """A page too large, a cursor not ours, a misspelt filter: 422 with the place of the mistake."""
    answer = await http.get(f"/v1/entries?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["loc"].startswith("query")


async def test_a_tampered_cursor_is_refused(http: httpx.AsyncClient, process: Process) -> None:
    """A cursor with one character changed, or of another listing, is refused."""
    cursor = (await http.get("/v1/entries", params={"limit": 1})).json()["next"]
    changed = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
    for bad in (changed, process.cursors.write({"t": "x"}), process.cursors.write({"after": "1"})):
        assert (await http.get("/v1/entries", params={"cursor": bad})).status_code == 422


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.AUDITOR])
async def test_only_auditors_read_the_log(http: httpx.AsyncClient, process: Process, role: Role) -> None:
    """Every other role is refused with 403, nobody at all with 401."""
    assert (await http.get("/v1/entries", headers=token(process, role))).status_code == 403
    assert (await http.get("/v1/entries", headers={"Authorization": ""})).status_code == 401


INDEX_OF = [
    (Wanted(report_id=named("report", 5)), {"entries_by_report", "entries_by_case"}),
    (Wanted(case_id=named("case", 5)), {"entries_by_case"}),
    (Wanted(content_id="v_5"), {"entries_by_content"}),
    (Wanted(source_id="src-5"), {"entries_by_source"}),
    (Wanted(source_id="src-5", content_id="v_5"), {"entries_by_source_and_content"}),
    (Wanted(source_id="src-5", case_id=named("case", 5)), {"entries_by_source_and_case"}),
    (Wanted(content_id="v_5", case_id=named("case", 5)), {"entries_by_case", "entries_by_content"}),
    (Wanted(report_id=named("report", 5), source_id="src-5"), {"entries_by_report", "entries_by_source_and_case"}),
    (Wanted(event_id=named("jubao.report.submitted.v1", 5)), {"entries_by_event_id"}),
    (Wanted(after=25_000), {"entries_pkey"}),
    (Wanted(since=BEGIN + timedelta(hours=2), until=BEGIN + timedelta(hours=2, seconds=9)), {"entries_pkey"}),
]


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize(("wanted", "indexes"), INDEX_OF, ids=lambda value: str(value)[:60])
async def test_each_filter_is_read_from_its_index(
    process: Process, wanted: Wanted, indexes: set[str], *, generic: bool
) -> None:
    """No search reads the whole log, and none sorts more than a page: each follows the index made for it."""
    statement, values = find.asked(wanted, (20_000, 30_000) if wanted.since else None)
    nodes = await plan(process, statement, values | {"limit": 100}, generic=generic)
    used = {node["Index Name"] for node in nodes if "Index Name" in node}
    assert indexes <= used
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]


WALKS = [
    (Wanted(actor="anna-5", after=40_000), "doings_pkey"),
    (Wanted(type="jubao.activity.alert.v1"), "doings_by_type"),
    (Wanted(actor="anna-5", type="jubao.case.claimed.v1"), "doings_pkey"),
    (Wanted(type="jubao.case.claimed.v1", since=BEGIN + timedelta(hours=2)), "doings_by_type"),
]


@pytest.mark.parametrize(("wanted", "index"), WALKS, ids=lambda value: str(value)[:60])
async def test_actors_and_types_are_found_by_spans(process: Process, wanted: Wanted, index: str) -> None:
    """A search by actor or type asks a small index for spans of the log, and reads those alone."""
    assert find.is_walk(wanted)
    finding, naming = find.asked_spans(wanted)
    reading, values = find.asked_in_spans(wanted, (20_000, 30_000) if wanted.since else None)

    first = await plan(process, finding, naming | {"first_span": 0, "last_span": 1_000, "spans": 64})
    second = await plan(process, reading, values | {"spans": [1, 2], "limit": 100})
    assert index in {node.get("Index Name") for node in first}
    assert "entries_pkey" in {node.get("Index Name") for node in second}
    assert not [node for node in (*first, *second) if node["Node Type"] == "Seq Scan"]


async def test_a_pair_that_never_met_is_known_at_once(http: httpx.AsyncClient) -> None:
    """An actor and a type that are both common and never met are answered without a look at their entries."""
    async with asyncio.timeout(1):
        assert await search(http, actor="review", type="jubao.case.claimed.v1") == []


async def plan(
    process: Process, statement: str, values: dict[str, object], *, generic: bool = False
) -> list[dict[str, Any]]:
    async def work(connection: Connection) -> list[dict[str, Any]]:
        return await planned(connection, statement, values, generic=generic)

    return await process.database("audit").transact(work)


async def test_a_thousand_entries_are_one_quick_page(http: httpx.AsyncClient) -> None:
    """The largest page of a common type is answered well within the time a caller waits."""
    async with asyncio.timeout(2):
        answer = await http.get("/v1/entries", params={"type": "jubao.case.joined.v1", "limit": 1_000})
    assert len(answer.json()["entries"]) == 1_000


async def test_the_document_tells_the_filters(http: httpx.AsyncClient) -> None:
    """The OpenAPI document names every filter and the form of an entry."""
    document = (await http.get("/openapi.json")).json()
    names = {parameter["name"] for parameter in document["paths"]["/v1/entries"]["get"]["parameters"]}
    assert {"type", "report_id", "case_id", "content_id", "source_id", "actor", "from", "to", "cursor"} <= names
    assert "leaf" in document["components"]["schemas"]["ShownEntry"]["properties"]


VALUES: dict[str, dict[str, Any]] = {
    "type": {"type": "jubao.case.claimed.v1"},
    "report_id": {"report_id": named("report", 5)},
    "case_id": {"case_id": named("case", 5)},
    "content_id": {"content_id": "v_5"},
    "source_id": {"source_id": "src-5"},
    "actor": {"actor": "anna-5"},
    "event_id": {"event_id": named("jubao.report.submitted.v1", 5)},
    "time": {"since": BEGIN + timedelta(hours=1), "until": BEGIN + timedelta(hours=3)},
}


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("pair", list(combinations(VALUES, 2)), ids="+".join)
async def test_every_pair_of_filters_follows_an_index(
    process: Process, pair: tuple[str, str], *, generic: bool
) -> None:
    """Whatever two filters are given together, no plan reads the whole log, in order or not."""
    wanted = Wanted(**VALUES[pair[0]], **VALUES[pair[1]])
    bounds = (3_000, 45_000) if wanted.since else None
    if find.is_walk(wanted):
        finding, naming = find.asked_spans(wanted)
        reading, values = find.asked_in_spans(wanted, bounds)
        reach = {"first_span": 0, "last_span": 1_000, "spans": 64}
        asked = [(finding, naming | reach), (reading, values | {"spans": [1, 2], "limit": 100})]
    else:
        statement, values = find.asked(wanted, bounds)
        asked = [(statement, values | {"limit": 100})]
    nodes = [node for sql, given in asked for node in await plan(process, sql, given, generic=generic)]
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]
    if not find.is_walk(wanted):
        assert {node["Index Name"] for node in nodes if "Index Name" in node} - {"entries_pkey"}

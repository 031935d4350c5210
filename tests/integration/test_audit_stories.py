"""Stories over HTTP, in which language and of how large a case; and that whoever looks at the log is told to it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from schemas.erasure import answer_id, order_id
from schemas.topics import ACTIVITY
from services.audit.app import UNITS
from services.audit.leaf import Disclosure, Leaf, Origin, leaf_of
from services.audit.note import Checkpoint, Note, Signer
from services.audit.reading import Reader
from services.audit.store import checkpoints, entries, tree
from services.runtime.issuer import LocalIssuer, Role
from services.runtime.process import Process
from tests.integration.audit_logs import fresh_process

SPACE = UUID("5d0c1d2e-7f0a-5b53-9d0c-5f6d0b8f3a11")
BEGIN = datetime(2026, 11, 23, 8, tzinfo=UTC)
SMALL, LARGE = UUID(int=1), UUID(int=2)
CROWD = 6_000


class At:
    """A record's place."""

    def __init__(self, topic: str, offset: int, at: datetime) -> None:
        self.topic, self.partition, self.offset, self.at = topic, 0, offset, at


def entry(number: int, name: str, report: UUID | None, case: int | None, actor: str = "triage") -> Leaf:
    """An entry, a second after the one before it."""
    at = BEGIN + timedelta(seconds=number)
    origin = Origin(uuid5(SPACE, str(number)), f"jubao.{name}.v1", at, report, None)
    shown = Disclosure(
        actor=actor,
        detail={"class": "P3", "report_count": number + 1, "verdict": "no_violation", "decision_id": "d"},
        content_id="v_1",
        report_id=report,
        case_id=None if case is None else UUID(int=case),
    )
    return leaf_of(At("t", number, at), origin, shown, identity=origin.id, salt=bytes(32))


def way(first: int, report: UUID, case: int, others: int) -> list[Leaf]:
    """A report's way with so many other reports of its case, from an index on."""
    crowd = [entry(first + 3 + n, "case.joined", UUID(int=10 + first + n), case) for n in range(others)]
    after = first + 3 + others
    return [
        entry(first, "report.submitted", report, None, "app"),
        entry(first + 1, "report.triaged", report, None),
        entry(first + 2, "case.opened", report, case),
        *crowd,
        entry(after, "case.claimed", None, case, "wang"),
        entry(after + 1, "decision.made", None, case, "wang"),
        entry(after + 2, "outcome.reached", report, case, "outcomes"),
    ]


@pytest.fixture(scope="module")
async def process(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """A process with a log of two cases, and an issuer of tokens."""
    async with fresh_process(postgres_dsn, tmp_path_factory.mktemp("audit")) as made:
        async with made.database("audit").begin() as writing:
            await tree.append(writing, [*way(0, SMALL, 1, 1), *way(7, LARGE, 2, CROWD)])
            signer = Signer("log.test/jubao", Ed25519PrivateKey.generate())
            await checkpoints.name(writing, signer.name)
            size, root = await entries.head(writing)
            note = Note(text_of := Checkpoint(signer.name, size, root).text, (signer.sign(text_of),))
            await checkpoints.keep(writing, size, BEGIN, str(note))
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


async def test_a_story_has_every_entry_of_its_case(http: httpx.AsyncClient) -> None:
    """A story is told in Chinese by Shanghai's clocks unless asked otherwise, and names all entries of its case."""
    found = (await http.get(f"/v1/stories/{SMALL}")).json()
    assert (found["report_id"], found["lang"], found["complete"]) == (str(SMALL), "zh", True)
    assert sorted({index for sentence in found["sentences"] for index in sentence["entries"]}) == list(range(7))
    assert "审核员甲领取案件" in found["sentences"][4]["text"]
    assert found["sentences"][4]["time"] == "2026-11-23T16:00:04+08:00"
    asked = {"lang": "en", "time_zone": "Europe/Lisbon"}
    english = (await http.get(f"/v1/stories/{SMALL}", params=asked)).json()["sentences"]
    assert english[4]["text"].startswith("At 2026-11-23 08:00:04 +00:00 reviewer A claimed the case")


async def test_a_case_larger_than_a_story_is_told_in_part(http: httpx.AsyncClient) -> None:
    """Of a case of thousands the claim, the decision and the report's own outcome are told; `complete` is false."""
    found = (await http.get(f"/v1/stories/{LARGE}", params={"lang": "en"})).json()
    assert found["complete"] is False
    named = {index for sentence in found["sentences"] for index in sentence["entries"]}
    last = 7 + 3 + CROWD
    assert {7, 8, 9, 10, last, last + 1, last + 2} <= named
    assert "other reports of the same item" in found["sentences"][3]["text"]


async def test_what_cannot_be_told_is_said(http: httpx.AsyncClient) -> None:
    """A report that the log does not know is 404, a language or zone that there is not 422."""
    assert (await http.get(f"/v1/stories/{UUID(int=1 << 100)}")).status_code == 404
    for wrong in ({"lang": "fr"}, {"time_zone": "Asia/Nowhere"}, {"time_zone": "../etc/passwd"}, {"zone": "UTC"}):
        answer = await http.get(f"/v1/stories/{SMALL}", params=wrong)
        assert answer.status_code == 422, wrong


async def looks(process: Process, *, clear: bool = True) -> list[bytes]:
    """The events of looks that wait in the outbox."""
    async with process.database("audit").begin() as connection:
        found = list((await connection.execute(text("SELECT value FROM outbox ORDER BY id"))).scalars())
        if clear:
            await connection.execute(text("DELETE FROM outbox"))
    return found


LOOKS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("/v1/entries", {"report_id": SMALL, "from": BEGIN.isoformat()},
     {"what": "search", "answered": 7, "filters": ["from", "report_id"], "first": 0, "last": 6,
      "report_id": str(SMALL)}),
    ("/v1/entries", {"content_id": "v_1", "type": "jubao.case.claimed.v1", "limit": 1},
     {"what": "search", "answered": 1, "filters": ["content_id", "type"], "first": 4, "last": 4, "content_id": "v_1"}),
    ("/v1/entries", {"content_id": "zhang_san", "actor": "a reporter's name"},
     {"what": "search", "answered": 0, "filters": ["actor", "content_id"]}),
    ("/v1/entries", {"report_id": UUID(int=1 << 99)}, {"what": "search", "answered": 0, "filters": ["report_id"]}),
    (f"/v1/stories/{SMALL}", {}, {"what": "story", "answered": 7, "first": 0, "last": 6, "report_id": str(SMALL)}),
    (f"/v1/receipts/{SMALL}", {}, {"what": "receipt", "answered": 4, "first": 0, "last": 6, "report_id": str(SMALL)}),
    ("/v1/entries/5/proof", {"size": 7}, {"what": "proof", "answered": 1, "first": 5, "last": 5}),
    ("/v1/export", {"from": 2, "to": 6}, {"what": "export", "answered": 4, "first": 2, "last": 5}),
    ("/tiles/tile/entries/000", {}, {"what": "bundle", "answered": 256, "first": 0, "last": 255}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "query", "told"), LOOKS)
async def test_every_look_is_told_to_the_log(
    process: Process, http: httpx.AsyncClient, path: str, query: dict[str, Any], told: dict[str, Any]
) -> None:
    """A look is one event with account, role, kind and range; what was typed stands in it only if the log had it."""
    await looks(process)
    answer = await http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    (value,) = await looks(process)
    assert orjson.loads(value)["data"] == {"actor": "ada", "role": "auditor", "filters": [], **told}


async def test_what_shows_no_entry_is_no_look(process: Process, http: httpx.AsyncClient) -> None:
    """Keys, checkpoints, hashes, health, and what is refused or not there, are not told to the log."""
    await looks(process)
    for path in (
        "/healthz",
        "/v1/keys",
        "/v1/checkpoint",
        "/v1/consistency?from=1&to=7",
        "/tiles/tile/0/000",
    ):
        assert (await http.get(path)).status_code == 200, path
    for path in (f"/v1/stories/{UUID(int=1 << 99)}", "/v1/entries?type=none", "/tiles/tile/entries/999"):
        assert (await http.get(path)).status_code in {404, 422}, path
    assert await looks(process) == []


async def test_a_look_that_cannot_be_noted_is_not_answered(process: Process, http: httpx.AsyncClient) -> None:
    """Where the disk takes no event a search, a story and an export are 503, without a line of the log."""
    dsn = process.settings.database.get_secret_value()
    owner = await asyncpg.connect(dsn)
    await owner.execute(
        "CREATE FUNCTION audit.full() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$"
    )
    await owner.execute("CREATE TRIGGER full_disk BEFORE INSERT ON audit.outbox EXECUTE FUNCTION audit.full()")
    try:
        for path in ("/v1/entries", f"/v1/stories/{SMALL}", "/v1/export?to=3", "/tiles/tile/entries/000"):
            answer = await http.get(path)
            assert answer.status_code == 503, path
            assert "leaf" not in answer.text
    finally:
        await owner.execute("DROP TRIGGER full_disk ON audit.outbox")
        await owner.close()


async def test_looks_are_told_in_the_story_and_not_in_the_receipt(process: Process, http: httpx.AsyncClient) -> None:
    """Looks at a report, once logged, are in its story by role, and in no receipt, which goes to the reporter."""
    await looks(process)
    for _ in range(2):
        await http.get("/v1/entries", params={"report_id": SMALL})
    reader = Reader(ACTIVITY)
    noted = [
        reader.leaf(At("activity.v1", n, BEGIN + timedelta(hours=9, seconds=n)), value, bytes(32))
        for n, value in enumerate(await looks(process))
    ]
    async with process.database("audit").begin() as writing:
        await tree.append(writing, noted)
    last = (await http.get(f"/v1/stories/{SMALL}")).json()["sentences"][-1]
    assert "审计员乙2次检索日志，共显示14条。" in last["text"]
    assert last["entries"] == [CROWD + 13, CROWD + 14]
    assert len((await http.get(f"/v1/receipts/{SMALL}")).json()["entries"]) == 4


async def test_an_erasure_of_many_is_told_in_the_story_of_each(process: Process, http: httpx.AsyncClient) -> None:
    """The order that erased a report among others, and a service's answer to it, are in its story and in no other."""
    erasure, order = UUID(int=1 << 90), order_id(UUID(int=1 << 90), 2)
    details: list[tuple[UUID, str, dict[str, object]]] = [
        (order, "jubao.erasure.ordered.v1", {"part": 2, "basis": "reporter", "report_count": 300}),
        (answer_id(order, "review"), "jubao.erasure.done.v1", {"part": 2, "service": "review", "count": 41}),
    ]
    noted = []
    for event, name, detail in details:
        origin = Origin(event, name, BEGIN, None, None)
        shown = Disclosure(actor="zhao", detail={"erasure_id": erasure, **detail})
        noted.append(leaf_of(At("erasures.v1", 1, BEGIN), origin, shown, identity=event, salt=bytes(32)))
    async with process.database("audit").begin() as writing:
        first = (await entries.head(writing)).size
        await tree.append(writing, noted)
    owner = await asyncpg.connect(process.settings.database.get_secret_value())
    await owner.execute(
        "INSERT INTO audit.erasures (erasure_id, basis, ground, ordered_by, ordered_at, found_at) "
        "VALUES ($1, 'reporter', 'g', 'zhao', now(), now())",
        erasure,
    )
    told = "INSERT INTO audit.erasure_reports (erasure_id, report_id, part) VALUES ($1, $2, 2)"
    await owner.execute(told, erasure, SMALL)
    await owner.execute("INSERT INTO audit.erased VALUES ($1, $2, now())", SMALL, erasure)
    await owner.close()
    found = (await http.get(f"/v1/stories/{SMALL}", params={"lang": "en"})).json()["sentences"]
    said = {tuple(sentence["entries"]): sentence["text"] for sentence in found}
    assert "ordered the erasure of 300 reports, this one among them" in said[first,]
    assert "41 rows" in said[first + 1,]
    assert "zhao" not in str(said)
    other = (await http.get(f"/v1/stories/{LARGE}")).json()["sentences"]
    assert first not in {index for sentence in other for index in sentence["entries"]}

"""Stories over HTTP: of whom, by whom, in which language and zone, and of a case that is larger than a story."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4, uuid5

import asyncpg
import httpx
import pytest

from services.audit.app import UNITS
from services.audit.leaf import Disclosure, Leaf, Origin, leaf_of
from services.audit.store import tree
from services.runtime.issuer import LocalIssuer, Role, make_issuer_key
from services.runtime.migrate import upgrade
from services.runtime.process import Process
from services.runtime.settings import Settings

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
    folder: Path = tmp_path_factory.mktemp("audit")
    make_issuer_key(folder / "issuer.pem", folder / "jwks.json")
    (folder / "cursor").write_bytes(bytes(32))
    name = f"audit_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    settings = Settings.model_validate(
        {
            "database": f"{postgres_dsn.rpartition('/')[0]}/{name}",
            "data": folder,
            "jwks": str(folder / "jwks.json"),
            "cursor_key_file": folder / "cursor",
            "kafka": "127.0.0.1:1",
        }
    )
    await upgrade(settings)
    made = Process(settings)
    async with made.database("audit").begin() as writing:
        await tree.append(writing, [*way(0, SMALL, 1, 1), *way(7, LARGE, 2, CROWD)])
    yield made
    await made.close()


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

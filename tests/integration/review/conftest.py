"""Review as it runs, on a real PostgreSQL, behind the root app that mounts it under its prefix."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from schemas.triage import ReportTriaged
from services.review.app import UNITS
from services.review.consume import arrival_of
from services.review.joining import Arrival
from services.review.leasing import Terms
from services.review.store import claims, ingest
from services.runtime import outbox
from services.runtime.database import Database
from services.runtime.issuer import LocalIssuer, Role, make_issuer_key
from services.runtime.migrate import upgrade
from services.runtime.process import Process
from services.runtime.settings import Settings

TARGETS = {"P0": 900, "P1": 3_600, "P2": 14_400, "P3": 86_400, "P4": 259_200}
TABLES = "cases, reports, ready, heads, leases, history, decisions, alarms, offsets, dead, outbox"
REMOVE = {"verdict": "illegal", "violates": "Art. 1", "actions": ["remove"], "reason": "seen"}
KEEP = {"verdict": "no_violation", "actions": [], "reason": "nothing there"}


def triaged(**changed: Any) -> dict[str, Any]:
    """A triaged event as triage writes it; P0 is a police report that was attested.

    `report_id`, `priority`, `content`, `reporter`, `received_at`, `queue`, `snapshot`, `attested`, `source_id`,
    `target_seconds`, `explanation` and `author` may be given.
    """
    told = {
        "report_id": uuid4(),
        "priority": "P3",
        "content": f"v_{uuid4().hex[:10]}",
        "reporter": f"u_{uuid4().hex[:10]}",
        "received_at": datetime.now(UTC),  # noqa: TID251 -- a test's own clock
        "queue": "general",
        "snapshot": None,
        "explanation": "看不下去",
        "author": "a_1",
    } | changed
    attested = told.get("attested", told["priority"] == "P0")
    source = {"kind": "police", "id": told.get("source_id", "0192-police")} if attested else {"kind": "user"}
    report: dict[str, Any] = {
        "report_id": str(told["report_id"]),
        "channel": "police_one_click" if attested else "one_click",
        "occurred_at": told["received_at"].isoformat(),
        "source": source,
        "content": {"id": told["content"], "type": "video", "author": told["author"]},
        "category": "scams_and_fraud",
        "explanation": told["explanation"],
    }
    if not attested:
        report["reporter"] = told["reporter"]
    if told["snapshot"]:
        report["content"]["snapshot"] = {"ref": "s", "sha256": told["snapshot"]}
    data: dict[str, Any] = {
        "report": report,
        "digest": hashlib.sha256(json.dumps(report, sort_keys=True).encode()).hexdigest(),
        "lane": "flagged" if attested else "public",
        "received_at": told["received_at"].isoformat(),
        "class": told["priority"],
        "queue": told["queue"],
        "target_seconds": told.get("target_seconds", TARGETS[told["priority"]]),
        "ruling": {"policy": "default", "version": "1", "rule": f"rule-{told['priority']}", "inputs": {"a": None}},
    }
    if attested:
        data["attestation"] = {"key_id": "k", "attester": "intake", "source_id": source["id"], "standing": "good"}
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "triage",
        "type": "jubao.report.triaged.v1",
        "time": told["received_at"].isoformat(),
        "subject": str(told["report_id"]),
        "datacontenttype": "application/json",
        "correlationid": str(told["report_id"]),
        "causationid": str(uuid4()),
        "data": data,
    }


def arrival(**changed: Any) -> Arrival:
    """A triaged report as the consumer hands it on."""
    value = json.dumps(triaged(**changed)).encode()
    return arrival_of(ReportTriaged.model_validate_json(value), value)


@dataclass
class Bench:
    """A running review, without its consumers."""

    settings: Settings
    process: Process
    client: httpx.AsyncClient
    issuer: LocalIssuer
    dsn: str
    terms: Terms = field(default_factory=lambda: Terms(600, 120))

    @property
    def database(self) -> Database:
        return self.process.database("review")

    def bearer(self, name: str, role: str = "reviewer") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.mint(name, Role(role))}"}

    async def take(self, *arrivals: Arrival, days: int = 7) -> list[int]:
        """Takes a batch in, in one transaction, as the consumer does."""

        async def work(connection: Any) -> list[int]:
            return await ingest.take_in(connection, arrivals, terms=self.terms, late_report_days=days)

        return await self.database.transact(work)

    async def sweep(self) -> int:
        return await self.database.transact(claims.sweep)

    async def post(self, path: str, body: object = None, *, name: str = "li", role: str = "reviewer") -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return await self.client.post(f"/review/v1{path}", content=content, headers=self.bearer(name, role))

    async def get(self, path: str, *, name: str = "li", role: str = "reviewer", **query: Any) -> httpx.Response:
        return await self.client.get(f"/review/v1{path}", params=query, headers=self.bearer(name, role))

    async def claim(self, name: str = "li", **wish: Any) -> list[dict[str, Any]]:
        answer = await self.post("/claims", wish, name=name)
        assert answer.status_code == 200, answer.text
        claimed: list[dict[str, Any]] = answer.json()["claims"]
        return claimed

    async def next(self, name: str = "li") -> dict[str, Any]:
        """The next case of a reviewer who holds none."""
        claimed = await self.claim(name)
        assert len(claimed) == 1
        return claimed[0]

    async def decide(
        self, claim: dict[str, Any], finding: dict[str, Any] | None = None, *, name: str = "li"
    ) -> httpx.Response:
        body = {"lease": claim["lease"]["token"], **(finding or REMOVE)}
        return await self.post(f"/cases/{claim['case']['id']}/decisions", body, name=name)

    async def case(self, case_id: str | UUID) -> dict[str, Any]:
        answer = await self.get(f"/cases/{case_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def rows(self, sql: str, *values: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.dsn, server_settings={"search_path": "review"})
        try:
            found: list[asyncpg.Record] = await connection.fetch(sql, *values)
            return found
        finally:
            await connection.close()

    async def events(self, topic: str | None = None) -> list[dict[str, Any]]:
        """What waits to be published, in order."""
        rows = await self.rows(f"SELECT {', '.join(outbox.COLUMNS)} FROM outbox ORDER BY id")
        waiting = [message for row in rows for message in outbox.unpacked(tuple(row))]
        return [json.loads(message.value) for message in waiting if topic in {None, message.topic}]


@pytest.fixture(scope="session")
async def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """Review's HTTP app on a database of its own; neither sweeper nor relay runs unless a test starts one."""
    name = f"review_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    settings = _settings(tmp_path_factory.mktemp("review"), f"{postgres_dsn.rpartition('/')[0]}/{name}")
    await upgrade(settings)
    process = Process(settings)
    unit = UNITS["http"](process)
    assert unit.app is not None
    root = FastAPI()
    root.mount("/review", unit.app)
    issuer = LocalIssuer(
        settings.data / "issuer.pem", issuer=settings.issuer, audience=settings.audience, clock=process.clock
    )
    transport = httpx.ASGITransport(app=root, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=settings.public_url, timeout=60) as client:
        yield Bench(settings, process, client, issuer, settings.database.get_secret_value())
    await process.close()


@pytest.fixture
async def bench(running: Bench) -> Bench:
    """The running review with empty tables."""
    await running.rows(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
    await running.rows("ALTER SEQUENCE claims_below_p0 RESTART")
    running.terms = Terms(600, 120)
    return running


def _settings(directory: Path, dsn: str) -> Settings:
    make_issuer_key(directory / "issuer.pem", directory / "jwks.json")
    return Settings.model_validate(
        {"data": directory, "database": dsn, "jwks": str(directory / "jwks.json"), "database_pool": 20}
    )


@pytest.fixture(scope="session")
def make() -> Any:
    """The maker of arrivals."""
    return arrival


@pytest.fixture(scope="session")
def make_event() -> Any:
    """The maker of triaged events."""
    return triaged


def ago(**units: float) -> datetime:
    """A moment in the past."""
    return datetime.now(UTC) - timedelta(**units)  # noqa: TID251 -- a test's own clock


@pytest.fixture(scope="session")
def before() -> Any:
    """The maker of moments in the past."""
    return ago

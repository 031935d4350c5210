"""Intake as it runs, on a real Kafka and PostgreSQL, behind the root app that mounts it under its prefix."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI

from services.cli.stack.ports import free_port
from services.intake.app import UNITS
from services.intake.keys import base64url, source_key_id
from services.runtime.administration import create_topics
from services.runtime.broker import Reader, Record
from services.runtime.edge import server_config
from services.runtime.issuer import LocalIssuer, Role, make_issuer_key
from services.runtime.migrate import upgrade
from services.runtime.outbox import Message
from services.runtime.problems import BrokerAway
from services.runtime.process import Process
from services.runtime.settings import Settings
from services.runtime.signature import sign

ORIGIN = f"http://127.0.0.1:{free_port()}"
FLAGGED = "/intake/v1/flagged-reports"
PUBLIC = "/intake/v1/reports"


class SteeredClock:
    """The machine's clock, put forward by as much as a test likes."""

    ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead  # noqa: TID251 -- a test's own clock


class Cable:
    """A TCP proxy in front of PostgreSQL that can be cut and mended."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self._to = parts.hostname or "", parts.port or 5432
        self._dsn = parts
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._port = 0

    @property
    def dsn(self) -> str:
        """The address in front of the proxy."""
        account = self._dsn.netloc.rpartition("@")[0]
        return self._dsn._replace(netloc=f"{account}@127.0.0.1:{self._port}").geturl()

    async def mend(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        self._open.clear()
        await asyncio.sleep(0.05)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._to)
        self._open |= {writer, far_writer}

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while chunk := await source.read(65_536):
                    sink.write(chunk)
                    await sink.drain()
            sink.transport.abort()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


@dataclass
class Faults:
    """A publisher that fails on order around the real one."""

    real: Any
    lost: int = 0
    late: int = 0
    after: Callable[[], Any] | None = None

    async def publish(self, messages: Sequence[Message]) -> object:
        if self.lost:
            self.lost -= 1
            raise BrokerAway
        landed = await self.real.publish(messages)
        if self.late:
            self.late -= 1
            raise BrokerAway
        if self.after is not None:
            await self.after()
        return landed


@dataclass
class Officer:
    """A registered source with its private key."""

    source_id: str
    key: Ed25519PrivateKey
    bench: "Bench"

    @property
    def key_id(self) -> str:
        return source_key_id(self.key.public_key().public_bytes_raw())

    async def report(
        self,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        nonce: str | None = None,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        created: datetime | None = None,
    ) -> httpx.Response:
        raw = (
            body if isinstance(body, bytes) else json.dumps(body or self.bench.statement(), ensure_ascii=False).encode()
        )
        signed = sign(
            "POST", f"{ORIGIN}{FLAGGED}{query}", raw, "application/json",
            key=self.key, key_id=self.key_id, nonce=nonce, created=created or self.bench.clock.now(),
        )  # fmt: skip
        return await self.bench.client.post(f"{FLAGGED}{query}", content=raw, headers={**signed, **(headers or {})})


@dataclass
class Bench:
    """A running intake."""

    settings: Settings
    process: Process
    clock: SteeredClock
    client: httpx.AsyncClient
    issuer: LocalIssuer
    root: FastAPI
    app: FastAPI
    cable: Cable
    dsn: str
    faults: Faults = field(init=False)

    def __post_init__(self) -> None:
        self.faults = Faults(self.process.publisher)
        self.app.state.intake.reception._publisher = self.faults

    def bearer(self, role: str, name: str = "somebody", source: str | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.mint(name, Role(role), source)}"}

    async def officer(self, **form: Any) -> Officer:
        key = Ed25519PrivateKey.generate()
        raw = key.public_key().public_bytes_raw()
        answer = await self.client.post(
            "/intake/v1/sources",
            json={"kind": "police", "name": "浦东网警", "public_key": base64url(raw)} | form,
            headers=self.bearer("admin"),
        )
        assert answer.status_code == 201, answer.text
        return Officer(answer.json()["id"], key, self)

    async def submit(self, body: Mapping[str, Any] | bytes, **headers: str) -> httpx.Response:
        """A report of the platform's backend; header names with underscores for hyphens."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(PUBLIC, content=raw, headers={**self.bearer("platform", "app"), **named})

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """A web server at the public address, for as long as the block lasts."""
        server = uvicorn.Server(server_config(self.root, self.settings))
        listening = socket.create_server(("127.0.0.1", urlsplit(ORIGIN).port or 0))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield ORIGIN
        finally:
            server.should_exit = True
            await serving

    async def records(self, topic: str, report_id: str) -> list[Record]:
        """All records on a topic whose subject is a report."""
        return [r for r in await self.everything(topic) if json.loads(r.value)["subject"] == report_id]

    async def everything(self, topic: str) -> list[Record]:
        found: list[Record] = []
        async with Reader(self.settings) as reader:
            places = await reader.places(topic)
            ends = {place: end for place, end in (await reader.ends(places)).items() if end > 0}
            if not ends:
                return found
            reader.read_from(dict.fromkeys(ends, 0))
            async with asyncio.timeout(20):
                while any([await reader.position(place) < end for place, end in ends.items()]):
                    found += await reader.next_records(100)
        return found

    async def rows(self, sql: str, *values: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute("SET search_path = intake")
            found: list[asyncpg.Record] = await connection.fetch(sql, *values)
            return found
        finally:
            await connection.close()

    @staticmethod
    def statement(**changes: Any) -> dict[str, Any]:
        """What a flagged source says."""
        return {
            "channel": "police_one_click",
            "occurred_at": "2026-11-20T07:59:00Z",
            "content": {"id": f"v_{uuid4().hex[:8]}", "type": "video"},
            "category": "scams_and_fraud",
            "explanation": "冒充客服诱导转账。",
            "legal_ground": "《刑法》第二百六十六条",
        } | changes

    @staticmethod
    def report(**changes: Any) -> dict[str, Any]:
        """What the platform's backend says of a user's report."""
        return {
            "report_id": str(uuid4()),
            "channel": "one_click",
            "reporter": "u_8d1f",
            "occurred_at": "2026-11-20T07:59:00Z",
            "source": {"kind": "user"},
            "content": {"id": f"v_{uuid4().hex[:8]}", "type": "video"},
            "category": "violence",
        } | changes


@pytest.fixture(scope="session")
async def bench(
    postgres_dsn: str, kafka_address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """Intake on a database of its own; topics are shared with other tests, so a test looks for its own reports."""
    name = f"intake_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    dsn = f"{postgres_dsn.rpartition('/')[0]}/{name}"
    cable = await Cable(dsn).mend()
    settings = _settings(tmp_path_factory.mktemp("intake"), cable.dsn, kafka_address)
    await upgrade(settings)
    await create_topics(settings)
    clock = SteeredClock()
    process = Process(settings, clock)
    unit = UNITS["http"](process)
    for worker in unit.workers:
        await worker.start()
    root = FastAPI()
    assert unit.app is not None
    root.mount("/intake", unit.app)
    issuer = LocalIssuer(settings.data / "issuer.pem", issuer=settings.issuer, audience=settings.audience, clock=clock)
    transport = httpx.ASGITransport(app=root, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=30) as client:
        yield Bench(settings, process, clock, client, issuer, root, unit.app, cable, dsn)
    for worker in reversed(unit.workers):
        await worker.stop()
    await process.close()
    await cable.cut()


def _settings(directory: Path, dsn: str, kafka: str) -> Settings:
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "intake.pem").write_bytes(key)
    make_issuer_key(directory / "issuer.pem", directory / "jwks.json")
    return Settings.model_validate({
        "data": directory, "database": dsn, "kafka": kafka, "public_url": ORIGIN,
        "jwks": str(directory / "jwks.json"), "intake_key_file": directory / "intake.pem",
    })  # fmt: skip


@pytest.fixture(autouse=True)
async def steady(bench: Bench) -> AsyncIterator[None]:
    """Each test finds the clock right and the engines there."""
    yield
    bench.clock.ahead = timedelta()
    bench.faults.lost, bench.faults.late, bench.faults.after = 0, 0, None

"""Triage on a real Kafka and PostgreSQL: both lanes, attestations, quota, the registry, and the policy in force."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.activity import AlertRaised
from schemas.triage import ReportTriaged, Triaged
from services.runtime.administration import create_topics
from services.runtime.broker import Message, Reader
from services.runtime.clock import SystemClock
from services.runtime.issuer import LocalIssuer, Role, make_issuer_key
from services.runtime.migrate import upgrade
from services.runtime.problems import Unavailable
from services.runtime.process import Process, StartRefused, Unit
from services.runtime.settings import Settings
from services.triage import policy_file
from services.triage.app import UNITS
from services.triage.registry import Registry

PATIENCE_SECONDS = 60
EARLIER = "2026-11-01T08:00:00Z"


@pytest.fixture(scope="module")
async def settings(postgres_dsn: str, kafka_address: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A database of this module's own, the topics, and an issuer of tokens."""
    name = f"triage_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_dsn)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    data = tmp_path_factory.mktemp("triage")
    make_issuer_key(data / "issuer.pem", data / "jwks.json")
    made = Settings.model_validate(
        {
            "database": f"{postgres_dsn.rpartition('/')[0]}/{name}",
            "kafka": kafka_address,
            "data": data,
            "jwks": str(data / "jwks.json"),
        }
    )
    await upgrade(made)
    await create_topics(made)
    return made


@asynccontextmanager
async def running(settings: Settings, *names: str) -> AsyncIterator[tuple[Process, Mapping[str, Unit]]]:
    """Units of triage, for as long as the block lasts."""
    process = Process(settings)
    units = {name: UNITS[name](process) for name in names}
    begun = []
    try:
        for unit in units.values():
            for worker in unit.workers:
                await worker.start()
                begun.append(worker)
        yield process, units
    finally:
        for worker in reversed(begun):
            await worker.stop()
        await process.close()


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await check():
            await asyncio.sleep(0.1)


async def rows(process: Process, statement: str, **values: Any) -> Sequence[Any]:
    async def work(connection: AsyncConnection) -> Sequence[Any]:
        return (await connection.execute(text(statement), values)).all()

    return await process.database("triage").transact(work)


async def send(process: Process, topic: str, *records: tuple[bytes, bytes | None]) -> None:
    messages = [
        Message(topic, b"key", value, uuid4(), None, (("attestation", token),) if token is not None else ())
        for value, token in records
    ]
    await process.publisher.publish(messages)


class Output:
    """Reads what was published since it was made."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._reader, self._topic = Reader(settings), topic
        self.values: list[bytes] = []

    async def __aenter__(self) -> Self:
        await self._reader.start()
        self._reader.read_from(await self._reader.ends(await self._reader.places(self._topic)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.stop()

    async def of(self, report_ids: Sequence[str], count: int) -> list[bytes]:
        """The first so many events about some reports."""
        found: list[bytes] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self.values += [r.value for r in await self._reader.next_records(200)]
                found = [v for v in self.values if json.loads(v).get("correlationid") in report_ids]
                if len(found) >= count:
                    return found

    async def all(self) -> list[bytes]:
        """Everything up to the present end."""
        while records := await self._reader.next_records(1_000):
            self.values += [r.value for r in records]
        return self.values

    async def triaged(self, report_ids: Sequence[str], count: int | None = None) -> dict[str, Triaged]:
        found = await self.of(report_ids, count or len(report_ids))
        events = [ReportTriaged.model_validate_json(value) for value in found]
        return {str(e.data.report.report_id): e.data for e in events}


def b64(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


class Signer:
    """A key with its place in the registry."""

    def __init__(self, kinds: Sequence[str], *, verdicts: bool = False) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.key_id = f"key-{uuid4().hex[:12]}"
        self.kinds, self.verdicts = list(kinds), verdicts

    def announced(self, **changes: Any) -> bytes:
        public = b64(self.key.public_key().public_bytes_raw()).decode()
        data = {
            "name": self.key_id,
            "version": 1,
            "change": "added",
            "actor": "root",
            "key": {"key_id": self.key_id, "public_key": public},
            "kinds": self.kinds,
            "verdicts": self.verdicts,
            **changes,
        }
        return event("jubao.attester.changed.v1", self.key_id, data)

    def sign(self, value: bytes, **header: str) -> bytes:
        encoded = b64(json.dumps({"alg": "EdDSA", "kid": self.key_id, **header}).encode())
        return encoded + b".." + b64(self.key.sign(encoded + b"." + b64(value)))

    def vouch(self, value: bytes, standing: str = "good") -> bytes:
        source = json.loads(value)["data"]["source"]
        return self.sign(value, source=source["id"], kind=source["kind"], standing=standing, received_at=EARLIER)


def event(type_: str, subject: str, data: dict[str, Any]) -> bytes:
    whole = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "test",
        "type": type_,
        "time": EARLIER,
        "subject": subject,
        "data": data,
    }
    return json.dumps(whole, ensure_ascii=False).encode()


def source(source_id: UUID, **changes: Any) -> bytes:
    data = {
        "source_id": str(source_id),
        "version": 1,
        "change": "added",
        "actor": "root",
        "kind": "police",
        "name": "上海网警",
        "status": "active",
        "keys": [],
        **changes,
    }
    return event("jubao.source.changed.v1", str(source_id), data)


def flagged(report_id: str, source_id: UUID | None = None, **changes: Any) -> bytes:
    data = {
        "report_id": report_id,
        "channel": "police_one_click",
        "occurred_at": EARLIER,
        "source": {"kind": "police", "id": str(source_id or uuid4())},
        "content": {"id": f"v_{report_id[:8]}", "type": "video"},
        "category": "scams_and_fraud",
        "explanation": "CANARY-explanation",
        "legal_ground": "CANARY-ground",
        **changes,
    }
    return event("jubao.report.submitted.v1", report_id, data)


def public(report_id: str, **changes: Any) -> bytes:
    data = {
        "report_id": report_id,
        "channel": "one_click",
        "reporter": "u_1",
        "occurred_at": EARLIER,
        "source": {"kind": "user"},
        "content": {"id": f"v_{report_id[:8]}", "type": "video"},
        "category": "scams_and_fraud",
        **changes,
    }
    return event("jubao.report.submitted.v1", report_id, data)


def ids(count: int) -> list[str]:
    return [str(uuid4()) for _ in range(count)]


async def test_flagged_lane_gives_precedence_to_the_attested_alone(settings: Settings) -> None:
    """Of the same police report attested, bare, broken, for other bytes and by a stranger, the first alone is P0."""
    intake, stranger = Signer(["police"], verdicts=True), Signer(["police"])
    reports = ids(5)
    values = [flagged(report_id) for report_id in reports]
    tokens = [
        intake.vouch(values[0]),
        None,
        intake.vouch(values[2])[:-3] + b"AAA",
        intake.vouch(values[3] + b" "),
        stranger.sign(values[4]),
    ]
    async with (
        Output(settings, "triage.flagged.v1") as out,
        Output(settings, "activity.v1") as activity,
        running(settings, "flagged") as (process, _),
    ):
        await send(process, "sources.v1", (intake.announced(), None))
        await send(process, "reports.flagged.v1", *zip(values, tokens, strict=True))
        triaged = await out.triaged(reports)
        alerts = [AlertRaised.model_validate_json(v) for v in await activity.of(reports, 4)]
    assert [triaged[r].priority for r in reports] == ["P0", "P3", "P3", "P3", "P3"]
    assert triaged[reports[0]].ruling.rule == "police_immediate"
    assert {str(a.data.report_id): a.data.code for a in alerts} == {
        reports[1]: "no_attestation",
        reports[2]: "bad_attestation",
        reports[3]: "bad_attestation",
        reports[4]: "unknown_attester",
    }
    assert not any(b"CANARY" in a.model_dump_json().encode() for a in alerts)


async def test_source_announced_just_before_its_report_is_known(settings: Settings) -> None:
    """Triage reads the registry to its end before it calls anybody unknown, though it runs since long before."""
    backend = Signer(["police"])
    known, unknown = uuid4(), uuid4()
    reports = ids(2)
    values = [flagged(reports[0], known), flagged(reports[1], unknown)]
    async with Output(settings, "triage.flagged.v1") as out, running(settings, "flagged") as (process, _):
        await send(process, "sources.v1", (b"{not json", None), (backend.announced(), None), (source(known), None))
        await send(process, "reports.flagged.v1", *[(v, backend.sign(v)) for v in values])
        triaged = await out.triaged(reports)
    assert [triaged[r].priority for r in reports] == ["P0", "P1"]
    assert triaged[reports[1]].note == "No registry entry for this source."


async def test_registry_is_read_before_the_first_report(settings: Settings) -> None:
    """A registry that starts on a long topic holds its last record when it has started."""
    backend = Signer(["police"])
    process = Process(settings)
    sources = [uuid4() for _ in range(300)]
    await send(process, "sources.v1", *[(source(s), None) for s in sources], (backend.announced(), None))
    registry = Registry(settings)
    await registry.start()
    try:
        assert registry.book.attester(backend.key_id) is not None
        assert all(registry.book.source(str(s)) is not None for s in sources)
        late = uuid4()
        await send(process, "sources.v1", (source(late), None))
        await registry.catch_up()
        assert registry.book.source(str(late)) is not None
        assert registry.health().healthy
    finally:
        await registry.stop()
        await process.close()
    assert not registry.health().healthy


async def test_registry_that_cannot_be_read_calls_nobody_unknown(settings: Settings) -> None:
    """Without Kafka the registry does not start, and a question to it fails rather than answers from memory."""
    registry = Registry(settings.model_copy(update={"kafka": "127.0.0.1:1"}))
    with pytest.raises(Unavailable):
        await registry.start()
    with pytest.raises(Unavailable):
        await registry.catch_up()
    assert not registry.health().healthy


async def test_quota_gives_the_same_places_when_records_come_again(settings: Settings) -> None:
    """Of five reports of a source with a quota of three the first three are P0, also when all are processed anew."""
    backend, police = Signer(["police"]), uuid4()
    reports = ids(5)
    values = [flagged(r, police, content={"id": "v_one", "type": "video"}) for r in reports]
    async with Output(settings, "triage.flagged.v1") as out:
        async with running(settings, "flagged") as (process, _):
            await send(process, "sources.v1", (backend.announced(), None), (source(police, quota_per_day=3), None))
            await send(process, "reports.flagged.v1", *[(v, backend.sign(v)) for v in values])
            first = await out.triaged(reports)
        async with running(settings) as (process, _):
            await rows(process, "UPDATE offsets SET next = 0 WHERE topic = 'reports.flagged.v1' RETURNING 1")
        async with running(settings, "flagged") as (process, _):
            again = await out.of(reports, 10)
            places = await rows(
                process, "SELECT ordinal FROM quota_places WHERE source_id = :s ORDER BY ordinal", s=police
            )
    assert [first[r].priority for r in reports] == ["P0", "P0", "P0", "P1", "P1"]
    assert first[reports[4]].note == "Its reports of the day exceed its quota."
    assert len({json.loads(v)["id"] for v in again}) == 5
    assert len(set(again)) == 5
    assert [row.ordinal for row in places] == [1, 2, 3, 4, 5]


async def test_bad_records_die_beside_good_ones(settings: Settings) -> None:
    """Bad records interleaved with good ones are dead letters with their reasons; every good one goes on."""
    reports = ids(40)
    bad = [
        (b"\xff\xfe", "not JSON"),
        (b"[]", ""),
        (public(str(uuid4()), category="fraud"), "data.category"),
        (public(str(uuid4()), occurred_at="2096-01-01T00:00:00Z"), "more than an hour after"),
        (public(str(uuid4()), explanation="x" * 5_001), "data.explanation"),
        (public(str(uuid4())).replace(b'"u_1"', b'"u\\u0000"'), "data.reporter"),
        (public(str(uuid4()), reporter=None), "names its reporter"),
        (b'{"x": "' + b"x" * 2 * 1024 * 1024 + b'"}', "bytes"),
    ]
    mixed: list[tuple[bytes, bytes | None]] = []
    for n, report_id in enumerate(reports):
        mixed.append((public(report_id), None))
        if n < len(bad):
            mixed.append((bad[n][0], None))
    async with Output(settings, "triage.public.v1") as out, running(settings, "public") as (process, _):
        await send(process, "reports.public.v1", *mixed)
        triaged = await out.triaged(reports)
        found: Sequence[Any] = []

        async def all_dead() -> bool:
            nonlocal found
            found = await rows(process, "SELECT reason FROM dead WHERE topic = 'reports.public.v1'")
            return len(found) >= len(bad)

        await until(all_dead)
    assert {t.priority for t in triaged.values()} == {"P3"}
    reasons = [row.reason for row in found]
    for _, reason in bad:
        assert any(reason in told for told in reasons), reason


async def test_policy_comes_into_force_once_and_keeps_its_version(settings: Settings, tmp_path: Path) -> None:
    """A policy is noted and told once; the same version with another text does not start."""
    name = f"p{uuid4().hex[:8]}"
    file = tmp_path / "policy.yaml"
    default = policy_file.in_force(None).text
    file.write_text(default.replace("name: default", f"name: {name}"), encoding="utf-8")
    own = settings.model_copy(update={"policy_file": file})
    async with Output(settings, "activity.v1") as activity:
        for _ in range(2):
            async with running(own, "public") as (process, _units):
                found = await rows(process, "SELECT version, sha256, text FROM policies WHERE policy = :p", p=name)

                async def relayed(process: Process = process) -> bool:
                    return not await rows(process, "SELECT 1 FROM outbox")

                await until(relayed)
        assert [(row.version, row.text) for row in found] == [("1", file.read_text(encoding="utf-8"))]
        file.write_text(file.read_text(encoding="utf-8").replace("target_minutes: 15,", "target_minutes: 10,"))
        with pytest.raises(StartRefused, match="give the changed policy a new version"):
            async with running(own, "public"):
                pass
        told = [json.loads(value)["data"] for value in await activity.all()]
    sha256 = found[0].sha256
    assert [data for data in told if data.get("policy") == name] == [
        {"policy": name, "version": "1", "sha256": sha256, "actor": "triage"}
    ]


async def test_refused_policy_does_not_start(settings: Settings, tmp_path: Path) -> None:
    """A process with a faulty policy ends with a line for each mistake instead of classing by what it guesses."""
    file = tmp_path / "policy.yaml"
    file.write_text(policy_file.in_force(None).text.replace("class: P2", "class: P9"), encoding="utf-8")
    process = Process(settings.model_copy(update={"policy_file": file}))
    for make in UNITS.values():
        with pytest.raises(StartRefused, match="P9 is no class of this policy"):
            make(process)
    await process.close()


async def test_policy_in_force_is_shown_to_staff(settings: Settings) -> None:
    """Each role of the staff reads the policy; a source's officer and a stranger do not."""
    issuer = LocalIssuer(
        settings.data / "issuer.pem", issuer=settings.issuer, audience=settings.audience, clock=SystemClock()
    )
    async with running(settings, "http") as (_, units):
        app = units["http"].app
        assert app is not None
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

            async def asked(role: Role | None) -> httpx.Response:
                headers = {"Authorization": f"Bearer {issuer.mint('li', role)}"} if role else {}
                return await client.get("/v1/policy", headers=headers)

            for role in (Role.REVIEWER, Role.SENIOR, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN):
                assert (await asked(role)).status_code == 200
            assert (await asked(None)).status_code == 401
            assert (await asked(Role.POLICE)).status_code == 403
            shown = (await asked(Role.SUPERVISOR)).json()
            ready = await client.get("/readyz")
            status = await client.get(
                "/v1/status", headers={"Authorization": f"Bearer {issuer.mint('li', Role.ADMIN)}"}
            )
    policy = policy_file.in_force(None)
    assert (shown["policy"], shown["version"], shown["sha256"]) == ("default", "1", policy.sha256)
    assert shown["text"] == policy.text
    assert shown["classes"]["P0"] == {"target_seconds": 900, "queue": "general"}
    assert shown["rules"][0]["class"] == "P0"
    assert shown["rules"][-1]["when"] == "true"
    assert ready.status_code == 200
    assert set(status.json()["lag"]) == {"reports.public.v1", "reports.flagged.v1"}

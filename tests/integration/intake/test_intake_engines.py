"""What intake answers, and loses not, while an engine is away."""

import asyncio
import contextlib
import json
import socket
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI

from services.intake.app import UNITS
from services.runtime.process import Process
from services.runtime.settings import Settings
from services.runtime.signature import sign

FLAGGED, PUBLIC = "/intake/v1/flagged-reports", "/intake/v1/reports"
FLAGGED_TOPIC, PUBLIC_TOPIC = "reports.flagged.v1", "reports.public.v1"


def unavailable(answer: Any) -> str:
    """What does not answer, of a 503 that says when to come again."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    return str(answer.json()["title"])


@contextlib.contextmanager
def silent() -> Any:
    """A port that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@contextlib.asynccontextmanager
async def another(bench: Any, **changes: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Process]]:
    """A second process of intake on the same database and keys, with other settings; its workers run."""
    settings = Settings.model_validate(bench.settings.model_dump() | changes)
    process = Process(settings, bench.clock)
    unit = UNITS["http"](process)
    root = FastAPI()
    assert unit.app is not None
    root.mount("/intake", unit.app)
    for worker in unit.workers:
        await worker.start()
    transport = httpx.ASGITransport(app=root, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=settings.public_url, timeout=30) as client:
        yield client, process
    for worker in reversed(unit.workers):
        await worker.stop()
    await process.close()


@pytest.mark.parametrize("how", ["closed", "silent"])
async def test_the_broker_is_away(bench: Any, how: str) -> None:
    """A 503 within five seconds, on both lanes; the same call to a process that has the broker is taken."""
    officer, nonce, said, plain = await bench.officer(), f"nonce-{uuid4()}", bench.statement(), bench.report()
    with silent() as address:
        kafka = address if how == "silent" else "127.0.0.1:1"
        async with another(bench, kafka=kafka) as (client, _):
            here, bench.client = bench.client, client
            try:
                for call in (officer.report(said, nonce=nonce), bench.submit(plain)):
                    begun = monotonic()
                    assert unavailable(await call) == "The broker does not answer"
                    assert monotonic() - begun < 5
            finally:
                bench.client = here
    assert (await officer.report(said, nonce=nonce)).status_code == 202
    assert (await bench.submit(plain)).status_code == 202


async def test_what_was_not_acknowledged_is_sent_again_byte_for_byte(bench: Any) -> None:
    """A record that the broker took without our knowing is the same record when the call is repeated."""
    officer, nonce, said = await bench.officer(quota_per_day=1), f"nonce-{uuid4()}", bench.statement()
    bench.faults.lost, bench.faults.late = 1, 1
    for _ in range(2):
        assert unavailable(await officer.report(said, nonce=nonce)) == "The broker does not answer"
    taken = await officer.report(said, nonce=nonce)
    assert taken.json()["standing"] == "good", "the tries before have not used up the quota"
    records = await bench.records(FLAGGED_TOPIC, taken.json()["report_id"])
    assert len(records) == 2
    assert len({(record.key, record.value, record.header("attestation")) for record in records}) == 1
    assert (await officer.report(said, nonce=nonce)).json() == taken.json()
    assert len(await bench.records(FLAGGED_TOPIC, taken.json()["report_id"])) == 2


async def test_an_unanswered_public_report_keeps_its_event(bench: Any) -> None:
    """On the public lane too a repeat of what was not answered is the same bytes, by key or by report id alone."""
    said, key = bench.report(), str(uuid4())
    bench.faults.late = 2
    assert unavailable(await bench.submit(said, Idempotency_Key=key))
    assert unavailable(await bench.submit(said))
    assert (await bench.submit(said, Idempotency_Key=key)).status_code == 202
    records = await bench.records(PUBLIC_TOPIC, said["report_id"])
    assert len(records) == 3
    assert len({record.value for record in records}) == 1


async def test_a_key_of_an_unanswered_call_is_taken(bench: Any) -> None:
    """Key and nonce fix the report before sending: after a 503 another body under them is refused."""
    officer, nonce, key = await bench.officer(), f"nonce-{uuid4()}", str(uuid4())
    bench.faults.lost = 2
    assert unavailable(await officer.report(nonce=nonce))
    assert unavailable(await bench.submit(bench.report(), Idempotency_Key=key))
    assert (await officer.report(nonce=nonce)).status_code == 409
    assert (await bench.submit(bench.report(), Idempotency_Key=key)).status_code == 409


async def test_the_database_is_away(bench: Any) -> None:
    """A 503 within five seconds for every call; when it is back, calls are taken without a restart."""
    officer = await bench.officer()
    await bench.cable.cut()
    try:
        for call in (officer.report(), bench.submit(bench.report())):
            begun = monotonic()
            assert unavailable(await call) == "The database does not answer"
            assert monotonic() - begun < 5
        ready = await bench.client.get("/intake/readyz")
        assert ready.status_code == 503
        assert "database" in ready.json()["waits"]
    finally:
        await bench.cable.mend()
    assert (await officer.report()).status_code == 202
    async with asyncio.timeout(20):
        while (await bench.client.get("/intake/readyz")).status_code != 200:
            await asyncio.sleep(0.1)


async def test_the_database_goes_after_the_broker_has_it(bench: Any) -> None:
    """What the broker has is answered 202 even if that cannot be noted, and its repeat is the same record."""
    officer, nonce, said = await bench.officer(), f"nonce-{uuid4()}", bench.statement()
    bench.faults.after = bench.cable.cut
    try:
        first = await officer.report(said, nonce=nonce)
        assert first.status_code == 202, first.text
    finally:
        bench.faults.after = None
        await bench.cable.mend()
    again = await officer.report(said, nonce=nonce)
    assert again.json() == first.json()
    records = await bench.records(FLAGGED_TOPIC, first.json()["report_id"])
    assert len({record.value for record in records}) == 1


async def test_a_new_key_is_announced_before_it_attests(bench: Any, tmp_path: Any) -> None:
    """While intake's key is not on the registry's topic nothing is attested by it; the public lane is open."""
    key_file = tmp_path / "new.pem"
    key_file.write_bytes(_new_pem())
    officer, said = await bench.officer(), bench.statement()
    relay = bench.process.relay("intake")
    await relay.stop()
    try:
        async with another(bench, intake_key_file=key_file, kafka="127.0.0.1:1") as (client, _):
            here, bench.client = bench.client, client
            try:
                begun = monotonic()
                answer = await officer.report(said)
                assert answer.status_code == 503
                assert answer.json()["type"] == "urn:jubao:problem:not_announced"
                assert monotonic() - begun < 5
                assert "intake.announcement" in (await client.get("/intake/readyz")).json()["waits"]
            finally:
                bench.client = here
    finally:
        await relay.start()
    async with another(bench, intake_key_file=key_file) as (client, process):
        here, bench.client = bench.client, client
        try:
            async with asyncio.timeout(20):
                while (answer := await officer.report(said)).status_code == 503:
                    await asyncio.sleep(0.1)
        finally:
            bench.client = here
        assert answer.status_code == 202
        own = [
            event["data"]["key"]["key_id"]
            for record in await bench.everything("sources.v1")
            if (event := json.loads(record.value))["data"].get("verdicts")
        ]
        (record,) = await bench.records(FLAGGED_TOPIC, answer.json()["report_id"])
        assert own.count(_kid(record)) == 1
        assert _kid(record) != bench.app.state.intake.reception._key.key_id
        await process.publisher.stop()


async def test_over_a_real_socket(bench: Any) -> None:
    """The target that is signed is the one that the web server saw; a body without length is bounded too."""
    officer = await bench.officer()
    body = json.dumps(bench.statement()).encode()
    path = f"{FLAGGED}?source={officer.source_id}&%78=%2F"
    signed = sign(
        "POST", f"{bench.settings.public_url}{path}", body, "application/json", key=officer.key, key_id=officer.key_id
    )
    async with bench.served() as base, httpx.AsyncClient(base_url=base, timeout=30) as client:
        taken = await client.post(path, content=body, headers=signed)
        assert taken.status_code == 202, taken.text
        assert UUID(taken.json()["report_id"])
        wrong = await client.post(path.replace("%78", "x"), content=body, headers=signed)
        assert wrong.status_code == 401

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" " * 65_536

        big = await client.post(PUBLIC, content=endless(), headers=bench.bearer("platform"))
        assert big.status_code == 413


def _kid(record: Any) -> str:
    header = record.header("attestation").split(b".")[0]
    return str(json.loads(urlsafe_b64decode(header + b"=" * (-len(header) % 4)))["kid"])


def _new_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

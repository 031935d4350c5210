"""Who may ask what became of a report, and what is answered, with a review of the test's own behind it."""

import asyncio
import socket
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from schemas.decision import Decision
from schemas.source import Source
from services.outcomes import store
from services.outcomes.app import UNITS
from services.runtime.clock import SystemClock
from services.runtime.issuer import LocalIssuer, Role, make_issuer_key
from services.runtime.migrate import upgrade
from services.runtime.process import Process
from services.runtime.settings import Settings
from services.runtime.signature import sign

ORIGIN = "http://outcomes.example"
RECEIVED, DECIDED = "2026-11-23T08:00:00.000000Z", "2026-11-23T09:00:00.000000Z"


class FakeReview:
    """Knows some reports, wants the service's token, and can be told to fail."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        self.answer: tuple[int, Any] | None = None
        self.tokens: list[str] = []
        self.app = FastAPI()

        @self.app.get("/v1/reports/{report_id}")
        async def report(request: Request, report_id: str) -> JSONResponse:
            self.tokens.append(request.headers.get("authorization", ""))
            if self.answer is not None:
                return JSONResponse(self.answer[1], self.answer[0])
            if report_id not in self.known:
                return JSONResponse({"title": "unknown"}, 404)
            return JSONResponse(self.known[report_id])

    def knows(self, state: str, source_id: str | None) -> UUID:
        report_id = uuid4()
        self.known[str(report_id)] = {
            "report_id": str(report_id),
            "state": state,
            "class": "P0",
            "received_at": RECEIVED,
            "source_id": source_id,
            "case_id": str(uuid4()),
        }
        return report_id


@pytest.fixture(scope="module")
async def review_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def review(review_port: int) -> AsyncIterator[FakeReview]:
    fake = FakeReview()
    server = uvicorn.Server(uvicorn.Config(fake.app, port=review_port, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.02)
    yield fake
    server.should_exit = True
    await serving


@pytest.fixture(scope="module")
async def process(
    postgres_dsn: str, review_port: int, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Process]:
    folder: Path = tmp_path_factory.mktemp("outcomes")
    make_issuer_key(folder / "issuer.pem", folder / "jwks.json")
    (folder / "token").write_text("first\n")
    name = f"outcomes_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    settings = Settings.model_validate(
        {
            "database": f"{postgres_dsn.rpartition('/')[0]}/{name}",
            "data": folder,
            "jwks": str(folder / "jwks.json"),
            "public_url": ORIGIN,
            "review_url": f"http://127.0.0.1:{review_port}/",
            "service_token_file": folder / "token",
            "answer_timeout_seconds": 1,
        }
    )
    await upgrade(settings)
    made = Process(settings)
    yield made
    await made.close()


@pytest.fixture
async def http(process: Process) -> AsyncIterator[httpx.AsyncClient]:
    unit = UNITS["http"](process)
    assert unit.app is not None
    transport = httpx.ASGITransport(app=unit.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client
    for worker in unit.workers:
        await worker.stop()


class Flagger:
    """A source with a key of its own, as `sources.v1` tells of it."""

    def __init__(self) -> None:
        self.id, self.key_id, self.key = uuid4(), f"key-{uuid4()}", Ed25519PrivateKey.generate()
        self.revoked_at: str | None = None
        self.version = 0

    async def announce(self, process: Process) -> None:
        self.version += 1
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        key = {
            "key_id": self.key_id,
            "public_key": urlsafe_b64encode(raw).decode().rstrip("="),
            "revoked_at": self.revoked_at,
        }
        said = Source.model_validate(
            {
                "source_id": self.id, "version": self.version, "change": "added", "actor": "root", "kind": "police",
                "name": "n", "status": "active", "keys": [key],
            }
        )  # fmt: skip
        async with process.database("outcomes").begin() as connection:
            await store.take_sources(connection, [said])

    def signed(self, report_id: UUID, **other: Any) -> dict[str, str]:
        return sign("GET", address(report_id), b"", content_type="", key=self.key, key_id=self.key_id, **other)


def address(report_id: UUID | str) -> str:
    return f"{ORIGIN}/v1/reports/{report_id}"


def bearer(process: Process, role: Role, source: str | None = None) -> dict[str, str]:
    issuer = LocalIssuer(
        process.settings.data / "issuer.pem", issuer=process.settings.issuer, audience=process.settings.audience
    )
    return {"Authorization": f"Bearer {issuer.mint('ada', role, source)}"}


async def decide(process: Process, source_id: str | None, verdict: str = "illegal") -> UUID:
    report_id = uuid4()
    decision = Decision.model_validate(
        {
            "decision_id": uuid4(), "case_id": uuid4(), "content_id": "v_1", "class": "P1", "queue": "q",
            "ruling": {"policy": "p", "version": "1", "rule": "r", "inputs": {}},
            "finding": {
                "verdict": verdict,
                "violates": None if verdict == "no_violation" else "R-1",
                "actions": [] if verdict == "no_violation" else ["remove"],
                "reason": "CANARY reason",
            },
            "decided_by": "anna", "decided_at": DECIDED, "part": 1, "parts": 1,
            "reports": [
                {"report_id": report_id, "received_at": RECEIVED, "source_kind": "police", "source_id": source_id}
            ],
        }
    )  # fmt: skip
    async with process.database("outcomes").begin() as connection:
        assert await store.reach(connection, [decision]) == {report_id}
    return report_id


async def test_a_source_hears_of_its_own_report(process: Process, http: httpx.AsyncClient, review: FakeReview) -> None:
    """From the queue to the decision, a signed question is answered with where the report stands."""
    flagger = Flagger()
    await flagger.announce(process)
    queued = review.knows("queued", str(flagger.id))
    answer = await http.get(address(queued), headers=flagger.signed(queued))
    assert answer.status_code == 200
    assert answer.json() == {"report_id": str(queued), "state": "queued", "class": "P0", "received_at": RECEIVED}
    claimed = review.knows("in_review", str(flagger.id))
    assert (await http.get(address(claimed), headers=flagger.signed(claimed))).json()["state"] == "in_review"
    decided = await decide(process, str(flagger.id))
    answer = await http.get(address(decided), headers=flagger.signed(decided))
    assert answer.json() == {
        "report_id": str(decided), "state": "decided", "class": "P1", "received_at": RECEIVED, "decided_at": DECIDED,
        "verdict": "illegal", "violates": "R-1", "actions": ["remove"], "statement": "illegal.remove",
    }  # fmt: skip
    assert "CANARY" not in answer.text


async def test_a_report_without_violation_is_answered_so(process: Process, http: httpx.AsyncClient) -> None:
    """Where nothing was found there is no rule and no action in the answer."""
    answer = await http.get(
        address(await decide(process, None, "no_violation")), headers=bearer(process, Role.PLATFORM)
    )
    assert (answer.json()["verdict"], answer.json()["actions"], answer.json()["statement"]) == (
        "no_violation", [], "no_violation",
    )  # fmt: skip
    assert "violates" not in answer.json()


async def test_nobody_hears_of_anothers_report(process: Process, http: httpx.AsyncClient, review: FakeReview) -> None:
    """Another source's report, a user's and one that nobody knows look alike: 404."""
    flagger = Flagger()
    await flagger.announce(process)
    for report_id in (
        review.knows("queued", str(uuid4())),
        review.knows("queued", None),
        await decide(process, str(uuid4())),
        await decide(process, None),
        uuid4(),
    ):
        answers = [
            await http.get(address(report_id), headers=flagger.signed(report_id)),
            await http.get(address(report_id), headers=bearer(process, Role.POLICE, str(flagger.id))),
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].json() == answers[1].json()


async def test_tokens_of_platform_and_police(process: Process, http: httpx.AsyncClient, review: FakeReview) -> None:
    """The platform asks for any report, an officer for those of the source it is bound to, nobody else for any."""
    own = str(uuid4())
    for report_id in (review.knows("queued", own), await decide(process, own)):
        assert (await http.get(address(report_id), headers=bearer(process, Role.PLATFORM))).status_code == 200
        assert (await http.get(address(report_id), headers=bearer(process, Role.POLICE, own))).status_code == 200
        for role in (Role.REVIEWER, Role.SENIOR, Role.SUPERVISOR, Role.AUDITOR, Role.ADMIN):
            assert (await http.get(address(report_id), headers=bearer(process, role))).status_code == 403
        assert (await http.get(address(report_id), headers=bearer(process, Role.POLICE))).status_code == 403
        assert (await http.get(address(report_id))).status_code == 401
    assert (await http.get(address("17"), headers=bearer(process, Role.PLATFORM))).status_code == 422


async def test_signatures_that_prove_nothing(process: Process, http: httpx.AsyncClient, review: FakeReview) -> None:
    """A signature for another report, by another key, too old, or by a key that was revoked is refused."""
    flagger, other = Flagger(), Flagger()
    await flagger.announce(process)
    report_id = review.knows("queued", str(flagger.id))
    other.key_id = flagger.key_id
    old = SystemClock().now() - timedelta(seconds=301)
    for headers in (flagger.signed(uuid4()), other.signed(report_id), flagger.signed(report_id, created=old)):
        assert (await http.get(address(report_id), headers=headers)).status_code == 401
    flagger.revoked_at = DECIDED
    await flagger.announce(process)
    revoked = await http.get(address(report_id), headers=flagger.signed(report_id))
    assert revoked.status_code == 403
    assert revoked.json()["type"] == "urn:jubao:problem:key_revoked"
    # Only the key's holder learns that it was revoked.
    assert (await http.get(address(report_id), headers=other.signed(report_id))).status_code == 401


async def test_a_source_added_an_instant_ago_is_known(
    process: Process, http: httpx.AsyncClient, review: FakeReview
) -> None:
    """A key that is still on its way is waited for, briefly; one that never comes is refused in time."""
    flagger, nobody = Flagger(), Flagger()
    report_id = review.knows("queued", str(flagger.id))

    async def announced_late() -> None:
        await asyncio.sleep(0.7)
        await flagger.announce(process)

    late = asyncio.create_task(announced_late())
    assert (await http.get(address(report_id), headers=flagger.signed(report_id))).status_code == 200
    await late
    async with asyncio.timeout(4):
        assert (await http.get(address(report_id), headers=nobody.signed(report_id))).status_code == 401


async def test_unknown_keys_cannot_crowd_out_known_ones(process: Process, http: httpx.AsyncClient) -> None:
    """Of many calls with made-up keys only some wait; known sources are answered meanwhile."""
    flagger = Flagger()
    await flagger.announce(process)
    decided = await decide(process, str(flagger.id))
    flood = [asyncio.create_task(http.get(address(decided), headers=Flagger().signed(decided))) for _ in range(100)]
    await asyncio.sleep(0.3)
    async with asyncio.timeout(1.5):
        assert (await http.get(address(decided), headers=flagger.signed(decided))).status_code == 200
    assert sum(task.done() for task in flood) >= 50
    assert {answer.status_code for answer in await asyncio.gather(*flood)} == {401}


async def test_the_service_token_is_read_again(process: Process, http: httpx.AsyncClient, review: FakeReview) -> None:
    """A replaced token is used at the next question, without a restart."""
    platform = bearer(process, Role.PLATFORM)
    report_id = review.knows("queued", None)
    assert process.settings.service_token_file is not None
    for token in ("one", "two"):
        process.settings.service_token_file.write_text(f"{token}\n")
        await http.get(address(report_id), headers=platform)
    assert review.tokens == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("answer", [(500, {}), (401, {}), (403, {}), (200, {"state": "queued"}), (200, "?")])
async def test_a_review_that_answers_oddly_is_away(
    process: Process, http: httpx.AsyncClient, review: FakeReview, answer: tuple[int, Any]
) -> None:
    """Whatever review answers instead of a standing is a 503 with Retry-After, never a 404 or a 500."""
    review.answer = answer
    refused = await http.get(address(uuid4()), headers=bearer(process, Role.PLATFORM))
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0


async def test_review_away(process: Process, http: httpx.AsyncClient) -> None:
    """Without review a decided report is answered as ever, any other with 503 within the time a caller waits."""
    platform = bearer(process, Role.PLATFORM)
    decided = await decide(process, None)
    assert (await http.get(address(decided), headers=platform)).status_code == 200
    async with asyncio.timeout(5):
        refused = await http.get(address(uuid4()), headers=platform)
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"


async def test_a_review_that_never_answers_is_not_waited_for(
    process: Process, http: httpx.AsyncClient, review_port: int
) -> None:
    """A review that takes the call and says nothing is given up within 5 seconds."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", review_port)
    async with asyncio.timeout(5):
        refused = await http.get(address(uuid4()), headers=bearer(process, Role.PLATFORM))
    assert refused.status_code == 503
    server.close()


async def test_decided_there_and_not_yet_here_is_in_review(
    process: Process, http: httpx.AsyncClient, review: FakeReview
) -> None:
    """Between the decision and its outcome the report is in review, for the reporter has not been told yet."""
    report_id = review.knows("decided", None)
    answer = await http.get(address(report_id), headers=bearer(process, Role.PLATFORM))
    assert answer.json()["state"] == "in_review"
    assert "verdict" not in answer.json()


async def test_counts_are_told(process: Process) -> None:
    """What outcomes counts is the reports that have one."""
    async with process.database("outcomes").begin() as connection:
        before = await store.decided(connection)
    await decide(process, None)
    async with process.database("outcomes").begin() as connection:
        assert await store.decided(connection) == before + 1

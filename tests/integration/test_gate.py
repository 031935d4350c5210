"""The gate before routes: one caller's flood ends in 429 and takes nothing from anybody else."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from fastapi import APIRouter, Request

from schemas.access import ACCESS, Rule
from services.runtime import auth, gate
from services.runtime.gate import SignedIn, gate_of
from services.runtime.issuer import LocalIssuer, Role, make_issuer_key
from services.runtime.process import Process
from services.runtime.settings import Settings
from services.runtime.signature import sign
from services.runtime.turns import Turns
from services.runtime.web import application

ORIGIN = "http://test"
STANDING = tuple(
    r for r in ACCESS["intake"] if r.path in {"/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/status"}
)
TABLE = {
    "odd": (
        *STANDING,
        Rule("GET", "/v1/staff", ("reviewer", "admin")),
        Rule("GET", "/v1/backend", ("platform",)),
        Rule("POST", "/v1/backend", ("platform",)),
        Rule("GET", "/v1/source", ("police",), signed=True),
    )
}
# A burst of four calls, and one in a hundred seconds again: no test waits for one.
SLOW = dict.fromkeys((f"rate_{who}_per_second" for who in ("staff", "platform", "source", "address")), 0.01)


@dataclass
class House:
    """A service with one route of each kind, its issuer, and a source's key."""

    http: httpx.AsyncClient
    issuer: LocalIssuer
    key: Ed25519PrivateKey
    gate_turns: Turns

    def bearer(self, name: str, role: Role) -> dict[str, str]:
        return {"authorization": f"Bearer {self.issuer.mint(name, role)}"}

    async def codes(self, count: int, path: str, headers: dict[str, str] | None = None) -> list[int]:
        return [(await self.http.get(f"/v1/{path}", headers=headers)).status_code for _ in range(count)]


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr("services.runtime.web.ACCESS", TABLE)
    # The examples of a service lie in its own folder, and this one has none.
    monkeypatch.setattr("services.runtime.openapi.exemplify", lambda *_: None)
    key_file, jwks = tmp_path / "issuer.pem", tmp_path / "jwks.json"
    make_issuer_key(key_file, jwks)
    settings = Settings(jwks=str(jwks), public_url=ORIGIN, rate_burst_seconds=400, **SLOW)
    key = Ed25519PrivateKey.generate()
    router = APIRouter(prefix="/v1")

    at_work, most_at_work = 0, 0

    @router.post("/backend")
    async def work() -> int:
        nonlocal at_work, most_at_work
        at_work += 1
        most_at_work = max(at_work, most_at_work)
        await asyncio.sleep(0.05)
        at_work -= 1
        return most_at_work

    @router.get("/staff")
    async def staff(caller: SignedIn) -> str:
        return caller.name

    @router.get("/backend")
    async def backend(caller: SignedIn) -> str:
        return caller.name

    @router.get("/source")
    async def source(request: Request) -> str:
        if request.state.caller is not None:
            return str(request.state.caller.name)

        async def resolve(key_id: str) -> Ed25519PublicKey | None:
            return key.public_key() if key_id == "k1" else None

        return (await gate_of(request).signed(request, resolve)).key_id

    process = Process(settings)
    app = application(process, "odd", "Odd", [router])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as http:
        yield House(http, LocalIssuer(key_file, issuer="jubao-local", audience="jubao"), key, process.turns)


async def test_one_callers_flood_is_refused_and_anothers_call_is_not(house: House) -> None:
    """An account that has used up its burst gets 429 with Retry-After; other accounts behind its address are served."""
    flooding, calm = house.bearer("a", Role.PLATFORM), house.bearer("b", Role.PLATFORM)
    assert await house.codes(6, "backend", flooding) == [200] * 4 + [429] * 2
    refused = await house.http.get("/v1/backend", headers=flooding)
    assert refused.json()["type"] == "urn:jubao:problem:too_many_calls"
    assert int(refused.headers["retry-after"]) >= 1
    assert await house.codes(1, "backend", calm) == [200]
    assert await house.codes(2, "staff", house.bearer("c", Role.REVIEWER)) == [200, 200]


async def test_one_callers_calls_take_turns(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its turns an account's calls wait and are answered later, and another account's call does not wait."""
    monkeypatch.setattr(house.gate_turns, "_most_at_once", 2)
    many, another = house.bearer("a", Role.PLATFORM), house.bearer("b", Role.PLATFORM)
    waiting = [asyncio.create_task(house.http.post("/v1/backend", headers=many)) for _ in range(4)]
    await asyncio.sleep(0.02)
    began = time.monotonic()
    assert await house.codes(1, "backend", another) == [200]
    assert time.monotonic() - began < 0.5
    answers = await asyncio.gather(*waiting)
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json() for answer in answers} == {2}
    assert len(house.gate_turns) == 0


async def test_new_tokens_of_one_account_are_one_caller(house: House) -> None:
    """Whoever has several tokens of an account has one budget with all of them."""
    codes = [(await house.codes(1, "backend", house.bearer("a", Role.PLATFORM)))[0] for _ in range(6)]
    assert codes == [200] * 4 + [429] * 2


async def test_forged_tokens_use_up_their_address_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind an address that floods with forgeries, who was known before is served, and no forgery is verified more."""
    known = house.bearer("a", Role.REVIEWER)
    assert await house.codes(1, "staff", known) == [200]
    forged = {"authorization": "Bearer e30.e30.AAAA"}
    assert await house.codes(6, "staff", forged) == [401] * 4 + [429] * 2
    verified: list[str] = []

    def watched(_: auth.Tokens, token: str, keys: Any) -> dict[str, Any]:
        verified.append(token)
        raise ValueError(keys)

    monkeypatch.setattr(auth.Tokens, "_decoded", watched)
    assert await house.codes(3, "staff", forged) == [429] * 3
    assert verified == []
    assert await house.codes(2, "staff", known) == [200, 200]


async def test_forged_signatures_use_up_their_address_before_they_are_verified(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of signatures that do not hold is refused without looking at them; one that holds costs its key."""

    def signed(key: Ed25519PrivateKey) -> dict[str, str]:
        return sign("GET", f"{ORIGIN}/v1/source", b"", "", key, "k1")

    assert await house.codes(1, "source", signed(house.key)) == [200]
    stranger = Ed25519PrivateKey.generate()
    assert [(await house.codes(1, "source", signed(stranger)))[0] for _ in range(6)] == [401] * 4 + [429] * 2

    async def never(*_: Any, **__: Any) -> Any:
        pytest.fail("a signature was verified")

    monkeypatch.setattr(gate, "verify", never)
    assert await house.codes(1, "source", signed(stranger)) == [429]
    # The officer's token is another way in, with a budget of its own; a new token must be verified, which needs room.
    assert await house.codes(1, "source", house.bearer("officer", Role.POLICE)) == [429]


async def test_a_source_has_a_budget(house: House) -> None:
    """The calls under one key are counted, however many addresses they come from."""
    codes = []
    for _ in range(6):
        headers = sign("GET", f"{ORIGIN}/v1/source", b"", "", house.key, "k1")
        codes += await house.codes(1, "source", headers)
    assert codes == [200] * 4 + [429] * 2


async def test_health_is_answered_beside_a_flood(house: House) -> None:
    """Open routes have a budget apart, so that forgeries do not hide whether a process is well; it ends as well."""
    assert (await house.codes(6, "staff", {"authorization": "Bearer x.y.z"}))[-1] == 429
    assert [(await house.http.get("/healthz")).status_code for _ in range(6)] == [200] * 4 + [429] * 2


async def test_addresses_name_all_their_methods(house: House) -> None:
    """A method that an address does not take is 405 and names those it takes; what is not there is 404."""
    answer = await house.http.put("/v1/staff")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert (await house.http.get("/v1/nothing")).status_code == 404
    document = (await house.http.get("/openapi.json")).json()
    assert document["paths"]["/v1/source"]["get"]["security"] == [{"bearer": []}, {"signature": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert {"401", "403", "429", "503"} <= set(document["paths"]["/v1/staff"]["get"]["responses"])


async def test_a_revoked_issuer_key_ends_remembered_tokens(house: House, tmp_path: Path) -> None:
    """A token is taken from memory only while the key that signed it is published."""
    known = house.bearer("a", Role.ADMIN)
    assert await house.codes(2, "staff", known) == [200, 200]
    make_issuer_key(tmp_path / "another.pem", tmp_path / "jwks.json")
    assert await house.codes(1, "staff", known) == [401]

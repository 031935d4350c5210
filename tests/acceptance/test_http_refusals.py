"""Bad requests get a precise 4xx, a missing engine a 503, and what was acknowledged is never lost."""

import json
import random
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from services.runtime.signature import sign
from tests.acceptance import records
from tests.acceptance.stack import Stack
from tests.engines.stacks import paused


def _public(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode()


BODIES: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "not_json": lambda _: b"{",
    "duplicate_key": lambda d: _public(d)[:-1] + b', "category": "violence"}',
    "nul": lambda d: _public({**d, "explanation": "a\x00"}),
    "surrogate": lambda d: _public({**d, "explanation": "Z"}).replace(b'"Z"', b'"\\ud800"'),
    "invalid_utf8": lambda d: _public(d).replace(b"one_click", b"one_\xff"),
    "future": lambda d: _public({**d, "occurred_at": "2999-01-01T00:00:00Z"}),
    "unknown_field": lambda d: _public({**d, "x": 1}),
    "missing_field": lambda d: _public({k: v for k, v in d.items() if k != "category"}),
    "deep": lambda _: b"[" * 100_000,
}


@pytest.mark.parametrize("kind", BODIES)
def test_body_that_does_not_fit_is_422(stack: Stack, kind: str) -> None:
    """A body that is no report is refused with place and reason as problem details."""
    with stack.http("platform1", "platform") as http:
        answer = http.post(
            "/intake/v1/reports",
            content=BODIES[kind](records.report(random.Random(1), "v_refused")),
            headers={"content-type": "application/json"},
        )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["msg"]


def test_sizes_pages_and_cursors(stack: Stack) -> None:
    """A body over the bound is 413; a huge page, a huge claim and a tampered cursor are 422."""
    with stack.http("platform1", "platform") as http:
        huge = records.report(random.Random(1), "v_huge", explanation="x" * 300_000)
        assert http.post("/intake/v1/reports", json=huge).status_code == 413
    with stack.http("reviewer-sizes", "reviewer") as http:
        assert http.post("/review/v1/claims", json={"max": 10_000}).status_code == 422
        assert http.get("/review/v1/cases", params={"limit": 10_000_000}).status_code == 422
        assert http.get("/review/v1/cases", params={"cursor": "AAAA"}).status_code == 422
    with stack.http("auditor1", "auditor") as http:
        assert http.get("/audit/v1/entries", params={"limit": 10_000_000}).status_code == 422
        page = http.get("/audit/v1/entries", params={"limit": 1}).json()
        assert http.get("/audit/v1/entries", params={"cursor": page["next"][:-2] + "AA"}).status_code == 422


def test_roles(stack: Stack) -> None:
    """Without a token 401, with another role 403."""
    assert httpx.post(f"{stack.answer['http']}/review/v1/claims", json={}).status_code == 401
    bad = httpx.post(f"{stack.answer['http']}/review/v1/claims", json={}, headers={"Authorization": "Bearer x.y.z"})
    assert bad.status_code == 401
    with stack.http("auditor1", "auditor") as auditor, stack.http("platform1", "platform") as platform:
        assert auditor.post("/review/v1/claims", json={}).status_code == 403
        assert platform.get("/audit/v1/entries").status_code == 403


def test_severe_action_needs_a_second_reviewer(stack: Stack) -> None:
    """A severe action is refused with 422 until second review exists; foreign and stale leases are 409."""
    seed = random.Random(77)
    stack.produce("reports.public.v1", records.ordinary(seed, 9, "severe"))
    stack.settle()
    with stack.http("severe-reviewer", "reviewer") as http, stack.http("other-reviewer", "reviewer") as other:
        claim = http.post("/review/v1/claims", json={}).json()["claims"][0]
        case, token = claim["case"]["id"], claim["lease"]["token"]
        body = {
            "lease": token,
            "verdict": "illegal",
            "violates": "刑法第二百六十六条",
            "actions": ["terminate_account"],
            "reason": "r",
        }
        address = f"/review/v1/cases/{case}/decisions"
        assert http.post(address, json=body).status_code == 422
        assert http.post(address, json={**body, "actions": []}).status_code == 422
        assert other.post(address, json={**body, "actions": ["remove"]}).status_code == 409
        assert other.post(f"/review/v1/leases/{token}/renew").status_code == 409
        assert http.post(f"/review/v1/leases/{token}/release").status_code == 200
        assert http.post(address, json={**body, "actions": ["remove"]}).status_code == 409


def test_signed_calls(stack: Stack) -> None:
    """A nonce gives its first answer again and refuses another body; a bad signature is 401, a suspended source 403."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    police = stack.source("police", quota=100)
    key = load_pem_private_key(police["key"].read_bytes(), None)
    url = f"{stack.answer['http']}/intake/v1/flagged-reports"
    statement = {
        k: v
        for k, v in records.flagged(random.Random(4), "v_signed", police["id"]).items()
        if k not in {"source", "report_id", "reporter"}
    }

    def post(statement: dict[str, Any], nonce: str, **changes: Any) -> httpx.Response:
        body = json.dumps(statement).encode()
        headers = sign("POST", url, body, "application/json", key, police["key_id"], nonce=nonce)
        return httpx.post(
            url, content=changes.get("body", body), headers={**headers, "content-type": "application/json"}
        )

    first = post(statement, "nonce-000001")
    assert first.status_code == 202
    assert post(statement, "nonce-000001").json() == first.json()
    assert post({**statement, "explanation": "另一段"}, "nonce-000001").status_code == 409
    assert post(statement, "nonce-000002", body=b"{}").status_code == 401
    assert httpx.post(url, json=statement).status_code == 401
    stack.jubao("source", "suspend", police["id"])
    assert post(statement, "nonce-000003").status_code == 403
    stack.jubao("source", "resume", police["id"])
    assert post(statement, "nonce-000004").status_code == 202
    stack.jubao("source", "revoke-key", police["id"], police["key_id"])
    assert post(statement, "nonce-000005").status_code == 403


def test_engines_away(new_stack: Callable[..., Stack]) -> None:
    """With broker or database away a call is 503 with Retry-After within 5 s; each 202 is queued when they are back."""
    stack = new_stack()
    seed = random.Random(6)
    acknowledged: list[str] = []

    def post(http: httpx.Client) -> httpx.Response:
        data = records.report(seed, f"v_away_{seed.random()}")
        began = time.monotonic()
        answer = http.post("/intake/v1/reports", json=data)
        assert time.monotonic() - began < 5.5
        if answer.status_code == 202:
            acknowledged.append(data["report_id"])
        else:
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
        return answer

    with stack.http("platform1", "platform") as http:
        assert post(http).status_code == 202
        for engine in (stack.engines.kafka, stack.engines.postgres):
            with paused(engine):
                codes = [post(http).status_code for _ in range(2)]
            assert codes == [503, 503]
            stack.until(lambda: post(http).status_code == 202, 60)
            engine.crash()
            stack.until(lambda: post(http).status_code == 202, 60)
    stack.settle()
    queued = {str(row[0]) for row in stack.sql("SELECT report_id FROM review.reports")}
    assert set(acknowledged) <= queued


def test_the_origin_names_its_services(stack: Stack) -> None:
    """The address that `up` prints says where each service is described; a wrong address is a problem document."""
    services = httpx.get(stack.answer["http"]).raise_for_status().json()["services"]
    assert set(services) == {"intake", "triage", "review", "outcomes", "audit"}
    for address in services.values():
        assert httpx.get(f"{stack.answer['http']}{address}").json()["openapi"].startswith("3.1")
    lost = httpx.get(f"{stack.answer['http']}/nowhere")
    assert (lost.status_code, lost.headers["content-type"]) == (404, "application/problem+json")

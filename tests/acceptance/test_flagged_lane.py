"""The police report comes first, on whatever item, however many wait; what is not attested does not."""

import random
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.acceptance import records
from tests.acceptance.stack import Stack

WAITING = 20_000
pytestmark = pytest.mark.usefixtures("flood")

DECISION = {"verdict": "against_terms", "violates": "TERMS-4.2", "actions": ["demote"], "reason": "夸大收益，误导用户"}


@pytest.fixture(scope="module")
def flood(stack: Stack) -> Iterator[None]:
    """Twenty thousand ordinary reports wait, and more arrive until the module's tests are done."""
    seed = random.Random(20_261_123)
    stack.produce("reports.public.v1", records.ordinary(seed, WAITING, "flood"))
    stack.settle()
    _clear_immediate(stack)
    stop = threading.Event()

    def more() -> None:
        arriving = random.Random(7)
        while not stop.is_set():
            stack.produce("reports.public.v1", records.ordinary(arriving, 200, "arriving"))
            stop.wait(0.5)

    thread = threading.Thread(target=more)
    thread.start()
    yield
    stop.set()
    thread.join()


def _clear_immediate(stack: Stack) -> None:
    """Decides the P0 cases that earlier tests left: each of these tests looks for its own at the head."""
    with stack.http("early-reviewer", "reviewer") as reviewer:
        while any(q["class"] == "P0" and q["waiting"] for q in reviewer.get("/review/v1/queues").json()):
            assert decide(reviewer, first_claim(reviewer)).status_code == 201


@pytest.fixture(scope="module")
def police(stack: Stack) -> dict[str, Any]:
    return stack.source("police", agency="上海市公安局网安总队", region="CN-31")


def first_claim(http: httpx.Client) -> dict[str, Any]:
    claims = http.post("/review/v1/claims", json={}).raise_for_status().json()["claims"]
    assert len(claims) == 1
    claim: dict[str, Any] = claims[0]
    return claim


def decide(http: httpx.Client, claim: dict[str, Any], **fields: object) -> httpx.Response:
    body = {"lease": claim["lease"]["token"], **DECISION, **fields}
    return http.post(f"/review/v1/cases/{claim['case']['id']}/decisions", json=body)


def cases_of(http: httpx.Client, content_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        http.get("/review/v1/cases", params={"content_id": content_id}).raise_for_status().json()["cases"]
    )
    return found


def claimable_within(stack: Stack, http: httpx.Client, content_id: str, seconds: float = 2) -> None:
    """Waits until the item's case is P0 and queued, from the moment the report was acknowledged."""
    end = time.monotonic() + seconds
    while not any(c["class"] == "P0" and c["state"] == "queued" for c in cases_of(http, content_id)):
        assert time.monotonic() < end, f"not claimable within {seconds} s: {cases_of(http, content_id)}\n{stack.logs()}"
        time.sleep(0.05)


def submit_signed(stack: Stack, police: dict[str, Any], content_id: str) -> dict[str, Any]:
    made = stack.report(police, content_id)
    assert made["lane"] == "flagged"
    return made


def assert_first(reviewer: httpx.Client, content_id: str) -> dict[str, Any]:
    claim = first_claim(reviewer)
    case = claim["case"]
    assert case["content"]["id"] == content_id
    assert case["class"] == "P0"
    assert case["ruling"]["rule"]
    assert case["ruling"]["inputs"]["source.attested"] is True
    return claim


def test_police_report_on_a_new_item_is_the_next_claim(stack: Stack, police: dict[str, Any]) -> None:
    """Within two seconds of its 202 a signed police report is the next claim, is decided and told back."""
    with stack.http("new-item", "reviewer") as reviewer:
        made = submit_signed(stack, police, "v_police_new")
        claimable_within(stack, reviewer, "v_police_new")
        claim = assert_first(reviewer, "v_police_new")
        assert claim["case"]["reports"][0]["legal_ground"] == "《反电信网络诈骗法》第三十八条"
        first = decide(reviewer, claim)
        assert first.status_code == 201
        again = decide(reviewer, claim)
        assert (again.status_code, again.json()) == (201, first.json())
        assert decide(reviewer, claim, verdict="illegal").status_code == 409
    with stack.http("bound", "police", source=police["id"]) as bound:
        stack.until(lambda: outcome_state(bound, made["report_id"]) == "decided")
        told = bound.get(f"/outcomes/v1/reports/{made['report_id']}").json()
        assert (told["verdict"], told["actions"], told["class"]) == ("against_terms", ["demote"], "P0")


def outcome_state(http: httpx.Client, report_id: str) -> str:
    answer = http.get(f"/outcomes/v1/reports/{report_id}")
    return str(answer.json().get("state")) if answer.status_code == 200 else str(answer.status_code)


def test_police_report_lifts_a_queued_item_to_the_front(stack: Stack, police: dict[str, Any]) -> None:
    """A police report on an item that waits already makes it the next claim, with its ordinary reports beside it."""
    with stack.http("queued-item", "reviewer") as reviewer:
        waiting = next(
            c for c in reviewer.get("/review/v1/cases", params={"state": "queued", "class": "P3"}).json()["cases"]
        )
        content_id = waiting["content"]["id"]
        submit_signed(stack, police, content_id)
        claimable_within(stack, reviewer, content_id)
        claim = assert_first(reviewer, content_id)
        assert claim["case"]["id"] == waiting["id"]
        assert claim["case"]["report_count"] > waiting["report_count"]
        assert any(h["change"] == "lifted" for h in claim["case"]["history"])
        assert decide(reviewer, claim).status_code == 201


def test_police_report_on_a_decided_item_is_looked_at_again(stack: Stack, police: dict[str, Any]) -> None:
    """A police report on an item decided at a lower class opens a new case, first in line, that shows the old one."""
    with stack.http("decided-item", "reviewer") as reviewer:
        old = first_claim(reviewer)
        content_id = old["case"]["content"]["id"]
        assert decide(reviewer, old, verdict="no_violation", violates=None, actions=[]).status_code == 201
        submit_signed(stack, police, content_id)
        claimable_within(stack, reviewer, content_id)
        claim = assert_first(reviewer, content_id)
        assert claim["case"]["id"] != old["case"]["id"]
        assert old["case"]["id"] in str(claim["case"])
        assert decide(reviewer, claim).status_code == 201


def test_holder_of_a_claimed_item_is_told(stack: Stack, police: dict[str, Any]) -> None:
    """A police report on a claimed item tells its holder and ends the lease in two minutes at the latest."""
    with stack.http("holder", "reviewer") as holder:
        held = first_claim(holder)
        content_id = held["case"]["content"]["id"]
        submit_signed(stack, police, content_id)
        stack.until(lambda: first_claim(holder)["case"]["class"] == "P0", 2)
        mine = first_claim(holder)
        assert mine["lease"]["token"] == held["lease"]["token"]
        lifted = next(h for h in mine["case"]["history"] if h["change"] == "lifted")
        ends = datetime.fromisoformat(mine["lease"]["expires_at"])
        assert ends - datetime.fromisoformat(lifted["at"]) <= timedelta(seconds=121)
        renewed = holder.post(f"/review/v1/leases/{held['lease']['token']}/renew").raise_for_status().json()
        assert (
            datetime.fromisoformat(renewed["expires_at"] if "expires_at" in renewed else renewed["lease"]["expires_at"])
            <= ends
        )
        assert decide(holder, mine).status_code == 201


def test_what_is_not_attested_is_not_immediate(stack: Stack, police: dict[str, Any]) -> None:
    """A flagged record without attestation, with a broken one or another's is queued, not P0, and an alert."""
    seed = random.Random(99)
    attested = next(r for r in stack.consume("reports.flagged.v1") if dict(r.headers).get("attestation"))
    genuine = dict(attested.headers)["attestation"]
    broken = genuine[:-6] + b"AAAAAA"
    attacks = {
        "none": [],
        "broken": [("attestation", broken)],
        "other": [("attestation", genuine)],
        "odd": [("attestation", b"\xff..\xfe")],
    }
    sent = {}
    for name, headers in attacks.items():
        content_id = f"v_unattested_{name}"
        data = records.flagged(seed, content_id, police["id"])
        sent[name] = (content_id, data["report_id"])
        stack.produce("reports.flagged.v1", [(content_id.encode(), records.event(seed, data), headers)])
    stack.produce("reports.public.v1", [(attested.key, attested.value, [("attestation", genuine)])])
    with stack.http("watcher", "supervisor") as watcher:
        for content_id, report_id in sent.values():
            stack.until(lambda c=content_id: cases_of(watcher, c), 20)
            assert [c["class"] for c in cases_of(watcher, content_id)] == ["P3"]
            stack.until(lambda r=report_id: stack.entries(report_id=r, type="jubao.activity.alert.v1"), 30)


def test_a_registered_attester_gives_the_lane(stack: Stack, police: dict[str, Any], tmp_path: Path) -> None:
    """A record that a registered attester signed is P0 at once; over a suspended source it is public with an alert."""
    seed = random.Random(5)
    key = Ed25519PrivateKey.generate()
    public = tmp_path / "attester.pem"
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    attester = stack.ask("attester", "add", "--name", "platform", "--public-key", public, "--kinds", "police")
    value = records.event(seed, records.flagged(seed, "v_attester", police["id"]))
    header = [("attestation", records.attestation(key, attester["key_id"], value))]
    stack.produce("reports.flagged.v1", [(b"v_attester", value, header)])
    with stack.http("attester-reviewer", "reviewer") as reviewer:
        claimable_within(stack, reviewer, "v_attester", 5)
        assert decide(reviewer, assert_first(reviewer, "v_attester")).status_code == 201
        suspended = stack.source("police", region="CN-31")
        stack.jubao("source", "suspend", suspended["id"])
        data = records.flagged(seed, "v_suspended", suspended["id"])
        value = records.event(seed, data)
        header = [("attestation", records.attestation(key, attester["key_id"], value))]
        stack.produce("reports.flagged.v1", [(b"v_suspended", value, header)])
        stack.until(lambda: cases_of(reviewer, "v_suspended"), 10)
        assert cases_of(reviewer, "v_suspended")[0]["class"] == "P3"
        stack.until(lambda: stack.entries(report_id=data["report_id"], type="jubao.activity.alert.v1"), 30)

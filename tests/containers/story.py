"""A police report from its source to its outcome, over the published origin alone."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.intake.keys import source_key_id
from services.runtime.signature import sign
from tests.containers.deployment import Deployment

FLAGGED = "/intake/v1/flagged-reports"
DECISION = {"verdict": "against_terms", "violates": "TERMS-4.2", "actions": ["demote"], "reason": "夸大收益，误导用户"}


@dataclass
class Police:
    """A registered source that holds its own key."""

    source_id: str
    key: Ed25519PrivateKey
    deployment: Deployment

    @classmethod
    def registered(cls, deployment: Deployment) -> "Police":
        """Makes a key here and registers its public half at the desk."""
        key = Ed25519PrivateKey.generate()
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        made = deployment.desk(
            "source", "add", "--kind", "police", "--name", "上海网警", "--public-key", "/dev/stdin", said=pem
        )
        return cls(made["id"], key, deployment)

    def report(self, content_id: str, once: str = "") -> httpx.Response:
        """Signs and sends a report; with a key, it is one report however often it is sent."""
        statement = {
            "channel": "police_one_click",
            "occurred_at": "2026-11-20T07:59:00Z",
            "content": {"id": content_id, "type": "video"},
            "category": "scams_and_fraud",
            "explanation": "冒充客服诱导转账。",
            "legal_ground": "《刑法》第二百六十六条",
        }
        body = json.dumps(statement, ensure_ascii=False).encode()
        url = f"{self.deployment.origin}{FLAGGED}?source={self.source_id}"
        key_id = source_key_id(self.key.public_key().public_bytes_raw())
        headers = sign("POST", url, body, "application/json", self.key, key_id)
        if once:
            headers["idempotency-key"] = once
        return httpx.post(url, content=body, headers=headers, timeout=30)

    def taken(self, content_id: str) -> str:
        """The report's id once it is taken; an engine that is away for a moment is asked again."""
        end = time.monotonic() + 60
        # What was not acknowledged may have arrived: only with the same key is it the same report again.
        once = str(uuid4())
        while (answer := self.report(content_id, once)).status_code == 503 and time.monotonic() < end:
            time.sleep(1)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["report_id"])


def decided_first(deployment: Deployment, content_id: str) -> dict[str, Any]:
    """Claims until the item's case is the next one, which it is at once, and decides it."""
    with deployment.http("reviewer1", "reviewer") as reviewer:
        waits(lambda: _queued(reviewer, content_id))
        claim = reviewer.post("/review/v1/claims", json={}).raise_for_status().json()["claims"][0]
        case = claim["case"]
        assert (case["content"]["id"], case["class"]) == (content_id, "P0")
        body = {"lease": claim["lease"]["token"], **DECISION}
        answer = reviewer.post(f"/review/v1/cases/{case['id']}/decisions", json=body)
        assert answer.status_code == 201, answer.text
        return dict(case)


def _queued(reviewer: httpx.Client, content_id: str) -> bool:
    answer = reviewer.get("/review/v1/cases", params={"content_id": content_id})
    return answer.status_code == 200 and any(case["class"] == "P0" for case in answer.json()["cases"])


def outcome_of(deployment: Deployment, report_id: str) -> dict[str, Any]:
    """What the platform is told once the report is decided."""
    told: dict[str, Any] = {}
    with deployment.http("backend1", "platform") as platform:

        def decided() -> bool:
            nonlocal told
            answer = platform.get(f"/outcomes/v1/reports/{report_id}")
            told = answer.json() if answer.status_code == 200 else {}
            return told.get("state") == "decided"

        waits(decided)
    return told


def entries_of(deployment: Deployment, **filters: object) -> list[dict[str, Any]]:
    """The log's entries that a search finds."""
    with deployment.http("auditor1", "auditor") as auditor:
        page = auditor.get("/audit/v1/entries", params={"limit": 1000, **filters}).raise_for_status().json()
    found: list[dict[str, Any]] = page["entries"]
    return found


def types_of(deployment: Deployment, **filters: object) -> set[str]:
    """The types of the log's entries that a search finds."""
    return {entry["type"] for entry in entries_of(deployment, **filters)}


def waits(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for something to hold."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"did not come within {seconds} s"
        time.sleep(0.2)

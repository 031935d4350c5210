"""The examples of the OpenAPI documents, sent as they stand to a running stack: what comes back has their form.

Ids differ from one stack to the next. Whatever an answer calls otherwise than its example does (an id, a token, a key)
is called so in all later requests.
"""

import base64
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jsonschema import Draft202012Validator

from services.runtime.signature import sign
from tests.acceptance import records
from tests.acceptance.stack import Stack

FOLDER = Path(__file__).parents[2] / "docs" / "contracts" / "openapi"
DOCUMENTS: dict[str, Any] = {path.stem: json.loads(path.read_bytes()) for path in FOLDER.glob("*.json")}
JSON, PROBLEM = "application/json", "application/problem+json"
# The key pair of RFC 8037, appendix A: the public part stands in the example of a new source.
KEY = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
# Of RFC 8032, section 7.1, test 2: a key that nobody registered.
OTHER_KEY = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"

OTHERS = 20
ADMIN, REVIEWER, SUPERVISOR, AUDITOR, PLATFORM = "admin", "reviewer", "supervisor", "auditor", "platform"
ROLES = (ADMIN, REVIEWER, SUPERVISOR, AUDITOR, PLATFORM)
STANDING = ("/healthz", "/readyz", "/v1/status", "/metrics")
# Who makes which call, in the order in which each finds what it needs.
STORY = [
    (ADMIN, "intake", "POST /v1/sources"),
    (ADMIN, "intake", "GET /v1/sources/{source_id}"),
    (ADMIN, "intake", "POST /v1/sources/{source_id}/keys"),
    (ADMIN, "intake", "POST /v1/sources/{source_id}/keys/{key_id}/revoke"),
    (ADMIN, "intake", "POST /v1/sources/{source_id}/suspend"),
    (ADMIN, "intake", "POST /v1/sources/{source_id}/resume"),
    (ADMIN, "intake", "GET /v1/sources"),
    (ADMIN, "intake", "POST /v1/attesters"),
    (ADMIN, "intake", "GET /v1/attesters"),
    (SUPERVISOR, "triage", "GET /v1/policy"),
    (PLATFORM, "intake", "POST /v1/reports"),
    (PLATFORM, "review", "GET /v1/reports/{report_id}"),
    ("", "intake", "POST /v1/flagged-reports"),
    (SUPERVISOR, "review", "GET /v1/queues"),
    (REVIEWER, "review", "POST /v1/claims"),
    (REVIEWER, "review", "POST /v1/leases/{token}/release"),
    (REVIEWER, "review", "POST /v1/claims"),
    (REVIEWER, "review", "POST /v1/leases/{token}/renew"),
    (SUPERVISOR, "review", "GET /v1/cases"),
    (SUPERVISOR, "review", "GET /v1/cases/{case_id}"),
    (REVIEWER, "review", "POST /v1/cases/{case_id}/decisions"),
    (PLATFORM, "outcomes", "GET /v1/reports/{report_id}"),
    (AUDITOR, "audit", "GET /v1/entries"),
    (AUDITOR, "audit", "GET /v1/checkpoint"),
    (AUDITOR, "audit", "GET /v1/checkpoints"),
    (AUDITOR, "audit", "GET /v1/keys"),
    (AUDITOR, "audit", "GET /v1/entries/{index}/proof"),
    (AUDITOR, "audit", "GET /v1/consistency"),
    (AUDITOR, "audit", "GET /v1/receipts/{report_id}"),
    (AUDITOR, "audit", "GET /v1/stories/{report_id}"),
    (AUDITOR, "audit", "GET /v1/export"),
    (AUDITOR, "audit", "GET /tiles/tile/entries/{number}"),
    (AUDITOR, "audit", "POST /v1/entries/{index}/disclosures"),
    (SUPERVISOR, "audit", "POST /v1/erasures"),
    (SUPERVISOR, "audit", "GET /v1/erasures/{erasure_id}"),
    (SUPERVISOR, "audit", "POST /v1/holds"),
    (SUPERVISOR, "audit", "GET /v1/holds"),
    (SUPERVISOR, "audit", "POST /v1/holds/{hold_id}/lift"),
    ("", "audit", "GET /tiles/tile/{level}/{number}"),
    ("", "audit", "GET /tiles/checkpoint"),
    (ADMIN, "triage", "GET /v1/dead"),
    (ADMIN, "triage", "GET /v1/dead/{topic}/{partition}/{offset}"),
    (ADMIN, "triage", "POST /v1/dead/replay"),
    *((ADMIN, service, f"GET {path}") for service in DOCUMENTS for path in STANDING),
]
# Not told by the story on every service: each is the same on all that have it.
ALIKE = {"/v1/dead", "/v1/dead/{topic}/{partition}/{offset}", "/v1/dead/replay"}


class Teller:
    """Sends the example requests to a stack, and remembers what it calls the examples' ids."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._called: dict[str, str] = {}

    def send(self, role: str, service: str, call: str, *, body: Any = None) -> httpx.Response:
        """Makes a call with the parameters and the body of its example."""
        method, path = call.split(" ")
        operation = DOCUMENTS[service]["paths"][path][method.lower()]
        given = {p["in"] + " " + p["name"]: p["example"] for p in operation.get("parameters", ()) if "example" in p}
        given = json.loads(self._translated(json.dumps(given)))
        for name, value in given.items():
            path = path.replace(f"{{{name.partition(' ')[2]}}}", str(value))
        query = {name[6:]: value for name, value in given.items() if name.startswith("query ")}
        headers = {name[7:]: value for name, value in given.items() if name.startswith("header ")}
        content = operation.get("requestBody", {}).get("content", {}).get(JSON)
        raw = b"" if content is None else self._translated(json.dumps(body or content["example"])).encode()
        request = httpx.Request(
            method, f"{self._stack.answer['http']}/{service}{path}", params=query or None, content=raw
        )
        if raw:
            headers["content-type"] = JSON
        if role:
            headers["authorization"] = f"Bearer {self._stack.token(f'example-{role}', role)}"
        elif operation.get("security"):
            key_id = self._called[example_of("intake", "POST /v1/sources", "201")["key_id"]]
            headers |= sign(method, str(request.url), raw, JSON, KEY, key_id)
        return httpx.request(method, str(request.url), content=raw, headers=headers, timeout=30)

    def listen(self, example: Any, answer: Any) -> None:
        """Remembers what the answer calls otherwise than the example."""
        if isinstance(example, dict) and isinstance(answer, dict):
            for name in example.keys() & answer.keys():
                self.listen(example[name], answer[name])
        elif isinstance(example, list) and isinstance(answer, list):
            for one, other in zip(example, answer, strict=False):
                self.listen(one, other)
        elif isinstance(example, str) and isinstance(answer, str) and len(example) > 15 and "T" not in example[8:12]:
            self._called[example] = answer

    def told(self, example: Any) -> Any:
        """An example in the words of this stack."""
        return json.loads(self._translated(json.dumps(example)))

    def _translated(self, text: str) -> str:
        for one, other in self._called.items():
            text = text.replace(json.dumps(one), json.dumps(other))
        return text


def example_of(service: str, call: str, status: str) -> Any:
    method, path = call.split(" ")
    answer = DOCUMENTS[service]["paths"][path][method.lower()]["responses"][status]
    return next(content["example"] for content in answer["content"].values() if "example" in content)


def success_of(service: str, call: str) -> str:
    method, path = call.split(" ")
    responses = DOCUMENTS[service]["paths"][path][method.lower()]["responses"]
    return next(status for status in responses if status.startswith("2"))


def wrong(service: str, schema: Mapping[str, Any], value: Any) -> list[str]:
    whole = {"allOf": [schema], "components": DOCUMENTS[service]["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def places(value: Any, place: str = "") -> Iterator[str]:
    """The places of a JSON value: its fields by dotted names, the items of a list as one."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{place}.{name}"
            yield from places(inner, f"{place}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from places(inner, f"{place}[]")


@pytest.fixture(scope="module")
def teller(stack_with: Callable[..., Stack]) -> Teller:
    """A stack of its own with one record that does not fit and other reports, and whoever tells it the story."""
    stack = stack_with()
    stack.produce("reports.public.v1", [(b"v_7301", b'{"specversion": "1.0", "data": {}}', [])])
    # Others' reports, so that the log is as long as the examples of its proofs are.
    stack.produce("reports.public.v1", records.ordinary(random.Random(1), OTHERS, "other"))
    return Teller(stack)


def test_the_story_tells_of_every_call() -> None:
    """Every operation of every document is in the story, but for those that are the same on each service."""
    told = {(service, call) for _, service, call in STORY}
    for service, document in DOCUMENTS.items():
        for path, operations in document["paths"].items():
            for method in operations:
                assert (service, f"{method.upper()} {path}") in told or path in ALIKE


def test_examples_are_what_happens(teller: Teller) -> None:
    """Each example request is answered with its documented status, and the answer has the form of the example."""
    for role, service, call in STORY:
        status = success_of(service, call)
        method, path = call.split(" ")
        deadline = time.monotonic() + 90
        answer = teller.send(role, service, call)
        # What has just been sent is on its way through the queues.
        while not settled(call, answer) and time.monotonic() < deadline:
            time.sleep(0.2)
            answer = teller.send(role, service, call)
        assert answer.status_code == int(status), f"{call}: {answer.text}"
        content = DOCUMENTS[service]["paths"][path][method.lower()]["responses"][status]["content"]
        if JSON not in content:
            assert answer.text
            continue
        example, found = content[JSON]["example"], answer.json()
        assert wrong(service, content[JSON]["schema"], found) == [], call
        free = {".counts", ".lag", ".text", ".rules", ".routing", ".classes", ".history"}
        assert {p for p in places(example) if not any(f in p for f in free)} <= set(places(found)), call
        assert {p for p in set(places(found)) if p.count(".") == 1} <= set(places(example)), call
        teller.listen(example, found)


def settled(call: str, answer: httpx.Response) -> bool:
    """Whether an answer is there and tells of all that the story sent."""
    if answer.status_code in {404, 422, 503}:
        return False
    found = answer.json() if answer.headers["content-type"].startswith(JSON) else None
    match call:
        case "POST /v1/claims":
            return bool(found["claims"]) and found["claims"][0]["case"]["class"] == "P0"
        case "GET /v1/reports/{report_id}":
            return "outcomes" not in str(answer.url) or found["state"] == "decided"
        case "GET /v1/entries" | "GET /v1/receipts/{report_id}":
            return bool(found["entries"]) and not found.get("pending")
        case "GET /v1/dead":
            return bool(found["letters"])
    return True


PROBLEMS = [
    ("platform", "intake", "POST /v1/reports", "409", {"category": "violence"}),
    (ADMIN, "intake", "POST /v1/sources", "409", {}),
    (ADMIN, "intake", "POST /v1/attesters", "409", {"public_key": OTHER_KEY}),
    (REVIEWER, "review", "POST /v1/leases/{token}/renew", "409", {}),
    (REVIEWER, "review", "POST /v1/leases/{token}/release", "409", {}),
    (REVIEWER, "review", "POST /v1/cases/{case_id}/decisions", "409", {"actions": ["demote"]}),
    (REVIEWER, "review", "POST /v1/cases/{case_id}/decisions", "422", {"actions": []}),
]


@pytest.mark.parametrize(("role", "service", "call", "status", "change"), PROBLEMS)
def test_refusals_are_what_happens(  # noqa: PLR0917 -- what a row of the table holds
    teller: Teller, role: str, service: str, call: str, status: str, change: dict[str, Any]
) -> None:
    """After the story, an example changed so that it must be refused is answered with the example of that refusal."""
    method, path = call.split(" ")
    request = DOCUMENTS[service]["paths"][path][method.lower()].get("requestBody")
    body = None if request is None else {**request["content"][JSON]["example"], **change}
    answer = teller.send(role, service, call, body=body)
    assert answer.headers["content-type"] == PROBLEM
    assert (answer.status_code, answer.json()) == (int(status), teller.told(example_of(service, call, status)))


def test_usual_problems_are_what_happens(teller: Teller) -> None:
    """Without a token, with another role's and with too long a body, the problem is the one that all documents show."""
    shown = {name[8:]: said["value"] for name, said in DOCUMENTS["intake"]["components"]["examples"].items()}
    assert teller.send(AUDITOR, "intake", "GET /v1/sources").json() == shown["403"]
    base = teller._stack.answer["http"]
    assert httpx.get(f"{base}/intake/v1/sources").json() == shown["401"]
    assert httpx.get(f"{base}/intake/v1/nothing").json() == shown["404"]
    with teller._stack.http("example-platform", "platform") as http:
        assert http.post("/intake/v1/reports", content=b"x" * 300_000).json() == shown["413"]
    with teller._stack.http("example-admin", "admin") as http:
        assert http.get("/intake/v1/sources", params={"limit": 0}).json() == shown["422"]

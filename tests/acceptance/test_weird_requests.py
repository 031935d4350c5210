"""Requests that no honest program sends get a 4xx with problem details, whatever they hold."""

import json
import os
import time

from tests.acceptance import weird
from tests.acceptance.stack import Stack
from tests.acceptance.staff import tokens_of_all_roles

SEED = int(os.environ.get("JUBAO_FIRE_SEED") or 20_261_123)
REQUESTS = 1_500
LATEST_SECONDS = 15.0
PROBLEMS = b"application/problem+json"


def _final(answer: bytes) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer, after what only says to go on."""
    while answer.startswith(b"HTTP/1.1 100 "):
        answer = answer.partition(b"\r\n\r\n")[2]
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head.lower(), body


def test_weird_requests_are_refused_by_name(stack: Stack) -> None:
    """Of many seeded requests with odd bytes in every place none is a 5xx, and each refusal is a problem document."""
    tokens = tokens_of_all_roles(stack)
    found: list[object] = []
    for request in weird.requests(SEED, REQUESTS, tokens, int(time.time())):
        answer = weird.answered(stack.port, request, LATEST_SECONDS)
        if not answer:
            found.append(("no answer", request))
            continue
        status, head, body = _final(answer)
        if status >= 500:
            found.append((status, request, answer[:600]))
        elif status >= 400 and PROBLEMS not in head:
            found.append(("no problem document", request, answer[:600]))
        elif status >= 400 and request.method != "HEAD":
            assert json.loads(body)["status"] == status
    # Not compared with an empty list: of these the difference takes pytest many minutes to draw.
    assert not found, f"seed {SEED}: {len(found)} of {REQUESTS}: {str(found[:5])[:5_000]}\n{stack.logs()}"

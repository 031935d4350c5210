"""Limits on a running stack: who calls too often or too slowly is refused, and reviewers go on working."""

import random
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Self

import httpx
import pytest

from tests.acceptance import records
from tests.acceptance.stack import Stack

# A claim on an idle stack takes some milliseconds; in the midst of a flood, on a busy machine, it must not take long.
MOST_CLAIM_SECONDS = 2.0
FLOODING = 12


@pytest.fixture(scope="module")
def limited(stack_with: Callable[..., Stack]) -> Stack:
    """A stack where a backend may call ten times a second, an unknown address as often, and a head takes a second."""
    settings = {"rate_platform_per_second": 10, "rate_address_per_second": 10, "rate_burst_seconds": 2}
    made = stack_with(**settings, head_seconds=1, body_seconds=1)
    made.produce("reports.public.v1", records.ordinary(random.Random(5), 60, "limits"))
    made.settle()
    return made


class Flood:
    """Calls by several threads, as fast as they go, until the block ends."""

    def __init__(self, call: Callable[[httpx.Client], int]) -> None:
        self.codes: Counter[int] = Counter()
        self._call, self._over = call, threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(FLOODING)]

    def _run(self) -> None:
        with httpx.Client(timeout=30) as http:
            while not self._over.is_set():
                self.codes[self._call(http)] += 1

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def test_a_claim_is_unaffected_by_floods_on_intake(limited: Stack) -> None:
    """While a backend and a forger flood intake and get 429, another backend reports and reviewers claim in time."""
    url = f"{limited.answer['http']}/intake/v1/reports"
    token = limited.token("flooding", "platform")
    body = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    seconds: list[float] = []
    with limited.http("calm", "platform") as calm, limited.http("busy-reviewer", "reviewer") as reviewer:
        # Known before: whoever signs in for the first time needs room behind the forger's address.
        assert calm.get("/review/v1/status").status_code == 200
        assert reviewer.post("/review/v1/claims", json={"max": 1}).status_code == 200
        with (
            Flood(lambda http: http.post(url, content=b"{}", headers=body).status_code) as flood,
            Flood(lambda http: http.post(url, headers={"authorization": "Bearer e30.e30.AA"}).status_code) as forged,
        ):
            for number in range(12):
                began = time.monotonic()
                answer = reviewer.post("/review/v1/claims", json={"max": 1})
                seconds.append(time.monotonic() - began)
                assert answer.status_code == 200, answer.text
                lease = answer.json()["claims"][0]["lease"]["token"]
                assert reviewer.post(f"/review/v1/leases/{lease}/renew").status_code == 200
                if number % 4 == 0:
                    report = records.report(random.Random(f"calm {number}"), f"v_calm_{number}")
                    assert calm.post("/intake/v1/reports", json=report).status_code == 202
                time.sleep(0.1)
    assert set(flood.codes) == {422, 429}
    assert set(forged.codes) == {401, 429}
    assert flood.codes[429] > flood.codes[422]
    assert forged.codes[429] > forged.codes[401]
    assert statistics.median(seconds) < MOST_CLAIM_SECONDS, seconds


def test_retry_after_is_true(limited: Stack) -> None:
    """Whoever got 429 and waits as long as it says is served."""
    with limited.http("patient", "platform") as http:
        while (answer := http.get("/review/v1/status")).status_code == 200:
            pass
        assert answer.status_code == 429
        time.sleep(int(answer.headers["retry-after"]))
        assert http.get("/review/v1/status").status_code == 200


def test_slow_clients_do_not_hold_the_stack(limited: Stack) -> None:
    """Two hundred callers that never finish their heads are cut off while others are served."""
    slow = [socket.create_connection(("127.0.0.1", limited.port), timeout=20) for _ in range(200)]
    try:
        for line in slow:
            line.sendall(b"POST /intake/v1/reports HTTP/1.1\r\nHost: slow\r\nX-Half: ")
        with limited.http("busy-reviewer", "reviewer") as reviewer:
            assert reviewer.get("/review/v1/queues").status_code == 200
        answers = [line.recv(65_536) for line in slow]
        assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
    finally:
        for line in slow:
            line.close()

"""Many reviewers at once: leases never overlap, each case has one decision, and the log alone tells each story."""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import pytest

from services.cli.stack.directory import DataDirectory
from services.runtime.issuer import LocalIssuer, Role
from tests.acceptance import records
from tests.acceptance.stack import Stack

REVIEWERS = 32
CASES = 2_000
STORIES = 300


def _reviewer(stack: Stack, name: str, seed: random.Random, stop: threading.Event) -> Counter[str]:
    """Claims, and then decides, releases, forgets or comes too late, as people do."""
    issuer = LocalIssuer(DataDirectory.of(stack.data).issuer_key, issuer="jubao-local", audience="jubao")
    headers = {"Authorization": f"Bearer {issuer.mint(name, Role.REVIEWER)}"}
    told: Counter[str] = Counter()
    with httpx.Client(base_url=stack.answer["http"], headers=headers, timeout=60) as http:
        while not stop.is_set():
            answer = http.post("/review/v1/claims", json={})
            told[f"claim {answer.status_code}"] += 1
            claims = answer.json().get("claims", [])
            if not claims:
                time.sleep(0.1)
                continue
            for claim in claims:
                told[_work(http, claim, seed)] += 1
    return told


def _work(http: httpx.Client, claim: dict[str, Any], seed: random.Random) -> str:
    token, case = claim["lease"]["token"], claim["case"]["id"]
    lot = seed.random()
    if lot < 0.03:
        return f"release {http.post(f'/review/v1/leases/{token}/release').status_code}"
    if lot < 0.05:
        time.sleep(seed.uniform(1.8, 2.6))
    elif lot < 0.08:
        http.post(f"/review/v1/leases/{token}/renew")
    elif lot < 0.09:
        return "forgotten"
    body = {"lease": token, "verdict": "no_violation", "reason": "未发现违规"}
    return f"decide {http.post(f'/review/v1/cases/{case}/decisions', json=body).status_code}"


@pytest.fixture(scope="module")
def busy(stack_with: Callable[..., Stack]) -> Stack:
    """A stack on which 32 reviewers decided all cases, while items were lifted and a consumer was restarted."""
    stack = stack_with(lease_seconds=2, p0_lease_seconds=1)
    seed = random.Random(32)
    items = [f"busy_{n}" for n in range(CASES)]
    batch = [
        (i.encode(), records.event(seed, records.report(seed, i)), [])
        for i in items
        for _ in range(seed.choice([1, 1, 2, 3, 8]))
    ]
    stack.produce("reports.public.v1", batch)
    stack.settle()
    police = stack.source("police")
    stop = threading.Event()
    with ThreadPoolExecutor(REVIEWERS) as pool:
        working = [pool.submit(_reviewer, stack, f"r{n}", random.Random(n), stop) for n in range(REVIEWERS)]
        for n in range(12):
            stack.report(police, f"busy_{seed.randrange(CASES)}", keyword="terrorism")
            if n == 4:
                next(p for p in stack.serving() if "review.public" in p.cmdline()).kill()
            stack.produce("reports.public.v1", records.ordinary(seed, 30, "busy"))
        stack.until(lambda: not sum(q["waiting"] + q["claimed"] for q in stack.settle()["queues"]), 240)
        stop.set()
        told = sum((one.result() for one in working), Counter[str]())
    assert {code for code in told if code.split()[-1].startswith("5")} == set(), told
    assert set(told) <= {"claim 200", "release 200", "release 409", "forgotten", "decide 201", "decide 409"}, told
    stack.settle()
    return stack


def _stories(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in stack.sql(
        "SELECT case_id, version, at, change, fence, expires_at FROM review.history ORDER BY case_id, version"
    ):
        found[str(row["case_id"])].append(dict(row))
    return found


def test_lease_intervals_never_overlap(busy: Stack) -> None:
    """By the database's clock no case has two leases at one moment, and its fences only rise."""
    leased = 0
    for case, rows in _stories(busy).items():
        ends: datetime | None = None
        fence = 0
        for row in rows:
            if row["change"] == "claimed":
                leased += 1
                assert ends is None or row["at"] >= ends, case
                assert row["fence"] > fence
                fence, ends = row["fence"], row["expires_at"]
            elif row["change"] in {"renewed", "lifted"} and row["expires_at"] is not None:
                ends = row["expires_at"]
            elif row["change"] in {"released", "decided"}:
                assert ends is not None, case
                assert row["at"] <= ends, case
                ends = row["at"]
            elif row["change"] == "expired":
                assert ends is not None, case
                assert row["at"] >= ends, case
    assert leased >= CASES


def test_each_case_has_one_decision(busy: Stack) -> None:
    """Every case was decided once, by the holder of its last fence."""
    counts = busy.sql("SELECT count(*), count(DISTINCT case_id) FROM review.decisions")[0]
    cases = busy.sql("SELECT count(*), count(*) FILTER (WHERE state = 'decided') FROM review.cases")[0]
    assert counts[0] == counts[1] == cases[0] == cases[1] >= CASES
    wrong = busy.sql(
        "SELECT d.case_id FROM review.decisions d JOIN review.history h USING (case_id) "
        "WHERE h.change = 'claimed' GROUP BY d.case_id, d.fence HAVING max(h.fence) <> d.fence"
    )
    assert wrong == []


def test_no_deadlock_reached_a_log(busy: Stack) -> None:
    """No process met a deadlock that it could not repeat, and no request failed."""
    for path in busy.data.glob("log/*.log"):
        text = path.read_text(errors="replace")
        assert "request_failed" not in text, path
        assert "batch_failed" not in text, path


def test_the_log_tells_each_story(busy: Stack) -> None:
    """For random reports the search alone leads from report to outcome, and no effect precedes its cause."""
    every = busy.entries()
    by_id = {e["detail"]["id"]: e for e in every}
    assert [e["index"] for e in sorted(every, key=lambda e: e["index"])] == list(range(len(every)))
    for entry in every:
        cause = entry["detail"].get("causationid")
        if cause is None:
            continue
        assert cause in by_id, entry
        assert datetime.fromisoformat(entry["time"]) >= datetime.fromisoformat(by_id[cause]["time"]), entry
    reports = sorted({e["report_id"] for e in every if e["type"] == "jubao.report.submitted.v1"})
    for report_id in random.Random(3).sample(reports, STORIES):
        types = {e["type"] for e in busy.entries(report_id=report_id)}
        assert {"jubao.report.submitted.v1", "jubao.report.triaged.v1"} <= types, (report_id, types)
        assert {"jubao.case.opened.v1", "jubao.case.claimed.v1", "jubao.decision.made.v1"} <= types, (report_id, types)
        assert "jubao.outcome.reached.v1" in types, (report_id, types)


def test_every_report_has_its_outcome(busy: Stack) -> None:
    """Every queued report of a decided case has an outcome, late ones included."""
    busy.until(lambda: busy.status()["reports"]["decided"] == busy.status()["reports"]["queued"], 60)
    missing = busy.sql(
        "SELECT r.report_id FROM review.reports r LEFT JOIN outcomes.outcomes o USING (report_id) "
        "WHERE o.report_id IS NULL"
    )
    assert missing == []

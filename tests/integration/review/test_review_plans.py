"""Every query that runs for each claim or batch keeps to its index, however much waits."""

import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import TextClause, text

from services.review.joining import reporter_digest
from services.review.ordering import CANDIDATES
from services.review.store import claims, decisions, ingest, queries, standings
from services.review.store.changes import INDEXED

# Enough cases that reading a table whole is plainly worse than its index.
CASES = 3_000


@pytest.fixture(scope="module")
async def full(running: Any, make: Any, before: Any) -> Any:
    """A review with thousands of cases waiting, some held, some decided."""
    bench = running
    await bench.rows("TRUNCATE cases, reports, ready, heads, leases, history, decisions CASCADE")
    for start in range(0, CASES, 1_000):
        await bench.take(
            *(
                make(
                    content=f"v_{n}",
                    priority=f"P{n % 3 + 1}",
                    queue=f"q{n % 2}",
                    reporter="li" if n < 2_000 else f"u_{n}",
                    received_at=before(minutes=CASES - n),
                )
                for n in range(start, start + 1_000)
            )
        )
    for claim in await bench.claim("wang", max=20):
        await bench.decide(claim, name="wang")
    await bench.claim("zhao", max=20)
    await bench.rows("ANALYZE")
    return bench


async def plan_of(bench: Any, query: TextClause, *, analyze: bool = False, **values: object) -> dict[str, Any]:
    how = "EXPLAIN (FORMAT JSON, ANALYZE)" if analyze else "EXPLAIN (FORMAT JSON)"

    async def work(connection: Any) -> Any:
        await connection.execute(INDEXED)
        return (await connection.execute(text(f"{how} {query.text}"), values)).scalar_one()

    found = await bench.database.transact(work)
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


HEAD = {
    "queue": "q1",
    "class": 2,
    "target_seconds": 14_400,
    "candidates": CANDIDATES,
    "myself": [reporter_digest("li")],
}
QUERIES = {
    "heads": (claims.HEADS, {"queues": None}, "ready_by_rank"),
    "first due": (claims.FIRST_DUE, {"queues": None}, "ready_by_due"),
    "candidates by rank": (claims.LOCK_BY_RANK, HEAD, "ready_by_rank"),
    "candidates at a P0 head": (claims.WAIT_BY_RANK, HEAD | {"class": 0}, "ready_by_rank"),
    "candidates by due time": (
        claims.LOCK_BY_DUE,
        {name: HEAD[name] for name in ("queue", "candidates", "myself")},
        "ready_by_due",
    ),
    "own leases": (claims.OWN, {"reviewer": "zhao", "most": 1}, "leases_by_reviewer"),
    "ended leases": (claims.LOCK_EXPIRED, {"most": 100}, "leases_by_end"),
    "open cases": (standings.LOCK_OPEN, {"contents": ["v_1", "v_2"]}, "cases_open"),
    "decided cases": (standings.LAST_DECIDED, {"contents": ["v_1", "v_2"]}, "cases_decided"),
    "known reports": (ingest.KNOWN, {"report_ids": [UUID(int=1)]}, "reports_pkey"),
    "reporters of cases": (
        ingest.COUNT_NEW_REPORTERS,
        {"case_id": [UUID(int=1)], "reporter": [reporter_digest("li")]},
        "reports_of_reporter",
    ),
    "reports of a case": (queries.REPORTS, {"case_ids": [], "most": 100}, "reports_of_case"),
    "answered reports": (
        decisions.ANSWERED,
        {"case_id": UUID(int=1), "after": decisions._BEFORE_ALL[0], "after_id": UUID(int=0), "most": 5_000},
        "reports_of_case",
    ),
    "unpublished decisions": (decisions.UNPUBLISHED, {}, "decisions_unpublished"),
    "history": (queries.HISTORY, {"case_ids": [], "most": 100}, "history_pkey"),
    "page of an item": (
        queries.PAGE_OF_CONTENT,
        {
            "content_id": "v_1",
            "states": ["queued"],
            "classes": [3],
            "queue": None,
            "before": queries._BEGINNING[0],
            "before_id": queries._BEGINNING[1],
            "most": 50,
        },
        "cases_decided",
    ),
    "page of cases": (
        queries.PAGE,
        {
            "states": ["queued"],
            "classes": [3],
            "queue": None,
            "before": queries._BEGINNING[0],
            "before_id": queries._BEGINNING[1],
            "most": 50,
        },
        "cases_by_state",
    ),
}


@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_keeps_to_its_index(full: Any, name: str) -> None:
    """The plan of each query uses the index that was made for it and reads no table of cases or reports whole."""
    query, values, index = QUERIES[name]
    found = nodes(await plan_of(full, query, **values))
    assert index in {node.get("Index Name") for node in found}
    assert not [node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"]


async def test_a_reviewer_who_reported_everything_costs_no_scan(full: Any) -> None:
    """Where the caller reported all cases at a head, no more than the bound of them are looked at."""
    plan = await plan_of(full, claims.LOCK_BY_RANK, analyze=True, **HEAD)
    touched = [node for node in nodes(plan) if node.get("Relation Name") == "ready"]
    assert plan["Actual Rows"] == 0
    assert touched
    assert all(node["Actual Rows"] <= CANDIDATES for node in touched)


async def test_a_claim_looks_at_one_row_per_head(full: Any) -> None:
    """Reading the heads touches as many rows of the ready queue as there are heads, not as there are cases."""
    plan = await plan_of(full, claims.HEADS, analyze=True, queues=None)
    ready = [node for node in nodes(plan) if node.get("Relation Name") == "ready"]
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in ready) <= 6

"""What a report says of people is where reviewers read it, and nowhere else."""

import json
import random

import httpx

from tests.acceptance import records
from tests.acceptance.stack import Stack

CANARY = "canary7f3a9c金丝雀"


def test_canary_is_found_by_reviewers_alone(stack: Stack) -> None:
    """Reporter, explanation, excerpt and legal ground are in review's tables and in no log, metric, letter or leaf."""
    seed = random.Random(8)
    police = stack.source("police")
    data = records.report(seed, "v_canary", reporter=f"{CANARY}-reporter", explanation=f"{CANARY}-explanation")
    data["content"]["excerpt"] = f"{CANARY}-excerpt"
    bad = [
        {**data, "report_id": "not-an-id"},
        {**data, f"{CANARY}-field": 1},
        {**data, "category": f"{CANARY}-category"},
        {**data, "explanation": f"{CANARY}\x00"},
    ]
    stack.produce("reports.public.v1", [(b"v_canary", records.event(seed, d), []) for d in [data, *bad]])
    flagged = records.flagged(seed, "v_canary", police["id"], explanation=f"{CANARY}-police")
    flagged["legal_ground"] = f"{CANARY}-ground"
    stack.produce("reports.flagged.v1", [(b"v_canary", records.event(seed, flagged), [])])
    stack.settle()
    with stack.http("platform1", "platform") as platform:
        refused = platform.post("/intake/v1/reports", json={**data, "category": f"{CANARY}-category"})
        assert refused.status_code == 422
        assert CANARY not in refused.text
    with stack.http("canary-reviewer", "reviewer") as reviewer:
        case = reviewer.get("/review/v1/cases", params={"content_id": "v_canary"}).json()["cases"][0]
        assert CANARY in reviewer.get(f"/review/v1/cases/{case['id']}").text
    tables = stack.sql(
        "SELECT schemaname, tablename FROM pg_tables "
        "WHERE schemaname IN ('intake', 'triage', 'review', 'outcomes', 'audit')"
    )
    holding = {
        f"{schema}.{table}"
        for schema, table in tables
        if stack.sql(f'SELECT 1 FROM {schema}."{table}" AS t WHERE t::text LIKE $1 LIMIT 1', f"%{CANARY[:12]}%")
    }
    assert any(name.startswith("review.") for name in holding)
    assert not {name for name in holding if name == "audit.entries" or name.endswith((".dead", ".history"))}, holding
    for path in stack.data.glob("log/*.log*"):
        assert CANARY[:12] not in path.read_text(errors="replace"), path
    for service in ("intake", "triage", "review", "outcomes", "audit"):
        assert CANARY[:12] not in httpx.get(f"{stack.answer['http']}/{service}/metrics").text
    for topic in ("reports.public.v1.dead", "reports.flagged.v1.dead"):
        for record in stack.consume(topic):
            assert CANARY[:12] not in json.dumps([v.decode("utf-8", "replace") for _, v in record.headers])
    for entry in stack.entries(content_id="v_canary"):
        assert CANARY[:12] not in json.dumps(entry, ensure_ascii=False)
        leaf = stack.sql('SELECT leaf FROM audit.entries WHERE "index" = $1', entry["index"])[0][0]
        assert CANARY[:12].encode() not in leaf

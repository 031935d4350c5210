"""What is erased is gone from every table and from a dump; the log stays whole, and says nothing of it any more."""

import hashlib
import hmac
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.cli.stack.postgres import _binary
from tests.acceptance import records
from tests.acceptance.stack import Stack

CANARY = "canary5e1d7b金丝雀"
NEEDLE = "canary5e1d7b"
GROUND = "《个人信息保护法》第四十七条"

COLUMNS = """
    SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema IN ('intake', 'triage', 'review', 'outcomes', 'audit') AND table_name <> 'alembic_version'
"""


@pytest.fixture(scope="module")
def erasing(stack_with: Callable[..., Stack]) -> Stack:
    """A stack of this module's own, in which retention is looked at every second."""
    return stack_with(retention_seconds=1)


def holding(stack: Stack, needle: str | bytes) -> set[str]:
    """The columns of all services' tables that hold a text, as text or bytes, or bytes, as they are or in hex."""
    raw, shown = (needle.encode(), needle) if isinstance(needle, str) else (needle, needle.hex())
    found = set()
    for schema, table, column, kind in stack.sql(COLUMNS):
        value = f'position($1::bytea IN "{column}") > 0' if kind == "bytea" else f'"{column}"::text LIKE $1'
        wanted: object = raw if kind == "bytea" else f"%{shown}%"
        if stack.sql(f'SELECT 1 FROM {schema}."{table}" WHERE {value} LIMIT 1', wanted):
            found.add(f"{schema}.{table}.{column}")
    return found


def canary(seed: random.Random, content_id: str, reporter: str, word: str = CANARY) -> dict[str, Any]:
    """A report of which every free text is a canary."""
    data = records.report(seed, content_id, reporter=reporter, explanation=f"{word}-explanation")
    data["keyword"] = f"{word}-keyword"
    data["content"] |= {"excerpt": f"{word}-excerpt", "author": f"{word}-author", "url": f"https://example.org/{word}"}
    data["content"]["snapshot"] = {"ref": f"{word}-ref", "sha256": hashlib.sha256(word.encode()).hexdigest()}
    return data


def send(stack: Stack, *reports: dict[str, Any]) -> None:
    seed = random.Random(1)
    stack.produce(
        "reports.public.v1", [(data["content"]["id"].encode(), records.event(seed, data), []) for data in reports]
    )
    stack.settle()


def decide(stack: Stack, content_id: str) -> None:
    """Decides the case of an item."""
    with stack.http("erase-reviewer", "reviewer") as http:
        while True:
            claims = http.post("/review/v1/claims", json={"max": 20}).json()["claims"]
            mine = [claim for claim in claims if claim["case"]["content_id"] == content_id]
            for claim in mine or claims:
                finding = {"verdict": "no_violation", "actions": [], "reason": "没有违规"}
                body = {"lease": claim["lease"]["token"], **finding}
                http.post(f"/review/v1/cases/{claim['case']['id']}/decisions", json=body).raise_for_status()
            if mine:
                return


def dump(stack: Stack) -> bytes:
    """What pg_dump gives of the whole database."""
    return subprocess.run([_binary("pg_dump"), stack.answer["database"]], capture_output=True, check=True).stdout


def test_reporter_is_erased_everywhere(erasing: Stack, tmp_path: Path) -> None:
    """Erasing a reporter leaves no word of his reports in any table, no guess to be confirmed, and a log that holds."""
    stack, seed = erasing, random.Random(5)
    mine = [canary(seed, f"v_erase_{n}", f"{CANARY}-reporter") for n in range(3)]
    other = canary(seed, "v_erase_0", "another-reporter", "otherword77")
    with stack.http("platform1", "platform") as platform:
        for data in (mine[0], other):
            taken = platform.post("/intake/v1/reports", json=data)
            assert taken.status_code == 202, taken.text
    send(stack, *mine[1:])
    decide(stack, "v_erase_1")
    stack.settle()
    assert {name.partition(".")[0] for name in holding(stack, NEEDLE)} == {"audit", "review"}
    (entry,) = stack.entries(report_id=mine[0]["report_id"], type="jubao.report.submitted.v1")
    disclosed = stack.ask("audit", "disclose", entry["index"], "--ground", "法院调取", "--out", tmp_path / "one.json")
    assert disclosed["text"]["explanation"] == f"{CANARY}-explanation"
    stack.jubao("audit", "disclose", "--check", tmp_path / "one.json")

    digests = [
        bytes(value)
        for table, column in (
            ("intake.submissions", "digest"),
            ("review.reports", "digest"),
            ("review.reports", "reporter"),
        )
        for (value,) in stack.sql(
            f"SELECT {column} FROM {table} WHERE report_id = ANY($1::uuid[])", [data["report_id"] for data in mine]
        )
    ]
    assert len(digests) == 7

    told = stack.ask("erase", "--reporter", f"{CANARY}-reporter", "--ground", GROUND)

    assert (told["state"], told["reports"], told["held"]) == ("done", 3, [])
    counts = {of["service"]: of["count"] for of in told["services"]}
    assert counts["audit"] >= 6
    assert counts["review"] >= 6
    assert counts["intake"] == 1
    stack.settle()
    assert holding(stack, NEEDLE) == set()
    assert holding(stack, "otherword77")
    assert NEEDLE.encode() not in dump(stack)
    assert not [digest for digest in digests if holding(stack, digest)]
    assert stack.ask("audit", "verify")["problems"] == []
    held = stack.entries(report_id=mine[0]["report_id"], type="jubao.report.submitted.v1")
    assert held == [entry]
    # A guess of the very text cannot be confirmed: the salt that the commitment was made under is gone.
    part = orjson.dumps(disclosed["text"], option=orjson.OPT_SORT_KEYS)
    promised = entry["detail"]["commitment"]
    salts = stack.sql("SELECT salt FROM audit.private")
    assert promised not in {hmac.digest(salt, part, "sha256").hex() for (salt,) in salts}
    done = stack.jubao("audit", "disclose", entry["index"], "--ground", "法院调取", check=False)
    assert done.returncode == 1
    assert told["erasure_id"] in done.stderr
    names = [e["type"] for e in stack.entries() if e["type"].startswith("jubao.erasure.")]
    assert sorted(names) == ["jubao.erasure.done.v1"] * 3 + ["jubao.erasure.ordered.v1"]


def test_erased_report_that_comes_again_stays_erased(erasing: Stack) -> None:
    """A report of which a further copy arrives after its erasure is not let in again by any service."""
    stack, seed = erasing, random.Random(6)
    data = canary(seed, "v_again", "again-reporter", "againword31")
    send(stack, data)
    late = canary(seed, "v_again", "again-reporter", "againword31")
    stack.ask("erase", "--report", data["report_id"], "--report", late["report_id"], "--ground", GROUND)
    send(stack, data, late)
    assert holding(stack, "againword31") == set()
    with stack.http("erase-reviewer", "reviewer") as http:
        case = http.get("/review/v1/cases", params={"content_id": "v_again"}).json()["cases"][0]
        whole = http.get(f"/review/v1/cases/{case['id']}").json()
    assert {report["report_id"] for report in whole["reports"]} == {data["report_id"], late["report_id"]}
    assert all(report["erased"] for report in whole["reports"])


def test_hold_stops_an_erasure_until_it_is_lifted(erasing: Stack) -> None:
    """A held item's reports stay, the command says which hold stops it and fails; once lifted, they go."""
    stack, seed = erasing, random.Random(7)
    send(
        stack,
        canary(seed, "v_held", "held-reporter", "heldword55"),
        canary(seed, "v_free", "held-reporter", "freeword55"),
    )
    hold = stack.ask("hold", "add", "--content", "v_held", "--ground", "沪公立字1123号")
    done = stack.jubao("erase", "--reporter", "held-reporter", "--ground", GROUND, "--json", check=False)
    assert done.returncode == 1
    assert hold["hold_id"] in done.stderr
    told = json.loads(done.stdout)
    assert [(of["hold_id"], of["reports"]) for of in told["held"]] == [(hold["hold_id"], 1)]
    assert holding(stack, "heldword55")
    assert not holding(stack, "freeword55")
    stack.jubao("hold", "lift", hold["hold_id"])
    told = stack.ask("erase", "--erasure", told["erasure_id"])
    assert (told["held"], told["reports"], told["parts"]) == ([], 2, 2)
    assert not holding(stack, "heldword55")
    (listed,) = [one for one in stack.ask("hold", "list") if one["hold_id"] == hold["hold_id"]]
    assert listed["lifted_by"] == "operator"
    stack.settle()
    kinds = [e["type"] for e in stack.entries(content_id="v_held") if e["type"].startswith("jubao.hold.")]
    assert kinds == ["jubao.hold.placed.v1", "jubao.hold.lifted.v1"]


def test_killed_consumer_loses_no_erasure(erasing: Stack) -> None:
    """Where the processes that carry an erasure out are killed, it is done once they are back."""
    stack, seed = erasing, random.Random(8)
    send(stack, *(canary(seed, "v_killed", f"r{n}", "killedword88") for n in range(600)))
    with stack.http("supervisor1", "supervisor") as http:
        wish = {"content_id": "v_killed", "ground": GROUND}
        ordered = http.post("/audit/v1/erasures", json=wish).raise_for_status().json()
    for process in stack.serving():
        if {"review.public", "records"} & set(process.cmdline()):
            process.kill()
    told = stack.ask("erase", "--erasure", ordered["erasure_id"])
    assert (told["state"], told["reports"], told["parts"]) == ("done", 600, 2)
    assert {of["service"]: of["parts"] for of in told["services"]} == {"audit": 2, "intake": 2, "review": 2}
    stack.settle()
    assert not holding(stack, "killedword88")

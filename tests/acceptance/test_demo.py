"""The demonstration on a whole stack: what it shows is what the services answer, on the first run and on the next."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.activity import VIEWED
from services.cli.demo.sample import ordinary_reports
from services.cli.demo.trail import STEPS
from tests.acceptance.stack import Stack

SEED = 20_261


@pytest.fixture(scope="module")
def shown_on(stack_with: Callable[..., Stack]) -> tuple[Stack, dict[str, Any]]:
    """A stack of its own, and what the first demonstration on it gave."""
    stack = stack_with()
    return stack, stack.ask("demo", "--seed", SEED)


def waiting(stack: Stack) -> int:
    return sum(int(queue["waiting"]) for queue in stack.status()["queues"])


def test_ordinary_reports_wait_one_case_an_item(shown_on: tuple[Stack, dict[str, Any]]) -> None:
    """All 10,000 are queued, each item has one case, and the figures are those of the services."""
    stack, story = shown_on
    reports = ordinary_reports(SEED)
    items = [r.content.id for r in reports]
    ordinary = story["ordinary"]
    assert (ordinary["sent"], ordinary["new"]) == (10_000, 10_000)
    assert ordinary["waiting"] == len(set(items)) == waiting(stack)
    assert ordinary["hottest"]["report_count"] == max(items.count(item) for item in set(items))
    with stack.http("auditor1", "auditor") as http:
        case = http.get(f"/review/v1/cases/{ordinary['hottest']['id']}").raise_for_status().json()
    assert case["report_count"] == ordinary["hottest"]["report_count"]


def test_the_police_report_came_first_and_is_decided(shown_on: tuple[Stack, dict[str, Any]]) -> None:
    """Its case is P0 and was claimed past thousands that came before; times and verdict are those of the services."""
    stack, story = shown_on
    police = story["police"]
    with stack.http("auditor1", "auditor") as http:
        case = http.get(f"/review/v1/cases/{police['case_id']}").raise_for_status().json()
    with stack.http("backend1", "platform") as http:
        outcome = http.get(f"/outcomes/v1/reports/{police['report_id']}").raise_for_status().json()
    assert (case["class"], case["state"], case["ruling"]) == ("P0", "decided", police["ruling"])
    assert police["ruling"]["rule"] == "police_immediate"
    happened = {change["change"]: change for change in case["history"]}
    assert (happened["opened"]["at"], happened["claimed"]["at"]) == (police["queued_at"], police["claimed_at"])
    assert happened["claimed"]["actor"] == story["reviewer"]
    assert {name: outcome[name] for name in ("received_at", "decided_at", "verdict", "actions")} == {
        name: police[name] for name in ("received_at", "decided_at", "verdict", "actions")
    }


def test_its_story_is_in_the_log(shown_on: tuple[Stack, dict[str, Any]]) -> None:
    """The entries shown are those that a search for the report finds, but for looks at them."""
    stack, story = shown_on
    entries = stack.entries(report_id=story["police"]["report_id"])
    found = {entry["index"]: entry["type"] for entry in entries if entry["type"] != VIEWED}
    assert {entry["index"]: entry["type"] for entry in story["police"]["entries"]} == found
    assert set(STEPS) == set(found.values())


def test_again_nothing_ordinary_is_new(shown_on: tuple[Stack, dict[str, Any]]) -> None:
    """The same seed adds the police report alone, from the same source, and that one is first again."""
    stack, story = shown_on
    before = stack.settle()["reports"]
    again = stack.ask("demo", "--seed", SEED)
    assert again["ordinary"]["new"] == 0
    assert again["ordinary"]["waiting"] == story["ordinary"]["waiting"]
    assert again["police"]["report_id"] != story["police"]["report_id"]
    assert again["police"]["class"] == "P0"
    after = stack.settle()["reports"]
    assert (after["queued"], after["dead"]) == (before["queued"] + 1, 0)
    assert len(stack.ask("source", "list")) == 1


def test_a_suspended_source_is_left_alone(shown_on: tuple[Stack, dict[str, Any]]) -> None:
    """With its source suspended the demonstration registers another one, and its report is P0 like the first."""
    stack, _ = shown_on
    (source,) = stack.ask("source", "list")
    stack.ask("source", "suspend", source["id"])
    assert stack.ask("demo", "--seed", SEED)["police"]["class"] == "P0"
    assert len(stack.ask("source", "list")) == 2


def test_where_nothing_runs_it_says_how_to_start(shown_on: tuple[Stack, dict[str, Any]]) -> None:
    """Without a stack it is one sentence and exit code 1."""
    stack, _ = shown_on
    elsewhere = Stack(stack.directory / "elsewhere", stack.environment, stack.engines_of)
    done = elsewhere.jubao("demo", check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "jubao up --detach" in done.stderr

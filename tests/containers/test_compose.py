"""The compose file on a clean checkout: one command makes it healthy, a police report goes through, nothing is lost."""

from typing import Any

import httpx
import pytest

from tests.containers.deployment import Deployment
from tests.containers.story import Police, decided_first, entries_of, outcome_of, types_of, waits

# The first to ask for a deployment waits for its images as well.
pytestmark = [pytest.mark.containers, pytest.mark.timeout(1_800)]

ENDED = {"jubao.report.submitted.v1", "jubao.report.triaged.v1", "jubao.case.opened.v1", "jubao.case.claimed.v1",
         "jubao.decision.made.v1", "jubao.outcome.reached.v1"}  # fmt: skip


@pytest.fixture(scope="module")
def told(deployment: Deployment) -> dict[str, Any]:
    """A police report that went to its outcome, another that waits, and what the services say of both."""
    police = Police.registered(deployment)
    report_id = police.taken("v_compose")
    case = decided_first(deployment, "v_compose")
    outcome = outcome_of(deployment, report_id)
    waiting_id = police.taken("v_compose_waits")
    waits(lambda: "jubao.case.opened.v1" in types_of(deployment, content_id="v_compose_waits"))
    waits(lambda: types_of(deployment, report_id=report_id) >= ENDED)
    return {
        "police": police, "report_id": report_id, "waiting_id": waiting_id, "case_id": case["id"], "outcome": outcome,
    }  # fmt: skip


def test_every_container_is_healthy(deployment: Deployment) -> None:
    """After `up --wait` each container that stays is healthy by a check of its own, and the one-shots ended with 0."""
    running = deployment.containers()
    assert {c.name: c.attrs["State"].get("Health", {}).get("Status") for c in running} == {
        c.name: "healthy" for c in running
    }
    for name in deployment.compose("config", "--services").stdout.split():
        states = [c.attrs["State"] for c in deployment.containers(name)]
        assert states, f"{name} was not started"
        assert all(state["Running"] or state["ExitCode"] == 0 for state in states), name


def test_a_police_report_goes_to_its_outcome(deployment: Deployment, told: dict[str, Any]) -> None:
    """Signed outside, claimed first, decided and told back over the one published origin; the log tells all of it."""
    assert (told["outcome"]["verdict"], told["outcome"]["actions"]) == ("against_terms", ["demote"])
    assert told["outcome"]["class"] == "P0"
    assert types_of(deployment, report_id=told["report_id"]) >= ENDED


def test_down_and_up_loses_nothing(deployment: Deployment, told: dict[str, Any]) -> None:
    """After `down` and `up` outcome, waiting case, source, accounts and every entry of the log are there as before."""
    before = entries_of(deployment)
    assert len(before) >= len(ENDED)
    deployment.down()
    assert deployment.containers() == []
    with pytest.raises(httpx.TransportError):
        httpx.get(deployment.origin)
    deployment.up()
    assert outcome_of(deployment, told["report_id"]) == told["outcome"]
    after = {entry["index"]: entry for entry in entries_of(deployment)}
    assert {entry["index"]: entry for entry in before}.items() <= after.items()
    with deployment.http("auditor1", "auditor") as auditor:
        case = auditor.get(f"/review/v1/cases/{told['case_id']}").raise_for_status().json()
    assert case["state"] == "decided"
    assert decided_first(deployment, "v_compose_waits")["content"]["id"] == "v_compose_waits"
    assert outcome_of(deployment, told["waiting_id"])["verdict"] == "against_terms"
    again = told["police"].taken("v_compose_after")
    decided_first(deployment, "v_compose_after")
    assert outcome_of(deployment, again)["class"] == "P0"

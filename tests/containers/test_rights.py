"""Each service can do at the engines what its row says and nothing else: every pair is tried with its own password."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import TOPICS, Topic, dead_topics
from tests.containers.deployment import DESK, Deployment

# The first to ask for a deployment waits for its images as well.
pytestmark = [pytest.mark.containers, pytest.mark.timeout(1_800)]

INSIDE = Path(__file__).parent / "inside"
SERVICES = ("audit", "intake", "outcomes", "review", "triage")
TABLE: tuple[Topic, ...] = (*TOPICS, *dead_topics())
GROUPS = [f"jubao.{service}.{lane}" for service in SERVICES for lane in ("flagged", "public", "consume", "tried")]

DESK_SECRETS = "/var/lib/jubao/secrets"

# Whom the table calls otherwise than the broker does.
OUTSIDE = {"producer": "other producers", "attester": "attesters", "platform": "platform"}


def rows(part: str) -> tuple[set[str], set[str]]:
    """The topics that the table lets a part write and read."""
    return (
        {topic.name for topic in TABLE if part in topic.producers},
        {topic.name for topic in TABLE if part in topic.consumers or (topic.read_back and part in topic.producers)},
    )


def tried(deployment: Deployment, container: str, *as_whom: str) -> dict[str, Any]:
    program = (INSIDE / "kafka_rights.py").read_text()
    names = json.dumps([topic.name for topic in TABLE]), json.dumps(GROUPS)
    found: dict[str, Any] = deployment.inside(container, program, *names, *as_whom)
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_a_role_reads_and_writes_its_own_schema_alone(deployment: Deployment, service: str) -> None:
    """With its own login a service is refused at every table of the others, cannot become another and makes nothing."""
    program = (INSIDE / "database_rights.py").read_text()
    told = deployment.inside(service, program, json.dumps(SERVICES))
    assert (told["user"], told["superuser"]) == (f"jubao_{service}", False)
    assert told["seen"] == sorted(SERVICES)
    assert told["reads"] == [service]
    assert set(told["writes"]) <= {service}
    assert set(told["becomes"]) <= {service}
    assert told["makes"] == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_kafka_user_keeps_to_its_row(deployment: Deployment, service: str) -> None:
    """Tried on every topic, a service's user writes and reads those of its row, and uses no other service's group."""
    told = tried(deployment, service)
    writes, reads = rows(service)
    assert told["user"] == service
    assert (set(told["writes"]), set(told["reads"])) == (writes, reads)
    assert set(told["groups"]) == {group for group in GROUPS if reads and group.startswith(f"jubao.{service}.")}


@pytest.mark.parametrize("service", ["triage", "review", "outcomes", "audit"])
def test_what_puts_dead_letters_back_does_nothing_else(deployment: Deployment, service: str) -> None:
    """The user that a service's operator route replays with reads its dead letters and writes where they came from."""
    told = tried(deployment, service, f"{service}-replay", "/run/replay/kafka.password")
    kept = [topic for topic in TOPICS if topic.keeper == service]
    assert set(told["writes"]) == {topic.name for topic in kept}
    assert set(told["reads"]) == {topic.dead for topic in kept}
    assert told["groups"] == []


@pytest.mark.parametrize("user", OUTSIDE)
def test_a_partners_kafka_user_keeps_to_its_row(deployment: Deployment, user: str) -> None:
    """A producer writes ordinary reports and nothing else, an attester flagged ones, the platform reads outcomes."""
    told = tried(deployment, DESK, user, f"{DESK_SECRETS}/{user}.password")
    writes, reads = rows(OUTSIDE[user])
    assert told["user"] == user
    assert (set(told["writes"]), set(told["reads"])) == (writes, reads)
    assert told["groups"] == []


def test_the_producer_writes_ordinary_reports_alone() -> None:
    """The table itself gives other producers the public topic and no other, to read none."""
    assert rows("other producers") == ({"reports.public.v1"}, set())

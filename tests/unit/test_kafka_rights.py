"""The broker's rights follow from the table of topics, and from nothing else."""

import pytest

from schemas.topics import TOPICS, dead_topics
from services.runtime.rights import Kind, Operation, Right, group_prefix, replay_user, rights, rights_of, user_of, users

SERVICES = ("intake", "triage", "review", "outcomes", "audit")


@pytest.mark.parametrize("service", SERVICES)
def test_service_may_what_the_table_says(service: str) -> None:
    """A service's user writes what the table has it produce, reads what it has it consume or read back, no more."""
    table = [*TOPICS, *dead_topics()]
    wanted = {(t.name, Operation.WRITE) for t in table if service in t.producers}
    wanted |= {(t.name, Operation.READ) for t in table if service in t.consumers}
    wanted |= {(t.name, Operation.READ) for t in table if service in t.producers and t.read_back}
    held = {(r.name, r.operation) for r in rights_of(service) if r.kind is Kind.TOPIC}
    assert held == wanted


@pytest.mark.parametrize("service", SERVICES)
def test_service_uses_its_own_groups(service: str) -> None:
    """A service that reads may use the groups whose names begin with its own, one that does not may use none."""
    reads = any(service in t.consumers for t in TOPICS)
    groups = {(r.name, r.operation) for r in rights_of(service) if r.kind is Kind.GROUP}
    assert groups == ({(f"jubao.{service}", Operation.READ)} if reads else set())


def test_producer_from_outside_writes_one_topic() -> None:
    """The user of other producers may write the public lane and nothing else."""
    assert rights_of("producer") == {Right("producer", Kind.TOPIC, "reports.public.v1", Operation.WRITE)}


def test_dead_letters_go_back_by_another_hand() -> None:
    """Only the user for dead letters may write a service's sources, and it reads no topic but dead letters."""
    for topic in TOPICS:
        if topic.keeper is None:
            continue
        hand = replay_user(topic.keeper)
        assert Right(hand, Kind.TOPIC, topic.name, Operation.WRITE) in rights()
        if topic.keeper not in topic.producers:
            assert Right(topic.keeper, Kind.TOPIC, topic.name, Operation.WRITE) not in rights()
        read = {r.name for r in rights_of(hand) if r.operation is Operation.READ}
        assert read == {t.dead for t in TOPICS if t.keeper == topic.keeper}


def test_every_part_of_the_table_has_a_user() -> None:
    """Each producer and consumer of the table is a user with rights, and all others are those for dead letters."""
    parts = {user_of(p) for t in (*TOPICS, *dead_topics()) for p in (*t.producers, *t.consumers)}
    assert set(users()) == parts | {replay_user(t.keeper) for t in TOPICS if t.keeper}


def test_groups_of_services_do_not_overlap() -> None:
    """No service's group names begin with another's."""
    prefixes = [group_prefix(service) for service in SERVICES]
    assert not [(a, b) for a in prefixes for b in prefixes if a != b and a.startswith(b)]

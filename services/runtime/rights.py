"""Who may do what at the broker, read off the table of topics: the one place where Kafka users and rights are named."""

from dataclasses import dataclass
from enum import IntEnum

from schemas.topics import TOPICS, dead_topics

# The table names parts of the system; where a part's Kafka user is called otherwise it stands here.
_USERS = {"cli": "desk", "other producers": "producer", "attesters": "attester"}
_SERVICES = ("intake", "triage", "review", "outcomes", "audit")


class Kind(IntEnum):
    """What a right is on, by Kafka's numbers."""

    TOPIC = 2
    GROUP = 3


class Operation(IntEnum):
    """What a right allows, by Kafka's numbers; reading and writing include describing."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One user may do one thing to a topic, or to the consumer groups whose names begin with `name`."""

    user: str
    kind: Kind
    name: str
    operation: Operation

    @property
    def prefixed(self) -> bool:
        """Groups are given by the beginning of their names, topics by the whole."""
        return self.kind is Kind.GROUP


def user_of(part: str) -> str:
    """The Kafka user of a part that the table of topics names."""
    return _USERS.get(part, part)


def replay_user(service: str) -> str:
    """The user with which a service's operator route puts dead letters back: the service itself may not write there."""
    return f"{service}-replay"


def group_prefix(user: str) -> str:
    """How the names of a user's consumer groups begin."""
    return f"jubao.{user}" if user in _SERVICES else user


def rights() -> frozenset[Right]:
    """All rights that follow from the table: what it says of each part, and nothing else."""
    table = [*TOPICS, *dead_topics()]
    found: set[Right] = set()
    for topic in table:
        found |= {Right(user_of(p), Kind.TOPIC, topic.name, Operation.WRITE) for p in topic.producers}
        if topic.read_back:
            found |= {Right(user_of(p), Kind.TOPIC, topic.name, Operation.READ) for p in topic.producers}
        for reader in map(user_of, topic.consumers):
            found.add(Right(reader, Kind.TOPIC, topic.name, Operation.READ))
            found.add(Right(reader, Kind.GROUP, group_prefix(reader), Operation.READ))
        # The operator sees of every topic whether it is there, and reads none of them but dead letters.
        found.add(Right("desk", Kind.TOPIC, topic.name, Operation.DESCRIBE))
    for topic in TOPICS:
        if topic.keeper and topic.dead:
            user = replay_user(topic.keeper)
            found.add(Right(user, Kind.TOPIC, topic.name, Operation.WRITE))
            found.add(Right(user, Kind.TOPIC, topic.dead, Operation.READ))
    return frozenset(found)


def users() -> tuple[str, ...]:
    """Every Kafka user that has a right, by name."""
    return tuple(sorted({right.user for right in rights()}))


def rights_of(user: str) -> frozenset[Right]:
    """What one user may do."""
    return frozenset(right for right in rights() if right.user == user)

"""Topics and the broker's identity, by aiokafka's admin client: FastStream's sets no topic's configuration."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from aiokafka.errors import for_code as error_for_code

from schemas.topics import TOPICS, Topic, dead_topics
from services.runtime import copying
from services.runtime.kafkalogin import login
from services.runtime.problems import BrokerAway
from services.runtime.settings import Settings

_ADMIN_SECONDS = 20
_SHOWN_SECONDS = 15
_SHOWN_PAUSE_SECONDS = 0.1
_MOST_COPIES = 3
# The broker's own topics, and its settings that say how many partitions they have.
_INTERNAL = {
    "__consumer_offsets": "offsets.topic.num.partitions",
    "__transaction_state": "transaction.state.log.num.partitions",
}
_SEGMENT_MILLISECONDS = 24 * 3_600 * 1_000
_INTERNAL_SEGMENT_BYTES = 100 * 1024 * 1024


async def cluster_id(settings: Settings) -> str:
    """The broker's own name for itself: another name means that the topics' offsets begin anew.

    Raises:
        BrokerAway: it does not answer.
    """
    async with _admin(settings) as admin:
        described = await admin.describe_cluster()
        return str(described["cluster_id"])


class _admin:  # noqa: N801 -- reads as the function it stands for
    def __init__(self, settings: Settings) -> None:
        self._client = AIOKafkaAdminClient(**login(settings), client_id="jubao-admin")

    async def __aenter__(self) -> Any:  # noqa: ANN401 -- aiokafka has no types
        try:
            await asyncio.wait_for(self._client.start(), _ADMIN_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            await self._client.close()
            raise BrokerAway from error
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()
        # A broker that has just begun to listen takes the connection and knows of no broker yet, itself among them.
        if isinstance(error, (KafkaError, OSError, TimeoutError)):
            raise BrokerAway from error


@dataclass(frozen=True, slots=True)
class TopicStanding:
    """One topic as the broker has it, beside what the table asks for; `what` is empty where they agree."""

    name: str
    partitions: int
    what: str


def _configs(topic: Topic, copies: int) -> dict[str, str]:
    configs = {
        "max.message.bytes": str(topic.max_record_bytes + 64 * 1024),
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "min.insync.replicas": str(max(1, copies - 1)),
    }
    if topic.retention is not None:
        configs["retention.ms"] = str(int(topic.retention.total_seconds() * 1000))
        # Records go by the segment, once its newest is old enough: so none stays for more than a day longer.
        configs["segment.ms"] = str(_SEGMENT_MILLISECONDS)
    elif not topic.compacted:
        configs["retention.ms"] = "-1"  # for ever: without a word the broker's own limit would hold
    return configs


async def create_topics(settings: Settings) -> list[TopicStanding]:
    """Creates what the table of topics names and the broker lacks; grows partitions and copies, never shrinks them.

    Raises:
        BrokerAway: it does not answer, or refuses.
    """
    table = [*TOPICS, *dead_topics()]
    async with _admin(settings) as admin:
        brokers = [broker["node_id"] for broker in (await admin.describe_cluster())["brokers"]]
        copies = settings.topic_replication or min(_MOST_COPIES, len(brokers))
        present = set(await admin.list_topics())
        missing = [t for t in table if t.name not in present]
        grown: list[NewTopic] = []
        new = [
            NewTopic(t.name, wanted_partitions(t, settings), copies, topic_configs=_configs(t, copies)) for t in missing
        ]
        if settings.topic_replication == 0:
            internal = await _internal_topics(admin, brokers[0], copies)
            new += [t for t in internal if t.name not in present]
            grown = [t for t in internal if t.name in present]
        await _create(admin, new)
        if kept := [t for t in table if t.name in present]:
            await _mend(admin, kept, settings, copies)
        if settings.topic_replication == 0 and await copying.raise_copies(admin, brokers, copies):
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, t.name, configs=t.topic_configs) for t in grown]
            )
    return await _shown(settings)


async def _create(admin: Any, new: list[NewTopic]) -> None:  # noqa: ANN401 -- aiokafka has no types
    if not new:
        return
    created = await admin.create_topics(new)
    for name, code, *_ in created.topic_errors:
        if code and error_for_code(code).__name__ != "TopicAlreadyExistsError":
            raise BrokerAway from error_for_code(code)(name)


async def _mend(admin: Any, kept: list[Topic], settings: Settings, copies: int) -> None:  # noqa: ANN401 -- likewise
    described = {t["topic"]: t["partitions"] for t in await admin.describe_topics([t.name for t in kept])}
    # With a broker away there are fewer brokers than copies: that is no reason to ask for fewer.
    most = {name: max(copies, *(len(p["replicas"]) for p in parts)) for name, parts in described.items()}
    await admin.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, t.name, configs=_configs(t, most[t.name])) for t in kept]
    )
    small = {
        t.name: wanted_partitions(t, settings) for t in kept if len(described[t.name]) < wanted_partitions(t, settings)
    }
    if small:
        await admin.create_partitions({name: NewPartitions(total_count=count) for name, count in small.items()})


async def _internal_topics(admin: Any, broker: int, copies: int) -> list[NewTopic]:  # noqa: ANN401 -- likewise
    """The broker's own topics, made before it needs them: its settings cannot know how many brokers there will be."""
    settings = ConfigResource(ConfigResourceType.BROKER, str(broker), configs=dict.fromkeys(_INTERNAL.values(), ""))
    answers = await admin.describe_configs([settings])
    told = {entry[0]: entry[1] for answer in answers for *_, entries in answer.resources for entry in entries}
    configs = {
        "cleanup.policy": "compact",
        "compression.type": "producer",
        "segment.bytes": str(_INTERNAL_SEGMENT_BYTES),
        "min.insync.replicas": str(max(1, copies - 1)),
    }
    return [NewTopic(name, int(told[key]), copies, topic_configs=configs) for name, key in _INTERNAL.items()]


async def _shown(settings: Settings) -> list[TopicStanding]:
    """The standing once it is right: a broker knows of a topic a moment after its controller has made it."""
    deadline = asyncio.get_running_loop().time() + _SHOWN_SECONDS
    while True:
        standings = await topic_standing(settings)
        if not any(standing.what for standing in standings) or asyncio.get_running_loop().time() > deadline:
            return standings
        await asyncio.sleep(_SHOWN_PAUSE_SECONDS)


def wanted_partitions(topic: Topic, settings: Settings) -> int:
    """How many partitions a topic is to have: as the table says, or the settings."""
    if topic.compacted or topic.partitions == 1:
        return topic.partitions
    return settings.topic_partitions or topic.partitions


async def topic_standing(settings: Settings) -> list[TopicStanding]:
    """Each topic of the table as the broker has it.

    Raises:
        BrokerAway: it does not answer.
    """
    table = [*TOPICS, *dead_topics()]
    async with _admin(settings) as admin:
        present = set(await admin.list_topics())
        known = [t.name for t in table if t.name in present]
        described = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics(known)} if known else {}
    standings = []
    for topic in table:
        count, wanted = described.get(topic.name, 0), wanted_partitions(topic, settings)
        what = "" if count >= wanted else "missing" if count == 0 else f"has {count} partitions, wants {wanted}"
        standings.append(TopicStanding(topic.name, count, what))
    return standings

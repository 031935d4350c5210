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
from services.runtime.problems import BrokerAway
from services.runtime.settings import Settings

_ADMIN_SECONDS = 20
_SHOWN_SECONDS = 15
_SHOWN_PAUSE_SECONDS = 0.1


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
        self._client = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.split(","), client_id="jubao-admin")

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


@dataclass(frozen=True, slots=True)
class TopicStanding:
    """One topic as the broker has it, beside what the table asks for; `what` is empty where they agree."""

    name: str
    partitions: int
    what: str


def _configs(topic: Topic, settings: Settings) -> dict[str, str]:
    configs = {
        "max.message.bytes": str(topic.max_record_bytes + 64 * 1024),
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "min.insync.replicas": str(max(1, settings.topic_replication - 1)),
    }
    if topic.retention is not None:
        configs["retention.ms"] = str(int(topic.retention.total_seconds() * 1000))
    return configs


async def create_topics(settings: Settings) -> list[TopicStanding]:
    """Creates what the table of topics names and the broker lacks; grows partitions, never shrinks them.

    Raises:
        BrokerAway: it does not answer, or refuses.
    """
    table = [*TOPICS, *dead_topics()]
    async with _admin(settings) as admin:
        present = set(await admin.list_topics())
        missing = [t for t in table if t.name not in present]
        if missing:
            created = await admin.create_topics(
                [
                    NewTopic(
                        name=t.name,
                        num_partitions=_partitions(t, settings),
                        replication_factor=settings.topic_replication,
                        topic_configs=_configs(t, settings),
                    )
                    for t in missing
                ]
            )
            for name, code, *_ in created.topic_errors:
                if code and error_for_code(code).__name__ != "TopicAlreadyExistsError":
                    raise BrokerAway from error_for_code(code)(name)
        kept = [t for t in table if t.name in present]
        if kept:
            await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, t.name, configs=_configs(t, settings)) for t in kept]
            )
            described = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics([t.name for t in kept])}
            small = {t.name: _partitions(t, settings) for t in kept if described[t.name] < _partitions(t, settings)}
            if small:
                await admin.create_partitions({name: NewPartitions(total_count=count) for name, count in small.items()})
    return await _shown(settings)


async def _shown(settings: Settings) -> list[TopicStanding]:
    """The standing once it is right: a broker knows of a topic a moment after its controller has made it."""
    deadline = asyncio.get_running_loop().time() + _SHOWN_SECONDS
    while True:
        standings = await topic_standing(settings)
        if not any(standing.what for standing in standings) or asyncio.get_running_loop().time() > deadline:
            return standings
        await asyncio.sleep(_SHOWN_PAUSE_SECONDS)


def _partitions(topic: Topic, settings: Settings) -> int:
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
        count, wanted = described.get(topic.name, 0), _partitions(topic, settings)
        what = "" if count >= wanted else "missing" if count == 0 else f"has {count} partitions, wants {wanted}"
        standings.append(TopicStanding(topic.name, count, what))
    return standings

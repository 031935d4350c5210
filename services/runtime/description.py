"""What a unit says and hears on Kafka, as FastStream's own generator describes its brokers: AsyncAPI 3.0.

The brokers are the unit's own, as it is about to run them. Beside them stands one that is never started: for what is
published by way of the outbox or followed without a group, which FastStream has no part in.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI

from schemas.topics import Topic
from services.runtime.broker import Subscribed
from services.runtime.process import Unit

ASYNCAPI_VERSION = "3.0.0"


@runtime_checkable
class Following(Protocol):
    """A worker that reads whole topics without a group."""

    follows: Sequence[Topic]


def asyncapi(unit: Unit, *, title: str, version: str) -> dict[str, Any]:
    """FastStream's AsyncAPI document of a unit: its channels by address, and an operation for each that it uses."""
    beside = KafkaBroker()
    followed = [topic.name for worker in unit.workers if isinstance(worker, Following) for topic in worker.follows]
    if followed:
        beside.subscriber(*followed, title="follows")
    for topic in unit.publishes:
        beside.publisher(topic.name)
    document = AsyncAPI(*_brokers(unit), beside, title=title, version=version, schema_version=ASYNCAPI_VERSION)
    described: dict[str, Any] = document.to_specification().to_jsonable()
    return described


def groups(unit: Unit) -> Mapping[str, str]:
    """The consumer group by which each topic is read."""
    found: dict[str, str] = {}
    for broker in _brokers(unit):
        for subscriber in broker.subscribers:
            # FastStream types its list by what all its brokers have, and groups are Kafka's.
            reader: Any = subscriber
            found |= dict.fromkeys(reader.specification.topics, str(reader.group_id))
    return found


def _brokers(unit: Unit) -> list[KafkaBroker]:
    workers = (worker for worker in unit.workers if isinstance(worker, Subscribed))
    return [subscription.broker for worker in workers for subscription in worker.subscriptions()]

"""Run in a deployment's container: what a Kafka user may really do, tried on every topic and group; printed as JSON.

Usage: python - TOPICS GROUPS [USER PASSWORD_FILE], the first two as JSON lists; without the others, as the container's
own user. Each topic is written to and read from, each group is asked for.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.fetch import FetchRequest

from services.runtime.kafkalogin import login
from services.runtime.settings import Settings

_TRY_SECONDS = 15
_MOST_BYTES = 1 << 16


def options() -> dict[str, object]:
    found = login(Settings())
    if len(sys.argv) > 3:
        found["sasl_plain_username"] = sys.argv[3]
        found["sasl_plain_password"] = Path(sys.argv[4]).read_text().strip()
    return found


async def may_write(topic: str) -> bool:
    producer = AIOKafkaProducer(**options(), request_timeout_ms=_TRY_SECONDS * 1000)
    await producer.start()
    try:
        await asyncio.wait_for(producer.send_and_wait(topic, b"{}", key=b"tried", partition=0), _TRY_SECONDS)
    except TopicAuthorizationFailedError:
        return False
    finally:
        await producer.stop()
    return True


async def may_read(client: AIOKafkaClient, topic: str) -> bool:
    # Asked by hand: a consumer waits for ever for the leader of a topic that it may not know of.
    asked = FetchRequest(0, 1, _MOST_BYTES, 0, [(topic, [(0, 0, _MOST_BYTES)])], rack_id="")
    answer = await client.send(client.get_random_node(), asked)
    ((_, ((_, code, *_),)),) = answer.topics
    if for_code(code) is TopicAuthorizationFailedError:
        return False
    assert code == 0, (topic, code)
    return True


async def may_use(client: AIOKafkaClient, group: str) -> bool:
    try:
        await client.coordinator_lookup(CoordinationType.GROUP, group)
    except GroupAuthorizationFailedError:
        return False
    return True


async def main() -> None:
    topics, groups = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    client = AIOKafkaClient(**options())
    await client.bootstrap()
    told = {
        "user": options()["sasl_plain_username"],
        "writes": [topic for topic in topics if await may_write(topic)],
        "reads": [topic for topic in topics if await may_read(client, topic)],
        "groups": [group for group in groups if await may_use(client, group)],
    }
    await client.close()
    print(json.dumps(told))  # noqa: T201 -- its answer


logging.disable()
asyncio.run(main())

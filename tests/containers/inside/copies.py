"""Run at the desk: how many copies of each partition there are, and how many are up to date; printed as JSON."""

import asyncio
import json

from aiokafka.admin import AIOKafkaAdminClient

from schemas.topics import TOPICS
from services.runtime.kafkalogin import login
from services.runtime.settings import Settings


async def main() -> None:
    admin = AIOKafkaAdminClient(**login(Settings()))
    await admin.start()
    described = await admin.describe_topics([topic.name for topic in TOPICS])
    partitions = [partition for topic in described for partition in topic["partitions"]]
    told = {name: sorted({len(partition[name]) for partition in partitions}) for name in ("replicas", "isr")}
    await admin.close()
    print(json.dumps(told))  # noqa: T201 -- its answer


asyncio.run(main())

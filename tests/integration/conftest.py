"""Topics of each file's own: what one file leaves on them, bad records among it, is nothing to the next."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import SecretStr

from schemas.topics import TOPICS, dead_topics
from services.runtime.administration import create_topics
from services.runtime.settings import Settings

# Intake's files share one app, which announces its key once; they read by key and mind nobody else.
_FILES = ("test_audit", "test_outcomes", "test_triage", "test_review")
_GONE_SECONDS = 20


async def _made_anew(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        ours = {t.name for t in (*TOPICS, *dead_topics())}
        if found := ours & set(await admin.list_topics()):
            await admin.delete_topics(sorted(found))
        async with asyncio.timeout(_GONE_SECONDS):
            while ours & set(await admin.list_topics()):
                await asyncio.sleep(0.1)
    finally:
        await admin.close()
    await create_topics(Settings(kafka=kafka, database=SecretStr("")))


@pytest.fixture(scope="module", autouse=True)
def own_topics(request: pytest.FixtureRequest) -> None:
    """Makes the topics anew before each file that uses them."""
    if request.module.__name__.rpartition(".")[2].startswith(_FILES):
        asyncio.run(_made_anew(request.getfixturevalue("kafka_address")))

"""How far a service's consumers are behind their topics, by the database's offsets."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.topics import Topic
from services.runtime import offsets
from services.runtime.broker import Place, Reader
from services.runtime.database import Database
from services.runtime.settings import Settings


async def lag_of(settings: Settings, database: Database, topics: Sequence[Topic]) -> dict[str, int]:
    """Records of each topic that have not had their effects yet.

    Raises:
        DatabaseAway, BrokerAway: an engine does not answer.
    """
    if not topics:
        return {}

    async def work(connection: AsyncConnection) -> dict[Place, int]:
        return await offsets.standing(connection, [t.name for t in topics])

    # The offsets first: records that arrive in between make the lag larger, never negative.
    done = await database.transact(work)
    lag = {}
    async with Reader(settings) as reader:
        for topic in topics:
            ends = await reader.ends(await reader.places(topic.name))
            lag[topic.name] = sum(max(0, end - done.get(place, 0)) for place, end in ends.items())
    return lag

"""How far a service's consumers are behind their topics, by the database's offsets."""

import asyncio
from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.topics import Topic
from services.runtime import offsets
from services.runtime.broker import Place, Reader
from services.runtime.database import Database
from services.runtime.settings import Settings

# Enough to see whether a stretch begins with a record.
_GLANCE_BYTES = 16 * 1024


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
    lag = dict.fromkeys((t.name for t in topics), 0)
    async with Reader(settings, most_fetched_bytes=_GLANCE_BYTES) as reader:
        for topic in topics:
            ends = await reader.ends(await reader.places(topic.name))
            left = {place: (done.get(place, 0), end) for place, end in ends.items() if end > done.get(place, 0)}
            # A partition may end in offsets without records, which no consumer ever gets to.
            done_with = await without_records(reader, left) if left else frozenset[Place]()
            lag[topic.name] = sum(end - first for place, (first, end) in left.items() if place not in done_with)
    return lag


async def without_records(
    reader: Reader, stretches: Mapping[Place, tuple[int, int]], patience_seconds: float = 2.0
) -> frozenset[Place]:
    """The places whose stretch, from an offset up to and without another, holds no record that anyone can read.

    The markers of a transactional producer have offsets too, and so has what it took back. A stretch that is not
    read to its end within the patience counts as one with records.

    Raises:
        BrokerAway: it does not answer.
    """
    end = asyncio.get_running_loop().time() + patience_seconds
    unread, empty = set(stretches), set[Place]()
    reader.read_from({place: first for place, (first, _) in stretches.items()})
    while unread and asyncio.get_running_loop().time() < end:
        read = await reader.next_records(100)
        unread -= {record.place for record in read if record.offset < stretches[record.place][1]}
        empty |= {place for place in unread if await reader.position(place) >= stretches[place][1]}
        unread -= empty
    return frozenset(empty)

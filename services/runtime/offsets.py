"""Where each partition stands, in the service's own schema: the truth about what has had its effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.runtime.broker import Place

# Takes partitions: whoever wrote under an older epoch is fenced from now on.
TAKE = text("""
    INSERT INTO offsets (topic, partition, next, epoch, cluster)
    SELECT topic, partition, 0, 1, :cluster
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[])) AS wanted (topic, partition)
    ORDER BY topic, partition
    ON CONFLICT (topic, partition) DO UPDATE SET epoch = offsets.epoch + 1
    RETURNING topic, partition, next, epoch, cluster
""")

# Locks the batch's partitions in one order, the first statement of every batch.
LOCK = text("""
    SELECT topic, partition, next, epoch, cluster FROM offsets
    JOIN unnest(CAST(:topics AS text[]), CAST(:partitions AS int[])) AS wanted (topic, partition)
        USING (topic, partition)
    ORDER BY topic, partition
    FOR UPDATE OF offsets
""")

# The batch is done up to here.
ADVANCE = text("""
    UPDATE offsets SET next = done.next
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:nexts AS bigint[]))
        AS done (topic, partition, next)
    WHERE offsets.topic = done.topic AND offsets.partition = done.partition
""")

# How far the partitions of some topics are done.
STANDING = text("SELECT topic, partition, next FROM offsets WHERE topic = ANY(CAST(:topics AS text[]))")


@dataclass(frozen=True, slots=True)
class Standing:
    """A partition's next offset to be done, its owner's epoch, and the broker its offsets count on."""

    next: int
    epoch: int
    cluster: str


def _arrays(places: Sequence[Place]) -> dict[str, list[object]]:
    return {"topics": [p.topic for p in places], "partitions": [p.partition for p in places]}


async def take(connection: AsyncConnection, places: Sequence[Place], cluster: str) -> dict[Place, Standing]:
    """Makes partitions ours by a new epoch. A partition seen for the first time begins at 0."""
    found = await connection.execute(TAKE, {**_arrays(places), "cluster": cluster})
    return {Place(row.topic, row.partition): Standing(row.next, row.epoch, row.cluster) for row in found}


async def lock(connection: AsyncConnection, places: Sequence[Place]) -> dict[Place, Standing]:
    """The partitions' standing, held until the transaction ends."""
    found = await connection.execute(LOCK, _arrays(places))
    return {Place(row.topic, row.partition): Standing(row.next, row.epoch, row.cluster) for row in found}


async def advance(connection: AsyncConnection, nexts: Mapping[Place, int]) -> None:
    """Moves partitions on to where the batch ends."""
    places = list(nexts)
    await connection.execute(ADVANCE, {**_arrays(places), "nexts": [nexts[p] for p in places]})


async def standing(connection: AsyncConnection, topics: Sequence[str]) -> dict[Place, int]:
    """The next offset of each partition that was ever taken."""
    found = await connection.execute(STANDING, {"topics": list(topics)})
    return {Place(row.topic, row.partition): row.next for row in found}

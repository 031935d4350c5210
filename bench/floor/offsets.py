"""The rows of `offsets`, as a service that has just taken its partitions leaves them, moved on by each batch."""

from typing import Any

from schemas.topics import REPORTS_PUBLIC

_TAKE = """
    INSERT INTO {schema}.offsets (topic, partition, next, epoch, cluster)
    SELECT $1, number, 0, 1, 'floor' FROM generate_series(0, $2::int - 1) AS number
"""

_ADVANCE = """
    UPDATE {schema}.offsets SET next = done.next FROM unnest($2::int[], $3::bigint[]) AS done (partition, next)
    WHERE topic = $1 AND offsets.partition = done.partition
"""


async def take(connection: Any, schema: str) -> None:  # noqa: ANN401 -- asyncpg has no types
    """Makes a row for each partition of the public topic."""
    await connection.execute(_TAKE.format(schema=schema), REPORTS_PUBLIC.name, REPORTS_PUBLIC.partitions)


async def advance(connection: Any, schema: str, read: dict[int, int]) -> None:  # noqa: ANN401 -- likewise
    """The batch is done up to here."""
    await connection.execute(_ADVANCE.format(schema=schema), REPORTS_PUBLIC.name, list(read), list(read.values()))

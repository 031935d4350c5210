"""Records put on the public topic in one Kafka transaction, so that all of them become readable at one moment.

Every contestant reads committed records only, and its processes are up and idle when the transaction is committed:
nobody's start-up is in the measured time, and no producer competes with anybody for the processors.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from aiokafka import AIOKafkaProducer

from bench.reports import Submission

TOPIC = "reports.public.v1"
_IN_FLIGHT = 5_000
_TRANSACTION_MILLISECONDS = 600_000


@asynccontextmanager
async def staged(kafka: str, records: Sequence[Submission]) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """The records are with the broker, and nobody can read them before the yielded function is called.

    Yields:
        What makes them readable, all at once; it gives the moment before which none was, by the monotonic clock.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka,
        client_id="bench-load",
        transactional_id="bench-load",
        transaction_timeout_ms=_TRANSACTION_MILLISECONDS,
        compression_type="lz4",
        max_batch_size=256 * 1024,
        linger_ms=5,
    )

    async def commit() -> float:
        at = monotonic()
        await producer.commit_transaction()
        return at

    await producer.start()
    try:
        await producer.begin_transaction()
        for begin in range(0, len(records), _IN_FLIGHT):
            part = records[begin : begin + _IN_FLIGHT]
            await asyncio.gather(*[await producer.send(TOPIC, record.value, key=record.key) for record in part])
        yield commit
    finally:
        await producer.stop()

"""More copies for topics that were made when there were fewer brokers."""

from typing import Any

from aiokafka.errors import for_code as error_for_code
from aiokafka.protocol.admin import AlterPartitionReassignmentsRequest

from services.runtime.logs import logger
from services.runtime.problems import BrokerAway

log = logger(__name__)

_MILLISECONDS = 30_000


async def raise_copies(admin: Any, brokers: list[int], copies: int) -> int:  # noqa: ANN401 -- aiokafka has no types
    """Asks for `copies` copies of each partition that has fewer; the brokers copy in the background.

    The copies that are there stay where they are. Returns how many partitions grow.

    Raises:
        BrokerAway: the brokers refuse.
    """
    wanted: list[tuple[Any, ...]] = []
    growing = 0
    for topic in await admin.describe_topics():
        rows: list[tuple[Any, ...]] = [
            (place["partition"], with_more(place["replicas"], brokers, copies, place["partition"]), {})
            for place in topic["partitions"]
            if len(place["replicas"]) < copies
        ]
        growing += len(rows)
        if rows:
            wanted.append((topic["topic"], rows, {}))
    if not wanted:
        return 0
    answer = await admin._send_request(AlterPartitionReassignmentsRequest(_MILLISECONDS, wanted, {}))  # noqa: SLF001 -- there is no public way
    codes = {answer.error_code, *(code for _, rows, _ in answer.responses for _, code, *_ in rows)} - {0}
    if codes:
        raise BrokerAway from error_for_code(min(codes))()
    log.info("copies_raised", partitions=growing, copies=copies)
    return growing


def with_more(held: list[int], brokers: list[int], copies: int, turn: int) -> list[int]:
    """The brokers that are to hold a partition: those that do, then others, beginning elsewhere for each turn."""
    others = [broker for broker in sorted(brokers) if broker not in held]
    first = turn % len(others) if others else 0
    return [*held, *others[first:], *others[:first]][:copies]

"""Waiting for a place in aiokafka's line: a broker that is being replaced is no reason to give up early."""

import asyncio

import pytest
from aiokafka.errors import KafkaTimeoutError, ProducerClosed

from services.runtime.publisher import _in_line


class Line:
    """Refuses a place some times, as aiokafka does while the partition's first batch is not acknowledged."""

    def __init__(self, refusals: int, last: BaseException | None = None) -> None:
        self.refusals, self.last, self.asked = refusals, last, 0

    async def send(self) -> str:
        await asyncio.sleep(0)
        self.asked += 1
        if self.asked <= self.refusals:
            raise KafkaTimeoutError
        if self.last is not None:
            raise self.last
        return "a place"


async def test_a_place_in_line_is_asked_for_until_there_is_one() -> None:
    """Aiokafka's own patience with a full line does not end a send; the caller's does."""
    line = Line(3)
    assert await _in_line(line.send) == "a place"
    assert line.asked == 4
    endless = Line(1_000_000)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_in_line(endless.send), 0.05)


async def test_a_producer_that_is_closed_is_not_asked_again() -> None:
    """Any other refusal than a full line is the caller's at once."""
    line = Line(1, ProducerClosed())
    with pytest.raises(ProducerClosed):
        await _in_line(line.send)
    assert line.asked == 2

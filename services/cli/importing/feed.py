"""Sending reports to the public lane: in chunks, several on their way at once, no faster than asked for."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from schemas.report import Report
from services.cli.errors import CliError
from services.cli.importing.record import record_of
from services.cli.importing.refusal import Refusal
from services.runtime.broker import Message
from services.runtime.problems import BrokerAway

_CHUNK_REPORTS = 1_000
_MOST_CHUNKS = 8
# Longer than a cluster needs to notice that a broker is dead and to move its partitions.
_ACKNOWLEDGE_SECONDS = 90.0
# At a low rate chunks are small enough that they go out several times a second.
_CHUNKS_A_SECOND = 10


class BrokerStopped(CliError):
    """Kafka does not take reports; how many it took is told, and that sending them again does no harm."""

    def __init__(self, accepted: int) -> None:
        self.accepted = accepted
        super().__init__(
            f"The broker does not answer; it accepted {accepted} reports until then. Look with `jubao status` and "
            "import the file again when it is up: reports that are in already come in once."
        )


class Takes(Protocol):
    """Where reports go: the runtime's publisher."""

    async def publish(self, messages: Sequence[Message], *, patience_seconds: float | None = None) -> object:
        """Sends all and waits for all."""


@dataclass
class Tally:
    """Counts of reports. A row that cannot be read is one that was read and rejected."""

    accepted: int = 0
    rejected: int = 0

    @property
    def read(self) -> int:
        """All that were read."""
        return self.accepted + self.rejected


@dataclass
class Feed:
    """Sends reports until there are no more.

    Args:
        publisher: where they go.
        rate: most reports a second; none for as fast as the broker takes them.
        advance: told how many more were accepted.
        refuse: told of each refusal, in order.
    """

    publisher: Takes
    rate: float | None = None
    advance: Callable[[int], None] = lambda _: None
    refuse: Callable[[Refusal], None] = lambda _: None
    _tally: Tally = field(default_factory=Tally, init=False)

    async def send(self, found: Iterator[Report | Refusal]) -> Tally:
        """Sends all and waits until the broker has them.

        Raises:
            BrokerStopped: it did not acknowledge; what it had acknowledged stays.
        """
        loop = asyncio.get_running_loop()
        begun, sent = loop.time(), 0
        sending: set[asyncio.Task[int]] = set()
        while chunk := list(islice(found, self._chunk_reports())):
            reports = self._sorted_out(chunk)
            sent += len(chunk)
            if self.rate is not None:
                # A chunk goes when its last report may: at no moment have more gone than the rate allows.
                await asyncio.sleep(begun + sent / self.rate - loop.time())
            if len(sending) >= _MOST_CHUNKS:
                done, sending = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
                await self._settle(done, sending)
            sending.add(asyncio.create_task(self._publish(reports)))
        await self._settle(sending, set())
        return self._tally

    def _chunk_reports(self) -> int:
        if self.rate is None:
            return _CHUNK_REPORTS
        return max(1, min(_CHUNK_REPORTS, int(self.rate / _CHUNKS_A_SECOND)))

    def _sorted_out(self, chunk: Sequence[Report | Refusal]) -> list[Report]:
        reports = []
        for item in chunk:
            if isinstance(item, Refusal):
                self._tally.rejected += 1
                self.refuse(item)
            else:
                reports.append(item)
        return reports

    async def _publish(self, reports: Sequence[Report]) -> int:
        if reports:
            messages = [record_of(report) for report in reports]
            await self.publisher.publish(messages, patience_seconds=_ACKNOWLEDGE_SECONDS)
        return len(reports)

    async def _settle(self, done: set[asyncio.Task[int]], others: set[asyncio.Task[int]]) -> None:
        """Counts what was acknowledged; after a failure it waits for the others first, so that the count is true."""
        results = await asyncio.gather(*done, return_exceptions=True)
        away = [result for result in results if isinstance(result, BaseException)]
        if away:
            results += await asyncio.gather(*others, return_exceptions=True)
        for count in results:
            if isinstance(count, int):
                self._tally.accepted += count
                self.advance(count)
        for error in away:
            if isinstance(error, BrokerAway):
                raise BrokerStopped(self._tally.accepted) from error
            raise error

"""Follows `sources.v1`: read to its end before the first report is handled, and ever after as it grows.

Without a consumer group, since every process needs all of it. When a key or source is not known, `catch_up` reads to
the topic's present end before anybody calls it unknown.
"""

import asyncio
from typing import Final

from pydantic import BaseModel, ValidationError

from schemas.source import ATTESTER_CHANGED, SOURCE_CHANGED, AttesterChanged, SourceChanged
from schemas.topics import SOURCES
from services.runtime.background import Background
from services.runtime.batch import Refused, decode_event
from services.runtime.broker import Place, Reader, Record
from services.runtime.database import pause_seconds
from services.runtime.health import Health
from services.runtime.logs import logger
from services.runtime.problems import BrokerAway, Unavailable
from services.runtime.settings import Settings
from services.triage.sourcebook import SourceBook

log = logger(__name__)

_WAIT_MILLISECONDS: Final = 200
_CATCH_UP_SECONDS: Final = 2.0
_START_SECONDS: Final = 60.0
_FIRST_PAUSE_SECONDS: Final = 0.2
_MOST_PAUSE_SECONDS: Final = 5.0


class _Kind(BaseModel):
    """What one looks at to know which event a record is."""

    type: str


class Registry(Background):
    """A worker that keeps `book` at the topic's end. Whoever asks the book starts after this worker has started."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("triage.registry")
        self.follows = (SOURCES,)
        self.book = SourceBook()
        self._settings = settings
        self._reader: Reader | None = None
        self._reached: dict[Place, int] = {}
        self._moved = asyncio.Condition()
        self._trouble = ""

    async def start(self) -> None:
        """Reads the topic to its present end, then goes on reading beside everything else.

        Raises:
            Unavailable: the broker does not answer, or has no such topic yet.
        """
        await self._open()
        await super().start()
        try:
            await self._reach_end(_START_SECONDS)
        except Unavailable:
            await self.stop()
            raise
        log.info("registry_read", entries=len(self.book))

    async def stop(self) -> None:
        """Stops reading."""
        await super().stop()
        await self._close()

    def health(self) -> Health:
        """Unhealthy while the topic cannot be read."""
        if trouble := self._stopped_for():
            return Health(healthy=False, detail=trouble)
        return Health(healthy=not self._trouble, detail=self._trouble or f"{len(self.book)} entries")

    async def catch_up(self) -> None:
        """Waits until the book holds all that the topic holds at this moment.

        Raises:
            BrokerAway: that took longer than 2 s, so nobody may be called unknown yet; the batch comes again.
        """
        await self._reach_end(_CATCH_UP_SECONDS)

    async def _reach_end(self, patience_seconds: float) -> None:
        try:
            async with asyncio.timeout(patience_seconds):
                if self._reader is None:
                    raise BrokerAway
                ends = await self._reader.ends(list(self._reached))
                async with self._moved:
                    await self._moved.wait_for(lambda: all(self._reached[p] >= end for p, end in ends.items()))
        except TimeoutError as late:
            raise BrokerAway from late

    async def _open(self) -> None:
        reader = Reader(self._settings)
        await reader.start()
        self._reader = reader
        places = await reader.places(SOURCES.name)
        if not places:
            await self._close()
            raise Unavailable(f"The topic {SOURCES.name}")
        self._reached = {place: self._reached.get(place, 0) for place in places}
        reader.read_from(self._reached)

    async def _close(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            await reader.stop()

    async def _run(self) -> None:
        attempt = 0
        while True:
            try:
                if self._reader is None:
                    await self._open()
                await self._take_next()
                self._trouble, attempt = "", 0
            except (Unavailable, OSError) as error:
                self._trouble = f"the registry waits for Kafka: {type(error).__name__}"
                log.warning("registry_waits", error=type(error).__name__)
                await self._close()
                await asyncio.sleep(pause_seconds(attempt, _FIRST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS))
                attempt += 1

    async def _take_next(self) -> None:
        reader = self._reader
        if reader is None:
            return
        for record in await reader.next_records(_WAIT_MILLISECONDS):
            self._take(record)
        positions = {place: await reader.position(place) for place in self._reached}
        if positions != self._reached:
            async with self._moved:
                self._reached = positions
                self._moved.notify_all()

    def _take(self, record: Record) -> None:
        """Takes one record in; one that does not fit is passed by, for its keeper is another service."""
        try:
            kind = _Kind.model_validate_json(record.value).type
            if kind == SOURCE_CHANGED:
                self.book.take(decode_event(record, SourceChanged, SOURCES))
            elif kind == ATTESTER_CHANGED:
                self.book.take(decode_event(record, AttesterChanged, SOURCES))
        except (ValidationError, Refused):
            log.warning("registry_record_unreadable", partition=record.partition, offset=record.offset)

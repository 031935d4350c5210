"""Dead letters: records that do not fit, kept whole with the reason, and put back when the reason is gone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.envelope import derived_id
from schemas.topics import topic_named
from services.runtime.broker import Message, Place, Publisher, Reader, Record
from services.runtime.database import Database
from services.runtime.identity import record_id
from services.runtime.outbox import pack_headers
from services.runtime.problems import Problem
from services.runtime.settings import Settings

_REASON_CHARACTERS = 500
_READ_TRIES = 20
_READ_MILLISECONDS = 500
_OURS = ("reason", "source-topic", "source-partition", "source-offset")


class Refused(Exception):
    """A record that does not fit; `reason` says why in words without anything that the record holds of a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason[:_REASON_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that must be dead, and why."""

    record: Record
    reason: str


# Remembers what died, once a record: a second delivery of the same record adds nothing.
BURY = text("""
    INSERT INTO dead (topic, partition, "offset", reason)
    SELECT * FROM unnest(
        CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]), CAST(:reasons AS text[])
    )
    ON CONFLICT DO NOTHING
    RETURNING topic, partition, "offset"
""")

# Puts dead records on their way to the dead-letter topic, with their own headers and ours.
SEND_LETTERS = text("""
    INSERT INTO outbox (topic, key, value, event_id, headers, dead_topic, dead_partition, dead_offset)
    SELECT * FROM unnest(
        CAST(:letter_topics AS text[]), CAST(:keys AS bytea[]), CAST(:values AS bytea[]), CAST(:event_ids AS uuid[]),
        CAST(:headers AS bytea[]), CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[])
    )
""")

# How many dead letters nobody has put back.
COUNT_OPEN = text("SELECT count(*) FROM dead WHERE replayed_at IS NULL")

# Open dead letters in the order of their places, one page.
LIST_OPEN = text("""
    SELECT topic, partition, "offset", reason, at, letter_partition, letter_offset FROM dead
    WHERE replayed_at IS NULL AND (topic, partition, "offset") > (:topic, :partition, :offset)
        AND at <= coalesce(CAST(:until AS timestamptz), 'infinity')
    ORDER BY topic, partition, "offset" LIMIT :most
""")

# The moment that bounds one replay of everything: what dies again meanwhile is not sent round and round.
NOW = text("SELECT clock_timestamp()")

# One dead letter, open or not.
SHOW = text("""
    SELECT topic, partition, "offset", reason, at, letter_partition, letter_offset, replayed_at FROM dead
    WHERE topic = :topic AND partition = :partition AND "offset" = :offset
""")

# Closes dead letters that were put back.
CLOSE = text("""
    UPDATE dead SET replayed_at = clock_timestamp()
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]))
        AS sent (topic, partition, "offset")
    WHERE dead.topic = sent.topic AND dead.partition = sent.partition AND dead."offset" = sent."offset"
""")


async def bury(connection: AsyncConnection, rejections: Sequence[Rejection]) -> None:
    """Adds dead rows and their letters to the transaction in hand; each record dies once."""
    if not rejections:
        return
    by_place = {(r.record.topic, r.record.partition, r.record.offset): r for r in rejections}
    result = await connection.execute(
        BURY,
        {
            "topics": [topic for topic, _, _ in by_place],
            "partitions": [partition for _, partition, _ in by_place],
            "offsets": [offset for _, _, offset in by_place],
            "reasons": [r.reason[:_REASON_CHARACTERS].replace("\x00", "") for r in by_place.values()],
        },
    )
    fresh = [by_place[row.topic, row.partition, row.offset] for row in result]
    await connection.execute(
        SEND_LETTERS,
        {
            "letter_topics": [topic_named(r.record.topic).dead for r in fresh],
            "keys": [r.record.key for r in fresh],
            "values": [r.record.value for r in fresh],
            "event_ids": [derived_id(record_id(r.record), "dead") for r in fresh],
            "headers": [pack_headers(_letter_headers(r)) for r in fresh],
            "topics": [r.record.topic for r in fresh],
            "partitions": [r.record.partition for r in fresh],
            "offsets": [r.record.offset for r in fresh],
        },
    )


def _letter_headers(rejection: Rejection) -> list[tuple[str, bytes]]:
    record = rejection.record
    return [
        *((name, value) for name, value in record.headers if name not in _OURS),
        ("reason", rejection.reason[:_REASON_CHARACTERS].encode("utf-8", "replace")),
        ("source-topic", record.topic.encode()),
        ("source-partition", str(record.partition).encode()),
        ("source-offset", str(record.offset).encode()),
    ]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead record by its place on the topic it came from; `letter` is its place on the dead-letter topic."""

    topic: str
    partition: int
    offset: int
    reason: str
    at: datetime
    letter: tuple[int, int] | None

    @property
    def place(self) -> tuple[str, int, int]:
        """What tells it from every other."""
        return (self.topic, self.partition, self.offset)


class LetterMissing(Problem):
    """There is no such dead letter, or its record is no longer kept."""

    def __init__(self, topic: str, partition: int, offset: int, why: str) -> None:
        super().__init__(404, "dead_letter_missing", "No such dead letter", f"{topic}[{partition}]@{offset}: {why}")


def _letter(row: Any) -> DeadLetter:  # noqa: ANN401 -- a result row has no type
    letter = None if row.letter_offset is None else (row.letter_partition, row.letter_offset)
    return DeadLetter(row.topic, row.partition, row.offset, row.reason, row.at, letter)


class DeadLetters:
    """The dead letters of one service."""

    def __init__(self, settings: Settings, database: Database, publisher: Publisher) -> None:
        self._settings, self._database, self._publisher = settings, database, publisher

    async def count_open(self) -> int:
        """How many nobody has put back."""

        async def work(connection: AsyncConnection) -> int:
            return int(await connection.scalar(COUNT_OPEN) or 0)

        return await self._database.transact(work)

    async def now(self) -> datetime:
        """The database's time."""

        async def work(connection: AsyncConnection) -> datetime:
            found: datetime = (await connection.execute(NOW)).scalar_one()
            return found

        return await self._database.transact(work)

    async def page(
        self, after: tuple[str, int, int] = ("", -1, -1), most: int = 1_000, until: datetime | None = None
    ) -> list[DeadLetter]:
        """Open dead letters behind a place, in the order of places; with `until` only those that died by then."""

        async def work(connection: AsyncConnection) -> list[DeadLetter]:
            topic, partition, offset = after
            found = await connection.execute(
                LIST_OPEN,
                {"topic": topic, "partition": partition, "offset": offset, "most": most, "until": until},
            )
            return [_letter(row) for row in found]

        return await self._database.transact(work)

    async def one(self, topic: str, partition: int, offset: int) -> tuple[DeadLetter, Record | None]:
        """A dead letter and its record, without the record where the dead-letter topic has not got it yet.

        Raises:
            LetterMissing: nothing died at that place.
        """

        async def work(connection: AsyncConnection) -> DeadLetter:
            row = (
                await connection.execute(SHOW, {"topic": topic, "partition": partition, "offset": offset})
            ).one_or_none()
            if row is None:
                raise LetterMissing(topic, partition, offset, "nothing died there; `jubao dead list` names all")
            return _letter(row)

        letter = await self._database.transact(work)
        records = await self._records([letter])
        return letter, records.get(letter.place)

    async def replay(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Sends dead records again to where they came from: same bytes, same headers, same partition.

        A letter is closed when the broker has its record; a crash between the two sends it twice, which the report's id
        makes harmless. Returns those that were sent; a letter still on its way to the dead-letter topic is not.
        """
        records = await self._records(letters)
        sent = [letter for letter in letters if letter.place in records]
        messages = []
        for letter in sent:
            record = records[letter.place]
            own = tuple((name, value) for name, value in record.headers if name not in _OURS)
            messages.append(
                Message(letter.topic, record.key, record.value, record_id(record), None, own, letter.partition)
            )
        await self._publisher.publish(messages)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                CLOSE,
                {
                    "topics": [s.topic for s in sent],
                    "partitions": [s.partition for s in sent],
                    "offsets": [s.offset for s in sent],
                },
            )

        await self._database.transact(work)
        return sent

    async def _records(self, letters: Sequence[DeadLetter]) -> dict[tuple[str, int, int], Record]:
        by_topic: dict[tuple[str, int], dict[int, DeadLetter]] = {}
        for letter in letters:
            if letter.letter is not None:
                dead_topic = topic_named(letter.topic).dead or ""
                by_topic.setdefault((dead_topic, letter.letter[0]), {})[letter.letter[1]] = letter
        found: dict[tuple[str, int, int], Record] = {}
        if not by_topic:
            return found
        async with Reader(self._settings) as reader:
            for (topic, partition), wanted in by_topic.items():
                reader.read_from({Place(topic, partition): min(wanted)})
                missing, empty = set(wanted), 0
                while missing and empty < _READ_TRIES:
                    records = await reader.next_records(_READ_MILLISECONDS)
                    empty = 0 if records else empty + 1
                    for record in records:
                        if record.offset in missing:
                            missing.discard(record.offset)
                            found[wanted[record.offset].place] = record
                    if records and max(r.offset for r in records) >= max(wanted):
                        break
        return found


__all__ = ["DeadLetter", "DeadLetters", "LetterMissing", "Refused", "Rejection", "bury"]

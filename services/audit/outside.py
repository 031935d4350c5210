"""Checkpoints outside the database: a file that is only appended to, and a topic that is kept for ever.

Each note in the file is followed by an empty line. What a crash cut off is no note, and the next begins after it.
"""

import asyncio
import os
from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from schemas.checkpoint import CHECKPOINT, CheckpointMade, LogCheckpoint
from schemas.topics import CHECKPOINTS
from services.audit.note import BadNote, Checkpoint, Key, Note, checkpoint_of, note_of, split_notes, vouched
from services.runtime.broker import Message, Place, Publisher, Reader
from services.runtime.identity import new_id
from services.runtime.logs import logger
from services.runtime.outbox import event_bytes
from services.runtime.settings import Settings

log = logger(__name__)

_TAIL_BYTES: Final = 1 << 20
_LAST_RECORDS: Final = 20
_WAIT_MILLISECONDS: Final = 1_000


class Outside:
    """Where checkpoints are published, and read back before anything is appended.

    Args:
        settings: the file's path, and where Kafka is.
        publisher: sends to the topic.
    """

    def __init__(self, settings: Settings, publisher: Publisher) -> None:
        self._settings, self._publisher = settings, publisher
        self.file = checkpoint_file(settings)

    async def newest(self, origin: str, keys: Iterable[Key]) -> list[Checkpoint]:
        """The newest checkpoint of the file and that of the topic; those that no key of ours signed are passed by.

        Raises:
            BrokerAway: Kafka does not answer.
            OSError: the file cannot be read.
        """
        known = list(keys)
        texts = (await asyncio.to_thread(self._tail), await last_on_topic(self._settings))
        return [found for found in (_newest(place, origin, known) for place in texts) if found is not None]

    async def put_in_file(self, note: Note) -> None:
        """Adds a checkpoint to the file, durably.

        Raises:
            OSError: it cannot be written.
        """
        await asyncio.to_thread(self._append, str(note))

    async def put_on_topic(self, note: Note, at: datetime) -> None:
        """Sends a checkpoint, and waits until the broker has it.

        Raises:
            BrokerAway: it did not take it in time.
        """
        await self._publisher.publish([_message(note, at)])

    def _append(self, note: str) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # A note that was cut off must not run into this one.
            gap = b"" if _ends_a_line(self.file) else b"\n\n"
            rest = memoryview(gap + f"{note}\n".encode())
            # A disk that is nearly full takes a part and says so by the number alone; the next try meets the error.
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _tail(self) -> list[str]:
        try:
            with self.file.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _TAIL_BYTES))
                return split_notes(file.read().decode(errors="replace"))
        except (FileNotFoundError, NotADirectoryError):
            return []


async def last_on_topic(settings: Settings) -> list[str]:
    """The newest records of the topic in their order, whoever put them there; none where there is no such topic.

    Raises:
        BrokerAway: Kafka does not answer.
    """
    place = Place(CHECKPOINTS.name, 0)
    async with Reader(settings) as reader:
        if not await reader.places(place.topic):
            return []
        end = (await reader.ends([place]))[place]
        reader.read_from({place: max(0, end - _LAST_RECORDS)})
        texts: list[str] = []
        while await reader.position(place) < end:
            for record in await reader.next_records(_WAIT_MILLISECONDS):
                try:
                    texts.append(CheckpointMade.model_validate_json(record.value).data.note)
                except ValueError:
                    log.warning("checkpoint_unreadable", topic=place.topic, offset=record.offset)
    return texts


def checkpoint_file(settings: Settings) -> Path:
    """The file that checkpoints are appended to."""
    return settings.checkpoint_file or settings.data / "audit" / "checkpoints"


def keys_file(settings: Settings) -> Path:
    """The file with the log's public keys."""
    return settings.audit_public_keys_file or settings.data / "audit" / "keys"


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _newest(texts: Iterable[str], origin: str, keys: list[Key]) -> Checkpoint | None:
    newest: Checkpoint | None = None
    for text in texts:
        try:
            note = note_of(text)
            checkpoint = checkpoint_of(note.text)
            if checkpoint.origin != origin or not vouched(note, keys):
                continue
        except BadNote:
            log.warning("checkpoint_unsigned")
            continue
        if newest is None or checkpoint.size >= newest.size:
            newest = checkpoint
    return newest


def _message(note: Note, at: datetime) -> Message:
    checkpoint = checkpoint_of(note.text)
    event_id = new_id()
    event = CheckpointMade(
        specversion="1.0",
        id=event_id,
        source="audit",
        type=CHECKPOINT,
        time=at,
        subject=checkpoint.origin,
        data=LogCheckpoint(
            origin=checkpoint.origin,
            size=checkpoint.size,
            root=b64encode(checkpoint.root).decode(),
            note=str(note),
        ),
    )
    return Message(CHECKPOINTS.name, checkpoint.origin.encode(), event_bytes(event), event_id, None)

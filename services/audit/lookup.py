"""Whether what an entry is found by, and shown with, is what its leaf says.

No checkpoint covers the columns, marks and private parts beside a leaf, and whoever changes them hides an entry from
searches, stories and receipts. So each is held against the leaf, which checkpoints do cover, when the log is exported.
"""

from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.audit.leaf import fits, moment
from services.audit.store.entries import SPAN_BITS
from services.audit.store.lookup import COLUMNS, Beside


class Said(msgspec.Struct, gc=False):
    """What a leaf says of what it is found by."""

    id: UUID
    type: str
    time: str
    actor: str
    report_id: UUID | None = None
    case_id: UUID | None = None
    content_id: str | None = None
    source_id: str | None = None
    commitment: str | None = None


class Told(NamedTuple):
    """An entry as the log's tables have it, what its leaf says, and the minute that has to be marked for it.

    The minute is that of the column, which is held against the leaf: what stands in a leaf may be no time.
    """

    row: Beside
    said: Said
    minute: datetime


class Marks(NamedTuple):
    """What the log has marked: who did what in which span, first and last index of minutes, and parts that are lost."""

    doings: Container[tuple[str, int, str]]
    minutes: Mapping[datetime, tuple[int, int]]
    lost: Container[int]


_DECODER: Final = msgspec.json.Decoder(Said)
_NOWHERE: Final = (0, -1)


def told(rows: Iterable[Beside]) -> list[Told]:
    """What the leaves of entries say; what is no leaf of ours is left out, for its hash tells."""
    found = []
    for row in rows:
        try:
            said = _DECODER.decode(row["leaf"])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        found.append(Told(row, said, row["at"].replace(second=0, microsecond=0)))
    return found


def bare(entries: Iterable[Told]) -> list[int]:
    """The indexes of entries that commit to a private part and have none."""
    return [row["index"] for row, said, _ in entries if said.commitment is not None and row["part"] is None]


def differing(entry: Told, marks: Marks) -> list[str]:
    """What beside a leaf says otherwise: names of columns; `doings`, `minutes` and `private` for the tables.

    Args:
        entry: as it is stored.
        marks: at least those of the entry's span and minute.
    """
    row, said, minute = entry
    index, _, event_id, at, *named, salt, part = row
    columns = [event_id, moment(at), *named]
    values = [
        said.id, moment(said.time), said.type, said.actor,
        said.report_id, said.case_id, said.content_id, said.source_id,
    ]  # fmt: skip
    found = []
    if values != columns:
        found += [name for name, value, column in zip(COLUMNS, values, columns, strict=True) if value != column]
    if (said.actor, index >> SPAN_BITS, said.type) not in marks.doings:
        found.append("doings")
    first, last = marks.minutes.get(minute, _NOWHERE)
    if not first <= index <= last:
        found.append("minutes")
    if index in marks.lost or (part is not None and not fits(said.commitment, salt, part)):
        found.append("private")
    return found

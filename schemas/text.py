"""Field types that refuse what a database or a reader would choke on: NUL, surrogates, endless text, vague times."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

# pydantic itself refuses lone surrogates; NUL is legal JSON and legal Unicode, and PostgreSQL takes it in no column.
_WITHOUT_NUL = r"^[^\x00]*$"
_NO_OFFSET = timedelta(0)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
# Near the end of the calendar a time may have no year in UTC, and then no written form either.
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)

Text = Annotated[str, StringConstraints(pattern=_WITHOUT_NUL)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_WITHOUT_NUL)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x20\x7f]+$")]
Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_WITHOUT_NUL)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
Region = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$")]


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# For strict integers of bodies: JSON has one kind of number, and 3.0 is the integer 3 there; "3" and true are none.
WHOLE = BeforeValidator(_whole)


def _only_text(value: object) -> object:
    # Pydantic would also take digits alone, as seconds or milliseconds since 1970: a guess that no time should rest on.
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise PydanticCustomError("timestamp_text", "a time is text with date, time and zone, as in 2026-11-23T08:00:00Z")


def _plausible(value: datetime) -> datetime:
    if value < _EARLIEST:
        raise PydanticCustomError("timestamp_early", "a time before the year 2000 is not accepted")
    if value > _LATEST:
        raise PydanticCustomError("timestamp_late", "a time after the year 9998 is not accepted")
    return value


def _as_text(value: datetime) -> str:
    moment = value if value.utcoffset() == _NO_OFFSET else value.astimezone(UTC)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


# One written form for each moment: two spellings of one time give the same bytes, so the same report is the same.
Timestamp = Annotated[
    AwareDatetime,
    BeforeValidator(_only_text),
    AfterValidator(_plausible),
    PlainSerializer(_as_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]

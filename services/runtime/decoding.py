"""From a record's bytes to an event of a contract, or to a reason without anything of what the record says."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from schemas.topics import Topic
from services.runtime.broker import Record
from services.runtime.dead import Refused

EventT = TypeVar("EventT", bound=BaseModel)

_MOST_ERRORS_TOLD = 3


def decode_event(record: Record, model: type[EventT], topic: Topic) -> EventT:
    """A record's value as an event of a contract.

    Raises:
        Refused: too large, not UTF-8, not JSON, or not of that contract; the reason names the place, never the value.
    """
    if len(record.value) > topic.max_value_bytes:
        raise Refused(f"the value has {len(record.value)} bytes, at most {topic.max_value_bytes} are taken")
    try:
        return model.model_validate_json(record.value)
    except ValidationError as error:
        raise Refused(validation_reason(error)) from None


def validation_reason(error: ValidationError) -> str:
    """What did not fit, as `place: what`, up to three of them, without any input."""
    details = error.errors(include_input=False, include_url=False, include_context=False)
    told = [
        f"{place_of(d['loc'], d['type'])}: {safe_message(d['type'], d['msg'])}" for d in details[:_MOST_ERRORS_TOLD]
    ]
    more = len(details) - len(told)
    return "; ".join(told) + (f" (and {more} more)" if more else "")


def place_of(location: Sequence[int | str], kind: str) -> str:
    """Where an error is, as a dotted path; the name of an unknown field is the sender's text and is left out."""
    path = location[:-1] if kind == "extra_forbidden" else location
    return ".".join(str(part) for part in path) or "value"


def safe_message(kind: str, message: str) -> str:
    """Pydantic's message without what it may quote of the input."""
    return message if kind not in {"json_invalid", "value_error"} else _QUOTING.get(kind, message)


_QUOTING = {"json_invalid": "not JSON in UTF-8", "value_error": "does not fit"}

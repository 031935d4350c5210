"""The envelope of every record: CloudEvents 1.0 in structured JSON, with the report and the cause as extensions."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from schemas.text import Text, Timestamp

CONTENT_TYPE = "application/cloudevents+json"
_NAMESPACE = UUID("6f0c1d2e-7f0a-5b53-9d0c-5f6d0b8f3a11")
# The bits of a UUID that a digest fills, and version and variant in the others (RFC 9562, 5.5).
_HASHED = ~((0xF << 76) | (0b11 << 62))
_VERSION_5 = (5 << 76) | (0b10 << 62)

DataT = TypeVar("DataT", bound=BaseModel)


def _nothing(_: object) -> None:
    return None


def _id_or_nothing(value: object) -> object:
    try:
        return UUID(str(value))
    except ValueError:
        return None


# Producers of other systems use these names for ids of their own. That must not cost a report its queue: a correlation
# that is no id is not kept, and what caused a report elsewhere is no event of ours.
_PASSES = WithJsonSchema({"description": "A producer may use it for ids of its own."})
Correlation = Annotated[UUID | None, BeforeValidator(_id_or_nothing), _PASSES]
Foreign = Annotated[None, BeforeValidator(_nothing), _PASSES]


class Contract(BaseModel):
    """A model of a contract: unknown fields are refused, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Event(BaseModel, Generic[DataT]):
    """One event. Unknown extension attributes pass and are not kept.

    `correlationid` is the report's id where the event is about one report; `causationid` the id of the event that led
    to this one, absent only where something from outside (a report, a person) began it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    specversion: Literal["1.0"] = Field(description="CloudEvents 1.0.")
    id: UUID = Field(description="This event's own id. Sent again with the same id and data it is the same event.")
    source: Annotated[Text, Field(min_length=1, max_length=200)] = Field(
        description="Which program made it: a service's name, or the producer's own."
    )
    type: Annotated[Text, Field(min_length=1, max_length=100)] = Field(
        description="Which event it is, with its version."
    )
    time: Timestamp = Field(description="When it was made, by the clock of whoever made it.")
    subject: Annotated[Text, Field(min_length=1, max_length=200)] = Field(
        description="What it is about: the id of the report, case, source or key."
    )
    datacontenttype: Literal["application/json"] = Field("application/json", description="What `data` is: always JSON.")
    correlationid: UUID | None = Field(None, description="The report's id, where the event is about one report.")
    causationid: UUID | None = Field(
        None, description="The id of the event that led to this one; absent where something from outside began it."
    )
    data: DataT = Field(description="What happened.")


def derived_id(cause: UUID, *stage: str) -> UUID:
    """The id of what `cause` leads to at a stage: the same for every redelivery, so that the first one wins.

    UUIDv5 (RFC 9562, 5.5) of the cause's id and the stage's words, in half the time of the standard library's.
    """
    name = ":".join((str(cause), *stage)).encode()
    digest = hashlib.sha1(_NAMESPACE.bytes + name, usedforsecurity=False).digest()
    return UUID(int=int.from_bytes(digest[:16]) & _HASHED | _VERSION_5)


def type_name(family: str, change: str) -> str:
    """The event type of a change in a family: `jubao.case.claimed.v1`."""
    return f"jubao.{family}.{change}.v1"


def parts_of(items: Sequence[DataT], most: int) -> list[Sequence[DataT]]:
    """Cuts what an event would carry into parts of at most `most`, so that no event grows without bound."""
    return [items[start : start + most] for start in range(0, len(items), most)]

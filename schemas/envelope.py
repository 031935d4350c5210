"""The envelope of every record: CloudEvents 1.0 in structured JSON, with the report and the cause as extensions."""

from collections.abc import Sequence
from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field

from schemas.text import Text, Timestamp

CONTENT_TYPE = "application/cloudevents+json"
_NAMESPACE = UUID("6f0c1d2e-7f0a-5b53-9d0c-5f6d0b8f3a11")

DataT = TypeVar("DataT", bound=BaseModel)


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

    UUIDv5 (RFC 9562, 5.5) of the cause's id and the stage's words.
    """
    return uuid5(_NAMESPACE, ":".join((str(cause), *stage)))


def type_name(family: str, change: str) -> str:
    """The event type of a change in a family: `jubao.case.claimed.v1`."""
    return f"jubao.{family}.{change}.v1"


def parts_of(items: Sequence[DataT], most: int) -> list[Sequence[DataT]]:
    """Cuts what an event would carry into parts of at most `most`, so that no event grows without bound."""
    return [items[start : start + most] for start in range(0, len(items), most)]

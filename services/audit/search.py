"""What an auditor may ask for, and how an entry is shown: read out of its leaf alone."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from schemas.text import Code, Identifier, Name, Timestamp
from services.audit.altered import reading
from services.audit.disclosure import FAMILIES
from services.audit.leaf import UNREADABLE

MOST_ENTRIES: Final = 1_000
_USUAL_ENTRIES: Final = 100

# What stands beside `detail` in an answer; all else that a leaf holds stands in it.
_BESIDE: Final = ("type", "time", "actor", "report_id", "case_id", "content_id", "source_id")
_FORM: Final = ("v", "detail")


TYPES: Final = tuple(
    sorted({kind for families in FAMILIES.values() for f in families for kind in f.types} | {UNREADABLE})
)
"""Every type that an entry may have."""


def _known(kind: str) -> str:
    # A misspelt type would find nothing, which reads like an answer.
    if kind not in TYPES:
        raise PydanticCustomError(
            "entry_type", "no entry has this type; there are {types}", {"types": ", ".join(TYPES)}
        )
    return kind


EntryType = Annotated[Code, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(TYPES)})]


class Filters(BaseModel):
    """The query of a search: every filter that is given must fit; a misspelt one is refused, not passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: EntryType | None = None
    report_id: UUID | None = Field(None, description="Entries of this report and of its cases.")
    case_id: UUID | None = None
    content_id: Identifier | None = None
    source_id: Identifier | None = None
    actor: Name | None = None
    event_id: UUID | None = Field(None, description="An event's own id, as `causationid` of what follows names it.")
    since: Timestamp | None = Field(None, alias="from", description="The broker's time, inclusive.")
    until: Timestamp | None = Field(None, alias="to", description="The broker's time, exclusive.")
    cursor: str | None = Field(None, description="`next` of the page before.")
    limit: Annotated[int, Field(ge=1, le=MOST_ENTRIES)] = _USUAL_ENTRIES


class ShownEntry(BaseModel):
    """An entry: its place in the log, what it is about, what happened, and the leaf's own bytes in base64.

    `time` is the broker's; the producer's is `detail.event_time`. `detail` holds nothing private: of that the leaf
    carries only the commitment.
    """

    index: int
    type: str
    time: str
    actor: str
    report_id: str | None = None
    case_id: str | None = None
    content_id: str | None = None
    source_id: str | None = None
    detail: dict[str, Any]
    leaf: str


class EntriesPage(BaseModel):
    """A page of entries in order of index; `next` is the cursor of the following page, null at the end."""

    entries: list[ShownEntry]
    next: str | None


def shown(index: int, leaf: bytes) -> dict[str, object]:
    """An entry as a search answers it.

    Raises:
        Altered: the leaf is none as we write them.
    """
    with reading(index):
        body: Mapping[str, Any] = orjson.loads(leaf)
        beside = {name: body[name] for name in _BESIDE if name in body}
        rest = {name: value for name, value in body.items() if name not in _BESIDE and name not in _FORM}
        return {"index": index, **beside, "detail": body["detail"] | rest, "leaf": b64encode(leaf).decode()}

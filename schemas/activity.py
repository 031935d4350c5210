"""What people and guards did beside the way of a report: `jubao.activity.<what>.v1` on `activity.v1`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from schemas.access import Role
from schemas.envelope import Contract, Event
from schemas.text import Code, Identifier, Name, Text
from schemas.vocabulary import AlertCode, Lane, Look

ALERT = "jubao.activity.alert.v1"
POLICY_LOADED = "jubao.activity.policy_loaded.v1"
VIEWED = "jubao.activity.viewed.v1"

# A closed list, so that nothing that was typed can stand among them.
FilterName = Literal[
    "type",
    "report_id",
    "case_id",
    "content_id",
    "source_id",
    "actor",
    "event_id",
    "from",
    "to",
    "state",
    "class",
    "queue",
]
_MOST_FILTERS = 12


class Alert(Contract):
    """Something a person should look at. It holds ids and codes, never free text of a report."""

    code: AlertCode = Field(description="What it warns of.")
    what: Text = Field(description="The same in a sentence.")
    lane: Lane | None = Field(None, description="The lane.")
    report_id: UUID | None = Field(None, description="The report.")
    content_id: Identifier | None = Field(None, description="The reported item.")
    source_id: Identifier | None = Field(None, description="The source.")
    key_id: Identifier | None = Field(None, description="The key.")


class AlertRaised(Event[Alert]):
    """An alert; key: the report's id, or the code where no report is concerned."""

    type: Literal["jubao.activity.alert.v1"]


class PolicyLoad(Contract):
    """A policy came into force."""

    policy: Code = Field(description="Name of the policy.")
    version: Code = Field(description="Its version.")
    sha256: Code = Field(description="Digest of its file.")
    actor: Name = Field(description="Which service began to use it.")


class PolicyLoaded(Event[PolicyLoad]):
    """Triage began to class by a policy it had not used before; key: the policy's name."""

    type: Literal["jubao.activity.policy_loaded.v1"]


class View(Contract):
    """Somebody was shown entries, cases or legal holds. It tells who, how and how much, never what they typed.

    Filters stand by their names. Ids stand only where something was found by them, so that they are ids we had already.
    """

    actor: Name = Field(description="The account that looked.")
    role: Role = Field(description="The role it looked as.")
    what: Look = Field(description="How it looked.")
    answered: Annotated[int, Field(ge=0)] = Field(description="How many entries, cases or holds it was shown.")
    filters: Annotated[list[FilterName], Field(default_factory=list, max_length=_MOST_FILTERS)] = Field(
        description="By what it narrowed the search: names of filters."
    )
    first: Annotated[int, Field(ge=0)] | None = Field(None, description="The lowest index of the entries shown.")
    last: Annotated[int, Field(ge=0)] | None = Field(None, description="The highest.")
    report_id: UUID | None = Field(None, description="The report that was looked at.")
    case_id: UUID | None = Field(None, description="The case that was looked at.")
    content_id: Identifier | None = Field(None, description="The reported item that was looked at.")
    source_id: Identifier | None = Field(None, description="The source that was looked at.")


class Viewed(Event[View]):
    """Somebody looked; key: the account's name."""

    type: Literal["jubao.activity.viewed.v1"]


def viewed(view: View, *, source: str, event_id: UUID, at: datetime) -> Viewed:
    """The event of a view, as every service tells it.

    Args:
        view: who was shown what.
        source: the service that shows it.
        event_id: a new id.
        at: when it is shown.
    """
    about = view.report_id or view.case_id or view.content_id or view.source_id or view.what
    return Viewed(
        specversion="1.0",
        id=event_id,
        source=source,
        type=VIEWED,
        time=at,
        subject=str(about),
        correlationid=view.report_id,
        data=view,
    )

"""What happens to a case: `jubao.case.<change>.v1` on `cases.v1`, one record a change."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from schemas.envelope import Contract, Event, type_name
from schemas.text import Code, Identifier, Name, Timestamp
from schemas.triage import ClassName, Ruling
from schemas.vocabulary import CaseKind, CaseState


class CaseChange(StrEnum):
    """What happened; each member says between which states."""

    OPENED = "opened"  # a report came for an item without an open case: nothing -> queued
    JOINED = "joined"  # another report came for the same item: state unchanged
    LIFTED = "lifted"  # a report of a better class came: state unchanged, class better
    ATTACHED = "attached"  # a late report was answered with the decision there is: decided -> decided
    CLAIMED = "claimed"  # queued -> claimed
    RENEWED = "renewed"  # claimed -> claimed, its end moved
    RELEASED = "released"  # claimed -> queued, by its holder
    EXPIRED = "expired"  # claimed -> queued, by the clock
    DECIDED = "decided"  # claimed -> decided; on decisions.v1, and a row of history, not an event of its own

    @property
    def event_type(self) -> str:
        """The CloudEvents type of the change."""
        return type_name("case", self.value)


class CaseChanged(Contract):
    """One change of one case. `version` counts the case's changes from 1 without gaps in history order.

    `why` is a code that a page can put into words: the rule, `claim`, `lease_ended`, `released`, `better_class`.
    """

    case_id: UUID
    kind: CaseKind
    version: Annotated[int, Field(ge=1)]
    content_id: Identifier
    at: Timestamp
    actor: Name
    from_state: CaseState | None
    to_state: CaseState
    why: Code
    priority: Annotated[ClassName, Field(alias="class", serialization_alias="class")]
    queue: Code
    due_at: Timestamp
    report_count: Annotated[int, Field(ge=1)]
    report_id: UUID | None = None
    ruling: Ruling | None = None
    fence: int | None = None
    expires_at: Timestamp | None = None
    previous_case_id: UUID | None = None


class CaseEvent(Event[CaseChanged]):
    """A case changed; key: the case's id."""

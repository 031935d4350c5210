"""What happens to a case: `jubao.case.<change>.v1` on `cases.v1`, one record a change."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from schemas.envelope import Contract, Event, type_name
from schemas.text import Code, Identifier, Name, Timestamp
from schemas.triage import ClassName, Ruling
from schemas.vocabulary import CaseKind, CaseState, Word


class CaseChange(Word):
    """What happened; each member says between which states."""

    OPENED = (
        "opened",
        "A report came for an item without an open case: nothing -> queued.",
        "内容首次被举报，立案：无 → 待领取。",
    )
    JOINED = (
        "joined",
        "Another report came for the same item: state unchanged.",
        "同一内容的又一件举报并入：状态不变。",
    )
    LIFTED = (
        "lifted",
        "A report of a better class came: state unchanged, class better.",
        "更高等级的举报并入：状态不变，等级提升。",
    )
    ATTACHED = (
        "attached",
        "A late report was answered with the decision there is: decided -> decided.",
        "迟到的举报以已有决定答复：已决定 → 已决定。",
    )
    CLAIMED = "claimed", "A reviewer took the case: queued -> claimed.", "审核员领取：待领取 → 处理中。"
    RENEWED = "renewed", "Its holder moved the lease's end: claimed -> claimed.", "续期：处理中 → 处理中。"
    RELEASED = "released", "Its holder gave the case back: claimed -> queued.", "主动退回：处理中 → 待领取。"
    EXPIRED = "expired", "The lease ended by the clock: claimed -> queued.", "超时退回：处理中 → 待领取。"
    # On decisions.v1, and a row of history; it is no event of its own.
    DECIDED = "decided", "The case was decided: claimed -> decided.", "作出决定：处理中 → 已决定。"

    @property
    def event_type(self) -> str:
        """The CloudEvents type of the change."""
        return type_name("case", self.value)


class CaseChanged(Contract):
    """One change of one case. `version` counts the case's changes from 1 without gaps in history order.

    `why` is a code that a page can put into words: the rule, `claim`, `lease_ended`, `released`, `better_class`.
    """

    case_id: UUID = Field(description="The case.")
    kind: CaseKind = Field(description="Why the case exists.")
    version: Annotated[int, Field(ge=1)] = Field(description="Counts the case's changes from 1, without gaps.")
    content_id: Identifier = Field(description="The reported item.")
    at: Timestamp = Field(description="When it changed, by the database's clock.")
    actor: Name = Field(description="Who changed it: a reviewer's name, or a part of the system.")
    from_state: CaseState | None = Field(None, description="Its state before; absent where the case began.")
    to_state: CaseState = Field(description="Its state after.")
    why: Code = Field(description="A code: the rule, `claim`, `lease_ended`, `released`, `better_class`.")
    priority: Annotated[ClassName, Field(alias="class", serialization_alias="class")] = Field(
        description="The case's class after the change."
    )
    queue: Code = Field(description="Where it waits.")
    due_at: Timestamp = Field(description="When it is to be decided.")
    report_count: Annotated[int, Field(ge=1)] = Field(description="How many reports it has.")
    report_id: UUID | None = Field(None, description="The report that changed it.")
    ruling: Ruling | None = Field(None, description="Why the report that changed it has its class.")
    fence: int | None = Field(None, description="The lease's number, which only rises.")
    expires_at: Timestamp | None = Field(None, description="When the lease ends.")
    previous_case_id: UUID | None = Field(None, description="The case that the same item had before.")


class CaseEvent(Event[CaseChanged]):
    """A case changed; key: the case's id."""

    type: Literal[
        "jubao.case.opened.v1",
        "jubao.case.joined.v1",
        "jubao.case.lifted.v1",
        "jubao.case.attached.v1",
        "jubao.case.claimed.v1",
        "jubao.case.renewed.v1",
        "jubao.case.released.v1",
        "jubao.case.expired.v1",
    ]

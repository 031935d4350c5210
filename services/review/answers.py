"""What review takes and answers over HTTP. Classes are written `P0` to `P4`, times in UTC, waits in seconds."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from schemas.decision import Finding
from schemas.envelope import Contract
from schemas.text import WHOLE, Code, Timestamp
from schemas.triage import ClassName
from schemas.vocabulary import Action, CaseKind, CaseState, PriorityClass, SourceKind, Verdict

MOST_CLAIMS = 20
MOST_QUEUES = 50
MOST_CASES = 200

ClassField = Annotated[ClassName, Field(alias="class", serialization_alias="class")]


class Answer(BaseModel):
    """An answer: immutable, and built by the names of its fields."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class ClaimWish(Contract):
    """What a reviewer would like: cases of these queues (of all, unless told), and how many to hold at most."""

    queues: Annotated[list[Code], Field(min_length=1, max_length=MOST_QUEUES)] | None = None
    max: Annotated[int, Field(ge=1, le=MOST_CLAIMS, strict=True), WHOLE] = 1


class DecisionWish(Finding):
    """A finding, and the token of the lease that it is made by."""

    lease: UUID

    @field_validator("violates", "reason")
    @classmethod
    def _says_something(cls, value: str | None) -> str | None:
        # Here and not in the contract: what is on the topic already must stay readable.
        if value is not None and not value.strip():
            raise PydanticCustomError("blank", "spaces alone say nothing")
        return value

    @property
    def finding(self) -> Finding:
        """What is decided, without the lease."""
        return Finding(verdict=self.verdict, violates=self.violates, actions=self.actions, reason=self.reason)


class LeaseAnswer(Answer):
    """A reviewer's own lease."""

    token: UUID
    expires_at: Timestamp
    fence: int


class Happening(Answer):
    """One change of state, class or lease; `from` is null where the case began."""

    at: Timestamp
    actor: str
    change: str
    from_state: Annotated[CaseState | None, Field(alias="from", serialization_alias="from")]
    to_state: Annotated[CaseState, Field(alias="to", serialization_alias="to")]
    why: str
    priority: ClassField
    fence: int | None = None
    expires_at: Timestamp | None = None


class DecisionAnswer(Answer):
    """A decision as it was made."""

    decision_id: UUID
    case_id: UUID
    verdict: Verdict
    violates: str | None = None
    actions: list[Action]
    reason: str
    decided_by: str
    decided_at: Timestamp


class Holder(Answer):
    """Who holds a case, for everybody to see; the token is the holder's alone."""

    reviewer: str
    fence: int
    expires_at: Timestamp


class CaseSummary(Answer):
    """A case without its reports and history."""

    id: UUID
    kind: CaseKind
    state: CaseState
    priority: ClassField
    queue: str
    content_id: str
    content: dict[str, Any]
    report_count: int
    reporter_count: int
    ruling: dict[str, Any]
    opened_at: Timestamp
    due_at: Timestamp
    decided_at: Timestamp | None = None
    version: int


class CaseAnswer(CaseSummary):
    """A case with its first hundred reports, each as its `data` with `class` and `received_at` added, and its history.

    `previous` is the decision of the case that the same item had before.
    """

    reports: list[dict[str, Any]]
    history: list[Happening]
    lease: Holder | None = None
    decision: DecisionAnswer | None = None
    previous: DecisionAnswer | None = None


class Notice(Answer):
    """What a holder should know: a report of class P0 joined, and the lease cannot be renewed past `ends_by`."""

    code: str
    priority: ClassField
    ends_by: Timestamp
    detail: str


class Claim(Answer):
    """A case in hand, and the lease it is held by."""

    lease: LeaseAnswer
    case: CaseAnswer
    notice: Notice | None = None


class Claims(Answer):
    """What the caller holds now: what they held before, then what is new."""

    claims: list[Claim]


class Renewal(Answer):
    """A lease after its renewal."""

    lease: LeaseAnswer
    notice: Notice | None = None


class Release(Answer):
    """Which case is back in the queue."""

    case_id: UUID
    state: CaseState


class CasePage(Answer):
    """Cases, the newest first, and where to go on; `next` is null at the end."""

    cases: list[CaseSummary]
    next: str | None


class QueueAnswer(Answer):
    """One class of one queue. Waits are from the first report of that class to the claim, over the last 24 hours."""

    queue: str
    priority: ClassField
    waiting: int
    claimed: int
    overdue: int
    oldest_seconds: float
    wait_p50_seconds: float | None
    wait_p95_seconds: float | None


class ReportAnswer(Answer):
    """Where a report stands; `class` is its case's. For the service that answers reporters."""

    report_id: UUID
    state: str
    priority: ClassField
    received_at: Timestamp
    source_kind: SourceKind
    source_id: str | None = None
    case_id: UUID
    verdict: Verdict | None = None
    actions: list[Action] | None = None
    decided_at: Timestamp | None = None


def notice(ends_by: datetime | None) -> Notice | None:
    """What the holder of a lease with this cap is told; nothing where there is none."""
    if ends_by is None:
        return None
    return Notice(
        code="immediate_report_joined",
        priority=PriorityClass.P0.label,
        ends_by=ends_by,
        detail="A report of class P0 joined this case. Decide it now: the lease cannot be renewed past its cap, "
        "then the case is anyone's.",
    )

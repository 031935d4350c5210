"""What people and guards did beside the way of a report: `jubao.activity.<what>.v1` on `activity.v1`."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from schemas.envelope import Contract, Event
from schemas.text import Code, Identifier, Name, Text
from schemas.vocabulary import AlertCode, Lane

ALERT = "jubao.activity.alert.v1"
POLICY_LOADED = "jubao.activity.policy_loaded.v1"


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

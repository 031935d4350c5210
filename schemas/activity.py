"""What people and guards did beside the way of a report: `jubao.activity.<what>.v1` on `activity.v1`."""

from typing import Literal
from uuid import UUID

from schemas.envelope import Contract, Event
from schemas.text import Code, Identifier, Name, Text
from schemas.vocabulary import AlertCode, Lane

ALERT = "jubao.activity.alert.v1"
POLICY_LOADED = "jubao.activity.policy_loaded.v1"


class Alert(Contract):
    """Something a person should look at. It holds ids and codes, never free text of a report."""

    code: AlertCode
    what: Text
    lane: Lane | None = None
    report_id: UUID | None = None
    content_id: Identifier | None = None
    source_id: Identifier | None = None
    key_id: Identifier | None = None


class AlertRaised(Event[Alert]):
    """An alert; key: the report's id, or the code where no report is concerned."""

    type: Literal["jubao.activity.alert.v1"]


class PolicyLoad(Contract):
    """A policy came into force."""

    policy: Code
    version: Code
    sha256: Code
    actor: Name


class PolicyLoaded(Event[PolicyLoad]):
    """Triage began to class by a policy it had not used before; key: the policy's name."""

    type: Literal["jubao.activity.policy_loaded.v1"]

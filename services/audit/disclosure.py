"""What the log shows of each event and what it only commits to: one function a family, one table at the end.

A new event field goes on one line here: into `detail` if it is an id, code, number or time that concerns nobody's
privacy, into `private` otherwise. A test fails for a field that is in neither.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel

from schemas import topics, vocabulary
from schemas.activity import ALERT, POLICY_LOADED, VIEWED, AlertRaised, PolicyLoaded, Viewed
from schemas.case import CaseEvent
from schemas.decision import MADE, DecisionMade
from schemas.erasure import (
    DISCLOSED,
    DONE,
    HOLD_LIFTED,
    HOLD_PLACED,
    ORDERED,
    EntryDisclosed,
    ErasureDone,
    ErasureOrdered,
    HoldLifted,
    HoldPlaced,
)
from schemas.outcome import REACHED, OutcomeReached
from schemas.report import SUBMITTED, FlaggedSubmitted, Report, Submitted, registered_id
from schemas.source import ATTESTER_CHANGED, SOURCE_CHANGED, AttesterChanged, PublicKey, SourceChanged
from schemas.triage import TRIAGED, ReportTriaged, Ruling
from schemas.vocabulary import Lane
from services.audit.leaf import Disclosure, moment

# Text that somebody outside wrote is shown only if it is one of the words we know, or has a form too narrow to quote.
_WORDS: Final = frozenset(
    word
    for kind in vars(vocabulary).values()
    if isinstance(kind, type) and issubclass(kind, vocabulary.Word)
    for word in (member.value for member in kind)
) | {"P0", "P1", "P2", "P3", "P4", "child_sexual_abuse", "imminent_harm", "terrorism"}
_PATH: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*", re.ASCII)
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,4}){0,2}", re.ASCII)


def submitted_public(event: Submitted) -> Disclosure:
    """A report as it came by the public lane; its actor is the producer, for a reporter is never one."""
    return _submitted(event.data, actor=event.source, lane=Lane.PUBLIC)


def submitted_flagged(event: FlaggedSubmitted) -> Disclosure:
    """A report as it came by the flagged lane; its actor is the source it names."""
    return _submitted(event.data, actor=event.data.source.id or event.source, lane=Lane.FLAGGED)


def _submitted(report: Report, *, actor: str, lane: Lane) -> Disclosure:
    content = report.content
    known_keyword = report.keyword in _WORDS
    plain_language = content.language is not None and _LANGUAGE.fullmatch(content.language) is not None
    return Disclosure(
        actor=actor,
        report_id=report.report_id,
        content_id=content.id,
        source_id=registered_id(report.source.kind, report.source.id),
        detail={
            "lane": lane,
            "channel": report.channel,
            "source_kind": report.source.kind,
            "category": report.category,
            "keyword": report.keyword if known_keyword else None,
            "occurred_at": moment(report.occurred_at),
            "content_type": content.type,
            "language": content.language if plain_language else None,
            "region": content.region,
            "territory": report.territory,
            "endorses": report.endorses,
        },
        private={
            "reporter": report.reporter,
            "explanation": report.explanation,
            "legal_ground": report.legal_ground,
            "addressed_agency": report.addressed_agency,
            "keyword": None if known_keyword else report.keyword,
            "author": content.author,
            "url": content.url,
            "language": None if plain_language else content.language,
            "excerpt": content.excerpt,
            "snapshot_ref": content.snapshot.ref if content.snapshot else None,
            "snapshot_sha256": content.snapshot.sha256 if content.snapshot else None,
        },
    )


def triaged(event: ReportTriaged) -> Disclosure:
    """The class of a report and why. The report itself stands in its own entry; its digest binds this one to it."""
    data = event.data
    vouched, source = data.attestation, data.report.source
    shown, hidden = _ruling(data.ruling)
    return Disclosure(
        actor="triage",
        report_id=data.report.report_id,
        content_id=data.report.content.id,
        source_id=vouched.source_id if vouched else registered_id(source.kind, source.id),
        detail={
            "class": data.priority,
            "lane": data.lane,
            "queue": data.queue,
            "target_seconds": data.target_seconds,
            "received_at": moment(data.received_at),
            "attester": vouched.attester if vouched else None,
            "key_id": vouched.key_id if vouched else None,
            "standing": vouched.standing if vouched else None,
            **shown,
        },
        private={"digest": data.digest, "note": data.note, **hidden},
    )


def case_changed(event: CaseEvent) -> Disclosure:
    """A change of a case: who, between which states, why, and until when."""
    data = event.data
    shown, hidden = _ruling(data.ruling) if data.ruling else ({}, {})
    return Disclosure(
        actor=data.actor,
        report_id=data.report_id,
        case_id=data.case_id,
        content_id=data.content_id,
        detail={
            "case_version": data.version,
            "kind": data.kind,
            "at": moment(data.at),
            "from": data.from_state,
            "to": data.to_state,
            "why": data.why,
            "class": data.priority,
            "queue": data.queue,
            "due_at": moment(data.due_at),
            "report_count": data.report_count,
            "fence": data.fence,
            "expires_at": moment(data.expires_at) if data.expires_at else None,
            "previous_case_id": data.previous_case_id,
            **shown,
        },
        private=hidden,
    )


def decision_made(event: DecisionMade) -> Disclosure:
    """One part of a decision: verdict, rule and actions are shown, the reviewer's words are committed to.

    So is the list of answered reports: there may be 500, and each has an outcome entry of its own.
    """
    data = event.data
    shown, hidden = _ruling(data.ruling)
    return Disclosure(
        actor=data.decided_by,
        case_id=data.case_id,
        content_id=data.content_id,
        detail={
            "decision_id": data.decision_id,
            "class": data.priority,
            "queue": data.queue,
            "verdict": data.finding.verdict,
            "violates": data.finding.violates,
            "actions": data.finding.actions,
            "decided_at": moment(data.decided_at),
            "part": data.part,
            "parts": data.parts,
            "late": data.late,
            "report_count": len(data.reports),
            **shown,
        },
        private={
            "reason": data.finding.reason,
            "reports": [
                [answered.report_id, moment(answered.received_at), answered.source_kind, answered.source_id]
                for answered in data.reports
            ],
            **hidden,
        },
    )


def outcome_reached(event: OutcomeReached) -> Disclosure:
    """The end of one report."""
    data = event.data
    return Disclosure(
        actor="outcomes",
        report_id=data.report_id,
        case_id=data.case_id,
        content_id=data.content_id,
        source_id=data.source_id,
        detail={
            "decision_id": data.decision_id,
            "class": data.priority,
            "verdict": data.verdict,
            "violates": data.violates,
            "actions": data.actions,
            "statement": data.statement,
            "source_kind": data.source_kind,
            "received_at": moment(data.received_at),
            "decided_at": moment(data.decided_at),
            "late": data.late,
        },
    )


def alert_raised(event: AlertRaised) -> Disclosure:
    """Something a person should look at: its code is shown, its sentence committed to."""
    data = event.data
    return Disclosure(
        actor=event.source,
        report_id=data.report_id,
        content_id=data.content_id,
        source_id=data.source_id,
        detail={"code": data.code, "lane": data.lane, "key_id": data.key_id},
        private={"what": data.what},
    )


def policy_loaded(event: PolicyLoaded) -> Disclosure:
    """A policy came into force."""
    data = event.data
    return Disclosure(actor=data.actor, detail={"policy": data.policy, "version": data.version, "sha256": data.sha256})


def somebody_viewed(event: Viewed) -> Disclosure:
    """Somebody was shown entries or cases: all of it is shown, for it holds nothing that they typed."""
    data = event.data
    return Disclosure(
        actor=data.actor,
        report_id=data.report_id,
        case_id=data.case_id,
        content_id=data.content_id,
        source_id=data.source_id,
        detail={
            "role": data.role,
            "what": data.what,
            "answered": data.answered,
            "filters": data.filters or None,
            "first": data.first,
            "last": data.last,
        },
    )


def source_changed(event: SourceChanged) -> Disclosure:
    """A source was added or changed: its remit and keys are shown, the names of people and offices committed to."""
    data = event.data
    return Disclosure(
        actor=data.actor,
        source_id=str(data.source_id),
        detail={
            "source_version": data.version,
            "change": data.change,
            "kind": data.kind,
            "region": data.region,
            "categories": data.categories,
            "quota_per_day": data.quota_per_day,
            "status": data.status,
            "keys": [_key(key) for key in data.keys],
        },
        private={"name": data.name, "agency": data.agency, "parent": data.parent, "time_zone": data.time_zone},
    )


def attester_changed(event: AttesterChanged) -> Disclosure:
    """A program that may vouch for sources was added or changed."""
    data = event.data
    return Disclosure(
        actor=data.actor,
        detail={
            "attester": data.name,
            "attester_version": data.version,
            "change": data.change,
            "kinds": data.kinds,
            "verdicts": data.verdicts,
            "keys": [_key(data.key)],
        },
    )


def erasure_ordered(event: ErasureOrdered) -> Disclosure:
    """Reports are to be erased. Which, and on which ground, is committed to: the ground is a person's words.

    An order of one report is found by it.
    """
    data = event.data
    return Disclosure(
        actor=data.ordered_by,
        report_id=data.reports[0] if len(data.reports) == 1 else None,
        content_id=data.content_id,
        detail={
            "erasure_id": data.erasure_id,
            "part": data.part,
            "basis": data.basis,
            "report_count": len(data.reports),
        },
        private={"ground": data.ground, "reports": data.reports},
    )


def erasure_done(event: ErasureDone) -> Disclosure:
    """A service has erased what it kept of a part's reports."""
    data = event.data
    return Disclosure(
        actor=data.service,
        detail={"erasure_id": data.erasure_id, "part": data.part, "service": data.service, "count": data.count},
    )


def hold_changed(event: HoldPlaced | HoldLifted) -> Disclosure:
    """A legal hold was placed or lifted: on what is shown, on which ground committed to."""
    data = event.data
    return Disclosure(
        actor=data.actor,
        report_id=data.report_id,
        content_id=data.content_id,
        source_id=data.source_id,
        detail={"hold_id": data.hold_id},
        private={"ground": data.ground},
    )


def entry_disclosed(event: EntryDisclosed) -> Disclosure:
    """Somebody was given the private part of an entry."""
    data = event.data
    return Disclosure(
        actor=data.actor, report_id=data.report_id, detail={"index": data.index}, private={"ground": data.ground}
    )


def _key(key: PublicKey) -> dict[str, str]:
    shown = {"key_id": key.key_id, "public_key": key.public_key}
    return shown | {"revoked_at": moment(key.revoked_at)} if key.revoked_at else shown


def _ruling(ruling: Ruling) -> tuple[dict[str, object], dict[str, object]]:
    # An input may quote the report, so only numbers and known words are shown; the rest is a list of pairs, because
    # its paths need not be ASCII as keys of canonical JSON must be.
    shown: dict[str, object] = {}
    hidden: list[tuple[str, object]] = []
    for path, value in sorted(ruling.inputs.items()):
        if _is_path(path) and (not isinstance(value, str) or value in _WORDS):
            shown[path] = value
        else:
            hidden.append((path, value))
    return (
        {"policy": ruling.policy, "version": ruling.version, "rule": ruling.rule, "inputs": shown or None},
        {"inputs": hidden or None},
    )


@lru_cache(maxsize=1_000)  # a policy reads the same few paths for each report
def _is_path(text: str) -> bool:
    return _PATH.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Family:
    """An event of a topic: the model its records fit, and what the log shows of one."""

    types: tuple[str, ...]
    model: type[BaseModel]
    disclose: Callable[[Any], Disclosure]


FAMILIES: Final[Mapping[str, tuple[Family, ...]]] = {
    topics.REPORTS_PUBLIC.name: (Family((SUBMITTED,), Submitted, submitted_public),),
    topics.REPORTS_FLAGGED.name: (Family((SUBMITTED,), FlaggedSubmitted, submitted_flagged),),
    topics.TRIAGE_PUBLIC.name: (Family((TRIAGED,), ReportTriaged, triaged),),
    topics.TRIAGE_FLAGGED.name: (Family((TRIAGED,), ReportTriaged, triaged),),
    topics.CASES.name: (Family(topics.CASES.events, CaseEvent, case_changed),),
    topics.DECISIONS.name: (Family((MADE,), DecisionMade, decision_made),),
    topics.OUTCOMES.name: (Family((REACHED,), OutcomeReached, outcome_reached),),
    topics.ACTIVITY.name: (
        Family((ALERT,), AlertRaised, alert_raised),
        Family((POLICY_LOADED,), PolicyLoaded, policy_loaded),
        Family((VIEWED,), Viewed, somebody_viewed),
    ),
    topics.SOURCES.name: (
        Family((SOURCE_CHANGED,), SourceChanged, source_changed),
        Family((ATTESTER_CHANGED,), AttesterChanged, attester_changed),
    ),
    topics.ERASURES.name: (
        Family((ORDERED,), ErasureOrdered, erasure_ordered),
        Family((DONE,), ErasureDone, erasure_done),
        Family((HOLD_PLACED,), HoldPlaced, hold_changed),
        Family((HOLD_LIFTED,), HoldLifted, hold_changed),
        Family((DISCLOSED,), EntryDisclosed, entry_disclosed),
    ),
}

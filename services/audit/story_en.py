"""A report's story in English: one sentence for each type of entry."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from schemas.activity import ALERT, POLICY_LOADED, VIEWED
from schemas.case import CaseChange
from schemas.decision import MADE
from schemas.erasure import DISCLOSED, DONE, HOLD_LIFTED, HOLD_PLACED, ORDERED
from schemas.outcome import REACHED
from schemas.report import SUBMITTED
from schemas.source import ATTESTER_CHANGED, SOURCE_CHANGED
from schemas.triage import TRIAGED
from schemas.vocabulary import (
    Action,
    AlertCode,
    Basis,
    Category,
    Channel,
    ContentType,
    Lane,
    Look,
    SourceKind,
    Standing,
    Verdict,
    Word,
)
from services.audit.leaf import UNREADABLE
from services.audit.story_facts import Fact, Scene, Stage, Tongue, Waited, Wording, meaning, offset_of, parts_of_time

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _when(moment: datetime, stage: Stage) -> str:
    local = stage.local(moment)
    return f"{local:%Y-%m-%d %H:%M:%S} {offset_of(local)}"


def _long(seconds: int) -> str:
    return " ".join(f"{number} {unit}" for number, unit in parts_of_time(seconds))


def _means(words: type[Word], value: str) -> str:
    said = meaning(words, value, chinese=False)
    return said if said == value else said[:1].lower() + said[1:]


def _person(role: str, name: str, stage: Stage) -> str:
    number = stage.cast.number(name)
    turns, letter = divmod(number, len(_LETTERS))
    return f"{role} {_LETTERS[letter]}{turns + 1 if turns else ''}"


def _reviewer(fact: Fact, stage: Stage) -> str:
    return _person("reviewer", fact.actor, stage)


def _span(scene: Scene, stage: Stage) -> str:
    if scene.count == 1:
        return f"At {_when(scene.first.at, stage)}"
    return f"Between {_when(scene.first.at, stage)} and {_when(scene.last.at, stage)}"


def _others(scene: Scene) -> str:
    return "another report of the same item" if scene.count == 1 else f"{scene.count} other reports of the same item"


def _submitted(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    if scene.again:
        return f"At {_when(fact.at, stage)} a record with the same report id was submitted again."
    source = f"as its source it names: {_means(SourceKind, fact.word('source_kind'))}"
    if fact.source_id and fact.detail.get("lane") == Lane.FLAGGED:
        source += f", registered as {fact.source_id}"
    words = [
        (
            f"At {_when(fact.at, stage)} the report was submitted on the {fact.word('lane')} lane, "
            f"by {_means(Channel, fact.word('channel'))}; {source}."
        ),
        (
            f"It is about the item {fact.content_id} ({_means(ContentType, fact.word('content_type'))}); category: "
            f"{fact.word('category')} ({_means(Category, fact.word('category'))})."
        ),
    ]
    if "territory" in fact.detail:
        words.append(f"It concerns the region {fact.word('territory')}.")
    if "endorses" in fact.detail:
        words.append(f"It supports the report {fact.word('endorses')}.")
    if fact.hidden:
        words.append("Who reported and what was said is not in the log, which only commits to it.")
    return " ".join(words)


def _triaged(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    again = " once more" if scene.again else ""
    target = fact.detail.get("target_seconds")
    words = [
        f"At {_when(fact.at, stage)} rule {fact.word('rule')} of policy {fact.word('policy')}, version "
        f"{fact.word('version')}, gave the report class {fact.word('class')}{again}; queue {fact.word('queue')}"
        + (f", to be decided within {_long(target)} of reception." if isinstance(target, int) else ".")
    ]
    if "standing" in fact.detail:
        words.append(
            f"The record was attested by {fact.word('attester')} with the key {fact.word('key_id')}; standing of its "
            f"source: {fact.word('standing')} ({_means(Standing, fact.word('standing'))})."
        )
    else:
        words.append("Nobody attested the record: what it says of its source is its own word.")
    inputs = fact.detail.get("inputs")
    if isinstance(inputs, Mapping) and inputs:
        words.append("What the rule read: " + ", ".join(f"{name} = {_value(inputs[name])}" for name in inputs) + ".")
    return " ".join(words)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _case_opened(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    who = "the report" if scene.own else "another report of the same item"
    text = (
        f"At {_when(fact.at, stage)} {who} opened the case {fact.case_id} of the item {fact.content_id}: "
        f"class {fact.word('class')}, queue {fact.word('queue')}"
    )
    due = fact.time("due_at")
    if due is not None:
        text += f", to be decided by {_when(due, stage)}"
    if "previous_case_id" in fact.detail:
        text += f"; the item had the case {fact.word('previous_case_id')} before"
    return text + "."


def _joined(scene: Scene, stage: Stage) -> str:
    who = "the report" if scene.own else _others(scene)
    return (
        f"{_span(scene, stage)} {who} joined the open case {scene.first.case_id}, which then had "
        f"{scene.last.word('report_count')} reports."
    )


def _lifted(scene: Scene, stage: Stage) -> str:
    fact = scene.last
    who = "the report" if scene.own else _others(scene)
    text = f"{_span(scene, stage)} {who} joined the case and lifted it to class {fact.word('class')}"
    due, ends = fact.time("due_at"), fact.time("expires_at")
    if due is not None:
        text += f", to be decided by {_when(due, stage)}"
    if ends is not None:
        text += f"; whoever held the case had it until {_when(ends, stage)} only"
    return text + "."


def _attached(scene: Scene, stage: Stage) -> str:
    who = "the report" if scene.own else _others(scene)
    return f"{_span(scene, stage)} {who} came after the decision and got the decision that there was."


def _claimed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    text = f"At {_when(fact.at, stage)} {_reviewer(fact, stage)} claimed the case, then of class {fact.word('class')}"
    ends = fact.time("expires_at")
    return text + (f", to hold it until {_when(ends, stage)}." if ends is not None else ".")


def _renewed(scene: Scene, stage: Stage) -> str:
    times = "" if scene.count == 1 else f" {scene.count} times"
    ends = scene.last.time("expires_at")
    until = f", at last until {_when(ends, stage)}" if ends is not None else ""
    return f"{_span(scene, stage)} {_reviewer(scene.first, stage)} renewed the lease{times}{until}."


def _released(scene: Scene, stage: Stage) -> str:
    return f"At {_when(scene.first.at, stage)} {_reviewer(scene.first, stage)} gave the case back; it waited again."


def _expired(scene: Scene, stage: Stage) -> str:
    return f"At {_when(scene.first.at, stage)} the lease ended by the clock, without a decision; the case waited again."


def _found(fact: Fact) -> str:
    text = f"{fact.word('verdict')} ({_means(Verdict, fact.word('verdict'))})"
    if "violates" in fact.detail:
        text += f", breaking {fact.word('violates')}"
    actions = [f"{action} ({_means(Action, action)})" for action in fact.words("actions")]
    return text + ("; actions: " + ", ".join(actions) if actions else "; no action")


def _decided(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    if fact.detail.get("late"):
        return f"{_span(scene, stage)} the decision was given as the answer to reports that came after it."
    if scene.again:
        return f"{_span(scene, stage)} further parts of the decision were recorded, for more reports of the case."
    return (
        f"At {_when(fact.at, stage)} {_reviewer(fact, stage)} decided the case: {_found(fact)}. The reviewer's reason "
        f"is not in the log, which only commits to it. The case had class {fact.word('class')} by rule "
        f"{fact.word('rule')} of policy {fact.word('policy')}, version {fact.word('version')}."
    )


def _outcome(scene: Scene, stage: Stage) -> str:
    if not scene.own:
        number = "another report" if scene.count == 1 else f"{scene.count} other reports"
        return f"{_span(scene, stage)} the outcome of {number} of the case went out."
    fact = scene.first
    late = "; the report had come after the decision" if fact.detail.get("late") else ""
    return f"At {_when(fact.at, stage)} the outcome went out for the reporter to hear: {_found(fact)}{late}."


def _alert(scene: Scene, stage: Stage) -> str:
    code = scene.first.word("code")
    return f"{_span(scene, stage)} an alert was raised: {code} ({_means(AlertCode, code)})."


def _viewed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    times = "" if scene.count == 1 else f" {scene.count} times"
    shown = sum(one.detail["answered"] for one in scene.facts if isinstance(one.detail.get("answered"), int))
    return (
        f"{_span(scene, stage)} {_person(fact.word('role'), fact.actor, stage)} looked{times}: "
        f"{_means(Look, fact.word('what'))}, {shown} shown."
    )


def _policy_loaded(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    return f"At {_when(fact.at, stage)} policy {fact.word('policy')}, version {fact.word('version')}, came into force."


def _source_changed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    region = f", with precedence in {fact.word('region')}" if "region" in fact.detail else ""
    return (
        f"At {_when(fact.at, stage)} the registered source {fact.source_id} "
        f"({_means(SourceKind, fact.word('kind'))}) was changed by {_person('administrator', fact.actor, stage)}: "
        f"{fact.word('change')}; it was {fact.word('status')} from then on{region}. Its name and its agency are "
        "not in the log, which only commits to them."
    )


def _attester_changed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    return f"At {_when(fact.at, stage)} the attester {fact.word('attester')} was changed: {fact.word('change')}."


def _unreadable(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    return (
        f"At {_when(fact.at, stage)} a record of the topic {fact.word('topic')} could not be read as an event "
        f"({fact.word('reason')}); nothing of what it says counted."
    )


def _supervisor(fact: Fact, stage: Stage) -> str:
    return _person("supervisor", fact.actor, stage)


def _erasure_ordered(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    basis = fact.word("basis")
    who = "retention" if basis == Basis.RETENTION else _supervisor(fact, stage)
    number = fact.detail.get("report_count")
    what = "this report" if number == 1 else f"{number} reports, this one among them"
    return (
        f"At {_when(fact.at, stage)} {who} ordered the erasure of {what} "
        f"({_means(Basis, basis)[:-1]}), part {fact.word('part')} of the erasure {fact.word('erasure_id')}."
    )


def _erasure_done(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    return (
        f"{_span(scene, stage)} {fact.word('service')} had carried out part {fact.word('part')} of the erasure "
        f"{fact.word('erasure_id')} and changed {fact.word('count')} rows."
    )


def _held_on(fact: Fact) -> str:
    if fact.report_id is not None:
        return "the report"
    if fact.content_id is not None:
        return f"the item {fact.content_id}"
    return "no item" if fact.source_id is None else f"the source {fact.source_id}"


def _hold_placed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    return (
        f"At {_when(fact.at, stage)} {_supervisor(fact, stage)} placed the legal hold {fact.word('hold_id')} on "
        f"{_held_on(fact)}: nothing of it is erased while that stands."
    )


def _hold_lifted(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    return (
        f"At {_when(fact.at, stage)} {_supervisor(fact, stage)} lifted the legal hold {fact.word('hold_id')} on "
        f"{_held_on(fact)}."
    )


def _entry_disclosed(scene: Scene, stage: Stage) -> str:
    fact = scene.first
    return (
        f"At {_when(fact.at, stage)} {_person('auditor', fact.actor, stage)} was given what entry "
        f"{fact.word('index')} hides, with its salt."
    )


def _unknown(scene: Scene, stage: Stage) -> str:
    return f"{_span(scene, stage)} the log took an entry of type {scene.first.type}."


def _waited(waited: Waited) -> str:
    text = (
        f"Until the decision the report had waited {_long(waited.total)} since its reception, of which "
        f"{_long(waited.queued)} in the queue and {_long(waited.held)} with a reviewer"
    )
    if waited.due_at is None:
        return text + "."
    late = int((waited.until - waited.due_at).total_seconds())
    return text + ("; that was in time." if waited.in_time else f"; that was {_long(late)} too late.")


def _undecided(fact: Fact, stage: Stage) -> str:
    return f"Up to this entry, of {_when(fact.logged_at, stage)}, the log knows of no decision."


_WORDINGS: Final[Mapping[str, Wording]] = {
    SUBMITTED: _submitted,
    TRIAGED: _triaged,
    CaseChange.OPENED.event_type: _case_opened,
    CaseChange.JOINED.event_type: _joined,
    CaseChange.LIFTED.event_type: _lifted,
    CaseChange.ATTACHED.event_type: _attached,
    CaseChange.CLAIMED.event_type: _claimed,
    CaseChange.RENEWED.event_type: _renewed,
    CaseChange.RELEASED.event_type: _released,
    CaseChange.EXPIRED.event_type: _expired,
    MADE: _decided,
    REACHED: _outcome,
    ALERT: _alert,
    POLICY_LOADED: _policy_loaded,
    VIEWED: _viewed,
    SOURCE_CHANGED: _source_changed,
    ATTESTER_CHANGED: _attester_changed,
    UNREADABLE: _unreadable,
    ORDERED: _erasure_ordered,
    DONE: _erasure_done,
    HOLD_PLACED: _hold_placed,
    HOLD_LIFTED: _hold_lifted,
    DISCLOSED: _entry_disclosed,
}

TONGUE: Final = Tongue(_WORDINGS, _unknown, _waited, _undecided)

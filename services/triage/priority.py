"""A report gets its class: the event that triage puts on the next topic, and the alert if its attestation failed.

Pure: equal records give equal events with equal ids, so a record that is handled twice is one event.
"""

import hashlib
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from schemas.activity import ALERT, Alert, AlertRaised
from schemas.envelope import derived_id
from schemas.report import FlaggedSubmitted, Report, Submitted
from schemas.text import Timestamp
from schemas.triage import TRIAGED
from schemas.vocabulary import Lane, Standing
from services.runtime.writing import event_bytes
from services.triage.classing import IMMEDIATE, Policy
from services.triage.inputs import Facts
from services.triage.standing import Verdict

SOURCE: Final = "jubao/triage"
_DIGEST_IN_ID: Final = 16
_TIME: Final[TypeAdapter[datetime]] = TypeAdapter(Timestamp)


class UnattestedImmediate(Exception):
    """A defect of ours: the policy's checker and its evaluation both let a P0 without attestation pass."""


class Arrival(NamedTuple):
    """A report as it came: the event, its lane, the broker's time, its data as JSON, and the digest of that."""

    submitted: Submitted | FlaggedSubmitted
    lane: Lane
    at: datetime
    written: bytes
    digest: str

    @property
    def report(self) -> Report:
        """What is reported."""
        return self.submitted.data


def digest_of(written: bytes) -> str:
    """SHA-256 of a report's data in canonical JSON, in hex: two reports of one id are the same if these are.

    Args:
        written: the report as JSON in the contract's form, in any order of names.
    """
    return hashlib.sha256(orjson.dumps(orjson.loads(written), option=orjson.OPT_SORT_KEYS)).hexdigest()


def triaged(policy: Policy, arrival: Arrival, verdict: Verdict) -> tuple[UUID, bytes]:
    """The report with its class, queue and ruling: the event's id, and the event as it is written.

    The event is put together from parts that are written already: most of it is the report, which was validated when it
    came, and the ruling, of which a policy has few. A model of the whole would be validated and written anew, at four
    times the cost; a property test holds that its bytes are these.

    Raises:
        UnattestedImmediate: the policy gave P0 to what nobody vouches for.
    """
    report, attestation = arrival.report, verdict.attestation
    classed = policy.class_of(Facts(report, arrival.lane, verdict.facts))
    if classed.terms.name == IMMEDIATE and attestation is None:
        raise UnattestedImmediate
    vouched = "attested" if attestation else "plain"
    cause, report_id = arrival.submitted.id, str(report.report_id)
    event_id = derived_id(cause, "triaged", arrival.lane, vouched, arrival.digest[:_DIGEST_IN_ID])
    at, note = _time(verdict.received_at), _note(verdict)
    attested = b"" if attestation is None else b'"attestation":%b,' % event_bytes(attestation)
    noted = b"" if note is None else b',"note":%b' % orjson.dumps(note)
    head = (
        f'{{"specversion":"1.0","id":"{event_id}","source":"{SOURCE}","type":"{TRIAGED}","time":"{at}",'
        f'"subject":"{report_id}","datacontenttype":"application/json","correlationid":"{report_id}",'
        f'"causationid":"{cause}","data":{{"report":'
    )
    tail = f',"digest":"{arrival.digest}","lane":"{arrival.lane}","received_at":"{at}",'
    parts = (head.encode(), arrival.written, tail.encode(), attested, classed.written, noted, b"}}")
    return event_id, b"".join(parts)


@lru_cache(maxsize=1_024)
def _time(moment: datetime) -> str:
    """A time as events have it; the broker gives one to a whole batch of reports."""
    written: str = _TIME.dump_python(moment, mode="json")
    return written


def alert(arrival: Arrival, verdict: Verdict) -> AlertRaised | None:
    """What a person should be told of an attestation that did not count; None where all is well."""
    refused = verdict.refused
    if refused is None:
        return None
    report = arrival.report
    return AlertRaised(
        specversion="1.0",
        id=derived_id(arrival.submitted.id, "alert", refused.code, arrival.digest[:_DIGEST_IN_ID]),
        source=SOURCE,
        type=ALERT,
        time=verdict.received_at,
        subject=str(report.report_id),
        correlationid=report.report_id,
        causationid=arrival.submitted.id,
        data=Alert(
            code=refused.code,
            what=refused.why,
            lane=arrival.lane,
            report_id=report.report_id,
            content_id=report.content.id,
            source_id=report.source.id,
            key_id=refused.key_id,
        ),
    )


def _note(verdict: Verdict) -> str | None:
    """What a flagged source is told when it lost its precedence, so that it never meets silence."""
    if verdict.refused is not None:
        return verdict.refused.why
    if verdict.attestation is not None and verdict.attestation.standing is not Standing.GOOD:
        return verdict.attestation.standing.sentence
    return None

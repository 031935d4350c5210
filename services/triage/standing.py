"""How a report's source stands: who vouches for it, whether it keeps within its remit, and what that makes of it.

Two kinds of key attest. Intake's carries intake's own verdict, given when the report came in, and is taken at its
word. Any other attester vouches for the source's identity alone; the rest is judged here by the registry.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.report import Report
from schemas.source import Attester, Source
from schemas.triage import Attestation
from schemas.vocabulary import AlertCode, SourceKind, SourceStatus, Standing
from services.triage.attestation import AttestationRefused, Claim, bad, received
from services.triage.inputs import SourceFacts
from services.triage.sourcebook import SourceBook

_DEFAULT_ZONE = "Asia/Shanghai"


class Verdict(NamedTuple):
    """What is known of a report's source, when the report came, and what a person should be told of.

    `attestation` is there only if it counts; `refused` says why it does not, on the flagged lane.
    """

    facts: SourceFacts
    received_at: datetime
    attestation: Attestation | None = None
    refused: AttestationRefused | None = None


@dataclass(frozen=True, slots=True)
class Vouched:
    """An attestation that was verified, by whom, and the source as the registry has it (None: not registered)."""

    claim: Claim
    attester: Attester
    source: Source | None

    @property
    def counts_quota(self) -> bool:
        """Whether this report takes a place of its source's day here; intake has counted its own already."""
        source = self.source
        return (
            not self.attester.verdicts
            and source is not None
            and source.quota_per_day is not None
            and source.status is SourceStatus.ACTIVE
        )


def unattested(report: Report, at: datetime, refused: AttestationRefused | None = None) -> Verdict:
    """A report that nobody vouches for: its source is what it says, and nothing else is known of it."""
    known = refused is not None and refused.code is AlertCode.SUSPENDED_SOURCE
    return Verdict(_nothing_but(report.source.kind, known), at, refused=refused)


@cache
def _nothing_but(kind: SourceKind, known: bool) -> SourceFacts:  # noqa: FBT001 -- the key of a memory
    """The facts of a source that nobody vouches for: as many as there are kinds, twice."""
    return SourceFacts(kind, known=known)


def vouch(claim: Claim, report: Report, value: bytes, book: SourceBook) -> Vouched:
    """Verifies an attestation and what its maker may vouch for.

    Raises:
        AttestationRefused: the key is not known or revoked, did not sign these bytes, or may not vouch for this kind.
    """
    attester = book.attester(claim.key_id)
    if attester is None or attester.key.revoked_at is not None:
        why = "The key is not registered." if attester is None else "The key is revoked."
        raise AttestationRefused(AlertCode.UNKNOWN_ATTESTER, why, claim.key_id)
    claim.verify(value, attester.key.public_key)
    if attester.verdicts:
        header = claim.header
        if header.standing is None or header.received_at is None:
            raise bad("Its header lacks the verdict of intake.", claim.key_id)
        if header.kind != report.source.kind or header.source != report.source.id:
            raise bad("Its header names another source than the report.", claim.key_id)
        return Vouched(claim, attester, None)
    source = book.source(report.source.id)
    if report.source.kind not in attester.kinds:
        raise AttestationRefused(AlertCode.ATTESTER_KIND, AlertCode.ATTESTER_KIND.sentence, claim.key_id)
    if source is not None and source.kind is not report.source.kind:
        raise AttestationRefused(
            AlertCode.ATTESTER_KIND, "The source is registered as another kind than the report says.", claim.key_id
        )
    return Vouched(claim, attester, source)


def judge(vouched: Vouched, report: Report, at: datetime, ordinal: int | None) -> Verdict:
    """How the source of a verified attestation stands.

    Args:
        vouched: what `vouch` gave.
        report: the report.
        at: when the broker took the record.
        ordinal: which of its source's reports of the day this is, from 1; None where no quota is counted here.
    """
    facts = _by_intake(vouched.claim, report) if vouched.attester.verdicts else _by_registry(vouched, report, ordinal)
    received_at = received(vouched.claim, at) if vouched.attester.verdicts else at
    if facts.known and not facts.active:
        why = AlertCode.SUSPENDED_SOURCE
        return unattested(report, received_at, AttestationRefused(why, why.sentence, vouched.claim.key_id))
    attestation = Attestation(
        key_id=vouched.claim.key_id,
        attester=vouched.attester.name,
        source_id=report.source.id or "",
        standing=standing_of(facts),
    )
    return Verdict(facts, received_at, attestation)


def _by_intake(claim: Claim, report: Report) -> SourceFacts:
    standing = claim.header.standing
    return SourceFacts(
        kind=report.source.kind,
        attested=True,
        known=standing is not Standing.UNKNOWN,
        active=standing not in {Standing.UNKNOWN, Standing.SUSPENDED},
        within_quota=standing is not Standing.OVER_QUOTA,
        within_territory=standing is not Standing.OUT_OF_TERRITORY,
        within_expertise=standing is not Standing.OUT_OF_EXPERTISE,
    )


def _by_registry(vouched: Vouched, report: Report, ordinal: int | None) -> SourceFacts:
    source = vouched.source
    if source is None:
        return SourceFacts(
            report.source.kind, attested=True, within_quota=True, within_territory=True, within_expertise=True
        )
    place = report.territory or report.content.region
    known_for = source.categories if source.kind is SourceKind.TRUSTED_FLAGGER else []
    return SourceFacts(
        kind=source.kind,
        attested=True,
        known=True,
        active=source.status is SourceStatus.ACTIVE,
        within_quota=source.quota_per_day is None or (ordinal is not None and ordinal <= source.quota_per_day),
        within_territory=source.region is None or place is None or lies_in(place, source.region),
        within_expertise=not known_for or report.category in known_for,
    )


def standing_of(facts: SourceFacts) -> Standing:
    """The facts in one word: the first reason to lose precedence, or good."""
    if not facts.known:
        return Standing.UNKNOWN
    if not facts.active:
        return Standing.SUSPENDED
    if not facts.within_quota:
        return Standing.OVER_QUOTA
    if not facts.within_territory:
        return Standing.OUT_OF_TERRITORY
    return Standing.GOOD if facts.within_expertise else Standing.OUT_OF_EXPERTISE


def lies_in(place: str, region: str) -> bool:
    """Whether a region code equals another or lies below it: CN-31-0104 lies in CN-31, CN-310 does not."""
    inner, outer = place.casefold().split("-"), region.casefold().split("-")
    return inner[: len(outer)] == outer


def local_day(at: datetime, time_zone: str) -> date:
    """The calendar day of a moment where the source is; its quota counts by that day."""
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo(_DEFAULT_ZONE)
    return at.astimezone(zone).date()

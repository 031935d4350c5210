"""Intake writes attestations and triage reads them; neither imports the other, so their agreement is held here."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.vocabulary import SourceKind, Standing
from services.intake.attestation import HEADER, AttestingKey, Vouched
from services.triage import attestation
from services.triage.attestation import AttestationRefused

AT = datetime(2026, 11, 23, 8, 0, 0, 123_000, tzinfo=UTC)
SOURCE = UUID("00000000-0000-7000-8000-00000000000a")


def public_text(key: AttestingKey) -> str:
    return attestation.urlsafe_b64encode(key.public_bytes).rstrip(b"=").decode()


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("kind", [SourceKind.POLICE, SourceKind.TRUSTED_FLAGGER, SourceKind.GOVERNMENT])
def test_what_intake_attests_triage_reads_alike(standing: Standing, kind: SourceKind) -> None:
    """Key, source, kind, standing and reception come out of an attestation as intake put them in."""
    key = AttestingKey(Ed25519PrivateKey.generate())
    value = "一条举报".encode()
    claim = attestation.read(key.attest(value, Vouched(SOURCE, kind, standing, AT)))
    claim.verify(value, public_text(key))
    header = claim.header
    assert (header.kid, header.source, header.kind) == (key.key_id, str(SOURCE), kind)
    assert (header.standing, header.received_at) == (standing, AT)
    with pytest.raises(AttestationRefused):
        claim.verify(value + b" ", public_text(key))


def test_both_name_the_header_alike() -> None:
    """The record header that intake fills is the one that triage looks at."""
    assert HEADER == attestation.HEADER

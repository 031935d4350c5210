"""The local issuer: accounts and tokens."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from services.runtime.clock import SetClock
from services.runtime.issuer import (
    LocalIssuer,
    NameNotFit,
    NameTaken,
    NoSuchAccount,
    Role,
    SourceNeeded,
    SourceNotFit,
    StaffFile,
    make_issuer_key,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def staff(tmp_path: Path) -> StaffFile:
    return StaffFile(tmp_path / "staff.json")


def test_a_token_holds_under_the_jwks(tmp_path: Path) -> None:
    """A token names issuer, audience, account, role and source, lives 8 h, and its kid is in the JWKS."""
    make_issuer_key(tmp_path / "key.pem", tmp_path / "jwks.json")
    issuer = LocalIssuer(tmp_path / "key.pem", issuer="i", audience="a", clock=SetClock(NOON))
    token = issuer.mint("王警官", Role.POLICE, "source-1")
    keys = KeySet.import_key_set(json.loads((tmp_path / "jwks.json").read_bytes()))
    claims = jwt.decode(token, keys, algorithms=["Ed25519"]).claims
    assert len(claims.pop("jti")) == 36
    begins = int(NOON.timestamp())
    assert claims == {
        "iss": "i", "aud": "a", "sub": "王警官", "role": "police", "source": "source-1",
        "iat": begins, "exp": begins + 8 * 3600,
    }  # fmt: skip


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    """A second start keeps the key; only its owner may read it, and the JWKS holds no private part."""
    key, jwks = tmp_path / "key.pem", tmp_path / "jwks.json"
    make_issuer_key(key, jwks)
    first = key.read_bytes()
    jwks.unlink()
    make_issuer_key(key, jwks)
    assert key.read_bytes() == first
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "d" not in json.loads(jwks.read_bytes())["keys"][0]


def test_accounts_are_kept(staff: StaffFile) -> None:
    """Accounts are listed by name, with the source of a police account."""
    staff.add("b", Role.REVIEWER)
    staff.add("a", Role.POLICE, "s1")
    assert [account.as_dict() for account in staff.all()] == [
        {"name": "a", "role": "police", "source": "s1"},
        {"name": "b", "role": "reviewer"},
    ]


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a/b", "a\n", "é", "<b>"])
def test_unfit_names_are_refused(staff: StaffFile, name: str) -> None:
    """A name has 1 to 64 letters, digits, dots, underscores, hyphens or Chinese characters."""
    with pytest.raises(NameNotFit):
        staff.add(name, Role.REVIEWER)


@pytest.mark.parametrize("name", ["a", "operator", "service"])
def test_taken_names_are_refused(staff: StaffFile, name: str) -> None:
    """No name twice, nor one that stands for the operator or a service in the log."""
    staff.add("a", Role.REVIEWER)
    with pytest.raises(NameTaken):
        staff.add(name, Role.ADMIN)


def test_a_source_belongs_to_police_alone(staff: StaffFile) -> None:
    """Role police needs a source; no other role takes one."""
    with pytest.raises(SourceNeeded):
        staff.add("p", Role.POLICE)
    with pytest.raises(SourceNotFit):
        staff.add("r", Role.REVIEWER, "s1")
    with pytest.raises(SourceNotFit):
        staff.add("p", Role.POLICE, " ")
    assert staff.all() == []


def test_an_unknown_account_is_told_how_to_be_made(staff: StaffFile) -> None:
    """Asking for an account that is not there says which command makes it."""
    with pytest.raises(NoSuchAccount, match="jubao staff add nobody --role ROLE"):
        staff.get("nobody")

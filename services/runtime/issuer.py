"""The local issuer: staff accounts in a file, and tokens signed for them, where no outside identity provider is.

Services never look at these accounts: they check a token against a JWKS, be it this issuer's or another's.
"""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import OKPKey

from services.runtime.clock import Clock, SystemClock
from services.runtime.files import PRIVATE, PUBLIC, alone_with, replace_file

ALGORITHM = "Ed25519"
"""RFC 9864's name; whoever verifies should also take the older `EdDSA`, which other issuers write."""
LIFETIME = timedelta(hours=8)
OPERATOR = "operator"
"""Subject of the tokens that `jubao` mints for its own calls."""
SERVICE = "service"
"""Subject of the token with which one service calls another."""

_NAME = re.compile(r"[0-9A-Za-z._\-\u3400-\u4dbf\u4e00-\u9fff]{1,64}")
_MOST_SOURCE_CHARACTERS = 100


class Role(StrEnum):
    """What a bearer may do; each service decides by this word alone."""

    REVIEWER = "reviewer"
    """Claims and decides cases."""
    SENIOR = "senior"
    """A reviewer for escalated cases."""
    SUPERVISOR = "supervisor"
    """A reviewer who also activates policies."""
    AUDITOR = "auditor"
    """Reads the log."""
    ADMIN = "admin"
    """Keeps sources and staff."""
    PLATFORM = "platform"
    """The platform's backend: submits reports, asks for outcomes."""
    POLICE = "police"
    """An officer of one source, whose reports intake attests itself."""


class StaffRefused(ValueError):
    """An account that cannot be made or found; the text says what to do."""


class NameNotFit(StaffRefused):
    """The name has other characters than an account name may have, or too many."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__("A name has 1 to 64 characters: letters, digits, dot, underscore, hyphen or Chinese ones.")


class NameTaken(StaffRefused):
    """There is such an account, or the name is one of ours."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is already an account {name}; choose another name (`jubao staff list` shows all).")


class SourceNeeded(StaffRefused):
    """An account of role police is bound to the source whose reports it makes."""

    def __init__(self) -> None:
        super().__init__("Role police needs --source ID, the source it reports for (`jubao source list` shows all).")


class SourceNotFit(StaffRefused):
    """A source was given to a role that has none, or cannot be an id."""

    def __init__(self, role: Role) -> None:
        self.role = role
        super().__init__(f"--source is the id of a source and goes with role police only, not with {role}.")


class NoSuchAccount(StaffRefused):
    """Nobody has this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no account {name}; make it with `jubao staff add {name} --role ROLE`.")


@dataclass(frozen=True)
class StaffAccount:
    """One person or backend that may be given tokens."""

    name: str
    role: Role
    source: str | None = None
    """Id of the source that an account of role police is bound to."""

    def as_dict(self) -> dict[str, str]:
        """As it is stored and shown; without `source` where there is none."""
        return {key: str(value) for key, value in asdict(self).items() if value is not None}


class StaffFile:
    """The accounts of one stack, in one JSON file that several commands may change at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, name: str, role: Role, source: str | None = None) -> StaffAccount:
        """Makes an account.

        Raises:
            StaffRefused: one of the kinds above.
        """
        account = _checked(name, role, source)
        with self._changing() as accounts:
            if name in accounts or name in (OPERATOR, SERVICE):
                raise NameTaken(name)
            accounts[name] = account
        return account

    def get(self, name: str) -> StaffAccount:
        """The account of this name.

        Raises:
            NoSuchAccount: nobody has it.
        """
        try:
            return self._read()[name]
        except KeyError as missing:
            raise NoSuchAccount(name) from missing

    def all(self) -> list[StaffAccount]:
        """Every account, by name."""
        return [account for _, account in sorted(self._read().items())]

    def _read(self) -> dict[str, StaffAccount]:
        try:
            rows = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        return {row["name"]: StaffAccount(row["name"], Role(row["role"]), row.get("source")) for row in rows}

    @contextmanager
    def _changing(self) -> Iterator[dict[str, StaffAccount]]:
        with alone_with(self._path):
            accounts = self._read()
            yield accounts
            rows = [account.as_dict() for account in accounts.values()]
            text = json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
            replace_file(self._path, text.encode(), mode=PRIVATE)


def _checked(name: str, role: Role, source: str | None) -> StaffAccount:
    if not _NAME.fullmatch(name):
        raise NameNotFit(name)
    if role is Role.POLICE and source is None:
        raise SourceNeeded
    if source is not None:
        fits = 0 < len(source) <= _MOST_SOURCE_CHARACTERS and source.isprintable() and source == source.strip()
        if role is not Role.POLICE or not fits:
            raise SourceNotFit(role)
    return StaffAccount(name, role, source)


class LocalIssuer:
    """Signs tokens with a key file.

    Args:
        key_file: an Ed25519 private key, PKCS#8 PEM; see `make_issuer_key`.
        issuer: the tokens' `iss`.
        audience: the tokens' `aud`.
        clock: what `iat` and `exp` are counted from.
    """

    def __init__(self, key_file: Path, *, issuer: str, audience: str, clock: Clock | None = None) -> None:
        self._key = OKPKey.import_key(key_file.read_bytes())
        self._issuer = issuer
        self._audience = audience
        self._clock = clock or SystemClock()

    def mint(self, name: str, role: Role, source: str | None = None, *, lifetime: timedelta = LIFETIME) -> str:
        """A bearer token: a JWT with iss, aud, sub, role, source where there is one, iat, exp and jti."""
        now = self._clock.now()
        claims: dict[str, str | int] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": name,
            "role": role.value,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jti": str(uuid.uuid4()),
        }
        if source is not None:
            claims["source"] = source
        header = {"alg": ALGORITHM, "kid": self._key.thumbprint()}
        return jwt.encode(header, dict(claims), self._key, algorithms=[ALGORITHM])

    def mint_for(self, account: StaffAccount) -> str:
        """A token for an account, with its role and source."""
        return self.mint(account.name, account.role, account.source)

    def jwks(self) -> bytes:
        """The public key as a JWKS, which services verify tokens with."""
        public = {**self._key.as_dict(private=False), "kid": self._key.thumbprint(), "use": "sig", "alg": ALGORITHM}
        return json.dumps({"keys": [public]}).encode()


def make_issuer_key(key_file: Path, jwks_file: Path) -> None:
    """Makes the key unless it is there, and writes its JWKS, which can be made again at any time."""
    if not key_file.exists():
        pem = OKPKey.generate_key("Ed25519").as_pem(private=True)
        replace_file(key_file, pem, mode=PRIVATE)
    jwks = LocalIssuer(key_file, issuer="", audience="").jwks()
    replace_file(jwks_file, jwks, mode=PUBLIC)

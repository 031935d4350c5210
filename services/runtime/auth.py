"""Sign-in of staff and backends: bearer tokens (JWT) of one issuer, whose keys are read from a JWKS."""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, cast

import httpx
import orjson
from fastapi import Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from schemas.access import ROLES, Role
from services.runtime.clock import Clock
from services.runtime.logs import logger
from services.runtime.problems import Problem, Unavailable
from services.runtime.settings import Settings

log = logger(__name__)

# What a key of an issuer may sign with; symmetric algorithms are not among them.
_ALGORITHMS = ["Ed25519", "EdDSA", "ES256", "RS256", "PS256"]
_JWKS_SECONDS = 300
_JWKS_TIMEOUT_SECONDS = 3
_LEEWAY_SECONDS = 10
_MOST_TOKEN_CHARACTERS = 8_192
_MOST_NAME_CHARACTERS = 200
_MOST_REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an account by its name, its one role, and for role police the source it is bound to."""

    name: str
    role: Role
    source_id: str | None = None


class SignInNeeded(Problem):
    """No token, or one that does not hold."""

    def __init__(self, why: str) -> None:
        super().__init__(
            401,
            "sign_in",
            "Sign in",
            f"{why}; send `Authorization: Bearer` with a token of the issuer.",
            headers={"WWW-Authenticate": "Bearer"},
        )


class RoleLacking(Problem):
    """The account's role may not do this."""

    def __init__(self, role: str, needed: tuple[str, ...]) -> None:
        super().__init__(
            403,
            "role_lacking",
            "Not allowed for this role",
            f"This needs role {' or '.join(needed)}, the token has {role}.",
            extra={"needed": list(needed)},
        )


class Tokens:
    """Verifies bearer tokens against the issuer's published keys, which are read again when they change."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._keys: KeySet | None = None
        self._read_at = 0.0
        self._changed: object = None
        self._reading = asyncio.Lock()
        # A signature that held goes on holding for as long as its key is published; only the times are judged anew.
        self._remembered: dict[bytes, dict[str, Any]] = {}

    def remembers(self, token: str) -> bool:
        """Whether this token was verified a while ago, so that a call with it costs next to nothing."""
        return _digest(token) in self._remembered

    async def caller(self, token: str) -> Caller:
        """Who a token speaks for.

        Raises:
            SignInNeeded: malformed, of another issuer or audience, expired, or signed by nobody known.
            Unavailable: the issuer's keys cannot be read.
        """
        if len(token) > _MOST_TOKEN_CHARACTERS:
            raise SignInNeeded("the token is too long")
        keys = await self._keyset(fresh=False)
        claims = self._remembered.get(_digest(token))
        if claims is not None:
            return self._caller_of(claims)
        try:
            claims = self._decoded(token, keys)
        except (JoseError, ValueError):
            # The issuer may have a new key since.
            try:
                claims = self._decoded(token, await self._keyset(fresh=True))
            except (JoseError, ValueError) as error:
                raise SignInNeeded("the token is not signed by the issuer") from error
        caller = self._caller_of(claims)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.pop(next(iter(self._remembered)))
        self._remembered[_digest(token)] = claims
        return caller

    def _decoded(self, token: str, keys: KeySet) -> dict[str, Any]:
        return jwt.decode(token, keys, algorithms=_ALGORITHMS).claims

    def _caller_of(self, claims: dict[str, Any]) -> Caller:
        now = self._clock.now().timestamp()
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        expires, begins = claims.get("exp"), claims.get("nbf", 0)
        if claims.get("iss") != self._settings.issuer or self._settings.audience not in audiences:
            raise SignInNeeded("the token is of another issuer or for another audience")
        if not isinstance(expires, (int, float)) or expires + _LEEWAY_SECONDS < now:
            raise SignInNeeded("the token has expired")
        if not isinstance(begins, (int, float)) or begins - _LEEWAY_SECONDS > now:
            raise SignInNeeded("the token is not valid yet")
        name, role, source = claims.get("sub"), claims.get("role"), claims.get("source")
        if not isinstance(name, str) or not 0 < len(name) <= _MOST_NAME_CHARACTERS or role not in ROLES:
            raise SignInNeeded("the token names no account and role of this system")
        return Caller(name, cast("Role", role), source if isinstance(source, str) else None)

    async def _keyset(self, *, fresh: bool) -> KeySet:
        async with self._reading:
            if self._settings.jwks.startswith(("http://", "https://")):
                await self._fetch(fresh=fresh)
            else:
                self._read(Path(self._settings.jwks))
            if self._keys is None:
                raise Unavailable("The issuer")
            return self._keys

    def _read(self, path: Path) -> None:
        try:
            state = path.stat()
            if (state.st_mtime_ns, state.st_size) != self._changed:
                self._keys = KeySet.import_key_set(orjson.loads(path.read_bytes()))
                self._remembered.clear()
                self._changed = (state.st_mtime_ns, state.st_size)
        except (OSError, ValueError) as error:
            log.warning("jwks_unreadable", error=type(error).__name__)

    async def _fetch(self, *, fresh: bool) -> None:
        age = monotonic() - self._read_at
        # A flood of forged tokens must not become a flood of requests to the issuer.
        if self._keys is not None and age < (_JWKS_TIMEOUT_SECONDS if fresh else _JWKS_SECONDS):
            return
        try:
            async with httpx.AsyncClient(timeout=_JWKS_TIMEOUT_SECONDS) as client:
                answer = (await client.get(self._settings.jwks)).raise_for_status()
            self._keys = KeySet.import_key_set(answer.json())
            self._remembered.clear()
            self._read_at = monotonic()
        except (httpx.HTTPError, ValueError) as error:
            log.warning("jwks_unreadable", error=type(error).__name__)


def bearer_of(request: Request) -> str:
    """The bearer token of a request, as it was sent.

    Raises:
        SignInNeeded: there is none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise SignInNeeded("this call needs a token")
    return token.strip()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

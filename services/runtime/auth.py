"""Sign-in of staff and backends: bearer tokens (JWT) of one issuer, whose keys are read from a JWKS."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Literal, cast, get_args

import httpx
import orjson
from fastapi import Depends, Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.runtime.clock import Clock
from services.runtime.logs import logger
from services.runtime.problems import Problem, Unavailable
from services.runtime.settings import Settings

log = logger(__name__)

Role = Literal["reviewer", "senior", "supervisor", "auditor", "admin", "platform", "police"]
ROLES: frozenset[str] = frozenset(get_args(Role))

# What a key of an issuer may sign with; symmetric algorithms are not among them.
_ALGORITHMS = ["Ed25519", "EdDSA", "ES256", "RS256", "PS256"]
_JWKS_SECONDS = 300
_JWKS_TIMEOUT_SECONDS = 3
_LEEWAY_SECONDS = 10
_MOST_TOKEN_CHARACTERS = 8_192
_MOST_NAME_CHARACTERS = 200


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

    async def caller(self, token: str) -> Caller:
        """Who a token speaks for.

        Raises:
            SignInNeeded: malformed, of another issuer or audience, expired, or signed by nobody known.
            Unavailable: the issuer's keys cannot be read.
        """
        if len(token) > _MOST_TOKEN_CHARACTERS:
            raise SignInNeeded("the token is too long")
        try:
            decoded = self._decoded(token, await self._keyset(fresh=False))
        except (JoseError, ValueError):
            # The issuer may have a new key since.
            try:
                decoded = self._decoded(token, await self._keyset(fresh=True))
            except (JoseError, ValueError) as error:
                raise SignInNeeded("the token is not signed by the issuer") from error
        return self._caller_of(decoded)

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
            self._read_at = monotonic()
        except (httpx.HTTPError, ValueError) as error:
            log.warning("jwks_unreadable", error=type(error).__name__)


async def signed_in(request: Request) -> Caller:
    """The caller of a request.

    Raises:
        SignInNeeded: there is no valid bearer token.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise SignInNeeded("this call needs a token")
    tokens: Tokens = request.app.state.process.tokens
    return await tokens.caller(token.strip())


def require(*roles: Role) -> Any:  # noqa: ANN401 -- what FastAPI's Depends returns
    """A dependency: the caller, where its role is one of these; 401 without a token, 403 with another role."""

    async def check(request: Request) -> Caller:
        caller = await signed_in(request)
        if caller.role not in roles:
            raise RoleLacking(caller.role, roles)
        return caller

    return Depends(check)

"""The gate before every route: who calls, whether the table of access lets them in, and how often they may.

What costs little comes first. A call that nobody is proven to have made is counted against its address before a token
or signature is verified; once it is proven, it is counted against its caller instead. So whoever sends forgeries uses
up the budget of an address, and nobody else's.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final

from fastapi import Depends, Request

from schemas.access import Role, Rule
from services.runtime.auth import Caller, RoleLacking, Tokens, bearer_of
from services.runtime.clock import Clock
from services.runtime.rates import Budget, Rates, network_of
from services.runtime.settings import Settings
from services.runtime.signature import Resolve, SignatureRefused, Signed, verify
from services.runtime.turns import Turns

_SIGNATURE_FIELDS: Final = ("signature", "signature-input")


class Gate:
    """Lets calls of one service in, by its rows of the table.

    Args:
        rules: the service's rows.
        tokens: verifies bearer tokens.
        rates: the buckets of this process; services that run in it share them.
        turns: of the accounts of this process, shared likewise.
        settings: the budgets, and the origin that signatures cover.
        clock: what signatures are judged by.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        tokens: Tokens,
        rates: Rates,
        turns: Turns,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._rules = {(rule.method, rule.path): rule for rule in rules}
        self._tokens, self._rates, self._turns, self._clock = tokens, rates, turns, clock
        self._public_url = settings.public_url
        self._by_role = {
            "platform": _budget(settings.rate_platform_per_second, settings),
            "police": _budget(settings.rate_source_per_second, settings),
        }
        self._of_staff = _budget(settings.rate_staff_per_second, settings)
        self._of_source = _budget(settings.rate_source_per_second, settings)
        self._unproven = _budget(settings.rate_address_per_second, settings)

    async def __call__(self, request: Request) -> AsyncIterator[None]:
        """Admits a call: `request.state.caller` is whose token it bears, or none where it is signed or open.

        An account has one of its turns from here until it is answered.

        Raises:
            SignInNeeded, SignatureRefused: 401, it proves nothing.
            RoleLacking: 403, the account's role may not do this.
            TooManyCalls: 429, the caller or the address has called too often.
        """
        route = request.scope["route"]
        rule = self._rules[request.method, route.path_format]
        request.state.gate, request.state.caller = self, None
        if rule.is_open:
            # Apart from what fails to prove itself: who watches our health is not to be shut out by a neighbour.
            self._rates.take(f"open {_address(request)}", self._unproven)
        elif not (rule.signed and is_signed(request)):
            caller = request.state.caller = await self._bearer(request, rule)
            async with self._turns.of(_name(caller)):
                yield
            return
        yield

    async def _bearer(self, request: Request, rule: Rule) -> Caller:
        if rule.signed and "authorization" not in request.headers:
            raise SignatureRefused("there is none", f"sign the request as RFC 9421 describes, or {_send_token(rule)}")
        token = bearer_of(request)
        bucket = None
        if not self._tokens.remembers(token):
            bucket = self._rates.take(_address(request), self._unproven)
        caller = await self._tokens.caller(token)
        if bucket is not None:
            self._rates.give_back(bucket, self._unproven)
        self._rates.take(_name(caller), self._by_role.get(caller.role, self._of_staff))
        if caller.role not in rule.roles:
            raise RoleLacking(caller.role, rule.roles)
        return caller

    async def signed(self, request: Request, resolve: Resolve) -> Signed:
        """Verifies the signature of a call that came in by one; arguments and errors as of `signature.verify`.

        Raises:
            TooManyCalls: 429, before anything is verified for an address, afterwards for the key.
        """
        bucket = self._rates.take(_address(request), self._unproven)
        signed = await verify(request, resolve=resolve, public_url=self._public_url, clock=self._clock)
        self._rates.give_back(bucket, self._unproven)
        self._rates.take(f"key {signed.key_id}", self._of_source)
        return signed


def is_signed(request: Request) -> bool:
    """Whether a call says that it is signed; a token beside a signature counts for nothing."""
    return any(name in request.headers for name in _SIGNATURE_FIELDS)


def gate_of(request: Request) -> Gate:
    """The gate that a call came through."""
    gate: Gate = request.state.gate
    return gate


def _caller_of(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


SignedIn = Annotated[Caller, Depends(_caller_of)]
"""A parameter of a route for roles alone: the account that the gate let in."""


def _name(caller: Caller) -> str:
    return f"{caller.role} {caller.name}"


def _address(request: Request) -> str:
    return network_of(request.client.host if request.client else None)


def _budget(per_second: float, settings: Settings) -> Budget:
    return Budget(per_second, max(1, round(per_second * settings.rate_burst_seconds)))


def _send_token(rule: Rule) -> str:
    roles: Sequence[Role] = rule.roles
    return f"send the token of an account of role {' or '.join(roles)}"

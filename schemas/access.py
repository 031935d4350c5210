"""Who may call what: the one table of every route of every service. A service refuses to start with a route beside it.

A change here changes what a role may do; nothing else does. `python -m schemas.access` writes `docs/access.md` from it.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

Role = Literal["reviewer", "senior", "supervisor", "auditor", "admin", "platform", "police"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Rule:
    """One route of a service, by method and path template, and who may call it.

    `roles` are those whose bearer token is let in. With `signed`, a request that a source signed (RFC 9421) is let in
    as well. A rule with neither is open to everybody.
    """

    method: str
    path: str
    roles: tuple[Role, ...] = ()
    signed: bool = False

    @property
    def is_open(self) -> bool:
        """Whether nobody has to say who they are."""
        return not self.roles and not self.signed


_DECIDE: Final[tuple[Role, ...]] = ("reviewer", "senior", "supervisor")
_ERASE: Final[tuple[Role, ...]] = ("supervisor", "admin")
_LOOK: Final[tuple[Role, ...]] = (*_DECIDE, "auditor", "admin")

# What every service answers, beside its own routes.
_STANDING: Final = (
    Rule("GET", "/healthz"),
    Rule("GET", "/readyz"),
    Rule("GET", "/metrics"),
    Rule("GET", "/openapi.json"),
    Rule("GET", "/v1/status", (*_LOOK, "platform")),
)
# What the services that consume topics answer about records that did not fit.
_DEAD: Final = (
    Rule("GET", "/v1/dead", ("admin",)),
    Rule("GET", "/v1/dead/{topic}/{partition}/{offset}", ("admin",)),
    Rule("POST", "/v1/dead/replay", ("admin",)),
)

ACCESS: Final[Mapping[str, tuple[Rule, ...]]] = {
    "intake": (
        Rule("POST", "/v1/reports", ("platform",)),
        Rule("POST", "/v1/flagged-reports", ("police",), signed=True),
        Rule("POST", "/v1/sources", ("admin",)),
        Rule("GET", "/v1/sources", ("admin",)),
        Rule("GET", "/v1/sources/{source_id}", ("admin",)),
        Rule("POST", "/v1/sources/{source_id}/suspend", ("admin",)),
        Rule("POST", "/v1/sources/{source_id}/resume", ("admin",)),
        Rule("POST", "/v1/sources/{source_id}/keys", ("admin",)),
        Rule("POST", "/v1/sources/{source_id}/keys/{key_id}/revoke", ("admin",)),
        Rule("POST", "/v1/attesters", ("admin",)),
        Rule("GET", "/v1/attesters", ("admin",)),
        *_STANDING,
    ),
    "triage": (
        Rule("GET", "/v1/policy", _LOOK),
        *_STANDING,
        *_DEAD,
    ),
    "review": (
        Rule("POST", "/v1/claims", _DECIDE),
        Rule("POST", "/v1/leases/{token}/renew", _DECIDE),
        Rule("POST", "/v1/leases/{token}/release", _DECIDE),
        Rule("POST", "/v1/cases/{case_id}/decisions", _DECIDE),
        Rule("GET", "/v1/cases/{case_id}", _LOOK),
        Rule("GET", "/v1/cases", _LOOK),
        Rule("GET", "/v1/queues", _LOOK),
        Rule("GET", "/v1/reports/{report_id}", ("platform",)),
        *_STANDING,
        *_DEAD,
    ),
    "outcomes": (
        Rule("GET", "/v1/reports/{report_id}", ("platform", "police"), signed=True),
        *_STANDING,
        *_DEAD,
    ),
    "audit": (
        Rule("GET", "/v1/entries", ("auditor",)),
        Rule("GET", "/v1/entries/{index}/proof", ("auditor",)),
        Rule("POST", "/v1/entries/{index}/disclosures", ("auditor",)),
        Rule("POST", "/v1/erasures", _ERASE),
        Rule("GET", "/v1/erasures/{erasure_id}", (*_ERASE, "auditor")),
        Rule("POST", "/v1/holds", _ERASE),
        Rule("GET", "/v1/holds", (*_ERASE, "auditor")),
        Rule("POST", "/v1/holds/{hold_id}/lift", _ERASE),
        Rule("GET", "/v1/checkpoint", ("auditor",)),
        Rule("GET", "/v1/checkpoints", ("auditor",)),
        Rule("GET", "/v1/keys", ("auditor",)),
        Rule("GET", "/v1/consistency", ("auditor",)),
        Rule("GET", "/v1/export", ("auditor",)),
        Rule("GET", "/v1/receipts/{report_id}", ("auditor", "platform")),
        # It names nobody: people are roles in it, and the reporter is in no leaf.
        Rule("GET", "/v1/stories/{report_id}", ("auditor", "platform")),
        # Hashes say nothing of anybody, and a log that all can hold to its word is worth more.
        Rule("GET", "/tiles/checkpoint"),
        Rule("GET", "/tiles/tile/{level}/{number}"),
        Rule("GET", "/tiles/tile/entries/{number}", ("auditor",)),
        *_STANDING,
        *_DEAD,
    ),
}


_PAGE: Final = """# Who may call what

Written from `schemas/access.py` by `python -m schemas.access > docs/access.md`; a test holds both to be the same. A
service refuses to start with a route that is not in the table. Without a valid token or signature a call is 401, with
another role than those marked 403; a test sends every one of these calls as every role to a running stack.

Signed: by a registered source, RFC 9421. Open: to everybody. A source is told of its own reports only; an account of
role police speaks for the one source that it is bound to.
"""


def page() -> str:
    """The table as a page of the documentation: a row a route, a column a role."""
    lines = [_PAGE]
    for service, rules in ACCESS.items():
        lines += [f"## {service}", ""]
        lines.append(f"| call | {' | '.join(ROLES)} | signed | open |")
        lines.append(f"|---|{':-:|' * (len(ROLES) + 2)}")
        for rule in rules:
            marks = [*(role in rule.roles for role in ROLES), rule.signed, rule.is_open]
            cells = " | ".join("x" if mark else " " for mark in marks)
            lines.append(f"| `{rule.method} /{service}{rule.path}` | {cells} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())

"""Every cell of the table of access, over HTTP on a running stack: who is let in, who gets 401, who gets 403."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from schemas.access import ACCESS, ROLES, Rule
from services.cli.stack.directory import DataDirectory
from services.runtime.clock import SystemClock
from services.runtime.issuer import LocalIssuer, Role, make_issuer_key
from services.runtime.signature import sign
from tests.acceptance.stack import Stack
from tests.acceptance.staff import tokens_of_all_roles

NOBODY = "00000000-0000-0000-0000-000000000000"
PARTS = {"{topic}": "reports.public.v1", "{partition}": "0", "{offset}": "0"}
# No call of the table takes a list, so none does anything.
BODY = b"[]"
ROUTES = [(service, rule) for service, rules in ACCESS.items() for rule in rules]


@dataclass(frozen=True)
class LongAgo:
    """A clock of yesterday."""

    def now(self) -> datetime:
        return SystemClock().now() - timedelta(days=1)


@dataclass(frozen=True)
class Callers:
    """What a caller may hold: tokens that count, tokens that do not, and a source's key."""

    good: dict[str, str]
    bad: dict[str, str]
    key: Ed25519PrivateKey
    key_id: str


@pytest.fixture(scope="module")
def callers(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Callers:
    key_file = DataDirectory.of(stack.data).issuer_key
    issuer = {"issuer": "jubao-local", "audience": "jubao"}
    strangers_key = tmp_path_factory.mktemp("issuer") / "key.pem"
    make_issuer_key(strangers_key, strangers_key.with_name("jwks"))

    def minted(file: Path = key_file, clock: LongAgo | None = None, **changes: str) -> str:
        return LocalIssuer(file, clock=clock, **{**issuer, **changes}).mint("mallory", Role.ADMIN)

    good = tokens_of_all_roles(stack)
    source = stack.source("trusted_flagger")
    key = load_pem_private_key(source["key"].read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    head, _, mark = good["reviewer"].split(".")
    bad = {
        "expired": minted(clock=LongAgo()),
        "wrong audience": minted(audience="another"),
        "wrong issuer": minted(issuer="another"),
        "strange key": minted(file=strangers_key),
        "garbage": "x.y.z",
        "cut short": good["admin"][:-10],
        "another's claims": f"{head}.{good['admin'].split('.')[1]}.{mark}",
    }
    return Callers(good, bad, key, source["key_id"])


def address(service: str, rule: Rule) -> str:
    segments = [PARTS.get(part, NOBODY) if part.startswith("{") else part for part in rule.path.split("/")]
    return f"/{service}{'/'.join(segments)}"


def call(http: httpx.Client, service: str, rule: Rule, headers: dict[str, str]) -> int:
    body = BODY if rule.method == "POST" else b""
    answer = http.request(rule.method, address(service, rule), content=body, headers=headers)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"] in {"Bearer", "Signature"}
    return answer.status_code


@pytest.mark.parametrize(("service", "rule"), ROUTES, ids=lambda value: getattr(value, "path", value))
def test_every_cell(stack: Stack, callers: Callers, service: str, rule: Rule) -> None:
    """A route lets in exactly the roles of its row: others get 403, and whoever proves nothing gets 401."""
    kind = {"content-type": "application/json"} if rule.method == "POST" else {}
    with httpx.Client(base_url=stack.answer["http"], timeout=30) as http:
        for role in ROLES:
            status = call(http, service, rule, {**kind, "authorization": f"Bearer {callers.good[role]}"})
            if rule.is_open or role in rule.roles:
                assert status not in {401, 403}, role
            else:
                assert status == 403, role
        unproven = {"none": kind} | {
            name: {**kind, "authorization": f"Bearer {token}"} for name, token in callers.bad.items()
        }
        for name, headers in unproven.items():
            status = call(http, service, rule, headers)
            assert (status not in {401, 403}) if rule.is_open else (status == 401), name


@pytest.mark.parametrize(("service", "rule"), ROUTES, ids=lambda value: getattr(value, "path", value))
def test_every_signature(stack: Stack, callers: Callers, service: str, rule: Rule) -> None:
    """A source's signature lets in where its row says so, and counts for nothing anywhere else."""
    url = stack.answer["http"] + address(service, rule)
    body = BODY if rule.method == "POST" else b""
    with httpx.Client(base_url=stack.answer["http"], timeout=30) as http:
        signed = sign(rule.method, url, body, "application/json", callers.key, callers.key_id)
        for forged in (False, True):
            key = Ed25519PrivateKey.generate() if forged else callers.key
            headers = sign(rule.method, url, body, "application/json", key, callers.key_id)
            status = call(http, service, rule, {"content-type": "application/json", **headers})
            if rule.is_open or (rule.signed and not forged):
                assert status not in {401, 403}
            else:
                assert status == 401
        # A token beside a signature does not mend it.
        broken = {**signed, "signature": "sig1=:AAAA:", "authorization": f"Bearer {callers.good['police']}"}
        if rule.signed:
            assert call(http, service, rule, {"content-type": "application/json", **broken}) == 401

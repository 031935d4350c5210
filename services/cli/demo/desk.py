"""The reviewer of the demonstration: a fresh account that claims once, sees the police report first, and decides it."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.vocabulary import Action, Verdict
from services.cli.client import client, settings_for
from services.cli.demo.failure import NotAsPromised
from services.cli.errors import CliError
from services.cli.options import data_directory
from services.cli.stack.directory import DataDirectory
from services.runtime.issuer import LocalIssuer, Role, StaffFile

if TYPE_CHECKING:
    import httpx

_MOST_CLAIMS = 20
_VIOLATES = "《中华人民共和国反电信网络诈骗法》第三十一条"
_REASON = "Offers to buy bank and phone cards; the account in the picture names price and place."


@dataclass(frozen=True)
class Claimed:
    """The claim that gave the case."""

    case: dict[str, Any]
    lease: str


def reviewer(data: Path | None) -> "tuple[str, httpx.Client]":
    """A new reviewer's name, and a client with their token: whoever holds a lease would be given that first.

    Raises:
        CliError: an outside issuer signs, so that there are no accounts to make here.
    """
    directory = DataDirectory.of(data_directory(data))
    if not directory.issuer_key.exists():
        raise CliError("The demonstration makes accounts of its own; run it on a stack without an outside JUBAO_JWKS.")
    account = StaffFile(directory.staff).add(f"demo-reviewer-{secrets.token_hex(3)}", Role.REVIEWER)
    settings = settings_for(data)
    token = LocalIssuer(directory.issuer_key, issuer=settings.issuer, audience=settings.audience).mint_for(account)
    http = client(data, role=Role.REVIEWER)
    http.headers["Authorization"] = f"Bearer {token}"
    return account.name, http


def claim(http: "httpx.Client", content_id: str) -> Claimed:
    """The reviewer's next case, which must be the item's; other P0 cases that waited longer are given back.

    Raises:
        NotAsPromised: another case came first.
    """
    others: list[str] = []
    try:
        for most in range(1, _MOST_CLAIMS + 1):
            claims = http.post("/review/v1/claims", json={"max": most}).json()["claims"]
            for got in claims:
                if got["case"]["content_id"] == content_id:
                    return Claimed(got["case"], got["lease"]["token"])
            others = [got["lease"]["token"] for got in claims]
            classes = {got["case"]["class"] for got in claims}
            if classes - {"P0"} or len(claims) < most:
                break
    finally:
        for token in others:
            http.post(f"/review/v1/leases/{token}/release", json={})
    raise NotAsPromised("another case was claimed before the police report's", "look with `jubao queue`")


def decide(http: "httpx.Client", claimed: Claimed) -> dict[str, Any]:
    """Decides the case: against the law, to be removed."""
    finding = {"verdict": Verdict.ILLEGAL, "violates": _VIOLATES, "actions": [Action.REMOVE], "reason": _REASON}
    path = f"/review/v1/cases/{claimed.case['id']}/decisions"
    made: dict[str, Any] = http.post(path, json={"lease": claimed.lease, **finding}).json()
    return made

"""The table of who may call what: its page, and services that do not fit it."""

from pathlib import Path

import pytest
from fastapi import APIRouter

from schemas import access
from schemas.access import ACCESS, ROLES, Rule
from services.runtime.process import Process, StartRefused
from services.runtime.settings import Settings
from services.runtime.web import application


def test_page_is_the_table() -> None:
    """The page of the documentation is what the table says; `python -m schemas.access` writes it."""
    assert Path("docs/access.md").read_text("utf-8") == access.page()


def test_each_route_stands_once() -> None:
    """No service has two rows for one route, and every row names roles that there are."""
    for rules in ACCESS.values():
        assert len({(rule.method, rule.path) for rule in rules}) == len(rules)
        assert {role for rule in rules for role in rule.roles} <= set(ROLES)


@pytest.mark.parametrize("missing", ["route", "row"])
async def test_service_beside_the_table_does_not_start(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A route without a row, or a row without a route, is told by name, and the service is not made."""
    router = APIRouter()

    @router.get("/v1/secrets")
    async def secrets() -> str:
        return "all of them"

    paths = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/status"}
    standing = [rule for rule in ACCESS["intake"] if rule.path in paths]
    more = [Rule("GET", "/v1/more")] if missing == "route" else []
    monkeypatch.setattr("services.runtime.web.ACCESS", {"odd": (*standing, *more)})
    told = "GET /odd/v1/more has a row" if missing == "route" else "GET /odd/v1/secrets has no row"
    with pytest.raises(StartRefused, match=told):
        application(Process(Settings()), "odd", "Odd", [] if missing == "route" else [router])

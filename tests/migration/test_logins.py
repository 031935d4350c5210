"""Services that log in by themselves: a password each, its own schema, and nothing beside it."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from services.runtime.logins import verifier
from services.runtime.migrate import upgrade
from services.runtime.secretfiles import SecretUnusable
from services.runtime.settings import Settings
from tests.migration.conftest import made_database

SERVICES = ("audit", "intake", "outcomes", "review", "triage")
FORBIDDEN = (
    "SELECT count(*) FROM {other}.offsets",
    "CREATE TABLE {own}.mine (x int)",
    "CREATE TEMPORARY TABLE mine (x int)",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "SET ROLE jubao_{other}",
    "SELECT rolpassword FROM pg_authid",
)


@pytest.fixture(scope="module")
async def logged(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A migrated database whose services may log in; afterwards their roles may not again."""
    passwords = tmp_path_factory.mktemp("passwords")
    for service in SERVICES:
        (passwords / f"jubao_{service}.password").write_text(f"{service}-secret\n")
    async with made_database(postgres_dsn) as dsn:
        await upgrade(Settings.model_validate({"database": dsn, "role_passwords": passwords}))
        yield dsn
    connection = await asyncpg.connect(postgres_dsn)
    for service in SERVICES:
        await connection.execute(f"ALTER ROLE jubao_{service} NOLOGIN PASSWORD NULL")
    await connection.close()


async def as_login(dsn: str, service: str, password: str) -> asyncpg.Connection:
    parts = urlsplit(dsn)
    return await asyncpg.connect(
        host=parts.hostname, port=parts.port, database=parts.path[1:], user=f"jubao_{service}", password=password
    )


@pytest.mark.parametrize("service", SERVICES)
async def test_service_logs_in_to_its_own_schema(logged: str, service: str) -> None:
    """With its password a service reaches its own tables, and is refused all that is another's or the server's."""
    connection = await as_login(logged, service, f"{service}-secret")
    try:
        await connection.fetch(f"SELECT * FROM {service}.alembic_version")
        other = "intake" if service != "intake" else "review"
        for statement in FORBIDDEN:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement.format(own=service, other=other))
    finally:
        await connection.close()


def test_verifier_is_that_of_the_standard() -> None:
    """The password and salt of RFC 7677's example give the keys that every implementation derives from them."""
    assert verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
        "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


async def test_missing_password_changes_nothing(postgres_dsn: str, tmp_path: Path) -> None:
    """Where one role's password is missing, the file is named and the database stays empty."""
    async with made_database(postgres_dsn) as dsn:
        with pytest.raises(SecretUnusable, match=r"jubao_audit\.password, which is missing"):
            await upgrade(Settings.model_validate({"database": dsn, "role_passwords": tmp_path}))
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'audit'") == 0
        await connection.close()

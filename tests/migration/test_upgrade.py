"""A database is brought to this version whole or not at all, and again as often as one likes."""

import asyncio
import json
from collections.abc import Callable

import asyncpg
import pytest

from services.cli import main
from services.runtime.migrate import MigrationTrouble, migrated_services, standing, upgrade
from services.runtime.problems import DatabaseAway
from services.runtime.settings import Settings

SERVICES = ["audit", "intake", "outcomes", "review", "triage"]

# Everything in the services' schemas that a migration makes, in words: columns, constraints, indexes, rights, code.
CATALOGUE = """
    WITH ours AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = ANY($1))
    SELECT 'column', n.nspname || '.' || c.relname || '.' || a.attname,
           format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN ours n ON n.oid = c.relnamespace WHERE a.attnum > 0
    UNION ALL SELECT 'constraint', n.nspname || '.' || k.conname, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN ours n ON n.oid = k.connamespace
    UNION ALL SELECT 'index', n.nspname || '.' || c.relname, pg_get_indexdef(c.oid)
    FROM pg_class c JOIN ours n ON n.oid = c.relnamespace WHERE c.relkind = 'i'
    UNION ALL SELECT 'rights', n.nspname || '.' || c.relname, coalesce(c.relacl::text, '')
    FROM pg_class c JOIN ours n ON n.oid = c.relnamespace
    UNION ALL SELECT 'rights', n.nspname, coalesce(s.nspacl::text, '') FROM ours n JOIN pg_namespace s USING (oid)
    UNION ALL SELECT 'rights by default', n.nspname || d.defaclobjtype::text, d.defaclacl::text
    FROM pg_default_acl d JOIN ours n ON n.oid = d.defaclnamespace
    UNION ALL SELECT 'trigger', n.nspname || '.' || t.tgname, pg_get_triggerdef(t.oid)
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN ours n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal
    ORDER BY 1, 2, 3
"""

TABLES = """
    SELECT table_schema || '.' || table_name FROM information_schema.tables
    WHERE table_schema = ANY($1) ORDER BY 1
"""


@pytest.fixture
def settings(fresh_dsn: str) -> Settings:
    """Settings whose database is this test's own."""
    return Settings.model_validate({"database": fresh_dsn})


async def fetch(dsn: str, sql: str, *values: object) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(sql, *values)]
    finally:
        await connection.close()


async def execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


def test_every_service_has_migrations() -> None:
    """The services with a schema are the five that keep something."""
    assert migrated_services() == SERVICES


async def test_fresh_database_comes_to_this_version(settings: Settings, fresh_dsn: str) -> None:
    """An empty database stands at nothing, and after the upgrade at this version, with runtime's tables everywhere."""
    before = await standing(settings)
    assert [(found.service, found.at) for found in before] == [(service, "nothing") for service in SERVICES]
    after = await upgrade(settings)
    assert [found.service for found in after] == SERVICES
    assert all(found.at == found.wanted != "nothing" for found in after)
    assert after == await standing(settings)
    tables = {name for (name,) in await fetch(fresh_dsn, TABLES, SERVICES)}
    for service in SERVICES:
        assert {f"{service}.{name}" for name in ("offsets", "dead", "outbox", "alembic_version")} <= tables


async def test_second_upgrade_changes_nothing(settings: Settings, fresh_dsn: str) -> None:
    """A second upgrade leaves every table, constraint, index, trigger, right and row as it was."""
    first = await upgrade(settings)
    await execute(
        fresh_dsn, "INSERT INTO review.offsets (topic, partition, next, epoch, cluster) VALUES ('t', 0, 7, 1, 'c')"
    )
    before = await fetch(fresh_dsn, CATALOGUE, SERVICES)
    assert len(before) > 200
    assert await upgrade(settings) == first
    assert await fetch(fresh_dsn, CATALOGUE, SERVICES) == before
    assert await fetch(fresh_dsn, "SELECT next, epoch FROM review.offsets") == [(7, 1)]


async def test_two_upgrades_at_once(settings: Settings, fresh_dsn: str) -> None:
    """Two upgrades that start together both end well, one after the other."""
    one, other = await asyncio.gather(upgrade(settings), upgrade(settings))
    assert one == other
    assert await fetch(fresh_dsn, "SELECT size FROM audit.head") == [(0,)]


async def test_all_or_nothing(settings: Settings, fresh_dsn: str) -> None:
    """A migration that fails leaves no other service's schema behind, says so, and runs once its obstacle is gone."""
    await execute(fresh_dsn, "CREATE SCHEMA review; CREATE TABLE review.cases (surprise int)")
    with pytest.raises(MigrationTrouble, match="nothing was changed"):
        await upgrade(settings)
    assert await fetch(fresh_dsn, TABLES, SERVICES) == [("review.cases",)]
    await execute(fresh_dsn, "DROP TABLE review.cases")
    assert all(found.at == found.wanted for found in await upgrade(settings))


async def test_lost_schema_is_made_again(settings: Settings, fresh_dsn: str) -> None:
    """A schema that was dropped is found missing by itself, and made again without touching the others."""
    await upgrade(settings)
    await execute(fresh_dsn, "DROP SCHEMA triage CASCADE")
    others = [service for service in SERVICES if service != "triage"]
    before = await fetch(fresh_dsn, CATALOGUE, others)
    assert [found.service for found in await standing(settings) if found.at != found.wanted] == ["triage"]
    await upgrade(settings)
    assert await fetch(fresh_dsn, CATALOGUE, others) == before
    assert all(found.at == found.wanted for found in await standing(settings))


async def test_newer_database_is_left_alone(settings: Settings, fresh_dsn: str) -> None:
    """A database of a newer version is refused with what to do, and not changed."""
    await upgrade(settings)
    await execute(fresh_dsn, "UPDATE outcomes.alembic_version SET version_num = '9999'")
    before = await fetch(fresh_dsn, CATALOGUE, SERVICES)
    with pytest.raises(MigrationTrouble, match="outcomes was made by a newer Jubao"):
        await upgrade(settings)
    assert await fetch(fresh_dsn, CATALOGUE, SERVICES) == before


async def test_login_without_rights(settings: Settings, fresh_dsn: str) -> None:
    """A login that may make no roles and schemas is refused, and nothing is there afterwards."""
    role, password = f"plain_{fresh_dsn.rpartition('_')[2]}", "kept-from-errors"
    await execute(fresh_dsn, f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    try:
        address = fresh_dsn.partition("@")[2]
        plain = Settings.model_validate({"database": f"postgresql://{role}:{password}@{address}"})
        with pytest.raises(MigrationTrouble, match="nothing was changed") as refused:
            await upgrade(plain)
        assert password not in str(refused.value)
    finally:
        await execute(fresh_dsn, f"DROP ROLE {role}")
    assert [found.at for found in await standing(settings)] == ["nothing"] * len(SERVICES)


async def test_database_away() -> None:
    """Where no database answers, the upgrade says that, and does not wait."""
    away = Settings.model_validate({"database": "postgresql://nobody@127.0.0.1:9/jubao"})
    with pytest.raises(DatabaseAway):
        await upgrade(away)


@pytest.fixture
def jubao(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> Callable[..., tuple[int, str, str]]:
    """The command, on this test's database: exit code, standard output, standard error."""
    monkeypatch.setenv("JUBAO_DATABASE", fresh_dsn)
    monkeypatch.setenv("JUBAO_DATA", f"{tmp_path}/data")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main.run(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_db_check_on_an_older_database(jubao: Callable[..., tuple[int, str, str]]) -> None:
    """`jubao db check` exits with 1 before the upgrade and names every schema and the command that mends it."""
    code, out, err = jubao("db", "check", "--json")
    assert code == 1
    assert [(row["service"], row["at"], row["ok"]) for row in json.loads(out)] == [
        (service, "nothing", False) for service in SERVICES
    ]
    assert all(service in err for service in SERVICES)
    assert "jubao db upgrade" in err


def test_db_upgrade_then_check(jubao: Callable[..., tuple[int, str, str]]) -> None:
    """`jubao db upgrade` makes what `jubao db check` then finds in order, silently on standard error."""
    code, out, _ = jubao("db", "upgrade", "--json")
    assert code == 0
    assert all(row["ok"] and row["at"] == row["wanted"] for row in json.loads(out))
    assert jubao("db", "check", "--json") == (0, out, "")


def test_db_check_on_a_newer_database(jubao: Callable[..., tuple[int, str, str]], fresh_dsn: str) -> None:
    """`jubao db check` on a newer schema exits with 1, and `upgrade` refuses it with what to do."""
    assert jubao("db", "upgrade")[0] == 0
    asyncio.run(execute(fresh_dsn, "UPDATE review.alembic_version SET version_num = '9999'"))
    code, out, err = jubao("db", "check", "--json")
    assert code == 1
    assert [(row["service"], row["at"]) for row in json.loads(out) if not row["ok"]] == [("review", "9999")]
    assert "review" in err
    code, _, err = jubao("db", "upgrade")
    assert code == 1
    assert "newer Jubao" in err


def test_db_without_a_database(jubao: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a database's address the command says which setting gives one."""
    monkeypatch.delenv("JUBAO_DATABASE")
    code, _, err = jubao("db", "check")
    assert code == 1
    assert "JUBAO_DATABASE" in err

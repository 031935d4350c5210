"""Brings a database to this version: a role and a schema per service, then each service's own migrations (Alembic)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.ddl.postgresql import PostgresqlImpl
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from asyncpg import PostgresError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from services.runtime.database import Fault, address, fault_of
from services.runtime.logins import let_log_in, role_verifiers
from services.runtime.problems import DatabaseAway
from services.runtime.settings import Settings

_SERVICES = Path(__file__).parent.parent
_CONNECT_SECONDS = 5

# One migration of a database at a time, whoever starts it.
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('jubao.migrate'))")

# Migrations wait briefly for locks rather than stop a running service behind them.
BOUNDS = (text("SET LOCAL lock_timeout = '10s'"), text("SET LOCAL statement_timeout = '10min'"))

_RUNTIME_TABLES = """
    -- How far each partition is done, and whose turn it is: taking a partition raises epoch, writing needs the current.
    CREATE TABLE offsets (
        topic text NOT NULL,
        partition int NOT NULL CHECK (partition >= 0),
        next bigint NOT NULL CHECK (next >= 0),
        epoch bigint NOT NULL CHECK (epoch > 0),
        cluster text NOT NULL,
        PRIMARY KEY (topic, partition)
    );
    -- What did not fit, by its place on the topic it came from; the record itself is on the dead-letter topic.
    CREATE TABLE dead (
        topic text NOT NULL,
        partition int NOT NULL CHECK (partition >= 0),
        "offset" bigint NOT NULL CHECK ("offset" >= 0),
        reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        letter_partition int,
        letter_offset bigint,
        replayed_at timestamptz,
        PRIMARY KEY (topic, partition, "offset"),
        CHECK ((letter_partition IS NULL) = (letter_offset IS NULL))
    );
    -- Counting and listing what is open must not read what was closed long ago.
    CREATE INDEX dead_open ON dead (topic, partition, "offset") WHERE replayed_at IS NULL;
    -- Events that are committed and not yet acknowledged by the broker; a dead letter names its record's place.
    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        topic text NOT NULL,
        key bytea,
        value bytea NOT NULL,
        event_id uuid NOT NULL,
        cause_id uuid,
        headers bytea NOT NULL,
        dead_topic text,
        dead_partition int,
        dead_offset bigint,
        CHECK ((dead_topic IS NULL) = (dead_partition IS NULL) AND (dead_topic IS NULL) = (dead_offset IS NULL))
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
"""


class MigrationTrouble(Exception):
    """The database cannot be brought to this version; the message says what to do."""


class _Scripts(PostgresqlImpl):
    """Lets `op.execute` take a script of several statements, which asyncpg's prepared statements do not.

    Alembic uses the last class that is declared for a dialect.
    """

    __dialect__ = "postgresql"

    def _exec(self, construct: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 -- as alembic's
        if not isinstance(construct, str) or self.connection is None:
            return super()._exec(construct, *args, **options)
        driver: Any = self.connection.connection.dbapi_connection
        try:
            return driver.run_async(lambda asyncpg: asyncpg.execute(construct))
        except PostgresError as error:
            raise MigrationTrouble(f"the migration failed and nothing was changed: {error}") from error


@dataclass(frozen=True, slots=True)
class SchemaStanding:
    """One service's schema: the version it is at and the one this program needs; equal when nothing is to do."""

    service: str
    at: str
    wanted: str


def runtime_tables() -> str:
    """The SQL of what every consuming or publishing service keeps: offsets, dead rows and outbox, in its own schema."""
    return _RUNTIME_TABLES


def migrated_services() -> list[str]:
    """The services that own a schema: those with a folder of migrations."""
    return sorted(path.parent.name for path in _SERVICES.glob("*/migrations") if (path / "versions").is_dir())


def _script(service: str) -> ScriptDirectory:
    folder = _SERVICES / service / "migrations"
    return ScriptDirectory(str(folder), version_locations=[str(folder / "versions")])


def known_versions(service: str) -> list[str]:
    """The versions of a service's schema that this program knows, the one that it needs first."""
    return [revision.revision for revision in _script(service).walk_revisions()]


def _prepare_schema(connection: Connection, service: str) -> None:
    role = f"jubao_{service}"
    known = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    if not known:
        connection.execute(text(f"CREATE ROLE {role} NOLOGIN"))
    connection.execute(text(f"GRANT {role} TO CURRENT_USER"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {service}"))
    connection.execute(text(f"GRANT USAGE ON SCHEMA {service} TO {role}"))
    for kind, rights in (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "USAGE, SELECT")):
        connection.execute(text(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {service} GRANT {rights} ON {kind} TO {role}"))
    connection.execute(text(f"SET LOCAL search_path = {service}"))


def _upgrade(connection: Connection, services: Sequence[str]) -> None:
    connection.execute(LOCK)
    for bound in BOUNDS:
        connection.execute(bound)
    for service in services:
        _prepare_schema(connection, service)
        script = _script(service)

        def steps(revision: object, _: object, script: ScriptDirectory = script) -> object:
            return script._upgrade_revs("head", revision)  # type: ignore[arg-type] # noqa: SLF001 -- as alembic's command

        context = MigrationContext.configure(
            connection=connection,
            opts={"version_table": "alembic_version", "version_table_schema": service, "fn": steps},
        )
        with Operations.context(context):
            try:
                context.run_migrations()
            except CommandError as error:
                raise MigrationTrouble(_newer(service)) from error
        connection.execute(text(f"REVOKE ALL ON {service}.alembic_version FROM jubao_{service}"))
        connection.execute(text(f"GRANT SELECT ON {service}.alembic_version TO jubao_{service}"))


def _newer(service: str) -> str:
    return (
        f"the schema {service} was made by a newer Jubao than this one: install that version, "
        "or restore a backup from before its migration"
    )


def _standing(connection: Connection, services: Sequence[str]) -> list[SchemaStanding]:
    standings = []
    for service in services:
        present = connection.scalar(
            text("SELECT 1 FROM information_schema.tables WHERE table_schema = :s AND table_name = 'alembic_version'"),
            {"s": service},
        )
        at = (
            connection.scalar(text(f"SELECT version_num FROM {service}.alembic_version"))
            if present is not None
            else None
        )
        standings.append(SchemaStanding(service, str(at or "nothing"), str(_script(service).get_current_head())))
    return standings


async def upgrade(settings: Settings) -> list[SchemaStanding]:
    """Makes roles, schemas and tables, in one transaction: all services are at this version, or nothing changed.

    Raises:
        DatabaseAway: it does not answer.
        MigrationTrouble: it is at a newer version, or the login may not make roles and schemas.
        SecretUnusable: the login's or a role's password cannot be read.
    """
    return await _with_connection(settings, change=True)


async def standing(settings: Settings) -> list[SchemaStanding]:
    """The version of each service's schema, and the one this program needs. Raises as `upgrade` does."""
    return await _with_connection(settings, change=False)


async def _with_connection(settings: Settings, *, change: bool) -> list[SchemaStanding]:
    engine = create_async_engine(address(settings), connect_args={"timeout": _CONNECT_SECONDS})
    services = migrated_services()
    verifiers = role_verifiers(settings.role_passwords, services) if change and settings.role_passwords else {}
    try:
        async with asyncio.timeout(_CONNECT_SECONDS * 60), engine.begin() as connection:
            if change:
                await connection.run_sync(_upgrade, services)
                await connection.run_sync(let_log_in, verifiers)
            return await connection.run_sync(_standing, services)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        if fault_of(error) is Fault.AWAY:
            raise DatabaseAway from error
        raise MigrationTrouble(f"the migration failed and nothing was changed: {error}") from error
    finally:
        await engine.dispose()


__all__ = [
    "MigrationTrouble",
    "SchemaStanding",
    "known_versions",
    "migrated_services",
    "runtime_tables",
    "standing",
    "upgrade",
]

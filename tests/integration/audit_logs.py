"""Logs for tests of searches: a process on a database of its own, entries made up, and how a search is planned."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import asyncpg as dialect

from services.audit.leaf import Disclosure, Leaf, Origin, leaf_of
from services.audit.store import tree
from services.runtime.database import Connection
from services.runtime.issuer import make_issuer_key
from services.runtime.migrate import upgrade
from services.runtime.process import Process
from services.runtime.settings import Settings


class At:
    """A record's place."""

    def __init__(self, topic: str, offset: int, at: datetime) -> None:
        self.topic, self.partition, self.offset, self.at = topic, 0, offset, at


class Said(NamedTuple):
    """What an entry says of itself, as far as a search can ask."""

    type: str
    actor: str
    at: datetime
    event_id: UUID
    report_id: UUID | None = None
    case_id: UUID | None = None
    content_id: str | None = None
    source_id: str | None = None
    identity: UUID | None = None

    def leaf(self) -> Leaf:
        """As it is logged."""
        names = {name: getattr(self, name) for name in ("report_id", "case_id", "content_id", "source_id")}
        shown = Disclosure(actor=self.actor, detail={}, **names)
        origin = Origin(self.event_id, self.type, self.at, None, None)
        return leaf_of(At("any", 0, self.at), origin, shown, identity=self.identity or self.event_id, salt=bytes(32))


@asynccontextmanager
async def fresh_process(postgres_dsn: str, folder: Path) -> AsyncIterator[Process]:
    """A process on a database of its own with the tables of this version, and an issuer of tokens."""
    make_issuer_key(folder / "issuer.pem", folder / "jwks.json")
    (folder / "cursor").write_bytes(bytes(32))
    name = f"audit_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    settings = Settings.model_validate(
        {
            "database": f"{postgres_dsn.rpartition('/')[0]}/{name}",
            "data": folder,
            "jwks": str(folder / "jwks.json"),
            "cursor_key_file": folder / "cursor",
            "kafka": "127.0.0.1:1",
        }
    )
    await upgrade(settings)
    process = Process(settings)
    yield process
    await process.close()


async def logged(process: Process, leaves: Sequence[Leaf]) -> None:
    """Appends entries, and lets the server know of them what it knows of a log that has stood for a while."""
    for start in range(0, len(leaves), 4_000):
        async with process.database("audit").begin() as writing:
            await tree.append(writing, leaves[start : start + 4_000])
    connection = await asyncpg.connect(process.settings.database.get_secret_value())
    for table in ("entries", "doings", "minutes"):
        await connection.execute(f"VACUUM ANALYZE audit.{table}")
    await connection.close()


async def planned(
    connection: Connection, statement: str, values: Mapping[str, object], *, generic: bool = False, run: bool = False
) -> list[dict[str, Any]]:
    """The nodes of a statement's plan: for these values, or the one that a session keeps for all values."""
    compiled = text(statement).compile(dialect=dialect.dialect())  # type: ignore[no-untyped-call] # SQLAlchemy has none
    given = ", ".join(_literal(values[name]) for name in compiled.positiontup or ())
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    await driver.execute(f"SET plan_cache_mode = force_{'generic' if generic else 'custom'}_plan")
    await driver.execute(f"PREPARE asked AS {compiled}")
    try:
        options = "ANALYZE, FORMAT JSON" if run else "FORMAT JSON"
        (plan,) = await driver.fetchval(f"EXPLAIN ({options}) EXECUTE asked({given})")
    finally:
        await driver.execute("DEALLOCATE asked")
        await driver.execute("RESET plan_cache_mode")
    return nodes_of(plan["Plan"])


def nodes_of(node: dict[str, Any]) -> list[dict[str, Any]]:
    """A plan's node with all below it."""
    return [node, *(inner for child in node.get("Plans", ()) for inner in nodes_of(child))]


def _literal(value: object) -> str:
    return f"ARRAY{value}" if isinstance(value, list) else f"'{value}'"

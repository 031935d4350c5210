"""The log as version 0.1.0 filled it comes to this version with every entry where a search finds it."""

from itertools import combinations
from uuid import UUID

import asyncpg
import pytest

from services.audit.store import search
from services.audit.store.search import Wanted
from services.runtime.database import Database
from services.runtime.migrate import upgrade
from services.runtime.settings import Settings
from tests.migration.rows import AT, GOOD
from tests.migration.test_constraints import put

ENTRY = GOOD["audit"]["entries"] | {
    "type": "jubao.case.joined.v1",
    "report_id": UUID(int=2), "case_id": UUID(int=3), "content_id": "v_1", "source_id": "s_1",
}  # fmt: skip
MINUTE = GOOD["audit"]["minutes"] | {"last_index": 0}

INDEXES = """
    SELECT indexname FROM pg_indexes WHERE schemaname = 'audit' AND tablename = 'entries' AND indexname LIKE '%by%'
"""


async def test_entries_are_found_as_before(fresh_dsn: str, at_the_first_version: pytest.MonkeyPatch) -> None:
    """An entry of before is found by any two filters, and old indexes are gone."""
    settings = Settings.model_validate({"database": fresh_dsn})
    await upgrade(settings)
    connection = await asyncpg.connect(fresh_dsn, server_settings={"search_path": "audit"})
    try:
        await put(connection, "entries", ENTRY)
        await put(connection, "minutes", MINUTE)
        await connection.execute("UPDATE head SET size = 1")
        at_the_first_version.undo()
        await upgrade(settings)
        indexes = {row[0] for row in await connection.fetch(INDEXES)}
    finally:
        await connection.close()
    assert indexes == {
        "entries_by_case", "entries_by_content", "entries_by_event_id", "entries_by_report", "entries_by_source",
        "entries_by_source_and_case", "entries_by_source_and_content",
    }  # fmt: skip
    names = ("type", "actor", "report_id", "case_id", "content_id", "source_id")
    filters = {name: ENTRY[name] for name in names} | {"event_id": ENTRY["identity"], "since": AT}
    database = Database(settings, "audit")
    try:
        async with database.begin() as reading:
            for pair in combinations(filters, 2):
                wanted = Wanted(**{name: filters[name] for name in pair})  # type: ignore[arg-type] # each has its own
                assert await search.search(reading, wanted, 10) == [(0, ENTRY["leaf"])], wanted
    finally:
        await database.close()

"""Review's tables as version 0.1.0 filled them come to this version with everything in them that anybody reads."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from services.runtime.migrate import upgrade
from services.runtime.settings import Settings
from tests.migration.rows import GOOD
from tests.migration.test_constraints import put

FIRST = GOOD["review"]["reports"] | {
    "digest": "0Aff" * 16, "event_id": UUID(int=3), "lane": "public", "reporter": b"a" * 16,
}  # fmt: skip
SECOND = FIRST | {"report_id": UUID(int=22), "event_id": UUID(int=23), "source_id": "s_1", "reporter": b"b" * 16}


async def test_reports_keep_what_is_read_of_them(fresh_dsn: str, at_the_first_version: pytest.MonkeyPatch) -> None:
    """Digests become bytes, every other column that is read stays, and the tables go on taking the same rows."""
    settings = Settings.model_validate({"database": fresh_dsn})
    await upgrade(settings)
    connection = await asyncpg.connect(fresh_dsn, server_settings={"search_path": "review"})
    try:
        await put(connection, "cases", GOOD["review"]["cases"])
        for report in (FIRST, SECOND):
            await put(connection, "reports", report)
            await put(connection, "case_reporters", {"case_id": report["case_id"], "reporter": report["reporter"]})
        before = await _rows(connection)
        at_the_first_version.undo()
        await upgrade(settings)
        after = await _rows(connection)
    finally:
        await connection.close()
    assert [row.pop("digest") for row in after] == [bytes.fromhex("0Aff" * 16)] * 2
    assert [row.pop("aside_of") for row in after] == [None, None]
    gone = {"lane", "event_id", "digest"}
    assert after == [{name: value for name, value in row.items() if name not in gone} for row in before]


async def _rows(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch("SELECT * FROM reports ORDER BY report_id")]

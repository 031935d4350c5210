"""Three entries for each record, two of them with a private part, without looking into it."""

from typing import Any

from asyncpg.pgproto.pgproto import UUID

from bench.floor import offsets
from bench.floor.batches import Batch, fresh_ids, run

# As wide as what they stand for.
_SUBMITTED_BYTES, _TRIAGED_BYTES, _CASE_BYTES = 560, 640, 700
_SUBMITTED_PART_BYTES, _TRIAGED_PART_BYTES = 245, 77
_SALT = bytes(32)

_ENTRIES = (
    "index", "identity", "event_id", "type", "at", "actor", "report_id", "case_id", "content_id", "source_id", "leaf",
)  # fmt: skip
_MARK = """
    INSERT INTO audit.minutes AS m (minute, first_index, last_index)
    VALUES (date_trunc('minute', $1::timestamptz, 'UTC'), $2, $3)
    ON CONFLICT (minute) DO UPDATE SET last_index = greatest(m.last_index, excluded.last_index)
"""


_TILE_HASHES, _TILE, _ROOT = 256, bytes(8192), bytes(32)
_SPAN_BITS = 7
_DOINGS = (
    ("app-backend", "jubao.report.submitted.v1"), ("triage", "jubao.report.triaged.v1"),
    ("user", "jubao.case.joined.v1"),
)  # fmt: skip


class Audit:
    """The log's size, and which item has which case."""

    def __init__(self) -> None:
        self._size = 0
        self._cases: dict[bytes, UUID] = {}
        self._tiles = 0
        self._span = -1

    async def first(self, connection: Any) -> None:  # noqa: ANN401 -- asyncpg has no types
        """The rows that a start leaves."""
        await offsets.take(connection, "audit")

    async def write(self, connection: Any, batch: Batch) -> None:  # noqa: ANN401 -- likewise
        """All rows of the batch."""
        at, begin = batch.at, self._size
        index = begin
        ids = iter(fresh_ids(6 * len(batch.records)))
        entries: list[tuple[object, ...]] = []
        private: list[tuple[object, ...]] = []
        for record in batch.records:
            key, value, report_id = record.key, record.value, next(ids)
            content_id = key.decode()
            case_id = self._cases.get(key)
            if case_id is None:
                case_id = self._cases[key] = next(ids)
            long = value + value
            entries += (
                (index, next(ids), next(ids), "jubao.report.submitted.v1", at, "app-backend", report_id, None,
                 content_id, None, long[:_SUBMITTED_BYTES]),
                (index + 1, next(ids), None, "jubao.report.triaged.v1", at, "triage", report_id, None, content_id,
                 None, long[:_TRIAGED_BYTES]),
                (index + 2, next(ids), None, "jubao.case.joined.v1", at, "user", report_id, case_id, content_id,
                 None, long[:_CASE_BYTES]),
            )  # fmt: skip
            private += (
                (index, _SALT, value[:_SUBMITTED_PART_BYTES]),
                (index + 1, _SALT, value[:_TRIAGED_PART_BYTES]),
            )
            index += 3
        await connection.copy_records_to_table("entries", schema_name="audit", columns=_ENTRIES, records=entries)
        columns = ("index", "salt", "part")
        await connection.copy_records_to_table("private", schema_name="audit", columns=columns, records=private)
        await connection.execute(_MARK, at, begin, index - 1)
        await self._grow(connection, index)
        await connection.execute("UPDATE audit.head SET size = $1, root = $2", index, _ROOT)
        await offsets.advance(connection, "audit", batch.read)
        self._size = index

    async def _grow(self, connection: Any, size: int) -> None:  # noqa: ANN401 -- likewise
        """The tiles that are full by now, and who did what in the spans of the log that were begun."""
        tiles: list[tuple[object, ...]] = []
        while (self._tiles + 1) * _TILE_HASHES <= size:
            tiles.append((0, self._tiles, _TILE, _ROOT))
            self._tiles += 1
            if self._tiles % _TILE_HASHES == 0:
                tiles.append((1, self._tiles // _TILE_HASHES - 1, _TILE, _ROOT))
        spans = range(self._span + 1, (size - 1 >> _SPAN_BITS) + 1)
        # Jubao reads one topic after the other, so a span of its log seldom holds all three kinds.
        doings = [(actor, span, kind) for span in spans for actor, kind in (_DOINGS[:2] if span % 2 else _DOINGS[2:])]
        self._span = spans.stop - 1
        for table, columns, rows in (
            ("tiles", ("level", "number", "hashes", "root"), tiles),
            ("doings", ("actor", "span", "type"), doings),
        ):
            await connection.copy_records_to_table(table, schema_name="audit", columns=columns, records=rows)


if __name__ == "__main__":
    audit = Audit()
    run(audit.write, audit.first)

"""Comments that a platform exported with the topic they were reported under: one report of one item a row."""

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from schemas.report import Report
from schemas.vocabulary import Category, Channel, ContentType, SourceKind
from services.cli.importing.identity import part_id, row_id
from services.cli.importing.refusal import Refusal, reason_of
from services.cli.importing.table import Row

COLUMNS = ("topic", "TEXT")

OCCURRED_AT = "2025-01-01T00:00:00Z"
"""These files keep no times. The moment is fixed, since a report whose data differs the second time is another one."""

_CATEGORIES = {
    "race": Category.SPEECH,
    "region": Category.SPEECH,
    "gender": Category.CYBER_VIOLENCE_AGAINST_WOMEN,
}


def reports(rows: Iterable[Row | Refusal]) -> Iterator[Report | Refusal]:
    """A report for each row; the label, which is what a reviewer should find, is not told."""
    for row in rows:
        yield row if isinstance(row, Refusal) else _report(row)


def _report(row: Row) -> Report | Refusal:
    row_is = row_id("cold", row.cells)
    try:
        return Report.model_validate(_data(row, row_is))
    except ValidationError as error:
        return Refusal(row.where, reason_of(error))


def _data(row: Row, row_is: UUID) -> dict[str, Any]:
    return {
        "report_id": part_id(row_is, "report"),
        "channel": Channel.IMPORT,
        "reporter": f"cold-reporter-{row_is.hex[:12]}",
        "occurred_at": OCCURRED_AT,
        "source": {"kind": SourceKind.USER},
        "content": {
            "id": f"cold-{row_is}",
            "type": ContentType.COMMENT,
            "language": "zh",
            "excerpt": row.columns["TEXT"],
        },
        "category": _CATEGORIES.get(row.columns["topic"], Category.NOT_SPECIFIED),
    }

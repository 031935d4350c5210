"""Posts with what several people voted about each: a vote of hate or offence is a report by its own reporter."""

import re
from collections.abc import Iterable, Iterator

from pydantic import TypeAdapter, ValidationError

from schemas.report import Content, Report, ReportSource
from schemas.text import Timestamp
from schemas.vocabulary import Category, Channel, ContentType, SourceKind
from services.cli.importing.cold import OCCURRED_AT
from services.cli.importing.identity import part_id, row_id
from services.cli.importing.refusal import Refusal, reason_of
from services.cli.importing.table import Row

REPORTING = {
    "hate_speech": Category.SPEECH,
    "offensive_language": Category.OTHER_TERMS,
}
"""Which votes report, and what; the third column, `neither`, is nobody's report."""

COLUMNS = (*REPORTING, "neither", "tweet")

# The voters of a file are one crowd: a reporter is met again on other items, never twice on the same one.
_REPORTERS = 10_000
_COUNT = re.compile(r"[0-9]{1,5}")
_USER = ReportSource(kind=SourceKind.USER)
_WHEN = TypeAdapter(Timestamp).validate_python(OCCURRED_AT)


def reports(rows: Iterable[Row | Refusal]) -> Iterator[Report | Refusal]:
    """A report for each vote that reports; a row that cannot be read is one refusal, whatever it would have held."""
    for row in rows:
        if isinstance(row, Refusal):
            yield row
            continue
        try:
            votes = {column: _votes(row, column) for column in (*REPORTING, "neither")}
            yield from _voted(row, {column: votes[column] for column in REPORTING})
        except _NotVotes as unfit:
            yield Refusal(row.where, str(unfit))
        except ValidationError as error:
            yield Refusal(row.where, reason_of(error))


class _NotVotes(ValueError):
    def __init__(self, column: str) -> None:
        super().__init__(f"{column}: a whole number of at least 0 is expected, and at most {_REPORTERS} a row")


def _votes(row: Row, column: str) -> int:
    told = row.columns[column].strip()
    if not _COUNT.fullmatch(told) or int(told) > _REPORTERS:
        raise _NotVotes(column)
    return int(told)


def _voted(row: Row, votes: dict[str, int]) -> Iterator[Report]:
    total = sum(votes.values())
    if total > _REPORTERS:
        raise _NotVotes(" and ".join(REPORTING))
    if total == 0:
        return
    row_is = row_id("votes", row.cells)
    item = Content(id=f"votes-{row_is}", type=ContentType.TEXT, language="en", excerpt=row.columns["tweet"])
    first_reporter = row_is.int % _REPORTERS
    voter = 0
    for column, count in votes.items():
        for number in range(1, count + 1):
            yield Report(
                report_id=part_id(row_is, f"{column}:{number}"),
                channel=Channel.IMPORT,
                reporter=f"votes-reporter-{(first_reporter + voter) % _REPORTERS:04d}",
                occurred_at=_WHEN,
                source=_USER,
                content=item,
                category=REPORTING[column],
            )
            voter += 1

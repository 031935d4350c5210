"""From a file and the name of its format to reports."""

import codecs
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from schemas.report import Report
from services.cli.importing import cold, lines, table, votes
from services.cli.importing.refusal import ColumnsMissing, FileNotReadable, NotUtf8, Refusal

_CHECKED_BYTES = 1_048_576

_Tabular = Callable[[Iterable[table.Row | Refusal]], Iterator[Report | Refusal]]

# How the rows of each kind of table become reports, and which columns they need for it.
_TABLES: dict[str, tuple[_Tabular, tuple[str, ...]]] = {
    "cold": (cold.reports, cold.COLUMNS),
    "votes": (votes.reports, votes.COLUMNS),
}

FORMATS = (*_TABLES, "jsonl")


@contextmanager
def reports_of(path: Path, form: str, now: datetime) -> Iterator[Iterator[Report | Refusal]]:
    """What stands in a file, read as it is asked for; what cannot be a report is a refusal in its place.

    Raises:
        FileNotReadable: no such file, a directory, no permission.
        NotUtf8: a table in another encoding; of a regular file it is found before anything is given out.
        ColumnsMissing: a table of another form.
    """
    if form == "jsonl":
        with _opened(path) as stream:
            yield lines.reports(stream, now)
        return
    # A pipe cannot be read twice.
    if path.is_file():
        with _opened(path) as stream:
            _check_encoding(stream, path)
    reports, columns = _TABLES[form]
    with _opened(path) as stream:
        # Surrogates cannot be in UTF-8; a row that holds one all the same is refused as a row.
        text = TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogatepass", newline="")
        try:
            yield _decoded(reports(table.rows(text, columns)), path)
        except table.HeaderLacks as lacks:
            raise ColumnsMissing(path, lacks.missing) from lacks


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        stream = path.open("rb")
    except OSError as refused:
        raise FileNotReadable(path, refused) from refused
    with stream:
        yield stream


def _decoded(found: Iterator[Report | Refusal], path: Path) -> Iterator[Report | Refusal]:
    try:
        yield from found
    except UnicodeDecodeError as wrong:
        raise NotUtf8(path) from wrong


def _check_encoding(stream: BinaryIO, path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
    line = 1
    while True:
        block = stream.read(_CHECKED_BYTES)
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as wrong:
            raise NotUtf8(path, line + block[: wrong.start].count(b"\n")) from wrong
        if not block:
            return
        line += block.count(b"\n")

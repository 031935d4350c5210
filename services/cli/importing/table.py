"""Rows of CSV files with a header, each with its place in the file; malformed ones are told, not fatal."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from services.cli.importing.refusal import Refusal

MOST_CHARACTERS = 1_048_576
"""Of one line, and of one cell, which may run over lines: a quote left open would swallow the file otherwise."""


class HeaderLacks(ValueError):
    """The header names not all columns that are read."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        self.missing = missing
        super().__init__(f"no column {', '.join(missing)}")


class _LineTooLong(csv.Error):
    """One line is longer than any row could be."""

    def __init__(self) -> None:
        super().__init__(f"a line of more than {MOST_CHARACTERS} characters")


@dataclass(frozen=True, slots=True)
class Row:
    """A row under the header: where it stands, all its cells in order, and the cells by column."""

    where: str
    cells: tuple[str, ...]
    columns: dict[str, str]


class _Lines:
    """Lines of bounded length. An iterator and no generator: after a line that is too long it goes on with the next."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MOST_CHARACTERS + 1)
        if not line:
            raise StopIteration
        if len(line) > MOST_CHARACTERS and not line.endswith("\n"):
            rest = line
            while rest and not rest.endswith("\n"):
                rest = self._stream.readline(MOST_CHARACTERS)
            raise _LineTooLong
        return line


def rows(stream: TextIO, wanted: Sequence[str]) -> Iterator[Row | Refusal]:
    """The rows of a table whose header names at least the columns `wanted`; empty lines are passed over.

    Args:
        stream: text opened with `newline=""`.
        wanted: columns that must be there; others may be, and count for a row's identity.

    Raises:
        HeaderLacks: the first row does not name them all.
    """
    csv.field_size_limit(MOST_CHARACTERS)
    reader = csv.reader(_Lines(stream), strict=True)
    try:
        header = next(reader, [])
    except csv.Error:
        header = []
    missing = tuple(column for column in wanted if column not in header)
    if missing:
        raise HeaderLacks(missing)
    return _numbered(reader, header)


def _numbered(reader: Iterator[list[str]], header: list[str]) -> Iterator[Row | Refusal]:
    number = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as malformed:
            number += 1
            yield Refusal(f"row {number}", f"not CSV: {malformed}")
            continue
        if not cells:
            continue
        number += 1
        if len(cells) != len(header):
            yield Refusal(f"row {number}", f"it has {len(cells)} cells where the first row names {len(header)} columns")
            continue
        yield Row(f"row {number}", tuple(cells), dict(zip(header, cells, strict=True)))

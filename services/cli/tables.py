"""Tables for people, from the same rows that `--json` prints."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.table import Table

_UUID_CHARACTERS: Final = 36


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> Table | str:
    """A table with a column for each key of the first row, or for the keys named; a word where there is no row."""
    if not rows:
        return "none"
    names = list(columns or rows[0])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        # Folded, not cut, and an id of ours not even folded: it is there to be copied. A long name breaks at its words.
        table.add_column(name.replace("_", " "), overflow="fold", no_wrap=all(is_uuid(row.get(name)) for row in rows))
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    return table


def is_uuid(value: object) -> bool:
    """Whether this looks like an id of ours."""
    return isinstance(value, str) and len(value) == _UUID_CHARACTERS and value.count("-") == 4  # noqa: PLR2004


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    return str(value)

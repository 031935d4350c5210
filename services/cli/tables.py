"""Tables for people, from the same rows that `--json` prints."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> Table | str:
    """A table with a column for each key of the first row, or for the keys named; a word where there is no row."""
    if not rows:
        return "none"
    names = list(columns or rows[0])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        # Folded, not cut: an id is there to be copied.
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    return str(value)

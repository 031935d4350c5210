"""Markdown by parts: tables, code, and what is folded away until a reader wants it."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from services.cli.contracts.fields import Row

# A page's way to the folder above: a name, since what is right for the page is wrong for the file that writes it.
UP: Final = ".."


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar within a cell does not end it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def fields(rows: Iterable[Row]) -> str:
    """The fields of an object as a table."""
    return table(
        ("Field", "Type", "Required", "Bounds", "Meaning"),
        ((f"`{row.place}`", row.kind, "yes" if row.required else "", row.bounds, row.about) for row in rows),
    )


def code(text: str, language: str) -> str:
    """A fenced block."""
    return f"```{language}\n{text}\n```"


def shown_json(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    """A JSON value as a fenced block."""
    return code(json.dumps(value, indent=2, ensure_ascii=False), "json")


def folded(summary: str, inner: str) -> str:
    """What opens on a click."""
    return f"<details><summary>{summary}</summary>\n\n{inner}\n\n</details>"


def page(parts: Iterable[str]) -> str:
    """A page of parts, an empty line between them."""
    return "\n\n".join(parts) + "\n"

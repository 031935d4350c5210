"""Ids that derive from what stands in a file, so that the same row is the same report however often it is read."""

import json
from collections.abc import Sequence
from uuid import UUID

from uuid_utils.compat import uuid5

_NAMESPACE = UUID("3b9a5b0e-52c8-5c37-9d0b-8a4a4f0e7c21")


def row_id(form: str, cells: Sequence[str]) -> UUID:
    """The id of a whole row: no column is a key of its own, the index repeats in real exports.

    Cells are told apart by their JSON, which unlike a joining character occurs in no cell.
    """
    return uuid5(_NAMESPACE, json.dumps([form, *cells]))


def part_id(row: UUID, part: str) -> UUID:
    """The id of something in a row, as one vote of several; `part` is our own word for it, never text of the file."""
    return uuid5(row, part)


def line_id(line: bytes) -> UUID:
    """The id of a line that names none itself."""
    return uuid5(_NAMESPACE, json.dumps(["line", line.hex()]))

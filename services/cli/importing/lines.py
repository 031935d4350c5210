"""JSON lines: each the `data` of one report, as the contract has it."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import BinaryIO

from pydantic import ValidationError

from schemas.report import EARLY_SECONDS, Report
from services.cli.importing.identity import line_id
from services.cli.importing.refusal import Refusal, reason_of

MOST_LINE_BYTES = 1_048_576
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def reports(stream: BinaryIO, now: datetime) -> Iterator[Report | Refusal]:
    """A report for each line that fits the contract; empty lines are passed over.

    A line without `report_id` gets one that derives from its bytes. `now` is what a time in the future is told by.
    """
    number = 0
    while line := stream.readline(MOST_LINE_BYTES + 1):
        number += 1
        where = f"line {number}"
        if len(line) > MOST_LINE_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(MOST_LINE_BYTES)
            yield Refusal(where, f"longer than {MOST_LINE_BYTES} bytes")
            continue
        text = (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).strip()
        if text:
            yield _report(where, text, now + timedelta(seconds=EARLY_SECONDS))


def _report(where: str, text: bytes, latest: datetime) -> Report | Refusal:
    try:
        report = Report.model_validate_json(_with_id(text))
    except ValidationError as error:
        return Refusal(where, reason_of(error))
    if report.occurred_at > latest:
        return Refusal(where, "occurred_at: lies in the future")
    return report


def _with_id(text: bytes) -> bytes:
    """The line itself, or with a derived id where it is an object that names none."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(data, dict) or "report_id" in data:
        return text
    return json.dumps({**data, "report_id": str(line_id(text))}).encode()

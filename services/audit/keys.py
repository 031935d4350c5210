"""The public keys that vouch for a log, and from when to when each does: a file that anyone may be given."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from services.audit.note import BadNote, Key, key_of

_HEAD = """\
# Keys that sign the checkpoints of a Jubao log: verifier key, from when, until when (- is: still).
# Keep a copy of this file where the log's owner cannot reach it; `jubao audit verify --key` takes it.
"""


class DatedKey(NamedTuple):
    """A key and the time in which its signatures count: from `since`, up to and without `until`."""

    key: Key
    since: datetime
    until: datetime | None

    def covers(self, at: datetime) -> bool:
        """Whether a signature made at that time counts."""
        return self.since <= at and (self.until is None or at < self.until)


def parse_keys(text: str) -> list[DatedKey]:
    """The keys of such a file; empty lines and those that begin with # say nothing.

    Raises:
        BadNote: a line is no key with its times; the message names the line.
    """
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            vkey, since, until = line.split(" ")
            keys.append(DatedKey(key_of(vkey), _time(since), None if until == "-" else _time(until)))
        except ValueError as error:
            raise BadNote(f"line {number} of the key file is not KEY SINCE UNTIL: {error}") from error
    return keys


def written_keys(keys: Iterable[DatedKey]) -> str:
    """The text of such a file."""
    return _HEAD + "".join(f"{key} {_text(since)} {_text(until) if until else '-'}\n" for key, since, until in keys)


def _time(text: str) -> datetime:
    if not text.endswith("Z"):
        raise BadNote(f"{text!r} is no time in UTC, as 2026-11-23T08:00:00Z")
    return datetime.fromisoformat(text)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"

"""Log files of children: they write straight into them, and a file never grows without bound."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 50 * 1024 * 1024
_TAIL_BYTES = 16 * 1024


def begin_log(path: Path) -> BinaryIO:
    """Opens a child's log for appending, so that truncation by `bound_log` moves the child's own position too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab", buffering=0)


def rotate(path: Path) -> None:
    """Puts the last run's log aside as `<name>.1`, over the one before it."""
    if path.exists() and path.stat().st_size > 0:
        path.replace(path.with_name(f"{path.name}.1"))


def bound_log(path: Path, most_bytes: int = MOST_BYTES) -> None:
    """Copies a log that has grown too big to `<name>.1` and empties it under the child that holds it open.

    What the child writes between the copy and the emptying is lost; a pipe through the supervisor would lose nothing
    but would stop the child whenever the supervisor is slow.
    """
    if not path.exists() or path.stat().st_size <= most_bytes:
        return
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)


def log_tail(path: Path) -> bytes:
    """The last few pages of a log; empty when there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return log.read()
    except FileNotFoundError:
        return b""


def last_sentence(path: Path) -> str:
    """What a child said last in words, without the full stop: a refused start is one sentence, log lines are JSON."""
    lines = log_tail(path).decode(errors="replace").splitlines()
    return next((line.rstrip(" .") for line in reversed(lines) if line.strip() and not line.startswith("{")), "")

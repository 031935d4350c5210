"""Verifying an export on whatever machine it was carried to: its file is read in pieces, by as many processes as help.

An interrupted run can go on where it was: what it had found sound is noted in a small file.
"""

import json
import os
import sys
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import BinaryIO, Final

from services.audit.evidence import Evidence
from services.audit.examining import Stretch, examined
from services.audit.verifying import BEGINNING, GAP_SECONDS, Standing, Verdict, Verifier
from services.runtime.files import PUBLIC, replace_file

_PIECE_BYTES: Final = 8 << 20
# An entry has at most 65,535 bytes, and base64 makes four of three; a longer line is none of ours.
_MOST_LINE_BYTES: Final = 128 << 10
_MOST_PROCESSES: Final = 4
_SMALL_PIECES: Final = 4
_NOTE_SECONDS: Final = 1.0
_TAIL_BYTES: Final = 4_096
_VERSION: Final = 1

Piece = tuple[int, int]
Progress = Callable[[int], None]


class Memory:
    """The file that a run notes in how far it has come.

    Args:
        file: where it is.
        export: the file that is verified; what was noted of another, or of this one before it changed, does not count.
        evidence: what vouches for the log; likewise.
    """

    def __init__(self, file: Path, export: Path, evidence: Evidence) -> None:
        self._file, self._export, self._evidence = file, export, evidence
        self._noted_at = 0.0
        self._good = 0

    def recall(self) -> tuple[Standing, int]:
        """How far an earlier run came, and the place in the export; the beginning where that is not known for sure."""
        try:
            said = json.loads(self._file.read_bytes())
            peaks = tuple(b64decode(peak) for peak in said["peaks"])
            standing = Standing(
                int(said["size"]), peaks, int(said["good"]), said["opening"].encode(), said["latest"].encode()
            )
            place = int(said["place"])
            if said["of"] != self._of(standing, place):
                return BEGINNING, 0
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return BEGINNING, 0
        self._good = standing.good
        return standing, place

    def note(self, standing: Standing, place: int) -> None:
        """Notes how far the run is, if it has passed a checkpoint since the last time.

        Raises:
            OSError: the file cannot be written.
        """
        if standing.good == self._good or monotonic() - self._noted_at < _NOTE_SECONDS:
            return
        said = {
            "size": standing.size,
            "peaks": [b64encode(peak).decode() for peak in standing.peaks],
            "good": standing.good,
            "opening": standing.opening.decode(),
            "latest": standing.latest.decode(),
            "place": place,
            "of": self._of(standing, place),
        }
        replace_file(self._file, json.dumps(said).encode(), mode=PUBLIC)
        self._noted_at, self._good = monotonic(), standing.good

    def forget(self) -> None:
        """There is nothing left to go on with."""
        self._file.unlink(missing_ok=True)

    def _of(self, standing: Standing, place: int) -> str:
        """What the note holds for: the file as it is, and the checkpoints passed so far."""
        is_now = self._export.stat()
        with self._export.open("rb") as file:
            file.seek(max(0, place - _TAIL_BYTES))
            tail = sha256(file.read(min(place, _TAIL_BYTES))).hexdigest()
        passed = [[one.size, one.root.hex()] for one in self._evidence.signed if one.size <= standing.good]
        of = [_VERSION, is_now.st_size, is_now.st_mtime_ns, tail, passed]
        return sha256(json.dumps(of).encode()).hexdigest()


def verify(
    export: Path,
    evidence: Evidence,
    *,
    gap_seconds: int = GAP_SECONDS,
    memory: Memory | None = None,
    progress: Progress = lambda _: None,
    processes: int | None = None,
) -> Verdict:
    """Verifies an export.

    Args:
        export: its file.
        evidence: what vouches for the log.
        gap_seconds: how long entries may wait for the checkpoint that covers them.
        memory: notes how far the run is, and knows how far an earlier one came.
        progress: told how many more entries were read.
        processes: how many read at once; as many as there are processors to have, up to four, unless told.

    Raises:
        OSError: the file cannot be read, or `memory` cannot be written.
    """
    standing, place = memory.recall() if memory else (BEGINNING, 0)
    verifier = Verifier(evidence, gap_seconds=gap_seconds, start=standing)
    progress(standing.size)
    pieces = _pieces(export, place)
    for (_, end), stretches in _read(export, pieces, tuple(evidence.sizes()), _wanted(export, place, processes)):
        before = verifier.entries
        verifier.take(stretches)
        progress(max(0, verifier.entries - before))
        if memory is not None and (sound := verifier.standing()) is not None:
            memory.note(sound, end)
    verdict = verifier.verdict()
    if memory is not None and verdict.ok:
        memory.forget()
    return verdict


def _wanted(export: Path, place: int, told: int | None) -> int:
    if told is not None:
        return told
    pieces = (export.stat().st_size - place) // _PIECE_BYTES
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(available, _MOST_PROCESSES) if pieces >= _SMALL_PIECES else 1


def _pieces(export: Path, place: int) -> Iterator[Piece]:
    """From where to where whole lines stand, a few thousand together."""
    with export.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        while place < size:
            end = min(place + _PIECE_BYTES, size)
            if end < size:
                file.seek(end - 1)
                file.readline(_MOST_LINE_BYTES)
                end = file.tell()
            yield place, end
            place = end


def _read(
    export: Path, pieces: Iterator[Piece], cuts: Sequence[int], processes: int
) -> Iterator[tuple[Piece, list[Stretch]]]:
    """The pieces in order with what they say; never more of them at once than the processes have in hand."""
    if processes <= 1:
        with export.open("rb") as file:
            for piece in pieces:
                yield piece, _said(file, piece, cuts)
        return
    # A forked process has all modules already; elsewhere than on Linux forking is not safe.
    context = get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(processes, context, _begin, (export, cuts))
    try:
        begun: deque[tuple[Piece, Future[list[Stretch]]]] = deque()
        for piece in pieces:
            begun.append((piece, pool.submit(_examine, piece)))
            if len(begun) > 2 * processes:
                first, future = begun.popleft()
                yield first, future.result()
        while begun:
            first, future = begun.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _said(file: BinaryIO, piece: Piece, cuts: Sequence[int]) -> list[Stretch]:
    start, end = piece
    file.seek(start)
    return examined(file, end - start, cuts)


class _Own:
    """What each reading process has: the file, and the sizes that are vouched for."""

    file: BinaryIO
    cuts: Sequence[int] = ()


def _begin(export: Path, cuts: Sequence[int]) -> None:
    _Own.file = export.open("rb")
    _Own.cuts = cuts


def _examine(piece: Piece) -> list[Stretch]:
    return _said(_Own.file, piece, _Own.cuts)

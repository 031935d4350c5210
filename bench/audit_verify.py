"""How fast an export is verified, beside how fast one core hashes its leaves and does nothing else."""

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.audit_log import BEGIN, REPORTS_AT_ONCE, Drawn
from bench.engines import clean_environment
from bench.figures import Result, compared
from bench.options import Options
from services.audit.keys import DatedKey, written_keys
from services.audit.note import Checkpoint, Note, Signer
from services.audit.tree import Frontier, leaf_hash
from services.cli.errors import CliError
from services.cli.stack.entry import jubao_argv

GOAL = 0.5
ENTRIES = 1_000_000
_ORIGIN = "bench.example/log"
_MOST_CHECKPOINTS = 100
_LEAF = b"\x00"
_LINES_AT_ONCE = 20_000
# Reports are drawn seconds apart, checkpoints hours.
_GAP_SECONDS = 10**9


class NotFoundSound(CliError):
    """The export that was measured with is not found sound, so its rate says nothing."""

    def __init__(self, said: str) -> None:
        super().__init__(f"`jubao audit verify` did not find the export sound ({said}); see to that first.")


class _Line(msgspec.Struct):
    index: int
    leaf: bytes
    hash: bytes


def measured(options: Options, entries: int) -> Result:
    """Pairs: the command over the whole export, start and all, then one core over the same leaves.

    Raises:
        NotFoundSound: the command found a problem.
    """
    ours, theirs, resident = [], [], []
    with TemporaryDirectory(prefix="jubao-bench-verify-") as name:
        directory = Path(name)
        with options.progress("export", entries) as advance:
            count, size = _written(directory, entries, options.seed, advance)
        with options.progress("verify", options.runs) as advance:
            for _ in range(options.runs):
                seconds, peak = _verified(directory)
                ours.append(size / seconds / 1e6)
                resident.append(peak)
                theirs.append(size / _hashed(directory) / 1e6)
                advance(1)
    figures = {
        "entries": count,
        "leaf_bytes": size,
        "unit": "MB of leaves a second",
        "seconds": [round(size / rate / 1e6, 2) for rate in ours],
        "largest_process_mib": max(resident),
    }
    return compared("audit.verify", ours, theirs, GOAL, figures)


def _written(directory: Path, entries: int, seed: int, advance: Any) -> tuple[int, int]:  # noqa: ANN401 -- a callback
    """Writes export, checkpoints and keys; how many entries there are, and the bytes of their leaves."""
    signer = Signer(_ORIGIN, Ed25519PrivateKey.from_private_bytes(sha256(b"bench").digest()))
    drawn, frontier, size = Drawn(Random(f"jubao audit export {seed}")), Frontier(), 0  # noqa: S311 -- the same again
    every = max(1, entries // REPORTS_AT_ONCE // _MOST_CHECKPOINTS)
    notes: list[str] = []
    with (directory / "entries").open("wb") as file:
        batches = 0
        while drawn.index < entries:
            first = drawn.index
            for index, row in enumerate(drawn.rows(min(REPORTS_AT_ONCE, entries)), first):
                leaf = row[-1]
                assert isinstance(leaf, bytes)  # noqa: S101 -- the column's type
                found = leaf_hash(leaf)
                frontier.append(found)
                size += len(leaf)
                file.write(b'{"index":%d,"leaf":"%b","hash":"%b"}\n' % (index, b64encode(leaf), b64encode(found)))
            drawn.settle()
            batches += 1
            advance(drawn.index - first)
            if batches % every == 0 or drawn.index >= entries:
                text = Checkpoint(_ORIGIN, frontier.size, frontier.root()).text
                made = int((drawn.at + timedelta(seconds=1)).timestamp())
                notes.append(str(Note(text, (signer.sign(text), signer.cosign(text, made)))))
    (directory / "checkpoints").write_text("\n".join(notes))
    since = (BEGIN - timedelta(days=1)).astimezone(UTC)
    (directory / "keys").write_text(written_keys([DatedKey(key, since, None) for key in (signer.key, signer.cokey)]))
    return frontier.size, size


def _verified(directory: Path) -> tuple[float, float]:
    """Seconds of the command, and the MiB of its largest process."""
    argv = jubao_argv(
        "audit", "verify", "--export", str(directory / "entries"), "--checkpoints", str(directory / "checkpoints"),
        "--key", str(directory / "keys"), "--gap-seconds", str(_GAP_SECONDS), "--json",
    )  # fmt: skip
    with (directory / "verdict").open("wb") as out:
        begun = perf_counter()
        process = subprocess.Popen(argv, stdout=out, env=clean_environment())  # noqa: S603 -- the project's own command
        _, status, used = os.wait4(process.pid, 0)
        seconds = perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    said = (directory / "verdict").read_text()
    if process.returncode or not json.loads(said)["ok"]:
        raise NotFoundSound(said[:500])
    return seconds, round(used.ru_maxrss / 1024, 1)


def _hashed(directory: Path) -> float:
    """Seconds that one core takes to hash all leaves, each on its own, once they are in memory."""
    spent = 0.0
    for leaves in _leaves(directory):
        begun = perf_counter()
        for leaf in leaves:
            sha256(leaf).digest()
        spent += perf_counter() - begun
    return spent


def _leaves(directory: Path) -> Iterator[list[bytes]]:
    decoder = msgspec.json.Decoder(_Line)
    leaves: list[bytes] = []
    with (directory / "entries").open("rb") as file:
        for line in file:
            leaves.append(_LEAF + decoder.decode(line).leaf)
            if len(leaves) == _LINES_AT_ONCE:
                yield leaves
                leaves = []
    yield leaves

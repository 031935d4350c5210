"""Where the processor time of a report goes: one more turn of Jubao's, with its processes sampled."""

import json
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.contestants import JUBAO, ROOT
from bench.engines import Turn, jubao_stack
from bench.measure import Advance, take_turn
from bench.reports import Submission
from bench.sampler.sampling import DIRECTORY

ENGINES = ("postgres", "kafka")
_SAMPLER = Path(__file__).parent / "sampler"

Profile = dict[str, dict[str, float]]


def profile(warm_up: Sequence[Submission], records: Sequence[Submission], advance: Advance) -> Profile:
    """Milliseconds of processor time a report, by process and what it was spent on.

    Sampling costs some of it itself, so this turn's rate is nobody's; the shares are what it is for.

    Raises:
        TurnFailed: as any turn.
    """
    with tempfile.TemporaryDirectory(prefix="jubao-bench-samples-") as folder:

        @contextmanager
        def sampled(directory: Path) -> Iterator[Turn]:
            path = os.pathsep.join((str(_SAMPLER), str(ROOT), os.environ.get("PYTHONPATH", "")))
            told = {"PYTHONPATH": path, DIRECTORY: folder}
            with jubao_stack(directory, told) as turn:
                yield turn

        measured = take_turn(replace(JUBAO, turn=sampled, begin=_forget_the_start), warm_up, records, advance)
        samples = [json.loads(path.read_bytes()) for path in Path(folder).glob("*.json")]
    return shared_out(measured.cpu_ms_a_report, {told["unit"]: told["samples"] for told in samples})


def _forget_the_start(turn: Turn) -> None:
    turn.processes.signal([name for name in turn.processes.names if name not in ENGINES], signal.SIGUSR2)


def shared_out(cpu_ms: Mapping[str, float], samples: Mapping[str, Mapping[str, int]]) -> Profile:
    """Each process's milliseconds over what its samples say; an engine, which nobody samples, stays whole."""
    told: Profile = {}
    for process, spent_ms in cpu_ms.items():
        counts = samples.get(process) or {process: 1}
        total = sum(counts.values())
        told[process] = {kind: round(spent_ms * count / total, 5) for kind, count in Counter(counts).most_common()}
    return told


def by_kind(told: Profile) -> dict[str, float]:
    """The same over all processes, the greatest first."""
    kinds: Counter[str] = Counter()
    for shares in told.values():
        kinds.update(shares)
    return dict(kinds.most_common())

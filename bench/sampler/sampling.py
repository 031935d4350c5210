"""Counts where a process spends its processor time, by stacks sampled at equal shares of it.

Only the standard library: it is imported before anything else of the process.
"""

import atexit
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

DIRECTORY = "BENCH_SAMPLES"
_EVERY_SECONDS = 0.002

# What a stack is counted as: the first line that fits any of its frames. A hint is the end of a file's name or a folder
# in it, with or without a function.
KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("outbox and publishing", ("runtime/outbox.py", "runtime/publisher.py", "runtime/broker.py:_send")),
    ("commit", ("sqlalchemy/engine/base.py:_commit_impl", "asyncpg/transaction.py", "runtime/offsets.py")),
    ("attestation", ("triage/attestation.py", "triage/standing.py", "triage/registry.py")),
    (
        "policy",
        ("triage/classing.py", "triage/policy.py", "triage/condition.py", "triage/inputs.py", "triage/in_force.py"),
    ),
    (
        "entries and hashes",
        ("audit/leaf.py", "audit/disclosure.py", "audit/tree.py", "audit/tiles.py"),
    ),
    ("SQL", ("/store.py", "/store/", "runtime/bulk.py", "runtime/database.py", "/sqlalchemy/", "/asyncpg/")),
    ("decode", ("runtime/decoding.py", "audit/reading.py", "runtime/twins.py", ":decode", ":arrival_of")),
    ("events made", ("triage/priority.py", "triage/consume.py", "review/events.py", "runtime/writing.py", "/trace.py")),
    ("cases joined", ("review/joining.py", "review/consume.py", "review/ordering.py", "audit/consume.py")),
    ("broker", ("/aiokafka/", "/faststream/", "runtime/broker.py", "/kafka/")),
    ("batches", ("runtime/batch.py",)),
)
REST = "loop and rest"


def begin() -> None:
    """Samples until the process ends, and then leaves the counts in the directory that the environment names."""
    directory = os.environ.get(DIRECTORY)
    if directory is None:
        return
    stacks: Counter[tuple[CodeType, ...]] = Counter()

    def sample(_: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append(frame.f_code)
            frame = frame.f_back
        stacks[tuple(stack)] += 1

    def leave() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        kinds: Counter[str] = Counter()
        for stack, count in stacks.items():
            kinds[kind_of([f"{code.co_filename}:{code.co_name}" for code in stack])] += count
        unit = sys.orig_argv[-1]
        Path(directory, f"{unit}-{os.getpid()}.json").write_text(json.dumps({"unit": unit, "samples": kinds}))

    # What went before the first record is start-up and is not asked for; whoever measures says when it is over.
    signal.signal(signal.SIGUSR2, lambda *_: stacks.clear())
    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_SECONDS, _EVERY_SECONDS)
    atexit.register(leave)


def kind_of(places: list[str]) -> str:
    """What a stack is counted as, given its frames as `file:function`."""
    for kind, hints in KINDS:
        if any(_fits(place, hint) for place in places for hint in hints):
            return kind
    return REST


def _fits(place: str, hint: str) -> bool:
    file, _, function = place.rpartition(":")
    where, _, what = hint.partition(":")
    return (not what or function == what) and (where in file if where.endswith("/") else file.endswith(where))

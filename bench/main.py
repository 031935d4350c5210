"""The benchmarks by name, each imported when it is asked for."""

import importlib
from collections.abc import Sequence

from bench.figures import Result
from bench.options import Options

BENCHES = {"pipeline": "bench.pipeline", "audit": "bench.audit"}


def run(names: Sequence[str], options: Options) -> list[Result]:
    """Runs the named ones, or all, one after the other.

    Raises:
        KeyError: there is none of that name.
    """
    return [result for name in names or BENCHES for result in importlib.import_module(BENCHES[name]).run(options)]

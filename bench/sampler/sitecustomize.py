"""Python imports this at its start when the folder is on PYTHONPATH: it samples what a `jubao serve` process does.

A timer of processor time interrupts the process some hundred times a second; where it stands then is counted. The
services run unchanged, and code that moves needs nothing said here.
"""

import sys

if "serve" in sys.orig_argv:
    from bench.sampler import sampling

    sampling.begin()

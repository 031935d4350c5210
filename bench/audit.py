"""`jubao bench audit`: what the log's tree, its proofs, checkpoints, searches and its verifier cost on this machine."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from bench import audit_ingest, audit_log, audit_reads, audit_verify, audit_vouching
from bench.engines import bare_engines
from bench.figures import Result
from bench.options import Options
from services.cli.stack.directory import DataDirectory
from services.cli.stack.keys import make_local_issuer
from services.runtime.logs import silence

ENTRIES = 10_000_000


def run(options: Options) -> list[Result]:
    """Runs all five; a result for each.

    Raises:
        TurnFailed: something did not start, or was refused.
        NotFoundSound: the export that was to be measured with does not verify.
    """
    # Each checkpoint is a line of the log's writer, which here is this process.
    silence("warning")
    entries = options.entries or ENTRIES
    verify = audit_verify.measured(options, min(entries, audit_verify.ENTRIES))
    directory = Path(tempfile.mkdtemp(prefix="jubao-bench-audit-"))
    with bare_engines(directory) as turn:
        make_local_issuer(DataDirectory.of(turn.directory))
        records = options.records or min(entries, audit_ingest.RECORDS)
        ingest = audit_ingest.measured(options, turn, records)
        with options.progress("log", entries) as advance:
            asyncio.run(audit_log.build(turn.database, entries, options.seed, advance))
        checkpoint = asyncio.run(audit_vouching.vouched(options, turn))
        proof = asyncio.run(audit_reads.proofs(options, turn, entries))
        search = asyncio.run(audit_reads.searches(options, turn, entries))
    shutil.rmtree(directory, ignore_errors=True)
    return [ingest, verify, proof, checkpoint, search]

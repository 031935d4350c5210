"""Nothing is lost and nothing is done twice when processes die or sleep at any moment."""

import os
import random
import signal
import threading
import time

import psutil

from tests.acceptance import records
from tests.acceptance.stack import Stack

REPORTS = 24_000


def _send(stack: Stack, prefix: str, seed: random.Random) -> set[str]:
    batch = records.ordinary(seed, REPORTS, prefix)
    thread = threading.Thread(
        target=lambda: [stack.produce("reports.public.v1", batch[n : n + 2_000]) for n in range(0, REPORTS, 2_000)]
    )
    thread.start()
    thread.join(0.5)
    return {key.decode() for key, _, _ in batch}


def _assert_whole(stack: Stack, prefix: str) -> None:
    stack.until(
        lambda: (
            stack.sql(
                "SELECT count(*) FROM review.reports r JOIN review.cases c USING (case_id) WHERE c.content_id LIKE $1",
                f"{prefix}\\_%",
            )[0][0]
            == REPORTS
        ),
        150,
    )
    stack.settle()
    counts = stack.sql(
        "SELECT sum(report_count), count(*), count(DISTINCT content_id) FROM review.cases WHERE content_id LIKE $1",
        f"{prefix}\\_%",
    )[0]
    assert counts[0] == REPORTS
    assert counts[1] == counts[2]
    entries = stack.sql(
        "SELECT type, count(*) FROM audit.entries WHERE content_id LIKE $1 AND type LIKE 'jubao.report.%' GROUP BY 1",
        f"{prefix}\\_%",
    )
    assert {row[0]: row[1] for row in entries} == {
        "jubao.report.submitted.v1": REPORTS,
        "jubao.report.triaged.v1": REPORTS,
    }
    index = stack.sql('SELECT count(*), max("index") FROM audit.entries')[0]
    assert index[0] == index[1] + 1


def test_kill_at_random_moments(stack: Stack) -> None:
    """Service processes killed at random moments during an import leave every report in the database once."""
    seed = random.Random(31)
    before = {p.pid for p in stack.serving()}
    thread = threading.Thread(target=_send, args=(stack, "killed", random.Random(32)))
    thread.start()
    killed = 0
    for _ in range(10):
        time.sleep(seed.uniform(0.3, 1.5))
        victim = seed.choice(stack.serving())
        try:
            victim.kill()
            killed += 1
        except psutil.NoSuchProcess:
            continue
    thread.join()
    assert killed >= 8
    _assert_whole(stack, "killed")
    assert len({p.pid for p in stack.serving()}) == len(before)


def test_sleep_beyond_the_session(stack: Stack) -> None:
    """A consumer stopped beyond its session's time-out writes nothing when it wakes up with a batch in hand."""
    thread = threading.Thread(target=_send, args=(stack, "slept", random.Random(33)))
    thread.start()
    time.sleep(1)
    sleepers = [p for p in stack.serving() if any("public" in word for word in p.cmdline())]
    assert len(sleepers) == 2
    for process in sleepers:
        os.kill(process.pid, signal.SIGSTOP)
    time.sleep(14)
    for process in sleepers:
        os.kill(process.pid, signal.SIGCONT)
    thread.join()
    _assert_whole(stack, "slept")

"""The profile `cluster`: of three brokers one is killed in the middle of an import, and nobody loses a report."""

import json
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import records
from tests.containers.deployment import DESK, Deployment
from tests.containers.story import Police, decided_first, outcome_of
from tests.engines.reaper import project_prefix

# The first to ask for a deployment waits for its images as well.
pytestmark = [pytest.mark.containers, pytest.mark.timeout(1_800)]

COPIES = Path(__file__).parent / "inside" / "copies.py"
REPORTS = 6_000
PER_SECOND = "250"
VICTIM = "kafka-2"


@pytest.fixture(scope="module")
def cluster(clean_checkout: Path, containers_session: str) -> Iterator[Deployment]:
    """Three brokers, each record on all of them, acknowledged when two have it."""
    ours = project_prefix(containers_session)
    with Deployment(clean_checkout, f"{ours}-three", ours, profiles=("cluster",)).running() as made:
        yield made


def _reports(count: int) -> str:
    seed = random.Random(20_261_124)
    return "\n".join(json.dumps(records.report(seed, f"v_import_{seed.randrange(count // 3)}")) for _ in range(count))


def copies(cluster: Deployment) -> dict[str, list[int]]:
    """The numbers of copies that partitions have, and of those that are up to date."""
    told: dict[str, list[int]] = cluster.inside(DESK, COPIES.read_text())
    return told


class Import(threading.Thread):
    """`jubao import` at the desk, while other things happen."""

    def __init__(self, cluster: Deployment, lines: str) -> None:
        super().__init__()
        self._cluster, self._lines = cluster, lines
        self.told: dict[str, Any] = {}
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            self.told = self._cluster.desk(
                "import", "/dev/stdin", "--format", "jsonl", "--rate", PER_SECOND, said=self._lines, seconds=600
            )
        except (pytest.fail.Exception, subprocess.SubprocessError, ValueError) as failed:
            self.failed = failed


def test_a_broker_dies_in_the_middle_of_an_import(cluster: Deployment) -> None:
    """Every accepted report is queued once, police reports go through meanwhile, and the broker catches up again."""
    assert copies(cluster) == {"replicas": [3], "isr": [3]}
    police = Police.registered(cluster)
    before = cluster.desk("status")["reports"]["queued"]
    importing = Import(cluster, _reports(REPORTS))
    importing.start()
    cluster.until(lambda: cluster.desk("status")["reports"]["queued"] > before + REPORTS // 20, 120)
    (victim,) = cluster.containers(VICTIM)
    victim.kill()
    assert importing.is_alive(), "the import was over before the broker died"
    report_id = police.taken("v_while_one_is_dead")
    decided_first(cluster, "v_while_one_is_dead")
    assert outcome_of(cluster, report_id)["class"] == "P0"
    importing.join(600)
    assert importing.failed is None, importing.failed
    assert importing.told["accepted"] == REPORTS
    told: dict[str, Any] = {}

    def all_queued() -> bool:
        told.update(cluster.desk("status"))
        return bool(told["reports"]["queued"] == before + REPORTS + 1)

    cluster.until(all_queued, 180, lambda: told)
    assert told["reports"]["dead"] == 0
    assert copies(cluster)["isr"] == [2]
    victim.start()
    cluster.until(lambda: copies(cluster)["isr"] == [3], 180)

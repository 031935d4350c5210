"""The log as others read it: by Tessera's client of C2SP tiles, with nothing of ours but addresses and keys.

`make tiles` builds the client out of tests/contracts/tiles and runs this.
"""

import json
import random
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import records
from tests.acceptance.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLIENT = Path(sys.executable).parent / "tiles-client"
SIGNATURE = 1
REPORTS = 400
# As a superuser can, past the trigger that stands in the way.
ALTERED = """
    DO $$ BEGIN
        SET LOCAL session_replication_role = replica;
        UPDATE audit.entries SET leaf = set_byte(leaf, 20, get_byte(leaf, 20) # 1) WHERE index = 0;
    END $$
"""


def test_another_projects_client_reads_the_log(new_stack: Callable[..., Stack], tmp_path: Path) -> None:
    """Tessera's client proves entries to be in a log that grows, and the log to continue an older checkpoint."""
    stack = new_stack(checkpoint_seconds=1)
    older = tmp_path / "older"
    stack.produce("reports.public.v1", records.ordinary(random.Random(11), REPORTS, "tiles"))
    stack.settle()
    stack.until(lambda: size_of(stack) >= 2 * REPORTS)
    first = told(client(stack))
    older.write_text(checkpoint(stack))
    stack.produce("reports.public.v1", records.ordinary(random.Random(12), REPORTS, "more-tiles"))
    stack.settle()
    stack.until(lambda: size_of(stack) >= 4 * REPORTS)
    then = told(client(stack, str(older)))
    assert then["size"] > first["size"] >= 2 * REPORTS
    assert min(first["entries"], then["entries"]) > REPORTS
    assert then["continues"] >= first["size"]
    (row,) = stack.sql("SELECT note FROM audit.checkpoints WHERE size = $1 ORDER BY number LIMIT 1", then["size"])
    assert b64decode(then["root"]) == b64decode(row["note"].splitlines()[2])


def test_another_projects_client_takes_no_other_history(new_stack: Callable[..., Stack]) -> None:
    """Tessera's client refuses an entry that was altered in the database after it was signed."""
    stack = new_stack(checkpoint_seconds=1)
    stack.produce("reports.public.v1", records.ordinary(random.Random(13), REPORTS, "other-tiles"))
    stack.settle()
    stack.until(lambda: size_of(stack) >= 2 * REPORTS)
    told(client(stack))
    stack.sql(ALTERED)
    refused = client(stack)
    assert refused.returncode == 1
    assert refused.stderr.startswith("entry 0: ")


def client(stack: Stack, *older: str) -> subprocess.CompletedProcess[str]:
    """The client's run over the log as it is served."""
    with stack.http("tiles-auditor", "auditor") as auditor:
        keys = auditor.get("/audit/v1/keys").text
    origin = checkpoint(stack).partition("\n")[0]
    signing = [line.split(" ")[0] for line in keys.splitlines() if line.startswith(f"{origin}+")]
    (vkey,) = [vkey for vkey in signing if b64decode(vkey.split("+", 2)[2])[0] == SIGNATURE]
    environment = {**stack.environment, "JUBAO_TOKEN": stack.token("tiles-auditor", "auditor")}
    argv = [str(CLIENT), f"{stack.answer['http']}/audit/tiles/", vkey, origin, *older]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def checkpoint(stack: Stack) -> str:
    with stack.http("tiles-auditor", "auditor") as auditor:
        return auditor.get("/audit/tiles/checkpoint").raise_for_status().text


def size_of(stack: Stack) -> int:
    with stack.http("tiles-auditor", "auditor") as auditor:
        said = auditor.get("/audit/tiles/checkpoint")
    return int(said.text.splitlines()[1]) if said.status_code == 200 else 0

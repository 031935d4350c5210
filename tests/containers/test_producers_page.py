"""docs/producers.md on the compose file: the page's programs, signed in as the page says."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.containers.deployment import ROOT, Deployment

pytestmark = pytest.mark.containers

PAGE = (ROOT / "docs" / "producers.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["send_aiokafka.py", "send_confluent.py"])
def test_a_program_of_the_page_sends_a_report(deployment: Deployment, tmp_path: Path, name: str) -> None:
    """After the page's block for the compose file, a program of the page puts a report into a queue."""
    bash = shutil.which("bash")
    [sign_in] = re.findall(r"^```bash compose\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    [program] = re.findall(rf"^```python {name}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert bash is not None
    (tmp_path / name).write_text(program)
    environment = {
        **deployment.environment,
        "COMPOSE_FILE": str(deployment.directory / "docker-compose.yml"),
        "COMPOSE_PROJECT_NAME": deployment.project,
    }
    done = subprocess.run(
        [bash, "-euc", f"{sign_in}\n{sys.executable} {name}"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stderr}\n{deployment.logs()}"
    report_id = done.stdout.strip()
    with deployment.http("app-backend", "platform") as http:
        deployment.until(lambda: http.get(f"/outcomes/v1/reports/{report_id}").status_code == 200)
        standing = json.loads(http.get(f"/outcomes/v1/reports/{report_id}").text)
    assert (standing["report_id"], standing["state"]) == (report_id, "queued")

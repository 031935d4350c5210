"""Every service under the fire of schemathesis, led by its own OpenAPI document, on a running stack with real tokens.

`JUBAO_FIRE_SEED` and `JUBAO_FIRE_EXAMPLES` draw other requests, or more; `make fire SEED=7 EXAMPLES=300` sets them.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.access import ACCESS, Role, Rule
from tests.acceptance import records
from tests.acceptance.stack import Stack
from tests.acceptance.staff import tokens_of_all_roles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

SEED = int(os.environ.get("JUBAO_FIRE_SEED") or 20_261_123)
EXAMPLES = int(os.environ.get("JUBAO_FIRE_EXAMPLES") or 200)
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
CHECKS = Path(__file__).with_name("fire_checks.py")
REPLACED = "negative_data_rejection"
PHASES = "examples,coverage,fuzzing,stateful"
# What a description cannot say: which cursors, keys and time zones there are, how long the log is, which fields of a
# finding go together, what time it is, what counts as a space. Whatever else fits a description must not be refused as
# if it did not.
BEYOND_DESCRIPTION = {
    ("GET", "/v1/cases"), ("GET", "/v1/dead"), ("GET", "/v1/entries"), ("GET", "/v1/sources"), ("GET", "/v1/attesters"),
    ("POST", "/v1/sources"), ("POST", "/v1/sources/{source_id}/keys"), ("POST", "/v1/attesters"),
    ("POST", "/v1/reports"), ("POST", "/v1/flagged-reports"), ("POST", "/v1/cases/{case_id}/decisions"),
    ("POST", "/v1/dead/replay"), ("GET", "/v1/consistency"), ("GET", "/v1/entries/{index}/proof"),
    ("GET", "/v1/export"), ("GET", "/v1/holds"), ("POST", "/v1/holds"), ("POST", "/v1/erasures"),
    ("GET", "/v1/stories/{report_id}"), ("POST", "/v1/entries/{index}/disclosures"),
}  # fmt: skip
ACCEPTED = ["2xx", "401", "403", "404", "409", "410", "422", "429"]


@pytest.fixture(scope="module")
def target(stack: Stack) -> Stack:
    """A stack with something to find: cases to claim and dead letters to replay."""
    drawn = random.Random(SEED)
    stack.produce("reports.public.v1", records.ordinary(drawn, 400, "fire"))
    stack.produce("reports.public.v1", [(b"k", b"not json", [])] * 3)
    stack.settle()
    return stack


def variants() -> Iterator[tuple[str, Role | None]]:
    """Each service with the first role that a call takes; once more as the police where a call takes several."""
    for service, rules in ACCESS.items():
        yield service, None
        if any("police" in rule.roles[1:] for rule in rules):
            yield service, "police"


@pytest.mark.parametrize(("service", "preferred"), list(variants()))
def test_service_holds_what_its_description_says(
    target: Stack, tmp_path: Path, service: str, preferred: Role | None
) -> None:
    """No request of many, drawn from the description or against it, gets what the description does not say."""
    config = tmp_path / "schemathesis.toml"
    config.write_text(configuration(ACCESS[service], tokens_of_all_roles(target), preferred), "utf-8")
    command = [
        SCHEMATHESIS, "--config-file", config, "run", f"{target.answer['http']}/{service}/openapi.json",
        "--seed", SEED, "--max-examples", EXAMPLES, "--phases", PHASES, "--checks", "all", "--exclude-checks", REPLACED,
        "--continue-on-failure", "--request-timeout", 20, "--no-color",
    ]  # fmt: skip
    done = subprocess.run(
        list(map(str, command)), cwd=tmp_path, env=target.environment, capture_output=True, text=True, check=False
    )
    told = f"seed {SEED}, {EXAMPLES} examples, exit {done.returncode}\n{done.stdout[-12_000:]}\n{done.stderr[-2_000:]}"
    assert done.returncode == 0, f"{told}\n{target.logs()}"


def configuration(rules: tuple[Rule, ...], token_of: dict[str, str], preferred: Role | None) -> str:
    """A configuration of schemathesis: for each operation a token that lets in, and how strictly 422 is looked at."""
    tables = [f"hooks = {json.dumps(str(CHECKS))}", ""]
    for rule in rules:
        settings = []
        if rule.roles:
            role = preferred if preferred in rule.roles else rule.roles[0]
            settings.append(f'headers = {{ Authorization = "Bearer {token_of[role]}" }}')
        if (rule.method, rule.path) in BEYOND_DESCRIPTION:
            settings.append(f"checks.positive_data_acceptance.expected-statuses = {json.dumps(ACCEPTED)}")
        if settings:
            name = json.dumps(f"{rule.method} {rule.path}")
            tables += ["[[operations]]", f"include-name = {name}", *settings, ""]
    return "\n".join(tables)

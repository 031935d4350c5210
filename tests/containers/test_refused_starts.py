"""What is wrong with a deployment is said in one line by the container that it hinders; that one ends, not with 0."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.containers.deployment import Deployment

# The first to ask for a deployment waits for its images as well.
pytestmark = [pytest.mark.containers, pytest.mark.timeout(1_800)]

WRONG = {
    "a secret that is missing": (
        "intake", {"JUBAO_INTAKE_KEY_FILE": "/run/secrets/nothing.pem"},
        ("JUBAO_INTAKE_KEY_FILE", "/run/secrets/nothing.pem", "is missing", "deploy/make-secrets"),
    ),
    "a wrong database password": (
        "triage-flagged", {"JUBAO_DATABASE_PASSWORD_FILE": "/run/secrets/kafka.password"},
        ("jubao_triage", "wrong password", "JUBAO_DATABASE_PASSWORD_FILE"),
    ),
    "a wrong Kafka password": (
        "review-public", {"JUBAO_KAFKA_PASSWORD_FILE": "/run/secrets/database.password"},
        ("does not take the user review", "JUBAO_KAFKA_PASSWORD_FILE"),
    ),
    "a database that is not there": (
        "audit-consume", {"JUBAO_DATABASE": "postgresql://jubao_audit@127.0.0.1:9/jubao", "JUBAO_WAIT_SECONDS": "2"},
        ("PostgreSQL at 127.0.0.1:9 did not answer within 2 s", "JUBAO_DATABASE"),
    ),
    "a broker that is not there": (
        "audit-consume", {"JUBAO_KAFKA": "127.0.0.1:9", "JUBAO_WAIT_SECONDS": "2"},
        ("Kafka at 127.0.0.1:9 did not answer within 2 s", "JUBAO_KAFKA"),
    ),
    "a topic with too few partitions": (
        "triage-public", {"JUBAO_TOPIC_PARTITIONS": "64"},
        ("has 8 partitions and needs 64", "jubao topics create"),
    ),
}  # fmt: skip


def refused(deployment: Deployment, service: str, **settings: str) -> str:
    """The line with which a container of the service ends that is started with these settings."""
    given = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    done = deployment.compose("run", "--rm", "--no-deps", "--no-TTY", *given, service, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line and not line.startswith("{")]
    assert done.returncode not in {0, 137, 143}, done
    assert len(said) == 1, said
    return said[0]


@pytest.mark.parametrize("what", WRONG)
def test_a_container_says_in_one_line_what_is_wrong(deployment: Deployment, what: str) -> None:
    """It ends with a code that is not 0, and its one line names what is wrong and what mends it, without a secret."""
    service, settings, words = WRONG[what]
    said = refused(deployment, service, **settings)
    assert all(word in said for word in words), said


@contextmanager
def newer_schema(deployment: Deployment) -> Iterator[None]:
    """The database as a newer Jubao would leave it."""

    def owner(statement: str) -> str:
        psql = ("psql", "--quiet", "--no-align", "--tuples-only", "--username", "postgres", "--dbname", "jubao")
        return deployment.compose("exec", "--no-TTY", "postgres", *psql, "--command", statement).stdout.strip()

    version = owner("SELECT version_num FROM review.alembic_version")
    owner("UPDATE review.alembic_version SET version_num = '9999'")
    try:
        yield
    finally:
        owner(f"UPDATE review.alembic_version SET version_num = '{version}'")


def test_a_database_of_a_newer_version_is_left_alone(deployment: Deployment) -> None:
    """Service and migrations each say that a newer Jubao made the schema, and neither changes it."""
    with newer_schema(deployment):
        for service in ("review", "migrations"):
            assert "newer Jubao" in refused(deployment, service)

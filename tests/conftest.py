"""The two engines for every test that wants them: real ones, started once per run, or given by the environment."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.cli.stack.kafka import Kafka
from services.cli.stack.ports import free_port
from services.cli.stack.postgres import Postgres
from services.cli.stack.process import running


@pytest.fixture(scope="session")
def engines_directory() -> Iterator[Path]:
    """Where this run's engines keep their data; not one of pytest's, which keeps those of the last runs."""
    with TemporaryDirectory(prefix="jubao-tests-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def postgres_dsn(engines_directory: Path) -> Iterator[str]:
    """A superuser's address of a real PostgreSQL; `JUBAO_TEST_DATABASE` gives one that runs already."""
    if given := os.environ.get("JUBAO_TEST_DATABASE"):
        yield given
        return
    postgres = Postgres(
        engines_directory / "postgres",
        engines_directory / "postgres.log",
        password_file=engines_directory / "postgres.password",
        port=free_port(),
    )
    with running(postgres):
        yield postgres.dsn


@pytest.fixture(scope="session")
def kafka_address(engines_directory: Path) -> Iterator[str]:
    """The bootstrap address of a real Apache Kafka; `JUBAO_TEST_KAFKA` gives one that runs already."""
    if given := os.environ.get("JUBAO_TEST_KAFKA"):
        yield given
        return
    kafka = Kafka(
        engines_directory / "kafka",
        engines_directory / "kafka.log",
        port=free_port(),
        controller_port=free_port(),
    )
    with running(kafka):
        yield kafka.address

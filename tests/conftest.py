"""The two engines for every test that wants them: real ones, in processes of this run, in containers, or given."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from services.cli.stack.kafka import Kafka
from services.cli.stack.ports import free_port
from services.cli.stack.postgres import Postgres
from services.cli.stack.process import running
from tests.engines.choice import EnginesChoice
from tests.engines.stacks import EmbeddedEngines, StackEngines

# A change lands, or does not, by what it changes; `make hunt` looks for what nobody has found yet.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("hunting", print_blob=True)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one switch between engines."""
    parser.addoption(
        "--engines",
        choices=("embedded", "containers"),
        default="embedded",
        help="what PostgreSQL and Kafka run in: processes of this run, or containers of postgres:18 and apache/kafka",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(EnginesChoice(config.getoption("engines")))


@pytest.fixture(scope="session")
def engines_directory() -> Iterator[Path]:
    """Where this run's engines keep their data; not one of pytest's, which keeps those of the last runs."""
    with TemporaryDirectory(prefix="jubao-tests-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def containers_session() -> Iterator[str]:
    """The name of this run, that everything bears which it has Docker make; all of it is removed at the end."""
    from tests.engines.reaper import reaped  # noqa: PLC0415 -- a run without containers has no use for Docker's client

    with reaped() as session:
        yield session


@pytest.fixture(scope="session")
def engines_of(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Callable[[Path], StackEngines]:
    """Gives the engines of a stack by its data directory; a stack in containers has its own as well."""
    if pytestconfig.getoption("engines") == "embedded":
        return EmbeddedEngines
    from tests.engines.containers import ContainerEngines  # noqa: PLC0415 -- as above

    session = request.getfixturevalue("containers_session")
    return lambda _: ContainerEngines(session)


@pytest.fixture(scope="session")
def shared_containers(containers_session: str) -> Iterator[tuple[str, str]]:
    """Database and broker of the tests that have no stack, in containers: their addresses."""
    from tests.engines.containers import ContainerEngines  # noqa: PLC0415 -- as above

    engines = ContainerEngines(containers_session)
    engines.start()
    yield engines.dsn, engines.address
    engines.remove()


@pytest.fixture(scope="session")
def postgres_dsn(engines_directory: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A superuser's address of a real PostgreSQL; `JUBAO_TEST_DATABASE` gives one that runs already."""
    if request.config.getoption("engines") == "containers":
        yield request.getfixturevalue("shared_containers")[0]
        return
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
def kafka_address(engines_directory: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The bootstrap address of a real Apache Kafka; `JUBAO_TEST_KAFKA` gives one that runs already."""
    if request.config.getoption("engines") == "containers":
        yield request.getfixturevalue("shared_containers")[1]
        return
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

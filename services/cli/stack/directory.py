"""The data directory of one stack: what lies where, and the checks before anything is put there."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.cli.errors import DiskFull, explained
from services.runtime.files import PRIVATE, replace_file

LEAST_FREE_BYTES = 200 * 1024 * 1024
# Engines write ahead in pieces of 16 MiB.
_FULL_BYTES = 16 * 1024 * 1024
# Linux takes 108 bytes with the closing NUL for the path of a unix socket.
_MOST_SOCKET_PATH_BYTES = 107


class InUse(OSError):
    """Another supervisor holds this directory."""


@dataclass(frozen=True)
class DataDirectory:
    """Paths under one DIR; `root` is absolute."""

    root: Path

    @classmethod
    def of(cls, path: Path) -> "DataDirectory":
        """The directory that a user names, made absolute: children run elsewhere."""
        return cls(path.expanduser().resolve())

    @property
    def log(self) -> Path:
        """A log for each child and one for a detached supervisor."""
        return self.root / "log"

    @property
    def run(self) -> Path:
        """What is true only while the stack runs; and the ports, to have the same again."""
        return self.root / "run"

    @property
    def secrets(self) -> Path:
        """Keys and passwords, for this user only."""
        return self.root / "secrets"

    @property
    def state_file(self) -> Path:
        """What runs; see `state.py`."""
        return self.run / "state.json"

    @property
    def metrics(self) -> Path:
        """Where the processes of one run leave their Prometheus samples."""
        return self.run / "metrics"

    @property
    def postgres_password(self) -> Path:
        """The superuser's password."""
        return self.secrets / "postgres.password"

    @property
    def issuer_key(self) -> Path:
        """The local issuer's private key; absent where an outside issuer signs."""
        return self.secrets / "issuer.pem"

    @property
    def jwks(self) -> Path:
        """The local issuer's public key."""
        return self.secrets / "jwks.json"

    @property
    def intake_key(self) -> Path:
        """The key with which intake attests."""
        return self.secrets / "intake.pem"

    @property
    def audit_key(self) -> Path:
        """The keys with which the log vouches for itself."""
        return self.secrets / "audit.pem"

    @property
    def cursor_key(self) -> Path:
        """The secret that page cursors are signed with."""
        return self.secrets / "cursor.key"

    @property
    def service_token(self) -> Path:
        """The token with which one service calls another."""
        return self.secrets / "service.token"

    @property
    def staff(self) -> Path:
        """The local staff accounts."""
        return self.root / "staff.json"

    def log_of(self, name: str) -> Path:
        """The log of one child."""
        return self.log / f"{name}.log"

    def socket_of(self, name: str) -> Path:
        """Where a child without web answers about its health; in a short directory of its own if this one is deep."""
        path = self.run / f"{name}.sock"
        if len(os.fsencode(path)) <= _MOST_SOCKET_PATH_BYTES:
            return path
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir(), f"jubao-{os.geteuid()}-{digest}", f"{name}.sock")

    def make(self) -> None:
        """Makes the directories and holds that they can be written and have room.

        Raises:
            DataNotUsable: they cannot be made or written.
            DiskFull: less than 200 MiB are free.
        """
        try:
            for directory in (self.root, self.log, self.run):
                directory.mkdir(parents=True, exist_ok=True)
            self.secrets.mkdir(mode=PRIVATE | 0o100, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.run) as probe:
                probe.write(b"room?")
            free_bytes = shutil.disk_usage(self.root).free
        except OSError as refused:
            raise explained(refused, self.root) from refused
        if free_bytes < LEAST_FREE_BYTES:
            raise DiskFull(self.root)

    def is_full(self) -> bool:
        """Whether so little is left that an engine's failure is explained by it."""
        return shutil.disk_usage(self.root).free < _FULL_BYTES

    def make_fresh(self, socket_names: tuple[str, ...]) -> None:
        """Clears what belonged to the last run, once it is certain that the last run is over."""
        shutil.rmtree(self.metrics, ignore_errors=True)
        self.metrics.mkdir()
        for name in socket_names:
            socket = self.socket_of(name)
            if socket.parent != self.run:
                _make_own(socket.parent)
            socket.unlink(missing_ok=True)

    def ports(self) -> dict[str, int]:
        """The engines' ports of the last run, by engine; empty when unknown."""
        try:
            known = json.loads(self._ports_file.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return {str(name): int(port) for name, port in known.items()}

    def remember_ports(self, ports: dict[str, int]) -> None:
        """Keeps them for the next run."""
        replace_file(self._ports_file, json.dumps(ports).encode(), mode=PRIVATE)

    @property
    def _ports_file(self) -> Path:
        return self.run / "ports.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the directory for one supervisor; the kernel lets go of it whatever the supervisor dies of.

        Raises:
            InUse: another one holds it.
        """
        with (self.run / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as busy:
                raise InUse from busy
            yield

    def is_held(self) -> bool:
        """Whether a supervisor holds it at this moment."""
        try:
            with self.held():
                return False
        except InUse:
            return True
        except FileNotFoundError:
            return False


def _make_own(directory: Path) -> None:
    """A directory in the shared temporary one that is ours and closed to others, whoever made it first."""
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        shutil.rmtree(directory)
        directory.mkdir(mode=0o700)

"""Apache Kafka's jars: fetched once per user from a Maven repository, each checked against its known digest.

`kafka_jars.txt` names every jar with its SHA-256, as resolved by jgo from
`org.apache.kafka:kafka_2.13:4.3.1+org.slf4j:slf4j-simple:1.7.36`. So no start resolves anything, what runs is the same
everywhere, and a truncated or foreign file is never put on the class path.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from services.cli.errors import DiskFull, JarsDamaged, JarsUnreachable

_DOWNLOADS_AT_ONCE = 8
_REQUEST_SECONDS = 15
_ALL_SECONDS = 300.0
_EXIT_UNREACHABLE, _EXIT_DAMAGED, _EXIT_DISK_FULL = 3, 4, 5


@dataclass(frozen=True)
class Jar:
    """One jar: its Maven coordinate and the SHA-256 of its bytes, in hex."""

    group: str
    artifact: str
    version: str
    digest: str

    @property
    def filename(self) -> str:
        """Its name in the repository and in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def known_jars() -> tuple[Jar, ...]:
    """The list that stands in the package."""
    lines = resources.files(__package__).joinpath("kafka_jars.txt").read_text("ascii").splitlines()
    return tuple(_jar(*line.split()) for line in lines)


def _jar(digest: str, coordinate: str) -> Jar:
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, digest)


def cache_directory() -> Path:
    """Where jars are kept for all stacks of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jubao"


def kafka_jars() -> Path:
    """The directory of the jars, fetching them first if they are not all there.

    Raises:
        JarsUnreachable: the repository does not answer, or not in time.
        JarsDamaged: it answers with other bytes than expected.
        DiskFull: no room for them.
    """
    cache = cache_directory()
    wanted = known_jars()
    directory = cache / f"kafka-{_digest_of_all(wanted)[:12]}"
    if not _is_whole(directory, wanted):
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache):
            # Another stack may have fetched them while we waited.
            if not _is_whole(directory, wanted):
                _fetch_apart(directory)
    return directory


def _digest_of_all(jars: tuple[Jar, ...]) -> str:
    return hashlib.sha256("".join(jar.digest for jar in jars).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as jar:
        return hashlib.file_digest(jar, "sha256").hexdigest()


def _is_whole(directory: Path, wanted: tuple[Jar, ...]) -> bool:
    try:
        return all(_digest(directory / jar.filename) == jar.digest for jar in wanted)
    except FileNotFoundError:
        return False


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_apart(directory: Path) -> None:
    """Fetches in a process of its own: jgo's imports stay out of the supervisor, and all of it has one time limit."""
    try:
        done = subprocess.run(  # noqa: S603 -- our own module
            [sys.executable, "-m", "services.cli.stack.jars", str(directory)],
            capture_output=True,
            text=True,
            timeout=_ALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise JarsUnreachable(directory, f"not done after {_ALL_SECONDS:.0f} s") from late
    said = done.stderr.strip().rpartition("\n")[2]
    if done.returncode == _EXIT_DISK_FULL:
        raise DiskFull(directory.parent)
    if done.returncode == _EXIT_DAMAGED:
        raise JarsDamaged(said)
    if done.returncode != 0:
        raise JarsUnreachable(directory, said)


def _fetch(directory: Path) -> None:
    """Downloads into a temporary directory beside `directory`, and renames that when every digest holds."""
    from jgo.config import GlobalSettings  # noqa: PLC0415 -- of the extra `embedded`, and only when jars are missing
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    # A mirror in jgo's own settings comes before the public repository.
    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="fetching-") as scratch:
        context = MavenContext(
            repo_cache=Path(scratch, "repository"),
            resolver=PythonResolver(),
            remote_repos=repositories,
            timeout=_REQUEST_SECONDS,
        )
        whole = Path(scratch, "jars")
        whole.mkdir()

        def fetch_one(jar: Jar) -> None:
            component = context.project(jar.group, jar.artifact).at_version(jar.version)
            fetched = component.artifact(packaging="jar").resolve()
            if _digest(fetched) != jar.digest:
                raise JarsDamaged(jar.filename)
            fetched.rename(whole / jar.filename)

        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as threads:
            list(threads.map(fetch_one, known_jars()))
        shutil.rmtree(directory, ignore_errors=True)
        whole.rename(directory)


def _main(directory: Path) -> int:
    from requests import RequestException  # noqa: PLC0415 -- comes with jgo

    try:
        _fetch(directory)
    except JarsDamaged as damaged:
        sys.stderr.write(f"{damaged.jar}\n")
        return _EXIT_DAMAGED
    except RequestException as away:
        # Its text is a page of nested representations; its kind says enough.
        sys.stderr.write(f"{type(away).__name__}\n")
        return _EXIT_UNREACHABLE
    except RuntimeError as missing:
        sys.stderr.write(str(missing).replace("\n", " ") + "\n")
        return _EXIT_UNREACHABLE
    except OSError as refused:
        sys.stderr.write(f"{refused}\n")
        return _EXIT_DISK_FULL
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))

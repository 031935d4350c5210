"""The two engines as the stack runs them: what survives a crash, who may connect, and what their logs keep silent."""

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.cli.stack.kafka import MOST_RECORD_BYTES, Kafka
from services.cli.stack.ports import free_port
from services.cli.stack.postgres import Postgres
from services.cli.stack.process import Engine, await_answer, running, spawn

pytestmark = pytest.mark.embedded("which it kills and whose files it reads")


@pytest.fixture(scope="module")
def closed_directory() -> Iterator[Path]:
    """A directory that only its owner may enter, with a path too long for a unix socket."""
    with TemporaryDirectory(prefix="jubao-engines-", ignore_cleanup_errors=True) as top:
        deep = Path(top, "deep" * 30)
        deep.mkdir(mode=0o700)
        yield deep


@pytest.fixture(scope="module")
def postgres(closed_directory: Path) -> Postgres:
    return Postgres(
        closed_directory / "postgres",
        closed_directory / "postgres.log",
        password_file=closed_directory / "secrets" / "postgres.password",
        port=free_port(),
    )


@contextmanager
def crashing(engine: Engine) -> Iterator[subprocess.Popen[bytes]]:
    """The engine until the block kills it."""
    engine.install()
    process = spawn(engine.launch())
    try:
        await_answer(engine, process, 60)
        yield process
    finally:
        process.kill()
        process.wait()


async def execute(dsn: str, statement: str, *values: Any) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


async def test_committed_rows_survive_a_crash_of_postgres(postgres: Postgres) -> None:
    """What was committed before kill -9 is there after the next start."""
    with crashing(postgres) as server:
        await execute(postgres.dsn, "CREATE TABLE kept AS SELECT 'x' AS word")
        server.kill()
    with running(postgres):
        assert await execute(postgres.dsn, "SELECT word FROM kept") == "x"


async def test_only_the_password_lets_in(postgres: Postgres) -> None:
    """Over TCP nobody gets in without the password, which its owner alone may read."""
    with running(postgres):
        wrong = f"postgresql://postgres:wrong@127.0.0.1:{postgres.port}/jubao"
        with pytest.raises(asyncpg.InvalidPasswordError):
            await execute(wrong, "SELECT 1")
    assert stat.S_IMODE(postgres._password_file.stat().st_mode) == 0o600


async def test_durable_and_lean_settings_hold(postgres: Postgres) -> None:
    """Acknowledged is kept, connections suffice, and nothing compiles queries."""
    wanted = {"fsync": "on", "synchronous_commit": "on", "jit": "off", "max_connections": "150", "max_wal_size": "2GB"}
    with running(postgres):
        got = {name: await execute(postgres.dsn, "SELECT current_setting($1)", name) for name in wanted}
    assert got == wanted


async def test_a_failed_statement_leaves_no_private_text_in_the_log(postgres: Postgres) -> None:
    """Neither the statement nor the row of a violated constraint is written to the server's log."""
    with running(postgres):
        await execute(postgres.dsn, "CREATE TABLE private (word text CHECK (length(word) < 3))")
        with pytest.raises(asyncpg.CheckViolationError):
            await execute(postgres.dsn, "INSERT INTO private VALUES ($1)", "canary-in-a-row")
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await execute(postgres.dsn, "SELECT 'canary-in-a-literal'::uuid")
    assert "canary" not in postgres.log.read_text()


async def test_a_stale_pid_file_is_no_hindrance(postgres: Postgres) -> None:
    """A pid file that names a process which is another program by now does not keep the server from starting."""
    pid_file = postgres.directory / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{postgres.directory}\n1\n{postgres.port}\n\n127.0.0.1\n\nready\n")
    with running(postgres):
        assert await execute(postgres.dsn, "SELECT 1") == 1


async def test_records_survive_a_crash_of_kafka(closed_directory: Path) -> None:
    """Records acknowledged before kill -9 are there after the next start on other ports, one of them of 5 MiB."""

    def kafka() -> Kafka:
        directory, log = closed_directory / "kafka", closed_directory / "kafka.log"
        return Kafka(directory, log, port=free_port(), controller_port=free_port())

    values = [b"one", b"x" * 5 * 1024 * 1024, b"three"]
    first = kafka()
    with crashing(first) as broker:
        admin = AIOKafkaAdminClient(bootstrap_servers=first.address)
        await admin.start()
        sized = {"max.message.bytes": str(MOST_RECORD_BYTES)}
        await admin.create_topics([NewTopic("t", 1, 1, topic_configs=sized)])
        await admin.close()
        producer = AIOKafkaProducer(
            bootstrap_servers=first.address, enable_idempotence=True, max_request_size=MOST_RECORD_BYTES
        )
        await producer.start()
        for value in values:
            await producer.send_and_wait("t", value)
        broker.kill()
        broker.wait()
        await producer.stop()
    second = kafka()
    with running(second):
        consumer = AIOKafkaConsumer(bootstrap_servers=second.address)
        await consumer.start()
        consumer.assign([TopicPartition("t", 0)])
        await consumer.seek_to_beginning()
        records = [await consumer.getone() for _ in values]
        await consumer.stop()
    assert [record.value for record in records] == values
    # 1: set by the broker, when it appended the record.
    assert {record.timestamp_type for record in records} == {1}

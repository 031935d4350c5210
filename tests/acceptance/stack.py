"""A whole stack as a user starts it, and the hands to use it from outside: commands, HTTP, Kafka, SQL."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from services.cli.stack.ports import free_port
from tests.engines.stacks import StackEngines

JUBAO = Path(sys.executable).parent / "jubao"
_COMMAND_SECONDS = 240


@dataclass
class Stack:
    """A stack in a directory of its own."""

    directory: Path
    environment: dict[str, str] = field(repr=False)
    engines_of: Callable[[Path], StackEngines] = field(repr=False)
    port: int = field(default_factory=free_port)
    answer: dict[str, Any] = field(default_factory=dict, repr=False)
    tokens: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.engines = self.engines_of(self.data)

    @property
    def data(self) -> Path:
        return self.directory / "stack"

    def jubao(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs the command as a user would, on this stack."""
        done = subprocess.run(
            [str(JUBAO), *map(str, arguments), "--data", str(self.data)],
            env=self.environment, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            pytest.fail(f"jubao {' '.join(map(str, arguments))} exited {done.returncode}: {done.stderr}\n{self.logs()}")
        return done

    def ask(self, *arguments: object) -> Any:
        """What the command prints with --json."""
        return json.loads(self.jubao(*arguments, "--json").stdout)

    def up(self) -> None:
        self.answer = self.ask("up", "--detach", "--port", self.port, *self.engines.start())

    def down(self) -> None:
        self.jubao("down")
        self.engines.stop()

    def token(self, name: str, role: str, *, source: str | None = None) -> str:
        """A bearer token of an account, made when it is first asked for."""
        if name not in self.tokens:
            self.jubao("staff", "add", name, "--role", role, *(["--source", source] if source else []))
            self.tokens[name] = self.jubao("token", name).stdout.strip()
        return self.tokens[name]

    def http(self, name: str, role: str, *, source: str | None = None) -> httpx.Client:
        """A client that calls as that account."""
        headers = {"Authorization": f"Bearer {self.token(name, role, source=source)}"}
        return httpx.Client(base_url=self.answer["http"], headers=headers, timeout=30)

    def source(self, kind: str = "police", **options: object) -> dict[str, Any]:
        """A new flagged source with a key of its own, whose file is under `key`."""
        key = self.directory / f"{kind}-{time.monotonic_ns()}.pem"
        named = [item for name, value in options.items() for item in (f"--{name.replace('_', '-')}", value)]
        made: dict[str, Any] = self.ask(
            "source", "add", "--kind", kind, "--name", f"{kind}测试", "--new-key", key, *named
        )
        return {**made, "key": key}

    def report(self, source: dict[str, Any], content_id: str, **options: object) -> dict[str, Any]:
        """A report of a flagged source, signed by the command."""
        named = [item for name, value in options.items() for item in (f"--{name.replace('_', '-')}", value)]
        made: dict[str, Any] = self.ask(
            "report", "--source", source["id"], "--key", source["key"], "--content-id", content_id,
            "--category", options.pop("category", "scams_and_fraud"), "--explanation", "请尽快处理",
            "--legal-ground", "《反电信网络诈骗法》第三十八条", *named,
        )  # fmt: skip
        return made

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.jubao("status", "--json", check=False).stdout)
        return found

    def settle(self, seconds: float = 180) -> dict[str, Any]:
        """Waits until nothing is on its way: no lane lags, nothing is unsent, the log has all; the last status."""
        found: dict[str, Any] = {}
        logged = -1

        def settled() -> bool:
            # What one service has taken may not yet have been sent to the next: two looks have to find the same log.
            nonlocal found, logged
            found = self.status()
            behind = [s for s in found["services"] if "behind" in s["detail"] or not s["healthy"]]
            before, logged = logged, -1
            if not sum(found["lag"].values()) and not behind and not self._unsent():
                logged = int(self.sql("SELECT size FROM audit.head")[0]["size"])
            return before == logged >= 0

        self.until(settled, seconds)
        return found

    def _unsent(self) -> int:
        """How many rows of events the services have still to send."""
        services = ("intake", "triage", "review", "outcomes", "audit")
        counts = " + ".join(f"(SELECT count(*) FROM {service}.outbox)" for service in services)
        return int(self.sql(f"SELECT {counts} AS n")[0]["n"])

    def until(self, holds: Callable[[], object], seconds: float = 60) -> None:
        """Waits for something to hold."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                pytest.fail(f"did not come within {seconds} s; status: {self.status()}\n{self.logs()}")
            time.sleep(0.2)

    def logs(self) -> str:
        """The last lines of every log, for a failed test's message."""
        shown = []
        for path in sorted(self.data.glob("log/*.log")):
            lines = path.read_text(errors="replace").splitlines()[-5:]
            shown.append(f"--- {path.name}\n" + "\n".join(line[:600] for line in lines))
        return "\n".join(shown)

    def produce(
        self, topic: str, records: Sequence[tuple[bytes | None, bytes, list[tuple[str, bytes]]]], **options: Any
    ) -> None:
        """Puts records on a topic as another producer would."""

        async def send() -> None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.answer["kafka"],
                enable_idempotence=True,
                linger_ms=5,
                max_request_size=6 << 20,
                **options,
            )
            await producer.start()
            try:
                partitions = len(await producer.partitions_for(topic))
                futures = [
                    await producer.send(
                        topic, value, key=key, headers=headers, partition=n % partitions if key is None else None
                    )
                    for n, (key, value, headers) in enumerate(records)
                ]
                await asyncio.gather(*futures)
            finally:
                await producer.stop()

        asyncio.run(send())

    def consume(self, topic: str) -> list[Any]:
        """Every record of a topic."""

        async def read() -> list[Any]:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self.answer["kafka"], auto_offset_reset="earliest", enable_auto_commit=False,
                max_partition_fetch_bytes=6 << 20,
            )  # fmt: skip
            await consumer.start()
            try:
                metadata = await consumer._client.fetch_all_metadata()
                places = [TopicPartition(topic, p) for p in metadata.partitions_for_topic(topic) or ()]
                ends = await consumer.end_offsets(places)
                consumer.assign(places)
                await consumer.seek_to_beginning(*places)
                found: list[Any] = []
                while any([await consumer.position(place) < end for place, end in ends.items()]):
                    for batch in (await consumer.getmany(timeout_ms=500)).values():
                        found.extend(batch)
                return found
            finally:
                await consumer.stop()

        return asyncio.run(read())

    def sql(self, query: str, *arguments: object) -> list[Any]:
        """Rows of a query as the database's superuser."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.answer["database"])
            try:
                rows: list[Any] = await connection.fetch(query, *arguments)
                return rows
            finally:
                await connection.close()

        return asyncio.run(run())

    def serving(self) -> list[psutil.Process]:
        """The service processes of this stack."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            command = process.info["cmdline"] or []
            environment = process.info["environ"] or {}
            if "serve" in command and environment.get("JUBAO_DATA") == str(self.data.resolve()):
                found.append(process)
        return found

    def entries(self, **filters: object) -> list[dict[str, Any]]:
        """Every entry of the log that the search finds, page by page."""
        found: list[dict[str, Any]] = []
        with self.http("auditor1", "auditor") as http:
            cursor: str | None = None
            while True:
                parameters = {**filters, "limit": 1000, **({"cursor": cursor} if cursor else {})}
                page = http.get("/audit/v1/entries", params=parameters).raise_for_status().json()
                found.extend(page["entries"])
                cursor = page["next"]
                if cursor is None:
                    return found


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith("JUBAO_")}

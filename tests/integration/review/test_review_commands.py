"""`jubao queue` and `jubao case` against the running service."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import uvicorn
from click.testing import CliRunner, Result

from services.cli.commands import case, queue
from services.cli.stack.ports import free_port


@pytest.fixture
async def served(bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> AsyncIterator[Any]:
    """The bench's app on a port, with the commands pointed at it."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(bench.client._transport.app, port=port, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    monkeypatch.setenv("JUBAO_PUBLIC_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("JUBAO_DATA", str(tmp_path))
    monkeypatch.setenv("JUBAO_TOKEN", bench.bearer("somebody", "admin")["Authorization"].removeprefix("Bearer "))
    yield bench
    server.should_exit = True
    await serving


async def run(command: Any, *arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, command, list(arguments))


async def test_queue_prints_the_http_answer(served: Any, make: Any) -> None:
    """`jubao queue --json` is what GET /review/v1/queues answers; without --json it is a table of the same."""
    await served.take(make(priority="P1"), make())
    answer = (await served.get("/queues", role="admin")).json()
    printed = json.loads((await run(queue.command, "--json")).stdout)
    for row in (*answer, *printed):
        row["oldest_seconds"] = None
    assert printed == answer
    table = (await run(queue.command)).stdout
    assert "P1" in table
    assert "waiting" in table


async def test_case_prints_the_http_answer(served: Any, make: Any) -> None:
    """`jubao case ID --json` is what GET /review/v1/cases/{id} answers; the table tells decision and history."""
    await served.take(make(content="v_1"))
    claim = await served.next()
    await served.decide(claim)
    case_id = claim["case"]["id"]
    assert json.loads((await run(case.command, case_id, "--json")).stdout) == await served.case(case_id)
    table = (await run(case.command, case_id)).stdout
    assert "illegal" in table
    assert "claimed" in table
    assert "rule-P3" in table


@pytest.mark.usefixtures("served")
async def test_an_unknown_case_is_told_in_a_sentence() -> None:
    """A case that is not there ends the command with the service's sentence."""
    result = await run(case.command, str(uuid4()))
    assert result.exit_code == 1
    assert result.output.strip() == "There is no case of this id."

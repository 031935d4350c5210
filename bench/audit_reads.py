"""What it takes to read a log of millions of entries: proofs, and the first page of every pair of filters.

Each is asked through the service's whole HTTP app, gate and all, as an auditor asks; only the socket is left out.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

import asyncpg
import httpx

from bench.engines import Turn, TurnFailed
from bench.figures import Result, within
from bench.options import Options
from services.audit.app import UNITS
from services.cli.stack.directory import DataDirectory
from services.runtime.issuer import LocalIssuer, Role
from services.runtime.process import Process
from services.runtime.settings import Settings

PROOF_GOAL_MS, SEARCH_GOAL_MS = 5.0, 50.0
PROOFS, DRAWS = 2_000, 40
FILTERS = ("type", "report_id", "case_id", "content_id", "source_id", "actor", "event_id", "time")
_WARM_UP = 100
_SAMPLE = 3_000
# Every fourth pair is asked with the value that the most entries have, every other one with two that need not meet.
_HOTTEST, _APART = 4, 2
_TOLD_PAIRS = 5
# What is not answered in time is as slow as that, and no reason to measure nothing.
_OK, _TOO_LATE = 200, 503
# Enough that nobody waits for the gate.
_CALLS_A_SECOND = 1_000_000.0

_ROWS = """
    SELECT index, type, report_id, case_id, content_id, source_id, actor, coalesce(event_id, identity) AS event_id, at
    FROM audit.entries WHERE index = ANY($1::bigint[])
"""
_HOT = """
    SELECT {name} FROM audit.entries WHERE {name} IS NOT NULL GROUP BY {name} ORDER BY count(*) DESC LIMIT 1
"""


@asynccontextmanager
async def auditor(turn: Turn) -> AsyncIterator[httpx.AsyncClient]:
    """The log's HTTP as an auditor meets it."""
    data = DataDirectory.of(turn.directory)
    settings = Settings.model_validate(
        {
            "database": turn.database,
            "kafka": turn.kafka,
            "data": turn.directory,
            "jwks": str(data.jwks),
            "cursor_key_file": data.cursor_key,
            "rate_staff_per_second": _CALLS_A_SECOND,
            "rate_address_per_second": _CALLS_A_SECOND,
        }
    )
    process = Process(settings)
    app = UNITS["http"](process).app
    issuer = LocalIssuer(Path(data.issuer_key), issuer=settings.issuer, audience=settings.audience)
    headers = {"Authorization": f"Bearer {issuer.mint('bench', Role.AUDITOR)}"}
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # this unit has one
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://audit", headers=headers) as client:
            yield client
    finally:
        await process.close()


async def proofs(options: Options, turn: Turn, size: int) -> Result:
    """Inclusion proofs of entries anywhere in the log, in its newest checkpoint.

    Raises:
        TurnFailed: one was refused.
    """
    random = Random(f"proofs {options.seed}")  # noqa: S311 -- to be the same again
    taken: list[float] = []
    async with auditor(turn) as client:
        with options.progress("proofs", PROOFS) as advance:
            for number in range(PROOFS + _WARM_UP):
                spent = await _asked(client, turn, f"/v1/entries/{random.randrange(size)}/proof", {})
                if number >= _WARM_UP:
                    taken.append(spent)
                    advance(1)
    return within("audit.proof", taken, PROOF_GOAL_MS, {"entries": size})


async def searches(options: Options, turn: Turn, size: int) -> Result:
    """First pages of every pair of filters; the slowest pair's p95 is what counts.

    Raises:
        TurnFailed: one was refused.
    """
    random = Random(f"searches {options.seed}")  # noqa: S311 -- to be the same again
    rows, hottest = await _values(turn, random, size)
    pairs = list(combinations(FILTERS, 2))
    taken: dict[str, list[float]] = {}
    async with auditor(turn) as client:
        with options.progress("searches", len(pairs) * DRAWS) as advance:
            for pair in pairs:
                times = []
                for number in range(-3, DRAWS):
                    query = _query(random, rows, hottest, pair, number)
                    spent = await _asked(client, turn, "/v1/entries", query)
                    if number >= 0:
                        times.append(spent)
                        advance(1)
                taken["+".join(pair)] = times
    told = {pair: within(pair, times, SEARCH_GOAL_MS, {}) for pair, times in taken.items()}
    slowest = sorted(told, key=lambda pair: told[pair].ratio)
    figures = {
        "entries": size,
        "pairs": len(pairs),
        "slowest": {pair: told[pair].figures["p95_ms"] for pair in slowest[:_TOLD_PAIRS]},
    }
    return within("audit.search", taken[slowest[0]], SEARCH_GOAL_MS, figures)


async def _values(turn: Turn, random: Random, size: int) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Any]]:
    connection = await asyncpg.connect(turn.database, command_timeout=600)
    try:
        indexes = [random.randrange(size) for _ in range(_SAMPLE)]
        rows = await connection.fetch(_ROWS, indexes)
        names = ("type", "content_id", "case_id", "source_id", "actor")
        return rows, {name: await connection.fetchval(_HOT.format(name=name)) for name in names}
    finally:
        await connection.close()


def _query(
    random: Random, rows: Sequence[Mapping[str, Any]], hottest: Mapping[str, Any], pair: tuple[str, str], number: int
) -> dict[str, str]:
    """One search by two filters: of one entry, of two that may have nothing in common, or by the commonest value."""
    one = _row(random, rows, pair[0])
    other = one if number % _APART and _has(one, pair[1]) else _row(random, rows, pair[1])
    query: dict[str, str] = {}
    for place, (name, row) in enumerate(zip(pair, (one, other), strict=True)):
        if name == "time":
            reach = timedelta(hours=random.choice((1, 24, 24 * 30)))
            query |= {"from": (row["at"] - reach).isoformat(), "to": (row["at"] + reach).isoformat()}
        else:
            hot = number % _HOTTEST == place + 1 and name in hottest
            query[name] = str(hottest[name] if hot else row[name])
    return query


def _row(random: Random, rows: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    while not _has(row := random.choice(rows), name):
        pass
    return row


def _has(row: Mapping[str, Any], name: str) -> bool:
    return name == "time" or row[name] is not None


async def _asked(client: httpx.AsyncClient, turn: Turn, path: str, query: Mapping[str, str]) -> float:
    """Milliseconds until the answer is there."""
    begun = perf_counter()
    answer = await client.get(path, params=query)
    spent = (perf_counter() - begun) * 1000
    if answer.status_code not in {_OK, _TOO_LATE}:
        raise TurnFailed(f"{path} was answered {answer.status_code}: {answer.text[:500]}", turn.directory)
    return spent

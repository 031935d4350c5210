"""Who looks at cases is told to the log; who only counts them is not."""

from typing import Any
from uuid import uuid4

import orjson

from schemas.activity import VIEWED, Viewed


async def looks(bench: Any) -> list[dict[str, Any]]:
    """What the log is told of looks, without what differs from one to the next."""
    found = [event for event in await bench.events("activity.v1") if event["type"] == VIEWED]
    for event in found:
        Viewed.model_validate_json(orjson.dumps(event))
    return [event["data"] for event in found]


async def test_a_look_at_a_case_is_told(bench: Any, make: Any) -> None:
    """Whoever is shown a case is told to the log by account, role, case and item."""
    await bench.take(make(content="v_1"))
    claim = await bench.next()
    case_id = claim["case"]["id"]
    assert await looks(bench) == []
    assert (await bench.get(f"/cases/{case_id}", name="zhao", role="supervisor")).status_code == 200
    assert await looks(bench) == [
        {
            "actor": "zhao", "role": "supervisor", "what": "case", "answered": 1, "filters": [], "case_id": case_id,
            "content_id": "v_1",
        }
    ]  # fmt: skip


async def test_a_list_of_cases_is_told_by_its_filters(bench: Any, make: Any) -> None:
    """A list is told by the names of its filters and its length; the item only if it has a case."""
    await bench.take(make(content="v_1"), make(content="v_2"))
    await bench.get("/cases", limit=1)
    await bench.get("/cases", content_id="v_2", state="queued")
    await bench.get("/cases", content_id="zhang_san_of_harbin", **{"class": "P0"})
    shared = {"actor": "li", "role": "reviewer", "what": "cases"}
    assert await looks(bench) == [
        {**shared, "answered": 1, "filters": []},
        {**shared, "answered": 1, "filters": ["content_id", "state"], "content_id": "v_2"},
        {**shared, "answered": 0, "filters": ["class", "content_id"]},
    ]


async def test_counts_and_cases_that_are_not_there_are_no_looks(bench: Any, make: Any) -> None:
    """Queues and a case that is not there show nobody anything."""
    await bench.take(make())
    assert (await bench.get("/queues")).status_code == 200
    assert (await bench.get(f"/cases/{uuid4()}")).status_code == 404
    assert await looks(bench) == []

"""Leaves that nobody of us wrote, as searches and stories read them."""

from typing import Any

import orjson
import pytest

from services.audit.altered import Altered
from services.audit.search import shown
from services.audit.story_facts import fact_of

WHOLE: dict[str, Any] = {
    "v": 1, "type": "jubao.report.triaged.v1", "topic": "triage.public.v1", "time": "2026-11-23T08:00:00.000000Z",
    "actor": "triage", "detail": {"class": "C3"},
}  # fmt: skip
ODD = [b"", b"gone", b"[]", b"7", b"null", b"{}", b'{"detail": 1}', b'{"detail": "x"}', b"\xff", b'{"detail": {}']


@pytest.mark.parametrize("leaf", ODD)
@pytest.mark.parametrize("read", [shown, fact_of])
def test_what_is_no_leaf_is_named_by_its_place(read: Any, leaf: bytes) -> None:
    """Neither a search nor a story stumbles over a leaf that was overwritten; both say which one it is."""
    with pytest.raises(Altered) as told:
        read(42, leaf)
    assert (told.value.status, told.value.extra) == (410, {"index": 42})


@pytest.mark.parametrize("change", [{"time": "soon"}, {"time": 5}, {"detail": {"at": "x"}}, {"actor": ...}])
def test_a_leaf_without_what_a_story_needs_is_named(change: dict[str, Any]) -> None:
    """A time that is none or a field that is gone is told as an alteration."""
    body = {name: value for name, value in (WHOLE | change).items() if value is not ...}
    with pytest.raises(Altered):
        fact_of(3, orjson.dumps(body))
    assert fact_of(3, orjson.dumps(WHOLE)).actor == "triage"

"""What stays of a report that is erased: enough to be counted, claimed and decided, nothing that anybody said. Pure."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from schemas.vocabulary import SourceKind
from services.review.joining import Arrival

_KEPT: Final = ("report_id", "channel", "occurred_at", "source", "category")
_KEPT_OF_CONTENT: Final = ("id", "type")
_REPORTER_BYTES: Final = 16


def redacted_report(data: str) -> str:
    """A report's JSON text with ids, times and codes alone, marked as erased."""
    report = orjson.loads(data)
    kept = {name: report[name] for name in _KEPT if name in report}
    if "source" in kept:
        kept["source"] = _source(kept["source"])
    return orjson.dumps(kept | {"content": _content(report.get("content", {})), "erased": True}).decode()


def redacted_content(content: str) -> str:
    """A description of an item with its id and type alone."""
    return orjson.dumps(_content(orjson.loads(content))).decode()


def redacted_ruling(ruling: str) -> str:
    """A ruling without the inputs that it read: some are the reporter's words."""
    return orjson.dumps(orjson.loads(ruling) | {"inputs": {}}).decode()


def redacted_snapshots(snapshots: Sequence[str], gone: str | None) -> list[str]:
    """A case's snapshots with one replaced by a digest of nothing.

    Taken out, it would leave none, and none counts as the same snapshot; so a later report of it is looked at again.
    """
    return sorted(secrets.token_hex(32) if snapshot == gone else snapshot for snapshot in snapshots)


def content_of(data: str) -> str:
    """A report's description of its item, as JSON text."""
    return orjson.dumps(orjson.loads(data)["content"]).decode()


def snapshot_of(data: str) -> str | None:
    """The digest of what a report's author saw, if it has one."""
    snapshot = orjson.loads(data).get("content", {}).get("snapshot")
    return snapshot["sha256"].lower() if snapshot else None


def erased_digest(report_id: UUID) -> bytes:
    """What stands for the digest of an erased report: the same at each delivery, and nothing of what it said."""
    return hashlib.sha256(f"erased:{report_id}".encode()).digest()


def erased_reporter(report_id: UUID) -> bytes:
    """What stands for whoever made an erased report, so that reporters still count."""
    return erased_digest(report_id)[:_REPORTER_BYTES]


def redacted(arrival: Arrival) -> Arrival:
    """A report that comes in after its erasure."""
    return arrival._replace(
        digest=erased_digest(arrival.report_id),
        reporter=erased_reporter(arrival.report_id),
        snapshot=None,
        data=redacted_report(arrival.data),
        ruling=redacted_ruling(arrival.ruling),
        trace=None,
    )


def _source(source: Mapping[str, Any]) -> Mapping[str, Any]:
    """A registered source stays; what stands beside `user` may name the reporter."""
    return {"kind": source["kind"]} if source.get("kind") == SourceKind.USER else source


def _content(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: content[name] for name in _KEPT_OF_CONTENT if name in content}

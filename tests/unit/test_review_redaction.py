"""What stays of an erased report says nothing that its reporter said."""

import json
from uuid import UUID

from services.review.redaction import (
    erased_digest,
    erased_reporter,
    redacted_content,
    redacted_report,
    redacted_ruling,
    redacted_snapshots,
)

REPORT = {
    "report_id": "01a2076c-2e60-7cdd-b516-8ab474fa5764",
    "channel": "police_one_click",
    "reporter": "canary",
    "occurred_at": "2026-11-23T08:00:00Z",
    "source": {"kind": "police", "id": "src-1"},
    "content": {
        "id": "v_1", "type": "video", "author": "canary", "url": "https://example.org/canary", "language": "canary",
        "region": "CN-31", "excerpt": "canary", "snapshot": {"ref": "canary", "sha256": "aa" * 32},
    },
    "category": "violence",
    "keyword": "canary",
    "explanation": "canary",
    "legal_ground": "canary",
    "addressed_agency": "canary",
}  # fmt: skip


def test_report_keeps_ids_and_codes_alone() -> None:
    """Of a report ids, channel, time, source and category stay, and it says that it is erased."""
    kept = json.loads(redacted_report(json.dumps(REPORT)))
    assert "canary" not in json.dumps(kept)
    assert kept["content"] == {"id": "v_1", "type": "video"}
    assert kept["erased"] is True
    assert set(kept) == {"report_id", "channel", "occurred_at", "source", "category", "content", "erased"}


def test_of_a_user_no_source_is_kept() -> None:
    """What stands beside the kind `user` goes, for it names who reported; a registered source stays."""
    named = {**REPORT, "source": {"kind": "user", "id": "canary"}}
    assert json.loads(redacted_report(json.dumps(named)))["source"] == {"kind": "user"}
    assert json.loads(redacted_report(json.dumps(REPORT)))["source"] == REPORT["source"]


def test_redaction_done_twice_changes_nothing() -> None:
    """An erased report that is erased again stays as it is."""
    once = redacted_report(json.dumps(REPORT))
    assert redacted_report(once) == once
    assert redacted_content(redacted_content(json.dumps(REPORT["content"]))) == '{"id":"v_1","type":"video"}'


def test_ruling_keeps_its_rule() -> None:
    """Of a ruling policy, version and rule stay; what it read goes."""
    ruling = {"policy": "default", "version": "1", "rule": "r", "inputs": {"report.keyword": "canary"}}
    assert json.loads(redacted_ruling(json.dumps(ruling))) == {**ruling, "inputs": {}}


def test_digests_follow_from_the_id_alone() -> None:
    """An erased report has the same digests at each delivery, and no two reports have the same."""
    one, other = UUID(int=1), UUID(int=2)
    assert erased_digest(one) == erased_digest(one) != erased_digest(other)
    assert (len(erased_digest(one)), len(erased_reporter(one))) == (32, 16)


def test_one_snapshot_is_replaced() -> None:
    """The erased report's snapshot is no longer known, the others are, and there are as many as before."""
    kept = redacted_snapshots(["aa" * 32, "bb" * 32], "aa" * 32)
    assert len(kept) == 2
    assert "bb" * 32 in kept
    assert "aa" * 32 not in kept

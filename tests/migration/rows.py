"""One good row of every table, and the changes that make it one that cannot be, each with what refuses it.

A table's row may lean on rows of the tables in `NEEDS`, which are put in before it.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

Row = dict[str, object]

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LATER = AT + timedelta(minutes=10)


def _id(number: int) -> UUID:
    return UUID(int=number)


RUNTIME: dict[str, Row] = {
    "offsets": {"topic": "reports.public.v1", "partition": 0, "next": 0, "epoch": 1, "cluster": "c"},
    "dead": {"topic": "reports.public.v1", "partition": 0, "offset": 0, "reason": "data.category: unknown"},
    "outbox": {"topic": "cases.v1", "value": b"{}", "event_id": _id(1), "headers": b"[]"},
}

GOOD: dict[str, dict[str, Row]] = {
    "audit": {
        "entries": {
            "index": 0, "identity": _id(1), "type": "jubao.case.opened.v1", "at": AT, "actor": "user", "leaf": b"{..}",
        },
        "private": {"index": 0, "salt": b"s" * 32, "part": b"{..}"},
        "minutes": {"minute": AT, "first_index": 0, "last_index": 5},
        "tiles": {"level": 0, "number": 0, "hashes": b"h" * 8_192, "root": b"r" * 32},
        "checkpoints": {"size": 0, "made_at": AT, "note": "origin"},
        "keys": {"vkey": "origin+00000000+AA==", "since": AT},
        "doings": {"actor": "user", "span": 0, "type": "jubao.case.opened.v1"},
    },
    "intake": {
        "sources": {
            "source_id": _id(1), "kind": "police", "name": "示例分局", "categories": ["violence"],
            "quota_per_day": 0, "time_zone": "Asia/Shanghai", "status": "active", "version": 1,
        },
        "source_keys": {"key_id": "src-1", "source_id": _id(1), "public_key": b"k" * 32, "added_at": AT},
        "attesters": {
            "key_id": "att-1", "name": "backend", "public_key": b"k" * 32, "kinds": ["police"], "verdicts": False,
            "version": 1, "added_at": AT,
        },
        "submissions": {
            "report_id": _id(1), "event_id": _id(2), "caller": "backend", "digest": b"d" * 32, "received_at": AT,
        },
        "repeat_keys": {
            "scope": "src-1", "key": "nonce", "report_id": _id(1), "digest": b"d" * 32, "created_at": AT,
        },
        "source_days": {"source_id": _id(1), "day": AT.date(), "used": 1},
    },
    "outcomes": {
        "statements": {
            "decision_id": _id(1), "case_id": _id(2), "content_id": "v_1", "class": "P0", "verdict": "illegal",
            "violates": "某法第一条", "actions": ["remove"], "code": "illegal.remove", "reason": "理由",
            "decided_at": AT,
        },
        "outcomes": {
            "report_id": _id(1), "decision_id": _id(1), "source_kind": "user", "received_at": AT, "late": False,
        },
        "sources": {"source_id": _id(1), "version": 1},
        "source_keys": {"key_id": "src-1", "source_id": _id(1), "public_key": b"k" * 32},
    },
    "review": {
        "cases": {
            "case_id": _id(1), "kind": "report", "content_id": "v_1", "state": "queued", "class": 3,
            "queue": "general", "rank_from": AT, "target_seconds": 86_400, "due_at": LATER, "opened_at": AT,
            "version": 1, "fence": 0, "last_event": _id(9), "report_count": 2, "reporter_count": 1,
            "first_at": [None, None, None, AT, None], "targets": [None, None, None, 86_400, None],
            "lead_received_at": AT, "lead_report_id": _id(2), "ruling": "{}", "teller_hearsay": True,
            "teller_received_at": AT, "teller_report_id": _id(2), "content": "{}", "snapshots": [],
        },
        "reports": {
            "report_id": _id(2), "case_id": _id(1), "digest": b"d" * 32, "attested": False, "class": 3,
            "received_at": AT, "source_kind": "user", "reporter": b"r" * 16, "data": "{}", "late": False,
        },
        "ready": {
            "case_id": _id(1), "queue": "general", "class": 3, "target_seconds": 86_400, "rank_from": AT,
            "due_at": LATER, "received_at": AT,
        },
        "heads": {"queue": "general", "class": 3, "target_seconds": 86_400},
        "leases": {
            "case_id": _id(1), "token": _id(4), "fence": 1, "reviewer": "lin", "claimed_at": AT, "expires_at": LATER,
            "claimed_event": _id(5),
        },
        "history": {
            "case_id": _id(1), "version": 1, "at": AT, "actor": "user", "change": "opened", "to_state": "queued",
            "class": 3, "queue": "general", "why": "the_rest", "event_id": _id(9),
        },
        "decisions": {
            "decision_id": _id(6), "case_id": _id(1), "lease": _id(4), "fence": 1, "verdict": "illegal",
            "violates": "某法第一条", "actions": ["remove"], "reason": "理由。", "reviewer": "lin", "decided_at": AT,
            "digest": b"d" * 32, "cause_id": _id(7), "parts": 2, "published": 1, "published_received_at": AT,
            "published_report_id": _id(2),
        },
        "alarms": {"code": "overload", "raised_at": AT},
    },
    "triage": {
        "policies": {"policy": "default", "version": "1", "sha256": "a" * 64, "text": "name: default"},
        "quota_days": {"source_id": _id(1), "day": AT.date(), "used": 0},
        "quota_places": {"source_id": _id(1), "report_id": _id(2), "day": AT.date(), "ordinal": 1},
    },
}  # fmt: skip

NEEDS: dict[tuple[str, str], str] = {
    ("intake", "source_keys"): "sources",
    ("intake", "source_days"): "sources",
    ("outcomes", "outcomes"): "statements",
    ("outcomes", "source_keys"): "sources",
    **{("review", table): "cases" for table in ("reports", "ready", "leases", "history", "decisions")},
}

# Rows that look odd and are right: service, table, what differs from the good row.
ODD: list[tuple[str, str, Row]] = [
    ("review", "cases", {"state": "claimed", "fence": 1}),
    ("review", "cases", {"state": "decided", "fence": 1, "decided_at": AT}),
    ("review", "cases", {"state": "queued", "fence": 7}),
    ("review", "reports", {"class": 0, "attested": True}),
    ("review", "leases", {"ends_by": LATER}),
    ("review", "history", {"change": "lifted", "from_state": "claimed", "to_state": "claimed"}),
    ("review", "decisions", {"verdict": "no_violation", "violates": None, "actions": []}),
    ("outcomes", "statements", {"verdict": "no_violation", "violates": None, "actions": []}),
    ("intake", "sources", {"quota_per_day": None, "status": "suspended", "categories": []}),
    ("intake", "source_keys", {"revoked_at": AT}),
    ("intake", "attesters", {"verdicts": True}),
    ("audit", "entries", {"event_id": _id(2), "report_id": _id(3)}),
    ("audit", "checkpoints", {"size": 10_000_000}),
    ("audit", "keys", {"until": AT}),
    ("triage", "quota_days", {"used": 10_000}),
]

CHECK, UNIQUE, FOREIGN, NULL = "23514", "23505", "23503", "23502"

# Service, table, what is wrong, the SQLSTATE that refuses it.
BAD: list[tuple[str, str, Row, str]] = [
    ("audit", "entries", {"index": -1}, CHECK),
    ("audit", "entries", {"event_id": _id(1)}, CHECK),
    ("audit", "entries", {"type": ""}, CHECK),
    ("audit", "entries", {"actor": ""}, CHECK),
    ("audit", "entries", {"actor": None}, NULL),
    ("audit", "entries", {"leaf": b""}, CHECK),
    ("audit", "private", {"salt": b"s" * 31}, CHECK),
    ("audit", "private", {"part": b""}, CHECK),
    ("audit", "minutes", {"minute": AT + timedelta(seconds=1)}, CHECK),
    ("audit", "minutes", {"first_index": 6}, CHECK),
    ("audit", "tiles", {"level": 8}, CHECK),
    ("audit", "tiles", {"number": -1}, CHECK),
    ("audit", "tiles", {"hashes": b"h" * 8_191}, CHECK),
    ("audit", "tiles", {"root": b"r" * 31}, CHECK),
    ("audit", "checkpoints", {"size": -1}, CHECK),
    ("audit", "checkpoints", {"note": ""}, CHECK),
    ("audit", "keys", {"vkey": ""}, CHECK),
    ("audit", "keys", {"until": AT - timedelta(seconds=1)}, CHECK),
    ("audit", "doings", {"span": -1}, CHECK),
    ("intake", "sources", {"kind": "user"}, CHECK),
    ("intake", "sources", {"status": "gone"}, CHECK),
    ("intake", "sources", {"quota_per_day": -1}, CHECK),
    ("intake", "sources", {"version": 0}, CHECK),
    ("intake", "source_keys", {"source_id": _id(8)}, FOREIGN),
    ("intake", "source_keys", {"public_key": b"k" * 31}, CHECK),
    ("intake", "source_keys", {"revoked_at": AT - timedelta(seconds=1)}, CHECK),
    ("intake", "attesters", {"kinds": []}, CHECK),
    ("intake", "attesters", {"public_key": b"k" * 33}, CHECK),
    ("intake", "attesters", {"version": 0}, CHECK),
    ("intake", "submissions", {"digest": b"d" * 31}, CHECK),
    ("intake", "submissions", {"kind": "police"}, CHECK),
    ("intake", "submissions", {"standing": "good", "kind": "police"}, CHECK),
    ("intake", "submissions", {"source_id": _id(8), "standing": "good", "kind": "police"}, FOREIGN),
    ("intake", "repeat_keys", {"digest": b""}, CHECK),
    ("intake", "source_days", {"used": 0}, CHECK),
    ("intake", "source_days", {"source_id": _id(8)}, FOREIGN),
    ("outcomes", "statements", {"class": "P5"}, CHECK),
    ("outcomes", "statements", {"verdict": "unclear"}, CHECK),
    ("outcomes", "statements", {"violates": None}, CHECK),
    ("outcomes", "statements", {"actions": []}, CHECK),
    ("outcomes", "statements", {"verdict": "no_violation"}, CHECK),
    ("outcomes", "statements", {"verdict": "no_violation", "violates": None}, CHECK),
    ("outcomes", "outcomes", {"decision_id": _id(8)}, FOREIGN),
    ("outcomes", "sources", {"version": 0}, CHECK),
    ("outcomes", "source_keys", {"public_key": b""}, CHECK),
    ("outcomes", "source_keys", {"source_id": _id(8)}, FOREIGN),
    ("review", "cases", {"decided_at": AT}, CHECK),
    ("review", "cases", {"state": "decided", "fence": 1}, CHECK),
    ("review", "cases", {"state": "claimed"}, CHECK),
    ("review", "cases", {"state": "claimed", "fence": 1, "decided_at": AT}, CHECK),
    ("review", "cases", {"state": "held"}, CHECK),
    ("review", "cases", {"kind": "appeal"}, CHECK),
    ("review", "cases", {"class": 5}, CHECK),
    ("review", "cases", {"class": 2}, CHECK),
    ("review", "cases", {"targets": [None] * 5}, CHECK),
    ("review", "cases", {"first_at": [AT] * 4}, CHECK),
    ("review", "cases", {"target_seconds": 0}, CHECK),
    ("review", "cases", {"version": 0}, CHECK),
    ("review", "cases", {"fence": -1}, CHECK),
    ("review", "cases", {"report_count": 0, "reporter_count": 0}, CHECK),
    ("review", "cases", {"reporter_count": 3}, CHECK),
    ("review", "cases", {"reporter_count": 0}, CHECK),
    ("review", "cases", {"snapshots": ["s"] * 65}, CHECK),
    ("review", "cases", {"previous_case_id": _id(8)}, FOREIGN),
    ("review", "cases", {"last_event": None}, NULL),
    ("review", "reports", {"case_id": _id(8)}, FOREIGN),
    ("review", "reports", {"class": 0}, CHECK),
    ("review", "reports", {"class": -1}, CHECK),
    ("review", "reports", {"digest": b"d" * 31}, CHECK),
    ("review", "reports", {"reporter": b"u_8d1f"}, CHECK),
    ("review", "ready", {"case_id": _id(8)}, FOREIGN),
    ("review", "ready", {"class": 5}, CHECK),
    ("review", "ready", {"target_seconds": 0}, CHECK),
    ("review", "heads", {"target_seconds": 0}, CHECK),
    ("review", "leases", {"case_id": _id(8)}, FOREIGN),
    ("review", "leases", {"fence": 0}, CHECK),
    ("review", "leases", {"expires_at": AT}, CHECK),
    ("review", "leases", {"ends_by": AT}, CHECK),
    ("review", "leases", {"token": None}, NULL),
    ("review", "history", {"case_id": _id(8)}, FOREIGN),
    ("review", "history", {"change": "joined", "from_state": "queued"}, CHECK),
    ("review", "history", {"from_state": "queued"}, CHECK),
    ("review", "history", {"change": "lifted"}, CHECK),
    ("review", "history", {"change": "claimed", "from_state": "queued", "to_state": "claimed"}, CHECK),
    ("review", "history", {"change": "lifted", "from_state": "decided"}, CHECK),
    ("review", "history", {"version": 0}, CHECK),
    ("review", "decisions", {"case_id": _id(8)}, FOREIGN),
    ("review", "decisions", {"verdict": "no_violation"}, CHECK),
    ("review", "decisions", {"verdict": "no_violation", "actions": []}, CHECK),
    ("review", "decisions", {"verdict": "unclear"}, CHECK),
    ("review", "decisions", {"violates": None}, CHECK),
    ("review", "decisions", {"actions": []}, CHECK),
    ("review", "decisions", {"violates": None, "actions": []}, CHECK),
    ("review", "decisions", {"reason": None}, NULL),
    ("review", "decisions", {"digest": b"d"}, CHECK),
    ("review", "decisions", {"fence": 0}, CHECK),
    ("review", "decisions", {"parts": 0, "published": 0}, CHECK),
    ("review", "decisions", {"published": 3}, CHECK),
    ("triage", "policies", {"policy": ""}, CHECK),
    ("triage", "policies", {"version": ""}, CHECK),
    ("triage", "policies", {"sha256": "A" * 64}, CHECK),
    ("triage", "quota_days", {"used": -1}, CHECK),
    ("triage", "quota_places", {"ordinal": 0}, CHECK),
]

# What every service's own runtime tables refuse.
BAD_RUNTIME: list[tuple[str, Row, str]] = [
    ("offsets", {"partition": -1}, CHECK),
    ("offsets", {"next": -1}, CHECK),
    ("offsets", {"epoch": 0}, CHECK),
    ("offsets", {"cluster": None}, NULL),
    ("dead", {"reason": ""}, CHECK),
    ("dead", {"reason": "x" * 501}, CHECK),
    ("dead", {"reason": None}, NULL),
    ("dead", {"offset": -1}, CHECK),
    ("dead", {"letter_partition": 0}, CHECK),
    ("dead", {"letter_offset": 0}, CHECK),
    ("outbox", {"value": None}, NULL),
    ("outbox", {"dead_topic": "reports.public.v1"}, CHECK),
    ("outbox", {"dead_topic": "reports.public.v1", "dead_partition": 0}, CHECK),
    ("outbox", {"dead_offset": 0}, CHECK),
]

# A second row beside the good one: service, table, what differs, and whether there may be both.
SECOND: list[tuple[str, str, Row, bool]] = [
    ("audit", "entries", {"index": 1}, False),
    ("audit", "entries", {"identity": _id(2)}, False),
    ("audit", "entries", {"index": 1, "identity": _id(2)}, True),
    ("audit", "minutes", {}, False),
    ("audit", "private", {}, False),
    ("audit", "tiles", {}, False),
    ("audit", "tiles", {"level": 1}, True),
    ("audit", "checkpoints", {}, True),
    ("audit", "keys", {}, False),
    ("audit", "doings", {}, False),
    ("audit", "doings", {"span": 1}, True),
    ("intake", "source_keys", {"key_id": "src-2"}, False),
    ("intake", "source_keys", {"public_key": b"l" * 32}, False),
    ("intake", "source_keys", {"key_id": "src-2", "public_key": b"l" * 32}, True),
    ("intake", "attesters", {"key_id": "att-2", "public_key": b"l" * 32}, False),
    ("intake", "attesters", {"key_id": "att-2", "public_key": b"l" * 32, "verdicts": True}, True),
    ("intake", "submissions", {}, False),
    ("intake", "repeat_keys", {"report_id": _id(8)}, False),
    ("intake", "repeat_keys", {"scope": "src-2"}, True),
    ("intake", "source_days", {}, False),
    ("outcomes", "outcomes", {"late": True}, False),
    ("outcomes", "outcomes", {"report_id": _id(8)}, True),
    ("review", "cases", {"case_id": _id(8)}, False),
    ("review", "cases", {"case_id": _id(8), "state": "claimed", "fence": 1}, False),
    ("review", "cases", {"case_id": _id(8), "state": "decided", "fence": 1, "decided_at": AT}, True),
    ("review", "cases", {"case_id": _id(8), "content_id": "v_2"}, True),
    ("review", "reports", {"digest": b"e" * 32}, False),
    ("review", "ready", {"queue": "minors"}, False),
    ("review", "leases", {"token": _id(8), "fence": 2}, False),
    ("review", "history", {}, False),
    ("review", "history", {"version": 2}, True),
    ("review", "decisions", {"decision_id": _id(8), "lease": _id(8)}, False),
    ("review", "alarms", {}, False),
    ("triage", "policies", {"sha256": "b" * 64}, False),
    ("triage", "policies", {"version": "2"}, True),
    ("triage", "quota_places", {"report_id": _id(8)}, False),
    ("triage", "quota_places", {"ordinal": 2}, False),
    ("triage", "quota_places", {"report_id": _id(8), "ordinal": 2}, True),
]

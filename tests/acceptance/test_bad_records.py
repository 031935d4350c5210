"""Bad records of every kind die once with their reason; the good ones beside them are queued; repaired ones return."""

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.acceptance import records
from tests.acceptance.stack import Stack

GOOD, BAD = 10_000, 1_000


def _with(change: Callable[[dict[str, Any]], Any]) -> Callable[[random.Random, str], bytes]:
    def make(seed: random.Random, content_id: str) -> bytes:
        data = records.report(seed, content_id)
        change(data)
        return records.event(seed, data)

    return make


def _raw(change: Callable[[bytes], bytes]) -> Callable[[random.Random, str], bytes]:
    return lambda seed, content_id: change(records.event(seed, records.report(seed, content_id)))


KINDS: dict[str, Callable[[random.Random, str], bytes]] = {
    "not_json": lambda _, __: b"{not json",
    "empty": lambda _, __: b"",
    "wrong_type": _with(lambda d: d.update(explanation=7)),
    "missing_field": _with(lambda d: d.pop("channel")),
    "missing_reporter": _with(lambda d: d.pop("reporter")),
    "unknown_field": _with(lambda d: d.update(unheard_of="x")),
    "unknown_category": _with(lambda d: d.update(category="boredom")),
    "nul": _with(lambda d: d.update(explanation="a\x00b")),
    "lone_surrogate": _raw(lambda raw: raw.replace("标题承诺返利".encode(), b"\\ud800")),
    "too_large": _with(lambda d: d.update(explanation="x" * 2_000_000)),
    "invalid_utf8": _raw(lambda raw: raw.replace("标题承诺返利".encode(), b"\xff\xfe")),
    "far_future": _with(lambda d: d.update(occurred_at="2999-01-01T00:00:00Z")),
    "vague_time": _with(lambda d: d.update(occurred_at="2026-01-05 08:00")),
    "other_subject": _raw(lambda raw: raw.replace(b'"subject": "', b'"subject": "0')),
    "not_an_object": lambda _, __: b"[1, 2]",
}


def test_bad_records_beside_good_ones(stack: Stack) -> None:
    """A thousand bad records among ten thousand good ones: all good ones queued, each bad one dead with a reason."""
    before = stack.settle()["reports"]
    seed = random.Random(14)
    batch: list[tuple[bytes | None, bytes, list[tuple[str, bytes]]]] = [*records.ordinary(seed, GOOD, "beside")]
    kinds = [list(KINDS)[n % len(KINDS)] for n in range(BAD)]
    for n, kind in enumerate(kinds):
        headers = [("odd", b"\xff\xfe")] if n % 5 == 0 else []
        batch.append((None, KINDS[kind](seed, f"bad_{n}"), headers))
    seed.shuffle(batch)
    stack.produce("reports.public.v1", batch)
    after = stack.settle()["reports"]
    assert after["queued"] - before["queued"] == GOOD
    assert after["dead"] - before["dead"] == BAD

    letters = stack.ask("dead", "list")
    ours = [row for row in letters if row["topic"] == "reports.public.v1"]
    assert len({(r["partition"], r["offset"]) for r in ours}) == len(ours) >= BAD
    assert all(row["reason"] for row in ours)
    stack.until(lambda: len(stack.consume("reports.public.v1.dead")) >= BAD, 30)
    dead = stack.consume("reports.public.v1.dead")
    places = Counter((dict(r.headers)["source-partition"], dict(r.headers)["source-offset"]) for r in dead)
    assert max(places.values()) == 1
    assert {dict(r.headers)["source-topic"] for r in dead} == {b"reports.public.v1"}
    shown = stack.ask("dead", "show", ours[0]["topic"], ours[0]["partition"], ours[0]["offset"])
    assert shown["reason"] == ours[0]["reason"]


def test_same_report_id_with_other_content_is_dead(stack: Stack) -> None:
    """A report id seen before joins once: with the same data nothing happens, with other data the record is dead."""
    seed = random.Random(15)
    data = records.report(seed, "v_same_id")
    stack.produce("reports.public.v1", [(b"v_same_id", records.event(seed, data), [])])
    stack.settle()
    before = stack.status()["reports"]
    stack.produce("reports.public.v1", [(b"v_same_id", records.event(seed, data), [])])
    stack.produce("reports.public.v1", [(b"v_same_id", records.event(seed, {**data, "explanation": "另一个说法"}), [])])
    after = stack.settle()["reports"]
    assert (after["queued"], after["dead"]) == (before["queued"], before["dead"] + 1)


def test_record_that_died_of_an_outside_cause_returns(stack: Stack) -> None:
    """What a constraint added by hand refused gets in by `dead replay` once it is dropped, its attestation with it."""
    seed = random.Random(16)
    police = stack.source("police", region="CN-31")
    key = Ed25519PrivateKey.generate()
    public = stack.directory / "replay-attester.pem"
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    attester = stack.ask("attester", "add", "--name", "replay", "--public-key", public, "--kinds", "police")
    stack.sql("ALTER TABLE review.cases ADD CONSTRAINT by_hand CHECK (content_id NOT LIKE 'v_outside%') NOT VALID")
    before = stack.settle()["reports"]
    plain = [
        (f"v_outside_{n % 5}".encode(), records.event(seed, records.report(seed, f"v_outside_{n % 5}")), [])
        for n in range(40)
    ]
    stack.produce("reports.public.v1", [*plain, *records.ordinary(seed, 400, "unharmed")])
    value = records.event(seed, records.flagged(seed, "v_outside_police", police["id"]))
    header = [("attestation", records.attestation(key, attester["key_id"], value))]
    stack.produce("reports.flagged.v1", [(b"v_outside_police", value, header)])
    died = stack.settle()["reports"]
    assert (died["queued"] - before["queued"], died["dead"] - before["dead"]) == (400, 41)
    reasons = {r["reason"] for r in stack.ask("dead", "list") if r["topic"].startswith("triage.")}
    assert any("by_hand" in reason for reason in reasons), reasons

    stack.sql("ALTER TABLE review.cases DROP CONSTRAINT by_hand")
    stack.until(lambda: not stack.ask("dead", "replay")["waiting"], 30)
    stack.until(lambda: stack.settle()["reports"]["queued"] - before["queued"] == 441, 60)
    with stack.http("replay-reviewer", "supervisor") as http:
        found = http.get("/review/v1/cases", params={"content_id": "v_outside_police"}).json()["cases"]
    assert [c["class"] for c in found] == ["P0"]
    # What was bad by itself is dead again, and only that.
    after = stack.settle()["reports"]
    assert after["dead"] == before["dead"]


def test_letters_hold_no_text_in_their_headers(stack: Stack) -> None:
    """The headers of dead letters hold the place and the reason, never what the record says."""
    for topic in ("reports.public.v1.dead", "triage.public.v1.dead"):
        for record in stack.consume(topic):
            shown = json.dumps([value.decode("latin-1") for _, value in record.headers])
            assert "标题承诺返利" not in shown
            assert len(dict(record.headers)["reason"]) <= 500

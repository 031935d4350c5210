"""Reports through intake: signed, repeated, refused, attested."""

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from schemas.report import FlaggedSubmitted, Submitted
from services.intake.sweep import Sweeper

FLAGGED_TOPIC, PUBLIC_TOPIC = "reports.flagged.v1", "reports.public.v1"
FLAGGED, PUBLIC = "/intake/v1/flagged-reports", "/intake/v1/reports"


def id_of(answer: Any) -> str:
    """The report id of a 202."""
    assert answer.status_code == 202, answer.text
    return str(UUID(answer.json()["report_id"]))


def problem(answer: Any, status: int) -> dict[str, Any]:
    """The problem document of a refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["detail"]
    return document


def code(answer: Any, status: int) -> str:
    """What kind of refusal it is."""
    return str(problem(answer, status)["type"]).removeprefix("urn:jubao:problem:")


def decoded(part: bytes) -> bytes:
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


async def test_a_signed_report_is_on_the_flagged_lane_and_attested(bench: Any) -> None:
    """After the 202 the record is on the lane, made of what was sent, attested over its very bytes by intake's key."""
    officer = await bench.officer()
    said = bench.statement(territory="CN-31")
    answer = await officer.report(said)
    assert answer.json() == {
        "report_id": id_of(answer), "lane": "flagged", "standing": "good", "note": answer.json()["note"],
    }  # fmt: skip
    (record,) = await bench.records(FLAGGED_TOPIC, id_of(answer))
    event = FlaggedSubmitted.model_validate_json(record.value)
    assert record.key == said["content"]["id"].encode()
    assert event.data.source.id == officer.source_id
    assert event.data.explanation == said["explanation"]
    header, payload, signature = record.header("attestation").split(b".")
    key = bench.app.state.intake.reception._key
    key._private_key.public_key().verify(
        decoded(signature), header + b"." + urlsafe_b64encode(record.value).rstrip(b"=")
    )
    verdict = json.loads(decoded(header))
    assert payload == b""
    assert (verdict["source"], verdict["kind"], verdict["standing"]) == (officer.source_id, "police", "good")
    assert verdict["kid"] == key.key_id
    assert datetime.fromisoformat(verdict["received_at"]) == event.time


async def test_intakes_key_is_in_the_registry(bench: Any) -> None:
    """The key that attests is announced on sources.v1, once."""
    announced = [
        event
        for record in await bench.everything("sources.v1")
        if (event := json.loads(record.value))["type"] == "jubao.attester.changed.v1"
        and event["data"]["key"]["key_id"] == bench.app.state.intake.reception._key.key_id
    ]
    assert len(announced) == 1
    assert announced[0]["data"]["verdicts"] is True
    assert announced[0]["data"]["name"] == "intake"


async def test_a_platforms_report_is_on_the_public_lane(bench: Any) -> None:
    """A backend's report goes as it is, whoever it says to be of, without attestation."""
    said = bench.report(source={"kind": "police", "id": "anyone"}, explanation="canary")
    answer = await bench.submit(said)
    assert answer.status_code == 202
    assert answer.json() == {"report_id": said["report_id"], "lane": "public"}
    (record,) = await bench.records(PUBLIC_TOPIC, said["report_id"])
    assert record.header("attestation") is None
    assert Submitted.model_validate_json(record.value).data.source.kind == "police"


async def test_the_nonce_makes_a_repeat(bench: Any) -> None:
    """The same nonce with the same body gets the first answer and no second record; with another body it is refused."""
    officer, nonce, said = await bench.officer(), f"nonce-{uuid4()}", bench.statement()
    first = await officer.report(said, nonce=nonce)
    again = await officer.report(said, nonce=nonce)
    spelled = await officer.report(json.dumps(said, indent=2).encode(), nonce=nonce)
    assert first.json() == again.json() == spelled.json()
    assert len(await bench.records(FLAGGED_TOPIC, id_of(first))) == 1
    assert code(await officer.report(bench.statement(), nonce=nonce), 409) == "nonce_reused"
    other = await bench.officer()
    assert id_of(await other.report(said, nonce=nonce)) != id_of(first)


async def test_concurrent_repeats_are_one_report(bench: Any) -> None:
    """Twenty identical calls at once give one report, and count once against the quota."""
    officer, nonce, said = await bench.officer(quota_per_day=1), f"nonce-{uuid4()}", bench.statement()
    answers = await asyncio.gather(*(officer.report(said, nonce=nonce) for _ in range(20)))
    assert len({id_of(answer) for answer in answers}) == 1
    assert {answer.json()["standing"] for answer in answers} == {"good"}
    records = await bench.records(FLAGGED_TOPIC, id_of(answers[0]))
    assert len({record.value for record in records}) == 1
    used = await bench.rows("SELECT used FROM source_days WHERE source_id = $1", UUID(officer.source_id))
    assert [row["used"] for row in used] == [1]


async def test_concurrent_rivals_for_a_nonce(bench: Any) -> None:
    """Of different bodies under one nonce one is taken and the others are refused."""
    officer, nonce = await bench.officer(), f"nonce-{uuid4()}"
    answers = await asyncio.gather(*(officer.report(bench.statement(), nonce=nonce) for _ in range(10)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [202] + [409] * 9


async def test_an_idempotency_key_makes_a_repeat(bench: Any) -> None:
    """The same key with the same body gets the same answer; with another body, or the id with other data, 409."""
    said, key = bench.report(), str(uuid4())
    first = await bench.submit(said, Idempotency_Key=key)
    again = await bench.submit(said, Idempotency_Key=key)
    assert id_of(first) == id_of(again) == said["report_id"]
    assert len(await bench.records(PUBLIC_TOPIC, said["report_id"])) == 1
    assert code(await bench.submit(bench.report(), Idempotency_Key=key), 409) == "idempotency_key_reused"
    assert code(await bench.submit(said | {"category": "violence", "keyword": "x"}), 409) == "report_id_reused"
    assert id_of(await bench.submit(said)) == said["report_id"]


async def test_concurrent_idempotent_calls(bench: Any) -> None:
    """Identical calls at once are all answered 202; of two bodies under one key one is taken."""
    said, key = bench.report(), str(uuid4())
    answers = await asyncio.gather(*(bench.submit(said, Idempotency_Key=key) for _ in range(20)))
    assert {id_of(answer) for answer in answers} == {said["report_id"]}
    records = await bench.records(PUBLIC_TOPIC, said["report_id"])
    assert len({record.value for record in records}) == 1
    key = str(uuid4())
    rivals = await asyncio.gather(*(bench.submit(bench.report(), Idempotency_Key=key) for _ in range(10)))
    assert sorted(answer.status_code for answer in rivals) == [202] + [409] * 9


async def test_an_idempotency_key_expires(bench: Any) -> None:
    """After 24 hours a key may stand for another report, swept or not."""
    key, said = str(uuid4()), bench.report()
    id_of(await bench.submit(bench.report(), Idempotency_Key=key))
    bench.clock.ahead = timedelta(hours=23, minutes=59)
    assert code(await bench.submit(said, Idempotency_Key=key), 409) == "idempotency_key_reused"
    bench.clock.ahead = timedelta(hours=24, minutes=1)
    assert id_of(await bench.submit(said, Idempotency_Key=key)) == said["report_id"]


async def test_what_has_expired_is_swept(bench: Any) -> None:
    """The sweep deletes old nonces and keys and old submissions, in small steps, and nothing that still counts."""
    officer, nonce, key = await bench.officer(), f"nonce-{uuid4()}", str(uuid4())
    old = [id_of(await officer.report(nonce=f"{nonce}-{n}")) for n in range(3)]
    id_of(await bench.submit(bench.report(), Idempotency_Key=key))
    bench.clock.ahead = timedelta(days=29)
    kept = id_of(await officer.report(nonce=f"{nonce}-kept"))
    bench.clock.ahead = timedelta(days=30, minutes=1)
    sweeper = Sweeper(bench.process.database("intake"), bench.clock)
    assert await sweeper.sweep(most_rows=2) >= 7
    assert await sweeper.sweep() == 0
    left = {str(row["report_id"]) for row in await bench.rows("SELECT report_id FROM submissions")}
    assert kept in left
    assert not left & set(old)
    bench.clock.ahead = timedelta(days=32)
    await sweeper.sweep()
    days = await bench.rows("SELECT FROM source_days WHERE source_id = $1", UUID(officer.source_id))
    assert len(days) == 1, "the day of the old reports is forgotten"
    assert await bench.rows("SELECT FROM repeat_keys WHERE key = $1", key) == []


async def test_a_police_account_needs_no_signature(bench: Any) -> None:
    """The token of an account bound to a source stands for its signature, and its Idempotency-Key for the nonce."""
    officer, key, said = await bench.officer(), str(uuid4()), bench.statement()
    bearer = bench.bearer("police", "wang", officer.source_id) | {"Idempotency-Key": key}
    first = await bench.client.post(FLAGGED, json=said, headers=bearer)
    again = await bench.client.post(FLAGGED, json=said, headers=bearer)
    assert id_of(first) == id_of(again)
    (record,) = await bench.records(FLAGGED_TOPIC, id_of(first))
    assert record.header("attestation")
    assert json.loads(record.value)["data"]["source"] == {"kind": "police", "id": officer.source_id}
    other = await bench.client.post(FLAGGED, json=bench.statement(), headers=bearer)
    assert code(other, 409) == "idempotency_key_reused"
    stranger = bench.bearer("police", "li", officer.source_id) | {"Idempotency-Key": key}
    assert id_of(await bench.client.post(FLAGGED, json=said, headers=stranger)) != id_of(first)


async def test_a_signed_call_may_have_an_idempotency_key(bench: Any) -> None:
    """A source that signs anew for each try still makes one report of one key."""
    officer, key, said = await bench.officer(), str(uuid4()), bench.statement()
    tries = [await officer.report(said, headers={"Idempotency-Key": key}) for _ in range(3)]
    assert len({id_of(answer) for answer in tries}) == 1
    assert len(await bench.records(FLAGGED_TOPIC, id_of(tries[0]))) == 1
    assert code(await officer.report(headers={"Idempotency-Key": key}), 409) == "idempotency_key_reused"


async def test_who_may_not_report(bench: Any) -> None:
    """Without proof 401, with a proof that does not count 403, each with its reason."""
    officer = await bench.officer()
    post = bench.client.post
    assert code(await post(FLAGGED, json=bench.statement()), 401) == "signature_refused"
    assert code(await post(PUBLIC, json=bench.report()), 401) == "sign_in"
    police = bench.bearer("police", "wang", officer.source_id)
    assert code(await post(PUBLIC, json=bench.report(), headers=police), 403) == "role_lacking"
    platform = bench.bearer("platform")
    assert code(await post(FLAGGED, json=bench.statement(), headers=platform), 403) == "role_lacking"
    for bound in (str(uuid4()), "no-uuid"):
        answer = await post(FLAGGED, json=bench.statement(), headers=bench.bearer("police", "wang", bound))
        assert code(answer, 403) == "source_unbound"
    officer.key = Ed25519PrivateKey.generate()
    assert code(await officer.report(), 401) == "signature_refused"


async def test_a_stale_signature_is_refused(bench: Any) -> None:
    """A signature of more than 300 s ago, or of the future, is refused whatever its nonce."""
    officer = await bench.officer()
    for seconds in (-302, 302):
        created = bench.clock.now() + timedelta(seconds=seconds)
        assert code(await officer.report(created=created), 401) == "signature_refused"


async def test_suspension_and_revocation(bench: Any) -> None:
    """A suspended source and a revoked key are told so; resumed, or with another key, the source reports again."""
    officer = await bench.officer()
    admin = bench.bearer("admin")
    police = bench.bearer("police", "wang", officer.source_id)
    await bench.client.post(f"/intake/v1/sources/{officer.source_id}/suspend", headers=admin)
    assert code(await officer.report(), 403) == "source_suspended"
    assert code(await bench.client.post(FLAGGED, json=bench.statement(), headers=police), 403) == "source_suspended"
    await bench.client.post(f"/intake/v1/sources/{officer.source_id}/resume", headers=admin)
    assert (await officer.report()).status_code == 202
    path = f"/intake/v1/sources/{officer.source_id}/keys/{officer.key_id}/revoke"
    assert (await bench.client.post(path, headers=admin)).status_code == 200
    assert code(await officer.report(), 403) == "key_revoked"
    forged = await officer.report(headers={"signature": "sig1=:" + "A" * 86 + "==:"})
    assert code(forged, 401) == "signature_refused", "only the key's holder learns that it is revoked"


async def test_a_named_source_must_be_the_signers(bench: Any) -> None:
    """A caller that says which source it believes to be is refused when its key is another's."""
    officer, other = await bench.officer(), await bench.officer()
    assert (await officer.report(query=f"?source={officer.source_id}")).status_code == 202
    assert code(await officer.report(query=f"?source={other.source_id}"), 403) == "source_differs"
    assert code(await officer.report(query="?source=nobody"), 422) == "unprocessable"


async def test_standing_is_told_and_attested(bench: Any) -> None:
    """A report over quota, out of territory or expertise is taken, and source and readers see the reason."""
    officer = await bench.officer(region="CN-31", quota_per_day=3)
    flagger = await bench.officer(kind="trusted_flagger", categories=["self_harm"])
    cases = [
        (officer, {"territory": "CN-31-0104"}, "good"),
        (officer, {"territory": "CN-11"}, "out_of_territory"),
        (officer, {}, "good"),
        (officer, {}, "over_quota"),
        (flagger, {"category": "self_harm"}, "good"),
        (flagger, {"category": "violence"}, "out_of_expertise"),
    ]
    for source, said, standing in cases:
        answer = await source.report(bench.statement(**said))
        assert answer.json()["standing"] == standing
        assert answer.json()["note"]
        (record,) = await bench.records(FLAGGED_TOPIC, id_of(answer))
        assert json.loads(decoded(record.header("attestation").split(b".")[0]))["standing"] == standing


async def test_the_quota_begins_anew_with_the_sources_day(bench: Any) -> None:
    """Over quota today, within it tomorrow, where tomorrow begins at the source's own midnight."""
    officer = await bench.officer(quota_per_day=1, time_zone="Pacific/Kiritimati")
    now = datetime.now(UTC)  # noqa: TID251 -- the test's own clock begins here
    bench.clock.ahead = now.replace(hour=9, minute=0, second=0) + timedelta(days=1) - now
    assert [(await officer.report()).json()["standing"] for _ in range(2)] == ["good", "over_quota"]
    bench.clock.ahead += timedelta(hours=2)
    assert (await officer.report()).json()["standing"] == "good", "at 10:00 UTC a day begins at UTC+14"


def flagged_bodies(bench: Any) -> list[tuple[bytes, str]]:
    """Bodies that do not fit, and what the answer must say."""
    said = bench.statement()
    text = json.dumps(said)
    return [
        (b"", "not JSON"),
        (b"nonsense", "not JSON"),
        (b"[]", "body"),
        (b"\xff\xfe" + text.encode(), "not JSON in UTF-8"),
        (text.replace('"category"', '"explanation": "x", "category"').encode(), "same key twice"),
        (text.replace('"id"', '"id": "a", "id"').encode(), "same key twice"),
        (json.dumps(said | {"explanation": "a\x00b"}).encode(), "explanation"),
        (text.replace('"explanation": "', '"explanation": "\\ud800').encode(), "body"),
        (json.dumps(said | {"category": "nonsense"}).encode(), "category"),
        (json.dumps(said | {"colour": "red"}).encode(), "body.colour: Extra inputs"),
        (json.dumps(said | {"report_id": str(uuid4())}).encode(), "body.report_id: Extra inputs"),
        (json.dumps({k: v for k, v in said.items() if k != "legal_ground"}).encode(), "legal_ground"),
        (json.dumps(said | {"occurred_at": 1_700_000_000}).encode(), "occurred_at"),
        (json.dumps(said | {"occurred_at": "2026-11-23T08:00:00"}).encode(), "occurred_at"),
        (json.dumps(said | {"explanation": "x" * 5_001}).encode(), "explanation"),
        (text.replace('"video"', "NaN").encode(), "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ]


async def test_bodies_that_do_not_fit(bench: Any) -> None:
    """Each is answered 422 with its place and reason, no value is repeated, and nothing is fixed."""
    officer = await bench.officer()
    before = await bench.rows("SELECT count(*) AS n FROM submissions")
    for body, what in flagged_bodies(bench):
        answer = await officer.report(body)
        if not body:
            assert code(answer, 422) == "unprocessable"
            continue
        document = problem(answer, 422)
        assert any(what in f"{error['loc']}: {error['msg']}" for error in document["errors"]), (body[:80], document)
        assert "冒充" not in answer.text
    assert await bench.rows("SELECT count(*) AS n FROM submissions") == before


async def test_public_bodies_that_do_not_fit(bench: Any) -> None:
    """The same holds on the public lane."""
    said = bench.report()
    for change, what in (
        ({"report_id": "x"}, "report_id"),
        ({"reporter": None}, "reporter"),
        ({"source": {"kind": "nobody"}}, "source.kind"),
        ({"reporter": "a\x00"}, "reporter"),
        ({"content": {"id": "a b", "type": "video"}}, "content.id"),
    ):
        assert what in json.dumps(problem(await bench.submit(said | change), 422)["errors"])
    surrogate = json.dumps(said).replace("u_8d1f", "\\udfff").encode()
    assert code(await bench.submit(surrogate), 422) == "unprocessable"
    assert code(await bench.submit(said, Idempotency_Key="k" * 201), 422) == "unprocessable"
    assert code(await bench.submit(said, Idempotency_Key="\x7f"), 422) == "unprocessable"


@pytest.mark.parametrize(("minutes", "good"), [(59, True), (61, False), (10**6, False)])
async def test_the_future_is_not_reported(bench: Any, minutes: int, *, good: bool) -> None:
    """Something said to happen more than an hour from now is refused on both lanes, by its place."""
    at = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()  # noqa: TID251 -- a test's own clock
    officer = await bench.officer()
    for answer in (
        await officer.report(bench.statement(occurred_at=at)),
        await bench.submit(bench.report(occurred_at=at)),
    ):
        if good:
            assert answer.status_code == 202
        else:
            assert problem(answer, 422)["errors"][0]["loc"] == "body.occurred_at"


async def test_a_body_has_a_bound(bench: Any) -> None:
    """A body over 256 KiB is a 413 on both lanes, whoever sends it."""
    officer = await bench.officer()
    big = json.dumps(bench.statement(explanation="x" * 300_000)).encode()
    assert code(await officer.report(big), 413) == "body_too_large"
    assert (
        code(await bench.submit(json.dumps(bench.report(explanation="x" * 300_000)).encode()), 413) == "body_too_large"
    )


async def test_free_text_and_people_stay_out(bench: Any) -> None:
    """What a report says, and who said it, is on its topic alone: not in intake's tables, logs, metrics or refusals."""
    canary = f"canary{uuid4().hex}"
    officer = await bench.officer()
    said = bench.statement(
        explanation=canary, legal_ground=canary, reporter=canary, addressed_agency=canary,
        content={"id": f"v_{uuid4().hex}", "type": "video", "author": canary, "excerpt": canary, "url": canary},
    )  # fmt: skip
    nonce = f"nonce-{uuid4()}"
    with capture_logs() as logged:
        bench.faults.late = 1
        answers = [
            await officer.report(said, nonce=nonce),
            await officer.report(said, nonce=nonce),
            await officer.report(said | {"keyword": "x"}, nonce=nonce),
            await officer.report(said | {"category": canary}),
            await officer.report(said | {"colour": canary}),
            await officer.report(json.dumps(said).encode() + canary.encode()),
            await bench.submit(bench.report(explanation=canary, reporter=canary) | {"report_id": canary}),
        ]
    assert [answer.status_code for answer in answers] == [503, 202, 409, 422, 422, 422, 422]
    assert any(canary.encode() in record.value for record in await bench.everything(FLAGGED_TOPIC))
    for answer in answers:
        assert canary not in answer.text
    assert canary not in json.dumps(logged, default=str)
    assert canary not in (await bench.client.get("/intake/metrics")).text
    tables = await bench.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'intake'")
    assert len(tables) > 5
    for (table,) in tables:
        assert await bench.rows(f"SELECT FROM intake.{table} AS row WHERE row::text LIKE '%{canary}%'") == []

"""Review's HTTP contract: answers, roles, and what it refuses with which status."""

from typing import Any
from uuid import uuid4

import pytest

from schemas.decision import DecisionMade
from services.review.store import decisions
from services.review.sweep import Sweeper

FINDING = {"verdict": "illegal", "violates": "Art. 1", "actions": ["remove"], "reason": "seen"}


class TestClaims:
    """What a claim answers."""

    async def test_a_claim_has_the_shape_of_the_contract(self, bench: Any, make: Any) -> None:
        """A claimed case has its lease, its content, its reports with class and reception, its ruling and history."""
        await bench.take(make(content="v_1", explanation="骗子"), make(content="v_1", priority="P1", author="a_9"))
        (claim,) = await bench.claim()
        assert set(claim["lease"]) == {"token", "expires_at", "fence"}
        case = claim["case"]
        assert case["id"]
        assert (case["class"], case["queue"], case["state"]) == ("P1", "general", "claimed")
        assert case["content"] == {"id": "v_1", "type": "video", "author": "a_1"}
        assert (case["report_count"], case["reporter_count"]) == (2, 2)
        assert case["ruling"] == {"policy": "default", "version": "1", "rule": "rule-P1", "inputs": {"a": None}}
        assert case["due_at"].endswith("Z")
        first = case["reports"][0]
        assert first["explanation"] == "骗子"
        assert (first["class"], first["content"]["id"], first["source"]) == ("P3", "v_1", {"kind": "user"})
        assert first["received_at"].endswith("Z")
        opened, lifted, claimed = case["history"]
        assert (opened["from"], opened["to"], opened["actor"], opened["why"]) == (None, "queued", "user", "rule-P3")
        assert lifted["why"] == "better_class"
        assert (claimed["from"], claimed["to"], claimed["actor"]) == ("queued", "claimed", "li")
        assert (claimed["fence"], claimed["expires_at"]) == (1, claim["lease"]["expires_at"])
        assert case["previous"] is None

    async def test_the_first_hundred_reports_are_shown_of_however_many(self, bench: Any, make: Any) -> None:
        """A hot item shows a hundred reports and counts them all."""
        await bench.take(*(make(content="v_1") for _ in range(130)))
        (claim,) = await bench.claim()
        assert (len(claim["case"]["reports"]), claim["case"]["report_count"]) == (100, 130)
        received = [r["received_at"] for r in claim["case"]["reports"]]
        assert received == sorted(received)

    async def test_an_empty_queue_gives_an_empty_list(self, bench: Any) -> None:
        """Nothing waiting is no error."""
        assert await bench.claim(max=20) == []

    @pytest.mark.parametrize(
        "body",
        [
            {"max": 0}, {"max": 21}, {"max": "1"}, {"max": 1.5}, {"max": True}, {"queues": []}, {"queues": "general"},
            {"queues": ["a\x00b"]}, {"unknown": 1}, [], b"", b"{", b'{"max": 1, "max": 2}', b'{"queues": ["\xff"]}',
        ],
        ids=str,
    )  # fmt: skip
    async def test_a_wish_that_does_not_fit_is_refused(self, bench: Any, make: Any, body: Any) -> None:
        """Oversized, mistyped, unknown, repeated, NUL or broken: 422 with problem details, and nothing is claimed."""
        await bench.take(make())
        answer = await bench.post("/claims", body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["errors"]
        assert await bench.rows("SELECT 1 FROM leases") == []


class TestDecisions:
    """What a decision answers and publishes."""

    async def test_a_decision_is_made_once_and_told_to_all_reports(self, bench: Any, make: Any) -> None:
        """201 with the decision; each of 1,201 reports is answered once, in parts of 500, caused by the claim."""
        arrivals = [make(content="v_1") for _ in range(1_201)]
        await bench.take(*arrivals)
        claim = await bench.next()
        answer = await bench.decide(claim)
        assert answer.status_code == 201
        decided = answer.json()
        assert {k: decided[k] for k in FINDING} == FINDING
        assert (decided["case_id"], decided["decided_by"]) == (claim["case"]["id"], "li")
        rows = await bench.rows("SELECT value FROM outbox WHERE topic = 'decisions.v1' ORDER BY id")
        parts = [DecisionMade.model_validate_json(row["value"]) for row in rows]
        assert [len(p.data.reports) for p in parts] == [500, 500, 201]
        assert {r.report_id for p in parts for r in p.data.reports} == {a.report_id for a in arrivals}
        (claimed,) = [e for e in await bench.events("cases.v1") if e["type"] == "jubao.case.claimed.v1"]
        assert {str(p.causationid) for p in parts} == {claimed["id"]}
        case = await bench.case(claim["case"]["id"])
        assert (case["state"], case["decision"]["decision_id"]) == ("decided", decided["decision_id"])
        last = case["history"][-1]
        assert (last["change"], last["from"], last["to"], last["why"]) == ("decided", "claimed", "decided", "illegal")
        assert case["lease"] is None
        assert await bench.claim() == []

    async def test_a_hot_items_decision_is_published_in_bounded_steps(self, bench: Any, make: Any) -> None:
        """Of 11,300 reports 5,000 are answered with the decision, the rest step by step, each once, late ones apart."""
        arrivals = [make(content="v_1") for _ in range(11_300)]
        for start in range(0, len(arrivals), 2_000):
            await bench.take(*arrivals[start : start + 2_000])
        assert (await bench.decide(await bench.next())).status_code == 201
        late = make(content="v_1", received_at=arrivals[6_000].received_at)
        await bench.take(late)
        steps = 0
        while await bench.database.transact(decisions.publish_rest):
            steps += 1
        assert steps == 2
        rows = await bench.rows("SELECT value FROM outbox WHERE topic = 'decisions.v1' ORDER BY id")
        parts = [DecisionMade.model_validate_json(row["value"]).data for row in rows]
        timely = [p for p in parts if not p.late]
        assert [p.part for p in timely] == list(range(1, 24))
        assert {p.parts for p in timely} == {23}
        answered = [r.report_id for p in timely for r in p.reports]
        assert len(answered) == len(arrivals)
        assert set(answered) == {a.report_id for a in arrivals}
        assert [r.report_id for p in parts if p.late for r in p.reports] == [late.report_id]

    async def test_the_same_again_gets_the_first_answer(self, bench: Any, make: Any) -> None:
        """A repetition answers 201 with the first decision and publishes nothing more; another one is a 409."""
        await bench.take(make())
        claim = await bench.next()
        first = await bench.decide(claim)
        published = len(await bench.events())
        again = await bench.decide(claim)
        assert (again.status_code, again.json()) == (201, first.json())
        other = await bench.decide(claim, {"verdict": "no_violation", "actions": [], "reason": "no"})
        assert other.status_code == 409
        assert (await bench.decide(claim, name="wang")).status_code == 409
        assert len(await bench.events()) == published
        assert len(await bench.rows("SELECT 1 FROM decisions")) == 1

    async def test_severe_actions_are_refused_with_the_reason(self, bench: Any, make: Any) -> None:
        """Until there is second review, terminate_account is a 422 that says so, and the lease goes on."""
        await bench.take(make())
        claim = await bench.next()
        answer = await bench.decide(claim, FINDING | {"actions": ["remove", "terminate_account"]})
        assert answer.status_code == 422
        assert "second reviewer" in answer.json()["detail"]
        assert "not available yet" in answer.json()["detail"]
        assert (await bench.decide(claim)).status_code == 201

    @pytest.mark.parametrize(
        "wrong",
        [
            {"verdict": "maybe"}, {"verdict": "no_violation"}, {"violates": None}, {"actions": []}, {"reason": ""},
            {"reason": " \n"}, {"violates": " "},
            {"reason": "a\x00b"}, {"reason": "\ud800"}, {"actions": ["remove", "remove"]}, {"actions": ["burn"]},
            {"lease": "x"}, {"unknown": 1}, {"reason": "x" * 5_001}, {"violates": "x" * 201},
        ],
        ids=lambda w: ascii(w)[:40],
    )  # fmt: skip
    async def test_a_finding_that_does_not_fit_is_refused(self, bench: Any, make: Any, wrong: dict[str, Any]) -> None:
        """A finding that breaks the contract is a 422 that decides nothing."""
        await bench.take(make())
        claim = await bench.next()
        answer = await bench.decide(claim, {**FINDING, **wrong})
        assert answer.status_code == 422, answer.text
        assert await bench.rows("SELECT 1 FROM decisions") == []

    async def test_a_made_up_method_is_no_series_of_its_own(self, bench: Any) -> None:
        """Whoever calls with words of their own for methods does not fill the metrics."""
        assert (await bench.client.request("NOSUCH", "/review/healthz")).status_code == 405
        assert "NOSUCH" not in (await bench.client.get("/review/metrics")).text

    async def test_an_unknown_case_is_a_404(self, bench: Any) -> None:
        """Deciding or reading a case that is not there says so."""
        body = {"lease": str(uuid4()), **FINDING}
        assert (await bench.post(f"/cases/{uuid4()}/decisions", body)).status_code == 404
        assert (await bench.get(f"/cases/{uuid4()}")).status_code == 404


class TestReading:
    """Lists, queues, reports."""

    async def test_cases_come_in_pages_the_newest_first(self, bench: Any, make: Any) -> None:
        """Following `next` shows every case once, newest first, under every filter."""
        for n in range(23):
            await bench.take(make(queue=f"q{n % 2}", priority=f"P{1 + n % 3}"))
        await bench.claim(max=4)
        for filters, count in (({}, 23), ({"class": "P2"}, 8), ({"queue": "q1"}, 11), ({"state": "claimed"}, 4)):
            seen: list[dict[str, Any]] = []
            cursor = None
            while True:
                query = {**filters, "limit": 5} | ({"cursor": cursor} if cursor else {})
                page = (await bench.get("/cases", **query)).json()
                seen += page["cases"]
                cursor = page["next"]
                if cursor is None:
                    break
            assert len({c["id"] for c in seen}) == len(seen) == count
            assert [c["opened_at"] for c in seen] == sorted((c["opened_at"] for c in seen), reverse=True)

    async def test_the_cases_of_one_item_are_found(self, bench: Any, make: Any) -> None:
        """content_id finds the decided and the open case of an item."""
        await bench.take(make(content="v_1"), make())
        await bench.decide(next(c for c in await bench.claim(max=5) if c["case"]["content_id"] == "v_1"))
        await bench.take(make(content="v_1", priority="P0"))
        found = (await bench.get("/cases", content_id="v_1")).json()["cases"]
        assert [c["state"] for c in found] == ["queued", "decided"]
        only = (await bench.get("/cases", content_id="v_1", state="decided", **{"class": "P3"})).json()["cases"]
        assert only == found[1:]

    @pytest.mark.parametrize(
        "query",
        [
            {"limit": 0}, {"limit": 201}, {"limit": 10**30}, {"limit": "x"}, {"cursor": "x"}, {"state": "x"},
            {"class": "P9"}, {"queue": ""}, {"queue": "a\x00"}, {"content_id": "a\x00b"},
        ],
        ids=str,
    )  # fmt: skip
    async def test_a_page_that_does_not_fit_is_refused(self, bench: Any, query: dict[str, Any]) -> None:
        """Oversized limits, foreign cursors and unknown words are a 422."""
        assert (await bench.get("/cases", **query)).status_code == 422

    async def test_a_tampered_cursor_is_refused(self, bench: Any, make: Any) -> None:
        """A cursor that was changed by a character is a 422."""
        await bench.take(make(), make())
        cursor = (await bench.get("/cases", limit=1)).json()["next"]
        changed = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]
        assert (await bench.get("/cases", cursor=changed)).status_code == 422
        foreign = bench.process.cursors.write({"after": 3})
        assert (await bench.get("/cases", cursor=foreign)).status_code == 422

    async def test_queues_tell_what_waits_and_how_long_it_took(self, bench: Any, make: Any, before: Any) -> None:
        """Waiting, claimed, overdue, the oldest wait, and the waits of the last day's claims, per queue and class."""
        await bench.take(
            make(priority="P1", received_at=before(minutes=90)),
            make(priority="P1", received_at=before(minutes=30)),
            make(priority="P1", received_at=before(minutes=10)),
            make(priority="P3", queue="other"),
        )
        await bench.claim(queues=["general"])
        first, second = (await bench.get("/queues")).json()
        assert {k: first[k] for k in ("queue", "class", "waiting", "claimed", "overdue")} == {
            "queue": "general", "class": "P1", "waiting": 2, "claimed": 1, "overdue": 0,
        }  # fmt: skip
        assert 1_790 < first["oldest_seconds"] < 1_900
        assert 5_390 < first["wait_p50_seconds"] < 5_500
        assert 5_390 < first["wait_p95_seconds"] < 5_500
        assert (second["queue"], second["waiting"], second["wait_p50_seconds"]) == ("other", 1, None)

    async def test_a_lifted_cases_wait_counts_from_the_better_report(self, bench: Any, make: Any, before: Any) -> None:
        """The wait of a P0 claim is that of the police report, not of the ordinary one that came a day before."""
        await bench.take(make(content="v_1", received_at=before(hours=20)))
        await bench.take(make(content="v_1", priority="P0"))
        await bench.claim()
        (queue,) = [q for q in (await bench.get("/queues")).json() if q["class"] == "P0"]
        assert queue["wait_p95_seconds"] < 60

    async def test_the_platform_learns_where_a_report_stands(self, bench: Any, make: Any) -> None:
        """A report is queued, then in review, then decided, under its case's class; unknown ones are a 404."""
        report = make(content="v_1", source_id="s_1", priority="P1", attested=True)
        await bench.take(report, make(content="v_1", priority="P0"))

        async def standing() -> dict[str, Any]:
            answer = await bench.get(f"/reports/{report.report_id}", role="platform")
            assert answer.status_code == 200
            found: dict[str, Any] = answer.json()
            return found

        first = await standing()
        assert (first["state"], first["class"], first["source_id"]) == ("queued", "P0", "s_1")
        claim = await bench.next()
        assert (await standing())["state"] == "in_review"
        await bench.decide(claim)
        last = await standing()
        assert (last["state"], last["verdict"], last["actions"]) == ("decided", "illegal", ["remove"])
        assert (await bench.get(f"/reports/{uuid4()}", role="platform")).status_code == 404


class TestRoles:
    """Who may do what."""

    @pytest.mark.parametrize("role", ["reviewer", "senior", "supervisor"])
    async def test_deciders_decide(self, bench: Any, make: Any, role: str) -> None:
        """Reviewers, seniors and supervisors claim and decide."""
        await bench.take(make())
        claims = (await bench.post("/claims", {}, role=role)).json()["claims"]
        body = {"lease": claims[0]["lease"]["token"], **FINDING}
        answer = await bench.post(f"/cases/{claims[0]['case']['id']}/decisions", body, role=role)
        assert answer.status_code == 201

    @pytest.mark.parametrize("role", ["auditor", "admin", "platform", "police"])
    async def test_others_do_not(self, bench: Any, make: Any, role: str) -> None:
        """Any other role is refused before anything happens."""
        await bench.take(make())
        body = {"lease": str(uuid4()), **FINDING}
        for path, sent in (
            ("/claims", {}),
            (f"/leases/{uuid4()}/renew", None),
            (f"/leases/{uuid4()}/release", None),
            (f"/cases/{uuid4()}/decisions", body),
        ):
            assert (await bench.post(path, sent, role=role)).status_code == 403
        assert await bench.rows("SELECT 1 FROM leases") == []

    @pytest.mark.parametrize(
        ("role", "status"),
        [("reviewer", 200), ("senior", 200), ("supervisor", 200), ("auditor", 200), ("admin", 200), ("platform", 403),
         ("police", 403)],
    )  # fmt: skip
    async def test_who_may_look(self, bench: Any, role: str, status: int) -> None:
        """Staff may look at cases and queues; sources and the platform may not."""
        for path in ("/cases", "/queues"):
            assert (await bench.get(path, role=role)).status_code == status
        expected = 404 if role == "platform" else 403
        assert (await bench.get(f"/reports/{uuid4()}", role=role)).status_code == expected

    async def test_without_a_token_nothing(self, bench: Any) -> None:
        """No token is a 401 on every call."""
        for method, path in (
            ("GET", "/queues"),
            ("GET", "/cases"),
            ("POST", "/claims"),
            ("GET", f"/reports/{uuid4()}"),
        ):
            assert (await bench.client.request(method, f"/review/v1{path}")).status_code == 401


async def test_openapi_names_every_call(bench: Any) -> None:
    """The OpenAPI document holds the calls of the contract with their request bodies."""
    document = (await bench.client.get("/review/openapi.json")).json()
    paths = {
        "/v1/claims",
        "/v1/leases/{token}/renew",
        "/v1/leases/{token}/release",
        "/v1/cases/{case_id}/decisions",
        "/v1/cases/{case_id}",
        "/v1/cases",
        "/v1/queues",
        "/v1/reports/{report_id}",
    }
    assert paths <= set(document["paths"])
    schema = document["components"]["schemas"]["ClaimWish"]
    assert schema["properties"]["max"]["maximum"] == 20


async def test_the_overload_alarm_is_raised_once_an_hour(bench: Any, make: Any, before: Any) -> None:
    """More cases than decisions, and something overdue: one alert, also when several processes look again and again."""
    await bench.take(make(), make(priority="P0"))
    sweeper = Sweeper(bench.database)
    assert not await sweeper.watch_load()
    await bench.take(make(received_at=before(hours=30)))
    assert await sweeper.watch_load()
    assert not await Sweeper(bench.database).watch_load()
    await bench.rows("UPDATE alarms SET raised_at = raised_at - interval '1 hour'")
    assert await sweeper.watch_load()
    alerts = await bench.events("activity.v1")
    assert [a["data"]["code"] for a in alerts] == ["overload", "overload"]
    assert "2 cases came below P0 and 0 were decided" in alerts[0]["data"]["what"]

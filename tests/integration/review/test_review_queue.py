"""The queue as reviewers meet it: one case an item, the right one first, leases, late reports."""

import asyncio
from typing import Any
from uuid import uuid4

from services.review.store import ingest


class TestJoining:
    """Reports of one item."""

    async def test_reports_of_one_item_are_one_case(self, bench: Any, make: Any) -> None:
        """Reports of an item in one batch and across batches make one open case, a reporter counts once."""
        first, second, third = make(content="v_1"), make(content="v_1", reporter="same"), make(content="v_1")
        again = make(content="v_1", reporter="same")
        assert await bench.take(first, second, make()) == []
        assert await bench.take(third, again, first) == []
        (row,) = await bench.rows("SELECT * FROM cases WHERE content_id = 'v_1'")
        assert (row["report_count"], row["reporter_count"], row["version"]) == (4, 3, 4)
        events = [e for e in await bench.events("cases.v1") if e["data"]["content_id"] == "v_1"]
        assert [e["data"]["version"] for e in events] == [1, 2, 3, 4]
        assert [e["type"].split(".")[2] for e in events] == ["opened", "joined", "joined", "joined"]
        assert [e["causationid"] for e in events] == [str(a.event_id) for a in (first, second, third, again)]

    async def test_any_order_of_joins_gives_the_same_case_and_the_same_next(
        self, bench: Any, make: Any, before: Any
    ) -> None:
        """The same reports in two orders and different batches leave the same rows of cases and ready."""
        arrivals = [
            make(
                content=f"v_{n % 4}",
                priority=f"P{1 + n % 4}",
                received_at=before(minutes=n * 7 % 60),
                queue=f"q{n % 2}",
            )
            for n in range(24)
        ]
        seen = []
        for order, size in ((arrivals, 24), (arrivals[::-1], 5), (arrivals[12:] + arrivals[:12], 1)):
            await bench.rows("TRUNCATE cases CASCADE")
            for start in range(0, len(order), size):
                await bench.take(*order[start : start + size])
            cases = await bench.rows(
                "SELECT case_id, content_id, class, queue, rank_from, due_at, target_seconds, first_at, targets, "
                "report_count, reporter_count, ruling, content, version FROM cases ORDER BY case_id"
            )
            ready = await bench.rows("SELECT * FROM ready ORDER BY case_id")
            seen.append((cases, ready))
        assert seen[0] == seen[1] == seen[2]
        assert len(seen[0][0]) == 4

    async def test_a_used_report_id_with_other_content_dies_and_nothing_beside_it(self, bench: Any, make: Any) -> None:
        """Of a batch the record under a used id is refused; the equal repetition is ignored; the rest goes in."""
        one = uuid4()
        first = make(report_id=one, content="v_1")
        await bench.take(first)
        refused = await bench.take(make(), first, make(report_id=one, content="v_1", explanation="other"), make())
        assert refused == [2]
        assert len(await bench.rows("SELECT 1 FROM reports")) == 3

    async def test_an_attested_report_takes_the_place_of_an_unattested_one(self, bench: Any, make: Any) -> None:
        """Under one id the attested report wins, lifts the case, and the counts stay right."""
        one = uuid4()
        await bench.take(make(report_id=one, content="v_1", reporter="liar"), make(content="v_1", reporter="other"))
        assert await bench.take(make(report_id=one, content="v_1", priority="P0")) == []
        (row,) = await bench.rows("SELECT * FROM cases")
        assert (row["class"], row["report_count"], row["reporter_count"]) == (0, 2, 2)
        (report,) = await bench.rows("SELECT * FROM reports WHERE report_id = $1", one)
        assert report["attested"]
        assert report["class"] == 0
        assert await bench.take(make(report_id=one, content="v_1")) == [0]

    async def test_an_attested_report_about_another_item_leaves_the_false_one_where_it_was(
        self, bench: Any, make: Any
    ) -> None:
        """Under one id, an attested report on another item opens its own case; the first stays in its case."""
        one = uuid4()
        await bench.take(make(report_id=one, content="v_1"))
        assert await bench.take(make(report_id=one, content="v_2", priority="P0")) == []
        counts = await bench.rows("SELECT content_id, report_count FROM cases ORDER BY content_id")
        assert [tuple(row) for row in counts] == [("v_1", 1), ("v_2", 1)]
        (report,) = await bench.rows(
            "SELECT content_id FROM reports JOIN cases USING (case_id) WHERE report_id = $1", one
        )
        assert report["content_id"] == "v_2"

    async def test_two_lanes_that_bring_the_same_at_once_make_it_once(self, bench: Any, make: Any) -> None:
        """Eight consumers with the same reports in different orders, at once, leave each report and case once."""
        arrivals = [make(content=f"v_{n % 7}") for n in range(60)]

        async def lane(number: int) -> None:
            order = arrivals[number:] + arrivals[:number]
            for start in range(0, len(order), 12):
                await bench.take(*order[start : start + 12])

        await asyncio.gather(*(lane(n * 7) for n in range(8)))
        assert len(await bench.rows("SELECT 1 FROM reports")) == 60
        cases = await bench.rows("SELECT report_count, reporter_count, version FROM cases")
        assert len(cases) == 7
        assert sum(row["report_count"] for row in cases) == 60
        assert all(row["report_count"] == row["reporter_count"] == row["version"] for row in cases)
        events = await bench.events("cases.v1")
        assert len(events) == len({e["id"] for e in events}) == 60


class TestOrder:
    """Who comes next."""

    async def test_p0_is_next_on_a_new_a_queued_and_a_decided_item(self, bench: Any, make: Any, before: Any) -> None:
        """A P0 report is a reviewer's next claim whether its item is new, queued for long, or decided at P3."""
        await bench.take(make(content="decided", received_at=before(days=3)))
        assert (await bench.decide(await bench.next("wang"), name="wang")).status_code == 201
        await bench.take(*(make(received_at=before(days=2)) for _ in range(50)), make(content="queued"))
        for content in ("new", "queued", "decided"):
            await bench.take(make(content=content, priority="P0"), *(make() for _ in range(20)))
            claim = await bench.next(f"li-{content}")
            assert (claim["case"]["class"], claim["case"]["content_id"]) == ("P0", content)
            assert claim["case"]["ruling"]["rule"] == "rule-P0"
        assert claim["case"]["previous"]["verdict"] == "illegal"

    async def test_below_p0_the_score_decides_across_queues(self, bench: Any, make: Any, before: Any) -> None:
        """A P3 case that waited nine tenths of its day comes before a P1 case that waited half of its hour."""
        await bench.take(
            make(content="half", priority="P1", received_at=before(minutes=30), queue="urgent"),
            make(content="most", priority="P3", received_at=before(hours=21)),
            make(content="none", priority="P2", received_at=before(minutes=1)),
        )
        assert [(await bench.next(f"r{n}"))["case"]["content_id"] for n in range(3)] == ["most", "half", "none"]

    async def test_queues_can_be_chosen(self, bench: Any, make: Any) -> None:
        """A claim for named queues gets nothing of other queues."""
        await bench.take(make(queue="a"), make(queue="b", priority="P0"))
        (claim,) = await bench.claim("li", queues=["a", "c"], max=5)
        assert claim["case"]["queue"] == "a"

    async def test_each_tenth_claim_takes_the_longest_overdue(self, bench: Any, make: Any, before: Any) -> None:
        """Though P1 cases have the higher score, the tenth claim below P0 is the P4 case that fell due first."""
        overdue = make(content="overdue", priority="P4", received_at=before(days=3, hours=12))
        await bench.take(overdue, *(make(priority="P1", received_at=before(hours=9)) for _ in range(30)))
        taken = [(await bench.next(f"r{n}"))["case"]["content_id"] for n in range(12)]
        assert taken.index("overdue") == 9

    async def test_a_lift_is_visible_and_keeps_the_score(self, bench: Any, make: Any, before: Any) -> None:
        """A case lifted from P3 to P1 says so in its history, and is due no later than before."""
        await bench.take(make(content="v_1", received_at=before(hours=12)))
        was = (await bench.get("/cases", content_id="v_1")).json()["cases"][0]
        await bench.take(make(content="v_1", priority="P1"))
        case = await bench.case(was["id"])
        assert case["class"] == "P1"
        assert case["due_at"] < was["due_at"]
        assert [(h["change"], h["from"], h["to"], h["why"]) for h in case["history"]] == [
            ("opened", None, "queued", "rule-P3"),
            ("lifted", "queued", "queued", "better_class"),
        ]

    async def test_a_reviewer_never_gets_a_case_they_reported(self, bench: Any, make: Any) -> None:
        """A case that the caller reported goes to somebody else."""
        await bench.take(make(content="own", reporter="li", priority="P1"), make(content="other"))
        assert [c["case"]["content_id"] for c in await bench.claim("li", max=5)] == ["other"]
        assert (await bench.next("wang"))["case"]["content_id"] == "own"

    async def test_p0_is_waited_for_while_a_batch_holds_it(self, bench: Any, make: Any) -> None:
        """While a consumer's transaction holds the only P0 case, a claim waits for it and gets it, not a lesser one."""
        await bench.take(make(content="police", priority="P0"), *(make() for _ in range(5)))
        async with bench.database.begin() as connection:
            await ingest.take_in(connection, [make(content="police")], terms=bench.terms, late_report_days=7)
            waiting = asyncio.create_task(bench.next("li"))
            await asyncio.sleep(0.3)
            assert not waiting.done()
        claim = await waiting
        assert claim["case"]["content_id"] == "police"
        assert claim["case"]["report_count"] == 2


class TestLeases:
    """Who holds what, for how long."""

    async def test_own_leases_come_first(self, bench: Any, make: Any) -> None:
        """A second claim gives back what the caller holds, with the same token, before anything new."""
        await bench.take(*(make() for _ in range(3)))
        held = await bench.next()
        again = await bench.claim(max=2)
        assert again[0]["lease"]["token"] == held["lease"]["token"]
        assert len(again) == 2
        assert again[1]["case"]["id"] != held["case"]["id"]
        assert len(await bench.claim(max=1)) == 1

    async def test_an_ended_lease_is_anyones_at_once(self, bench: Any, make: Any) -> None:
        """When a lease has ended the next claim gets its case, without waiting for the sweep, with a higher fence."""
        await bench.take(make())
        held = await bench.next("li")
        await bench.rows(
            "UPDATE leases SET claimed_at = claimed_at - interval '1 hour', expires_at = clock_timestamp()"
        )
        taken = await bench.next("wang")
        assert taken["case"]["id"] == held["case"]["id"]
        assert taken["lease"]["fence"] == held["lease"]["fence"] + 1
        changes = [(h["change"], h["actor"], h["why"]) for h in taken["case"]["history"]]
        assert changes[1:] == [
            ("claimed", "li", "claim"),
            ("expired", "review", "lease_ended"),
            ("claimed", "wang", "claim"),
        ]
        for path in ("renew", "release"):
            assert (await bench.post(f"/leases/{held['lease']['token']}/{path}", name="li")).status_code == 409
        assert (await bench.decide(held, name="li")).status_code == 409

    async def test_renewing_moves_the_end_and_is_told(self, bench: Any, make: Any) -> None:
        """A renewed lease ends later, and its history holds the new end as evidence."""
        await bench.take(make())
        held = await bench.next()
        await asyncio.sleep(0.02)
        answer = await bench.post(f"/leases/{held['lease']['token']}/renew")
        assert answer.status_code == 200
        assert answer.json()["lease"]["expires_at"] > held["lease"]["expires_at"]
        assert answer.json()["notice"] is None
        case = await bench.case(held["case"]["id"])
        assert case["history"][-1]["change"] == "renewed"
        assert case["history"][-1]["expires_at"] == answer.json()["lease"]["expires_at"]

    async def test_a_released_case_keeps_its_place(self, bench: Any, make: Any, before: Any) -> None:
        """A case that was given back is the next again, for anyone."""
        await bench.take(make(received_at=before(hours=1)), make())
        held = await bench.next("li")
        assert (await bench.post(f"/leases/{held['lease']['token']}/release")).json()["state"] == "queued"
        assert (await bench.next("wang"))["case"]["id"] == held["case"]["id"]
        assert (await bench.post(f"/leases/{held['lease']['token']}/release")).status_code == 409

    async def test_foreign_and_unknown_leases_are_refused(self, bench: Any, make: Any) -> None:
        """Nobody renews, releases or decides by a token that is not theirs, and nothing changes by trying."""
        await bench.take(make())
        held = await bench.next("li")
        for token in (held["lease"]["token"], str(uuid4()), "no-token"):
            for path in ("renew", "release"):
                assert (await bench.post(f"/leases/{token}/{path}", name="wang")).status_code == 409
        assert (await bench.decide(held, name="wang")).status_code == 409
        case = await bench.case(held["case"]["id"])
        assert [h["change"] for h in case["history"]] == ["opened", "claimed"]

    async def test_p0_on_a_claimed_item_ends_the_lease_soon_and_tells_its_holder(self, bench: Any, make: Any) -> None:
        """When P0 joins a claimed case, its holder is told in claims and renewals, and no renewal passes the cap."""
        await bench.take(make(content="v_1"))
        held = await bench.next("li")
        await bench.take(make(content="v_1", priority="P0"))
        (told,) = await bench.claim("li")
        assert told["notice"]["class"] == "P0"
        assert told["case"]["class"] == "P0"
        assert told["lease"]["expires_at"] < held["lease"]["expires_at"]
        lifted = told["case"]["history"][-1]
        assert (lifted["change"], lifted["from"], lifted["to"]) == ("lifted", "claimed", "claimed")
        assert lifted["expires_at"] == told["lease"]["expires_at"]
        renewed = (await bench.post(f"/leases/{held['lease']['token']}/renew")).json()
        assert renewed["notice"]["ends_by"] == renewed["lease"]["expires_at"] == told["lease"]["expires_at"]
        await bench.rows(
            "UPDATE leases SET claimed_at = claimed_at - interval '1 hour', "
            "expires_at = clock_timestamp(), ends_by = clock_timestamp()"
        )
        assert (await bench.next("wang"))["case"]["class"] == "P0"

    async def test_p0_on_a_case_claimed_as_p0_leaves_the_lease_alone(self, bench: Any, make: Any) -> None:
        """A second P0 report takes no time away from whoever is at work on the first."""
        await bench.take(make(content="v_1", priority="P0"))
        held = await bench.next("li")
        await bench.take(make(content="v_1", priority="P0", source_id="other"))
        (same,) = await bench.claim("li")
        assert same["lease"] == held["lease"]
        assert same["notice"] is None


class TestLateReports:
    """Reports on what is decided."""

    async def test_a_late_report_is_answered_by_the_decision(self, bench: Any, make: Any) -> None:
        """A late report of no better class opens nothing; the decision is published to it, and says so."""
        await bench.take(make(content="v_1"))
        claim = await bench.next()
        decision = (await bench.decide(claim)).json()
        late = [make(content="v_1", priority="P4"), make(content="v_1")]
        await bench.take(*late)
        assert await bench.claim() == []
        part = (await bench.events("decisions.v1"))[-1]
        assert part["data"]["late"]
        assert part["data"]["decision_id"] == decision["decision_id"]
        assert {r["report_id"] for r in part["data"]["reports"]} == {str(a.report_id) for a in late}
        assert part["causationid"] == str(late[0].event_id)
        attached = [e for e in await bench.events("cases.v1") if e["type"] == "jubao.case.attached.v1"]
        assert [e["data"]["report_count"] for e in attached] == [2, 3]
        assert [e["data"]["version"] for e in attached] == [4, 5]
        case = await bench.case(claim["case"]["id"])
        assert (case["state"], case["report_count"]) == ("decided", 3)

    async def test_a_better_class_or_another_snapshot_opens_a_new_case(self, bench: Any, make: Any) -> None:
        """What the decision did not look at opens a case that shows the old one."""
        one, two = "1" * 64, "2" * 64
        await bench.take(make(content="v_1", snapshot=one), make(content="v_2", snapshot=one), make(content="v_3"))
        for _ in range(3):
            await bench.decide(await bench.next(), {"verdict": "no_violation", "actions": [], "reason": "no"})
        await bench.take(
            make(content="v_1", snapshot=two), make(content="v_2", priority="P1"), make(content="v_3", snapshot=two)
        )
        claims = await bench.claim(max=5)
        assert {c["case"]["content_id"] for c in claims} == {"v_1", "v_2"}
        assert all(c["case"]["previous"]["verdict"] == "no_violation" for c in claims)

    async def test_after_its_days_a_decision_answers_no_more(self, bench: Any, make: Any) -> None:
        """A report after the set number of days opens a new case."""
        await bench.take(make(content="v_1"))
        await bench.decide(await bench.next())
        await bench.rows("UPDATE cases SET decided_at = decided_at - interval '8 days'")
        await bench.take(make(content="v_1"))
        assert (await bench.next())["case"]["content_id"] == "v_1"

    async def test_an_attested_report_that_replaces_an_answered_one_counts_once(self, bench: Any, make: Any) -> None:
        """On a decided item the attested version of a known report is answered in its place, not beside it."""
        one = uuid4()
        await bench.take(make(report_id=one, content="v_1", priority="P1"))
        claim = await bench.next()
        await bench.decide(claim)
        assert await bench.take(make(report_id=one, content="v_1", priority="P1", attested=True)) == []
        case = await bench.case(claim["case"]["id"])
        assert (case["report_count"], case["reporter_count"]) == (1, 1)

"""Many reviewers at once, leases that end under them, and reports that lift what they hold."""

import asyncio
import random
from collections import Counter
from typing import Any

from schemas.decision import Finding
from services.review.decision import Proposal, Refusal
from services.review.desk import Desk
from services.review.leasing import LeaseLost, Terms
from services.review.sweep import Sweeper
from services.runtime.auth import Caller

REVIEWERS = 32
CASES = 300
SECONDS = 8
FINDING = Finding(verdict="illegal", violates="Art. 1", actions=["remove"], reason="seen")

# By the history's own times: a lease runs from its claim to the first of its release, its decision, its being put back,
# or else its last known end; no other claim of the case may lie inside.
OVERLAPS = """
WITH claims AS (
    SELECT case_id, version, fence, at,
           lead(at) OVER (PARTITION BY case_id ORDER BY version) AS next_claim
    FROM history WHERE change = 'claimed'
), ends AS (
    SELECT c.case_id, c.fence, c.at, c.next_claim, coalesce(
        (SELECT min(h.at) FROM history h WHERE h.case_id = c.case_id AND h.fence = c.fence
             AND h.change IN ('released', 'decided', 'expired')),
        (SELECT max(h.expires_at) FROM history h WHERE h.case_id = c.case_id AND h.fence = c.fence)) AS ended
    FROM claims c
)
SELECT * FROM ends WHERE next_claim < ended OR ended < at
"""

# A decision after its lease's last promised end would be a decision by a lease that no longer held.
DECIDED_TOO_LATE = """
SELECT d.case_id FROM decisions d WHERE d.decided_at >= (
    SELECT h.expires_at FROM history h WHERE h.case_id = d.case_id AND h.expires_at IS NOT NULL
        AND (h.fence = d.fence) ORDER BY h.version DESC LIMIT 1)
"""


async def test_leases_never_overlap_and_each_case_has_one_decision(bench: Any, make: Any, before: Any) -> None:
    """32 reviewers with one-second leases, lifts and joins meanwhile: no overlap, no double decision, no deadlock."""
    bench.terms = Terms(lease_seconds=1, p0_lease_seconds=0.4)
    desk = Desk(bench.database, bench.terms)
    rng = random.Random(7)
    contents = [f"v_{n}" for n in range(CASES)]
    await bench.take(
        *(make(content=c, priority=f"P{1 + n % 4}", received_at=before(hours=n)) for n, c in enumerate(contents))
    )
    ended = Counter[str]()
    stop = asyncio.Event()

    async def review(number: int) -> None:
        caller, luck = Caller(f"reviewer-{number}", "reviewer"), random.Random(number)
        while not stop.is_set():
            claims = await desk.claim(caller, None, 1)
            if not claims:
                await asyncio.sleep(0.05)
                continue
            lease, case = claims[0].lease, claims[0].case
            what = luck.choices(("decide", "renew", "release", "abandon", "dawdle"), (6, 2, 1, 1, 1))[0]
            try:
                if what == "release":
                    await desk.release(caller, lease.token)
                elif what == "abandon":
                    await asyncio.sleep(1.1)
                else:
                    await asyncio.sleep(luck.uniform(0, 0.1) if what != "dawdle" else luck.uniform(0.9, 1.2))
                    if what == "renew":
                        await desk.renew(caller, lease.token)
                    await desk.decide(Proposal(case.id, lease.token, caller.name, FINDING))
                ended[what] += 1
            except (LeaseLost, Refusal):
                ended["lost"] += 1

    async def lift() -> None:
        while not stop.is_set():
            batch = [make(content=c, priority=rng.choice(("P0", "P1", "P3"))) for c in rng.sample(contents, 12)]
            await bench.take(*batch)
            await asyncio.sleep(0.05)

    async def watch() -> None:
        await asyncio.sleep(SECONDS)
        stop.set()

    sweeper = Sweeper(bench.database)
    await sweeper.start()
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(REVIEWERS):
                group.create_task(review(number))
            group.create_task(lift())
            group.create_task(lift())
            group.create_task(watch())
    finally:
        await sweeper.stop()
    assert await bench.rows(OVERLAPS) == []
    assert await bench.rows(DECIDED_TOO_LATE) == []
    decided = await bench.rows("SELECT case_id FROM decisions")
    assert (
        len(decided) == len({row["case_id"] for row in decided}) == ended["decide"] + ended["renew"] + ended["dawdle"]
    )
    assert len(decided) > 50
    assert ended["abandon"] > 0
    open_twice = "SELECT content_id FROM cases WHERE state <> 'decided' GROUP BY content_id HAVING count(*) > 1"
    assert await bench.rows(open_twice) == []
    astray = """
        SELECT c.case_id FROM cases c LEFT JOIN ready r USING (case_id) LEFT JOIN leases l USING (case_id)
        WHERE (c.state = 'queued') <> (r.case_id IS NOT NULL) OR (c.state = 'claimed') <> (l.case_id IS NOT NULL)"""
    assert await bench.rows(astray) == []
    gaps = "SELECT case_id FROM history GROUP BY case_id, version HAVING count(*) > 1"
    assert await bench.rows(gaps) == []


async def test_reviewers_at_one_head_pass_one_another_by(bench: Any, make: Any) -> None:
    """32 reviewers who claim at the same moment get 32 different cases."""
    await bench.take(*(make() for _ in range(40)))
    claimed = await asyncio.gather(*(bench.next(f"r{n}") for n in range(REVIEWERS)))
    assert len({c["case"]["id"] for c in claimed}) == len({c["lease"]["token"] for c in claimed}) == REVIEWERS


async def test_one_case_goes_to_one_of_many(bench: Any, make: Any) -> None:
    """Of 32 reviewers who want the only P0 case, one gets it and the others get nothing."""
    await bench.take(make(priority="P0"))
    claimed = await asyncio.gather(*(bench.claim(f"r{n}") for n in range(REVIEWERS)))
    assert sorted(len(c) for c in claimed) == [0] * 31 + [1]


async def test_the_sweep_puts_ended_leases_back(bench: Any, make: Any) -> None:
    """Without anybody claiming, a case whose lease ended waits again within a second."""
    bench.terms = Terms(0.2, 0.1)
    await bench.take(make())
    await Desk(bench.database, bench.terms).claim(Caller("li", "reviewer"), None, 1)
    sweeper = Sweeper(bench.database)
    await sweeper.start()
    try:
        async with asyncio.timeout(5):
            while not await bench.rows("SELECT 1 FROM ready"):
                await asyncio.sleep(0.05)
    finally:
        await sweeper.stop()
    (row,) = await bench.rows("SELECT * FROM history WHERE change = 'expired'")
    assert (row["actor"], row["why"], row["fence"]) == ("review", "lease_ended", 1)
    assert sweeper.health().healthy is False

"""Many reviewers at once, leases that end under them, and reports that lift what they hold."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from schemas.decision import Finding
from services.review.answers import Claim
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


OPEN_TWICE = "SELECT content_id FROM cases WHERE state <> 'decided' GROUP BY content_id HAVING count(*) > 1"
ASTRAY = """
SELECT c.case_id FROM cases c LEFT JOIN ready r USING (case_id) LEFT JOIN leases l USING (case_id)
WHERE (c.state = 'queued') <> (r.case_id IS NOT NULL) OR (c.state = 'claimed') <> (l.case_id IS NOT NULL)
"""
ONE_VERSION_TWICE = "SELECT case_id FROM history GROUP BY case_id, version HAVING count(*) > 1"


class Crowd:
    """Reviewers who work as people do, some too slowly, and reporters whose new reports lift what they work on."""

    def __init__(self, bench: Any, make: Any, contents: Sequence[str]) -> None:
        self._bench, self._make, self._contents = bench, make, contents
        self._desk = Desk(bench.database, bench.terms)
        self._closed = asyncio.Event()
        self.ended = Counter[str]()
        """How the claims ended: by what was tried, or `lost`."""

    async def work(self, reviewers: int, reporters: int, seconds: float) -> None:
        """All at once, for so long."""
        async with asyncio.TaskGroup() as group:
            for number in range(reviewers):
                group.create_task(self._review(number))
            for number in range(reporters):
                group.create_task(self._lift(number))
            await asyncio.sleep(seconds)
            self._closed.set()

    async def _review(self, number: int) -> None:
        caller, luck = Caller(f"reviewer-{number}", "reviewer"), random.Random(number)
        while not self._closed.is_set():
            claims = await self._desk.claim(caller, None, 1)
            if not claims:
                await asyncio.sleep(0.05)
                continue
            what = luck.choices(("decide", "renew", "release", "abandon", "dawdle"), (6, 2, 1, 1, 1))[0]
            try:
                await self._deal(caller, claims[0], what, luck)
                self.ended[what] += 1
            except (LeaseLost, Refusal):
                self.ended["lost"] += 1

    async def _deal(self, caller: Caller, claim: Claim, what: str, luck: random.Random) -> None:
        if what == "release":
            await self._desk.release(caller, claim.lease.token)
        elif what == "abandon":
            await asyncio.sleep(1.1)
        else:
            await asyncio.sleep(luck.uniform(0, 0.1) if what != "dawdle" else luck.uniform(0.9, 1.2))
            if what == "renew":
                await self._desk.renew(caller, claim.lease.token)
            await self._desk.decide(Proposal(claim.case.id, claim.lease.token, caller.name, FINDING))

    async def _lift(self, number: int) -> None:
        luck = random.Random(1_000 + number)
        while not self._closed.is_set():
            contents = luck.sample(self._contents, 12)
            await self._bench.take(*(self._make(content=c, priority=luck.choice(("P0", "P1", "P3"))) for c in contents))
            await asyncio.sleep(0.05)


async def test_leases_never_overlap_and_each_case_has_one_decision(bench: Any, make: Any, before: Any) -> None:
    """32 reviewers with one-second leases, lifts and joins meanwhile: no overlap, no double decision, no deadlock."""
    bench.terms = Terms(lease_seconds=1, p0_lease_seconds=0.4)
    contents = [f"v_{n}" for n in range(CASES)]
    await bench.take(
        *(make(content=c, priority=f"P{1 + n % 4}", received_at=before(hours=n)) for n, c in enumerate(contents))
    )
    crowd, sweeper = Crowd(bench, make, contents), Sweeper(bench.database)
    await sweeper.start()
    try:
        await crowd.work(REVIEWERS, 2, SECONDS)
    finally:
        await sweeper.stop()
    for impossible in (OVERLAPS, DECIDED_TOO_LATE, OPEN_TWICE, ASTRAY, ONE_VERSION_TWICE):
        assert await bench.rows(impossible) == []
    decided = await bench.rows("SELECT case_id FROM decisions")
    ended = crowd.ended
    made = ended["decide"] + ended["renew"] + ended["dawdle"]
    assert len(decided) == len({row["case_id"] for row in decided}) == made
    assert made > 50
    assert ended["abandon"] > 0


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

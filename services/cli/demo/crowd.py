"""The ordinary part of the demonstration: reports sent as the platform's backend would, and waited for."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.report import Report
from services.cli.client import Refused, client, settings_for
from services.cli.demo.failure import NotAsPromised, awaited
from services.cli.importing.feed import Feed
from services.cli.overview import collect
from services.runtime.broker import Publisher

_QUEUED_SECONDS = 300.0
_PAUSE_SECONDS = 0.2
_ASKED_BY_ID = 20
_NOT_FOUND = 404


@dataclass(frozen=True)
class Crowd:
    """What the services say after the reports went in."""

    new: int
    """Reports that joined a case since the count before."""
    queued: int
    """Reports that ever joined a case."""
    queues: list[dict[str, Any]]
    """As GET /review/v1/queues answers."""
    hottest: dict[str, Any]
    """The case of the most reported item."""

    @property
    def waiting(self) -> int:
        """Cases that wait, in all queues."""
        return sum(int(queue["waiting"]) for queue in self.queues)

    @property
    def waiting_by_class(self) -> dict[str, int]:
        """The same for each class that waits."""
        classes: Counter[str] = Counter()
        for queue in self.queues:
            classes[queue["class"]] += queue["waiting"]
        return {name: count for name, count in sorted(classes.items()) if count}


def counted(data: Path | None) -> dict[str, int]:
    """Reports as `jubao status` counts them.

    Raises:
        NotAsPromised: a service is not healthy, so that nothing it says would mean much.
    """
    found = collect(data)
    if ailing := [service["name"] for service in found["services"] if not service["healthy"]]:
        raise NotAsPromised(f"{', '.join(ailing)} does not work", "look with `jubao status`")
    reports: dict[str, int] = found["reports"]
    return reports


def send(data: Path | None, reports: list[Report], advance: Callable[[int], None]) -> int:
    """Puts all on the public lane; how many the broker took.

    Raises:
        BrokerStopped: it did not take all.
    """

    async def sending() -> int:
        publisher = Publisher(settings_for(data))
        try:
            return (await Feed(publisher, advance=advance).send(iter(reports))).accepted
        finally:
            await publisher.stop()

    return asyncio.run(sending())


def settled(data: Path | None, show: Callable[[str], None]) -> dict[str, Any]:
    """Waits until no report is on its way to its queue; what `jubao status` finds then.

    Raises:
        Late: some still are.
    """

    def ask() -> dict[str, Any] | None:
        found = collect(data)
        on_the_way = sum(found["lag"].values())
        show(f"{on_the_way:,} records on their way to their queues")
        return None if on_the_way else found

    return awaited(
        ask, what="not all reports reached their queues", seconds=_QUEUED_SECONDS, pause_seconds=_PAUSE_SECONDS
    )


def queued(data: Path | None, reports: list[Report], before: dict[str, int], found: dict[str, Any]) -> Crowd:
    """What became of the reports.

    Args:
        data: directory of the stack.
        reports: what was sent.
        before: the counts before that.
        found: what `settled` gave.

    Raises:
        NotAsPromised: one of them died, or is unknown to review.
    """
    after = found["reports"]
    if after["dead"] > before["dead"]:
        raise NotAsPromised(f"{after['dead'] - before['dead']} reports died", "`jubao dead list` names the reasons")
    with client(data, role="platform") as http:
        for report in reports[:: max(1, len(reports) // _ASKED_BY_ID)]:
            try:
                http.get(f"/outcomes/v1/reports/{report.report_id}")
            except Refused as refused:
                if refused.status != _NOT_FOUND:
                    raise
                raise NotAsPromised(f"no queue knows the report {report.report_id}", "run it again") from refused
    hottest, _ = Counter(report.content.id for report in reports).most_common(1)[0]
    with client(data, role="auditor") as http:
        cases = http.get("/review/v1/cases", params={"content_id": hottest}).json()["cases"]
    if not cases:
        raise NotAsPromised(f"no case for the item {hottest}", "run it again")
    return Crowd(after["queued"] - before["queued"], after["queued"], found["queues"], cases[0])

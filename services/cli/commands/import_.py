"""`jubao import`: reports from a file, put on the public lane as the platform's backend would."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import click

from schemas.report import Report
from services.cli.client import settings_for
from services.cli.errors import CliError, NothingRuns
from services.cli.importing.feed import Feed, Tally
from services.cli.importing.formats import FORMATS, reports_of
from services.cli.importing.refusal import Refusal
from services.cli.options import data_directory, data_option, json_option
from services.cli.output import emit, progress, say
from services.runtime.broker import Publisher
from services.runtime.clock import SystemClock
from services.runtime.logs import silence
from services.runtime.settings import Settings

_MOST_TOLD = 20


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "form", required=True, type=click.Choice(FORMATS), help="What the file's rows are.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after N reports.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="PER_SECOND", help="Most reports a second."
)
@data_option
@json_option
def command(file: Path, form: str, limit: int | None, rate: float | None, data: Path | None, *, as_json: bool) -> None:
    """Send the reports of FILE to the public lane; the same file again makes no second report.

    cold: a CSV of comments with the topic they were reported under, one report a row. votes: a CSV of posts with
    counts of votes, each vote of hate or offence a report. jsonl: the `data` of one report a line. A row that is no
    report is told on standard error, and the others go through.
    """
    settings = settings_for(data)
    if not settings.kafka:
        raise NothingRuns(data_directory(data).resolve())
    silence(settings.log_level)
    begun = time.monotonic()
    refusals: list[Refusal] = []
    try:
        with reports_of(file, form, SystemClock().now()) as found, progress("reports") as advance:
            tally = asyncio.run(_send(settings, islice(found, limit), rate, advance, refusals))
    finally:
        _tell(refusals)
    seconds = round(time.monotonic() - begun, 3)
    answer = {"read": tally.read, "accepted": tally.accepted, "rejected": tally.rejected, "seconds": seconds}
    emit(answer, json=as_json, table=lambda: _sentence(answer))
    if tally.rejected and not tally.accepted:
        raise CliError(f"Nothing of {file} came in; is --format {form} right?")


async def _send(
    settings: Settings,
    found: Iterator[Report | Refusal],
    rate: float | None,
    advance: Callable[[int], None],
    refusals: list[Refusal],
) -> Tally:
    publisher = Publisher(settings)
    try:
        return await Feed(publisher, rate=rate, advance=advance, refuse=refusals.append).send(found)
    finally:
        await publisher.stop()


def _tell(refusals: Sequence[Refusal]) -> None:
    for refusal in refusals[:_MOST_TOLD]:
        say(f"{refusal.where}: {refusal.reason}")
    if len(refusals) > _MOST_TOLD:
        say(f"... and {len(refusals) - _MOST_TOLD} more")
    if refusals:
        say(f"{len(refusals)} rejected; mend these and import the file again: what is in already comes in once.")


def _sentence(answer: Mapping[str, float]) -> str:
    a_second = answer["accepted"] / max(answer["seconds"], 0.001)
    return (
        f"{answer['read']:,} reports read, {answer['accepted']:,} accepted, {answer['rejected']:,} rejected "
        f"in {answer['seconds']:.1f} s ({a_second:,.0f} a second)."
    )

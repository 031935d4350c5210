"""`jubao demo`: ordinary reports by the thousand, then one police report, followed from its 202 to the log."""

import time
from pathlib import Path

import click

from services.cli.client import settings_for, tokenless_client
from services.cli.demo import crowd, desk, trail
from services.cli.demo.failure import NotAsPromised
from services.cli.demo.police import Officer, officer_of
from services.cli.demo.sample import ordinary_reports
from services.cli.demo.shown import Story, how_to_go_on, told
from services.cli.options import data_option, json_option
from services.cli.output import emit, progress, say, status
from services.runtime.logs import silence


@click.command(name="demo")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed makes other reports, all of them.")
@data_option
@json_option
def command(seed: int, data: Path | None, *, as_json: bool) -> None:
    """Show the main job on a stack that runs, and how long each step took.

    Sends 10,000 ordinary reports and waits until they are queued; then a police report, which must be the first that
    a reviewer is given; decides it, and reads from its source's side and from the log what became of it. Exit 1 where
    a step did not hold. The same seed sends the same reports, and they are queued once.
    """
    settings = settings_for(data)
    silence(settings.log_level)
    begun = time.monotonic()
    before = crowd.counted(data)
    officer = officer_of(data)
    with tokenless_client(data) as http:
        officer.known(http)
    reports = ordinary_reports(seed)
    say(f"Sending {len(reports):,} ordinary reports of seed {seed} ...")
    with progress("sent", len(reports)) as advance:
        sent = crowd.send(data, reports, advance)
    with status("waiting for the queues") as show:
        found = crowd.settled(data, show)
    ordinary = crowd.queued(data, reports, before, found)
    say(f"{ordinary.waiting:,} cases wait. Now a police report ...")
    story = _police_report(data, officer, seed=seed, ordinary=ordinary, sent=sent, begun=begun)
    emit(story.as_dict(), json=as_json, table=lambda: told(story))
    if not as_json:
        click.echo(how_to_go_on(story, data, settings.public_url))


def _police_report(
    data: Path | None, officer: Officer, *, seed: int, ordinary: crowd.Crowd, sent: int, begun: float
) -> Story:
    """Follows one police report from its 202 to the log.

    Raises:
        NotAsPromised: it was not first, not P0, not told back or not in the log.
    """
    reviewer, at_desk = desk.reviewer(data)
    with tokenless_client(data) as http, at_desk:
        # Connections and what the services load on a first call are not the report's time.
        at_desk.get("/review/v1/queues")
        report_id, content_id = officer.submit(http)
        accepted = time.monotonic()
        officer.queued(http, report_id)
        claimed = desk.claim(at_desk, content_id)
        claim_seconds = time.monotonic() - accepted
        if claimed.case["class"] != "P0":
            raise NotAsPromised(
                f"the police report is {claimed.case['class']} by rule {claimed.case['ruling']['rule']}, not P0",
                "`jubao policy show` has the rules",
            )
        decision = desk.decide(at_desk, claimed)
        outcome = officer.told(http, report_id)
    if outcome["verdict"] != decision["verdict"]:
        raise NotAsPromised("its source was told another verdict than the reviewer's", "run it again and tell us")
    say("Decided and told back. Now the log ...")
    with status("waiting for the log"):
        entries = trail.entries(data, report_id)
    return Story(
        seed=seed,
        crowd=ordinary,
        report_id=str(report_id),
        case=claimed.case,
        decision=decision,
        outcome=outcome,
        entries=entries,
        reviewer=reviewer,
        sent=sent,
        claim_seconds=claim_seconds,
        seconds=time.monotonic() - begun,
    )

"""How reports are sent: the records they become, how many at once, how fast, and what a broker away means."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.report import Content, Report, ReportSource, Submitted
from schemas.vocabulary import Category, Channel, ContentType, SourceKind
from services.cli.importing.feed import BrokerStopped, Feed
from services.cli.importing.record import record_of
from services.cli.importing.refusal import Refusal
from services.runtime.broker import Message
from services.runtime.problems import BrokerAway

AT = datetime(2025, 1, 1, tzinfo=UTC)


def report(number: int, reporter: str = "u_1", at: datetime = AT) -> Report:
    return Report(
        report_id=UUID(int=number),
        channel=Channel.IMPORT,
        reporter=reporter,
        occurred_at=at,
        source=ReportSource(kind=SourceKind.USER),
        content=Content(id=f"v_{number}", type=ContentType.VIDEO, excerpt="文"),
        category=Category.SCAMS,
    )


@given(st.integers(0, 2**128 - 1), st.datetimes(datetime(2001, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_record_is_the_contracts_event_of_that_report(number: int, at: datetime) -> None:
    """A record's value is a submitted event with the report as it was, as the platform's backend writes it."""
    message = record_of(report(number, at=at))
    event = Submitted.model_validate_json(message.value, strict=False)
    assert event.data == report(number, at=at)
    assert (event.source, event.time, event.id) == ("app-backend", at, message.event_id)
    assert event.causationid is None
    assert (message.topic, message.key) == ("reports.public.v1", f"v_{number}".encode())
    assert message.headers == (("content-type", b"application/cloudevents+json"),)


def test_the_same_report_is_the_same_record() -> None:
    """Sent again it is the same event to the byte; with other data it is another event of the same report."""
    assert record_of(report(1)) == record_of(report(1))
    assert record_of(report(1)).event_id != record_of(report(1, reporter="u_2")).event_id


class Broker:
    """Takes what it is given; the nth publish fails, and it counts how many wait at once."""

    def __init__(self, fails_at: int | None = None, seconds: float = 0.0) -> None:
        self.taken: list[Message] = []
        self.calls = self.waiting = self.most_waiting = 0
        self._fails_at, self._seconds = fails_at, seconds

    async def publish(self, messages: Sequence[Message], *, patience_seconds: float | None = None) -> None:
        assert patience_seconds is not None
        self.calls += 1
        call = self.calls
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        await asyncio.sleep(self._seconds)
        self.waiting -= 1
        if call == self._fails_at:
            raise BrokerAway
        self.taken += messages


def many(count: int) -> Iterator[Report | Refusal]:
    return (report(number) for number in range(count))


async def test_all_are_sent_and_counted() -> None:
    """Every report is accepted once, every refusal is counted and told, and progress adds up to the accepted."""
    broker, told, done = Broker(), list[Refusal](), list[int]()
    found = [*many(2_500), Refusal("row 7", "no"), *many(3)]
    tally = await Feed(broker, advance=done.append, refuse=told.append).send(iter(found))
    assert (tally.read, tally.accepted, tally.rejected) == (2_504, 2_503, 1)
    assert [m.event_id for m in broker.taken[:2_500]] == [record_of(report(n)).event_id for n in range(2_500)]
    assert told == [Refusal("row 7", "no")]
    assert sum(done) == 2_503


async def test_only_so_many_wait_at_once() -> None:
    """However slow the broker is, at most eight chunks of a thousand wait for it."""
    broker = Broker(seconds=0.01)
    await Feed(broker).send(many(20_000))
    assert broker.most_waiting == 8
    assert len(broker.taken) == 20_000


async def test_a_broker_away_tells_how_many_it_took() -> None:
    """After a failure nothing more is sent, those on their way are waited for, and the count is what was taken."""
    broker = Broker(fails_at=3, seconds=0.01)
    with pytest.raises(BrokerStopped) as stopped:
        await Feed(broker).send(many(30_000))
    assert stopped.value.accepted == len(broker.taken) < 30_000
    assert broker.waiting == 0
    assert str(len(broker.taken)) in str(stopped.value)


async def test_a_rate_bounds_reports_a_second() -> None:
    """A hundred reports at 400 a second go in three chunks and take a quarter of a second."""
    broker, begun = Broker(), time.monotonic()
    await Feed(broker, rate=400).send(many(100))
    assert time.monotonic() - begun >= 0.25
    assert broker.calls == 3
    assert len(broker.taken) == 100

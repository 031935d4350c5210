"""Every moment has one written form, and what is not clearly a moment is refused."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.text import Timestamp

TIME: TypeAdapter[datetime] = TypeAdapter(Timestamp)

moments = st.datetimes(
    min_value=datetime(2000, 1, 2),  # noqa: DTZ001 -- hypothesis wants its bounds without zone
    max_value=datetime(9998, 12, 30),  # noqa: DTZ001 -- likewise
    timezones=st.just(UTC),
)
zones = st.integers(min_value=-23 * 60, max_value=23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, zones, zones)
def test_one_form_per_moment(moment: datetime, one: timezone, other: timezone) -> None:
    """One moment told in two zones is written with the same bytes, in UTC with six digits and a Z."""
    written = {
        TIME.dump_json(TIME.validate_json(json.dumps(moment.astimezone(zone).isoformat()))) for zone in (one, other)
    }
    assert written == {json.dumps(moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")).encode()}


@given(moments)
def test_written_form_is_read_back(moment: datetime) -> None:
    """What is written is read as the same moment and written the same again."""
    written = TIME.dump_json(moment)
    assert TIME.validate_json(written) == moment
    assert TIME.dump_json(TIME.validate_json(written)) == written


@given(moments, moments)
def test_text_order_is_time_order(one: datetime, other: datetime) -> None:
    """Written times sort as the moments do."""
    assert (TIME.dump_json(one) < TIME.dump_json(other)) == (one < other)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("2026-11-23T08:00:00Z", "2026-11-23T08:00:00.000000Z"),
        ("2026-11-23T16:00:00+08:00", "2026-11-23T08:00:00.000000Z"),
        ("2026-11-23T08:00:00.5Z", "2026-11-23T08:00:00.500000Z"),
        ("2026-11-23T08:00:00.123456789Z", "2026-11-23T08:00:00.123456Z"),
        ("2026-11-23t08:00:00z", "2026-11-23T08:00:00.000000Z"),
        ("2027-01-01T00:30:00+01:00", "2026-12-31T23:30:00.000000Z"),
    ],
)
def test_spellings(said: str, written: str) -> None:
    """Each spelling that RFC 3339 allows of a moment is taken and written in the one form."""
    assert json.loads(TIME.dump_json(TIME.validate_python(said))) == written


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('"2026-11-23T08:00:00"', "timezone_aware"),
        ('"2026-11-23"', "timezone_aware"),
        ("1763884800", "timestamp_text"),
        ("1763884800.5", "timestamp_text"),
        ('"1763884800"', "timestamp_text"),
        ('"1763884800000"', "timestamp_text"),
        ("true", "timestamp_text"),
        ("null", "timestamp_text"),
        ("[]", "timestamp_text"),
        ('""', "timestamp_text"),
        ('"yesterday"', "timestamp_text"),
        ('"1999-12-31T23:59:59Z"', "timestamp_early"),
        ('"0001-01-01T00:00:00+14:00"', "timestamp_early"),
        ('"9999-12-31T23:59:59-14:00"', "timestamp_late"),
        ('"2026-02-30T00:00:00Z"', "datetime_from_date_parsing"),
        ('"2026-11-23T25:00:00Z"', "datetime_from_date_parsing"),
        ('"2026-11-23T08:00:00Z "', "datetime_from_date_parsing"),
    ],
)
def test_no_moment(said: str, kind: str) -> None:
    """A time without zone, a number, or no time at all is refused, each for its own reason."""
    with pytest.raises(ValidationError) as refused:
        TIME.validate_json(said)
    assert [error["type"] for error in refused.value.errors()] == [kind]

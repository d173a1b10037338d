"""Which week, month or quarter a report covers, and when it is due."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_metrics.core.periods import PERIOD_KINDS, WEEKDAYS, Period, PeriodKind, Weekday, due_period, named_period

UTC_ZONE = ZoneInfo("UTC")


def period(now: str, kind: PeriodKind = "weekly", day: Weekday = "monday", zone: str = "UTC") -> Period:
    return due_period(kind, datetime.fromisoformat(now).replace(tzinfo=UTC), ZoneInfo(zone), day)


@pytest.mark.parametrize(
    ("now", "name"),
    [
        ("2026-11-23T00:00", "2026-W47"),
        ("2026-11-22T23:59", "2026-W46"),
        ("2026-11-29T12:00", "2026-W47"),
        ("2027-01-04T00:00", "2026-W53"),
        ("2025-01-01T00:00", "2024-W52"),
        ("2025-01-06T00:00", "2025-W01"),
    ],
)
def test_on_monday_the_week_that_has_ended_is_due_and_stays_so_until_the_next(now: str, name: str) -> None:
    assert period(now).name == name


@pytest.mark.parametrize(
    ("now", "name"), [("2026-11-25T00:00", "2026-W47"), ("2026-11-24T23:59", "2026-W46"), ("2026-12-01", "2026-W47")]
)
def test_with_another_report_day_it_is_due_from_that_day_of_the_next_week_on(now: str, name: str) -> None:
    assert period(now, day="wednesday").name == name


@pytest.mark.parametrize(
    ("now", "name", "title"),
    [
        ("2026-11-01T12:00", "2026-09", "September 2026"),  # a Sunday
        ("2026-11-02T00:00", "2026-10", "October 2026"),
        ("2027-01-04T00:00", "2026-12", "December 2026"),
    ],
)
def test_a_month_is_due_on_the_first_report_day_of_the_next(now: str, name: str, title: str) -> None:
    found = period(now, "monthly")
    assert (found.name, found.title) == (name, title)


@pytest.mark.parametrize(("now", "name"), [("2026-10-05T00:00", "2026-Q3"), ("2026-10-04T00:00", "2026-Q2")])
def test_a_quarter_is_due_on_the_first_report_day_of_the_next(now: str, name: str) -> None:
    assert period(now, "quarterly").name == name


def test_days_begin_in_the_time_zone() -> None:
    assert period("2026-11-22T15:00", zone="Asia/Tokyo").name == "2026-W47"
    assert period("2026-11-23T04:59", zone="America/New_York").name == "2026-W46"
    assert period("2026-11-22T15:00", zone="Asia/Tokyo").window.end == datetime(2026, 11, 22, 15, tzinfo=UTC)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC_ZONE)),  # noqa: DTZ001 - bounds
    st.sampled_from(PERIOD_KINDS),
    st.sampled_from(WEEKDAYS),
)
def test_a_due_period_is_over_and_the_next_moment_never_has_an_earlier_one(
    now: datetime, kind: PeriodKind, day: Weekday
) -> None:
    found = due_period(kind, now, UTC_ZONE, day)
    later = due_period(kind, now + (found.window.end - found.window.start), UTC_ZONE, day)
    assert found.window.end <= now
    assert later.window.start >= found.window.start
    assert found.window.start < found.window.end


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC_ZONE)),  # noqa: DTZ001 - bounds
    st.sampled_from(PERIOD_KINDS),
    st.sampled_from(WEEKDAYS),
)
def test_a_period_is_found_by_its_name(now: datetime, kind: PeriodKind, day: Weekday) -> None:
    zone = ZoneInfo("Europe/Berlin")
    period = due_period(kind, now, zone, day)
    assert named_period(kind, period.name, zone, day) == period
    assert named_period(kind, f"{period.name}x", zone, day) is None

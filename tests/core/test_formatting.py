"""Numbers and times as words: rounded only here (docs/definitions.md, "Statistics")."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dora_metrics.core import formatting
from support.facts import at


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"), (0, "0 s"), (0.4, "0 s"), (0.5, "0 s"), (1, "1 s"), (59, "59 s"), (59.6, "1 min"), (60, "1 min"),
        (89, "1 min"), (91, "2 min"), (3569, "59 min"), (3599, "1 h"), (3600, "1 h"), (5400, "1 h 30 min"),
        (86_369, "23 h 59 min"), (86_399, "1 d"), (86_400, "1 d"), (100_800, "1 d 4 h"), (172_700, "2 d"),
        (99 * 86_400 + 3600, "99 d 1 h"), (100 * 86_400 + 3600, "100 d"), (400 * 86_400, "400 d"),
    ],
)  # fmt: skip
def test_a_duration_is_its_two_greatest_units(seconds: float | None, shown: str) -> None:
    assert formatting.duration(seconds) == shown


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (timedelta(minutes=90), "90 min"), (timedelta(hours=6), "6 h"), (timedelta(hours=24), "24 h"),
        (timedelta(hours=36), "36 h"), (timedelta(days=2), "2 d"), (timedelta(weeks=1), "7 d"),
    ],
)  # fmt: skip
def test_the_duration_of_a_setting_is_in_one_unit(length: timedelta, shown: str) -> None:
    assert formatting.duration_setting(length) == shown


@pytest.mark.parametrize(
    ("length", "limit", "shown"),
    [
        (timedelta(hours=24, minutes=40), timedelta(hours=24), "24 h 40 min"),
        (timedelta(hours=24, microseconds=1), timedelta(hours=24), "24 h 1 min"),
        (timedelta(hours=50), timedelta(days=2), "50 h"),
        (timedelta(hours=48), timedelta(hours=24), "2 d"),
        (timedelta(minutes=31), timedelta(minutes=30), "31 min"),
    ],
)
def test_a_duration_beyond_a_limit_reads_as_longer_than_it(length: timedelta, limit: timedelta, shown: str) -> None:
    assert formatting.duration_beyond(length, limit) == shown


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        (None, "–"), (0, "0 %"), (1, "100 %"), (1 / 6, "16.7 %"), (0.5, "50 %"), (0.999, "99.9 %"), (4 / 23, "17.4 %"),
        (0.0006, "0.1 %"), (0.0001, "0.01 %"), (0.000_123, "0.01 %"),
    ],
)  # fmt: skip
def test_a_ratio_is_a_percentage(ratio: float | None, shown: str) -> None:
    assert formatting.percent(ratio) == shown


@pytest.mark.parametrize(
    ("per_day", "shown"),
    [
        (None, "–"), (0, "none"), (12.34, "12 a day"), (2.5, "2.5 a day"), (1, "1 a day"), (0.99, "6.9 a week"),
        (2 / 7, "2 a week"), (1 / 7, "1 a week"), (3 * 24 / 730, "3 a month"), (24 / 730, "1 a month"),
        (24 / 731, "12 a year"), (24 / 4380, "2 a year"), (0.5 / 365, "0.5 a year"), (1234.5, "1,234 a day"),
    ],
)  # fmt: skip
def test_a_frequency_is_per_the_smallest_period_with_at_least_one(per_day: float | None, shown: str) -> None:
    assert formatting.frequency(per_day) == shown


@pytest.mark.parametrize(
    ("events", "days", "shown"),
    [
        (0, 30, "none"), (1, 61, "1 in 61 days"), (2, 30, "2 in 30 days"), (4, 30, "4 in 30 days"),
        (5, 30, "1.2 a week"), (5, 61, "2.5 a month"), (10, 30, "2.3 a week"), (60, 30, "2 a day"),
    ],
)  # fmt: skip
def test_fewer_than_five_events_are_a_count_and_not_a_rate(events: int, days: float, shown: str) -> None:
    assert formatting.measured_frequency(events, days) == shown


@pytest.mark.parametrize(
    ("events", "days", "shown"),
    [
        (5, 0.5, "5 in 12 h"),  # not 10 a day
        (30, 23 / 24, "31 a day"),  # the day on which clocks go forward
        (5, 6, "5 in 6 days"),  # not 5.8 a week
        (5, 7, "5 a week"),
        (5, 29, "1.2 a week"),
        (5, 400, "4.6 a year"),
        (5, 2000, "5 in 2,000 days"),  # below one a year
    ],
)
def test_a_rate_is_not_for_a_longer_time_than_was_seen(events: int, days: float, shown: str) -> None:
    assert formatting.measured_frequency(events, days) == shown


def test_the_interval_of_a_count_is_in_numbers_of_events() -> None:
    assert formatting.frequency_range(1, 61, (0.0253 / 61, 5.5716 / 61)) == "0.03 to 5.6 in 61 days"
    assert formatting.frequency_range(10, 30, (4.795 / 30, 18.39 / 30)) == "1.1 to 4.3 a week"


@pytest.mark.parametrize(
    ("texts", "joined"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_the_last_of_a_list_comes_after_and(texts: list[str], joined: str) -> None:
    assert formatting.join_with_and(texts) == joined


@pytest.mark.parametrize(
    ("texts", "joined"),
    [([], ""), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and 1 more"), (["a"] * 2_002, "a, a and 2,000 more")],
)
def test_of_many_texts_the_first_ones_are_named(texts: list[str], joined: str) -> None:
    assert formatting.join_first(texts, 2) == joined


def test_counts_and_ordinals_agree_with_their_number() -> None:
    assert [formatting.count(n, "change") for n in (0, 1, 2, 1234)] == [
        "0 changes",
        "1 change",
        "2 changes",
        "1,234 changes",
    ]
    assert formatting.count(2, "day with one", "days with one") == "2 days with one"
    assert [formatting.ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111, 1002)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th", "1,002nd"
    ]  # fmt: skip


def test_days_and_minutes_are_those_of_the_time_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert formatting.date(at("03-05T23:30"), berlin) == "2024-03-06"
    assert formatting.date_time(at("03-05T23:30"), berlin) == "2024-03-06 00:30"


def test_the_ends_of_all_years_are_said_as_they_are() -> None:
    assert (
        formatting.date_time(datetime(9999, 12, 31, 23, 59, tzinfo=UTC), ZoneInfo("Asia/Tokyo")) == "9999-12-31 23:59"
    )
    assert formatting.date(datetime(9999, 12, 31, 23, 59, tzinfo=UTC), ZoneInfo("Asia/Tokyo")) == "9999-12-31"


def test_differences_have_words_of_their_own() -> None:
    assert (
        formatting.percentage_points(0.0449),
        formatting.percentage_points(-0.2),
        formatting.percentage_points(1),
    ) == (
        "4.5 percentage points",
        "20 percentage points",
        "100 percentage points",
    )
    assert (formatting.per_week(1 / 7), formatting.per_week(0.16), formatting.per_week(0)) == (
        "1 a week",
        "1.1 a week",
        "0 a week",
    )


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        ("1.4 a week", "4.9 a week", "1.4 to 4.9 a week"),
        ("4.5 a week", "1.4 a day", "4.5 a week to 1.4 a day"),
        ("5 h", "5 h", "5 to 5 h"),
    ],
)
def test_a_span_names_its_unit_once_where_it_is_the_same(low: str, high: str, said: str) -> None:
    assert formatting.value_range(low, high) == said

"""What a window is, and which times belong to it (docs/definitions.md, "Words")."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from dora_metrics.core.windows import parse_duration, parse_instant, parse_list, parse_window
from support.facts import DAY, HOUR, at, deployment, document_of, incident, metrics_of, scope_of

BERLIN = ZoneInfo("Europe/Berlin")
UTC = ZoneInfo("UTC")


def test_a_window_is_half_open() -> None:
    facts = (
        deployment(1, "02-29T23:59:59.999999"),
        deployment(2, "03-01T00:00"),
        deployment(3, "03-31T23:59:59.999999"),
        deployment(4, "04-01T00:00"),
    )
    found = scope_of(*facts, now="05-01")
    assert [one.deployment[-1] for one in found.evidence.deployments] == ["2", "3"]


def test_thirty_days_are_thirty_times_24_hours_before_now() -> None:
    found = document_of(window="30d", now="04-01T10:00", zone="Europe/Berlin")
    assert (found.window.start, found.window.end, found.window.days) == (at("03-02T10:00"), at("04-01T10:00"), 30)


@pytest.mark.parametrize(("text", "days"), [("90m", 0.0625), ("36h", 1.5), ("7d", 7), ("12w", 84), (" 30 d ", 30)])
def test_a_span_is_minutes_hours_days_or_weeks(text: str, days: float) -> None:
    assert document_of(window=text).window.days == days


def test_dates_are_midnights_in_the_time_zone_and_the_second_is_excluded() -> None:
    """March in Berlin begins at 23:00Z in winter and ends at 22:00Z in summer: 31 days minus one hour."""
    found = document_of(window="2024-03-01..2024-04-01", zone="Europe/Berlin", now="05-01").window
    assert (found.start, found.end) == (at("02-29T23:00"), at("03-31T22:00"))
    assert found.days == pytest.approx(31 - 1 / 24)


def test_an_autumn_window_is_an_hour_longer() -> None:
    found = document_of(window="2024-10-27..2024-10-28", zone="Europe/Berlin", now="12-01").window
    assert found.days == pytest.approx(25 / 24)


def test_a_midnight_that_a_time_zone_skips_is_the_first_moment_after_it() -> None:
    """In Beirut 2024-03-31 began at 01:00 summer time, 22:00Z."""
    found = document_of(window="2024-03-31..2024-04-02", zone="Asia/Beirut", now="05-01").window
    assert (found.start, found.end) == (at("03-30T22:00"), at("04-01T21:00"))


def test_instants_with_an_offset_may_stand_for_dates() -> None:
    found = document_of(window="2024-03-01T00:00:00+02:00..2024-03-11", now="05-01").window
    assert (found.start, found.end) == (at("02-29T22:00"), at("03-11"))


def test_a_window_never_ends_later_than_now() -> None:
    found = document_of(deployment(1, "03-05T12:00"), deployment(2, "03-06T00:00"), now="03-06")
    assert (found.window.end, found.window.days) == (at("03-06"), 5)
    assert found.scopes[0].metrics.deployment_frequency.deployments == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2024-04-01..2024-05-01", "starts in the future"),
        ("2024-02-02..2024-02-01", "ends before it starts; put the earlier date first"),
        ("2024-02-01..2024-02-01", "ends before it starts; put the earlier date first"),
        ("2024-06-01..2024-05-01", "ends before it starts; put the earlier date first"),
    ],
)
def test_a_window_that_does_not_start_before_it_ends_is_an_error(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=rf"^'{text}' {problem}$"):
        document_of(window=text, now="04-01")


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "30", "d", "-1d", "0d", "1.5d", "30d..", "..", "2024-01-01..", "..2024-01-01", "ALL", "30D", "1y",
        "2024-01-01", "2024-02-30..2024-03-01", "2024-01-01T00:00:00..2024-02-01", "2024-01-01...2024-02-01",
        "1969-12-31..2024-01-01", "2024-01-01..2200-01-01", "7321d", "999999999999d", "٣d",
    ],
)  # fmt: skip
def test_anything_else_is_no_window(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|longer"):
        parse_window(text, UTC)


def test_all_goes_from_the_finish_of_the_first_production_deployment_to_now() -> None:
    facts = (deployment(1, "01-05T06:00", status="cancelled"), deployment(2), deployment(3, "01-01", environment="qa"))
    found = document_of(*facts, window="all")
    assert (found.window.start, found.window.end) == (at("01-05T06:00"), at("04-01"))
    assert found.scopes[0].metrics.deployment_frequency.deployments == 1


def test_all_has_no_window_before_it() -> None:
    assert scope_of(deployment(1), window="all").previous is None


def test_all_is_one_window_for_all_scopes_and_the_notes_say_which_began_later() -> None:
    found = document_of(deployment(1, "03-01"), deployment(2, "03-11", service="api"), window="all", now="03-31")
    api, shop = found.scopes
    assert api.metrics.deployment_frequency.per_day == shop.metrics.deployment_frequency.per_day == 1 / 30
    assert found.notes == ["The first deployment of acme/shop api production was later, on 2024-03-11."]


def test_all_without_any_deployment_is_empty_and_no_error() -> None:
    found = scope_of(incident(1), window="all")
    assert found.metrics.deployment_frequency.per_day is None
    assert found.weeks == []


@pytest.mark.parametrize("when", ["0001-01-01T00:00", "1900-01-01", "9999-12-31T23:59:59"])
@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Kathmandu"])
def test_all_bears_times_that_cannot_be(when: str, zone: str) -> None:
    facts = (deployment(1, when), deployment(2), incident(1, when, resolved_at=when))
    found = scope_of(*facts, window="all", zone=zone)
    assert found.metrics.deployment_frequency.deployments == 1


def test_the_previous_window_has_the_same_length_and_ends_where_this_one_starts() -> None:
    """5 to 15 March. 2024 is a leap year, so 24 February is the first day before it."""
    facts = [
        deployment(n, day)
        for n, day in enumerate(["02-23T23:59", "02-24", "03-04T23:59", "03-05", "03-14T23:59", "03-15"])
    ]
    found = scope_of(*facts, window="2024-03-05..2024-03-15")
    assert found.previous is not None
    assert found.previous.deployment_frequency.deployments == found.metrics.deployment_frequency.deployments == 2


def test_the_previous_window_of_one_that_now_cut_short_is_as_short() -> None:
    facts = (deployment(1, "02-28T12:00"), deployment(2, "02-27T12:00"))
    found = scope_of(*facts, now="03-03")  # two days: before them 28 and 29 February
    assert found.previous is not None
    assert found.previous.deployment_frequency.deployments == 1


def test_a_time_with_an_offset_is_the_same_moment() -> None:
    """Trap 12."""
    found = metrics_of(deployment(1, "2024-03-01T01:00:00+02:00"), deployment(2, "2024-04-01T01:00:00+02:00"))
    assert found.deployment_frequency.deployments == 1


def test_without_deployments_before_its_end_a_window_has_no_frequency() -> None:
    found = metrics_of(deployment(1, "04-01"), now="05-01").deployment_frequency
    assert (found.per_day, found.per_week, found.level) == (None, None, None)
    assert found.reason == "records start on 2024-04-01, after this window"


def test_with_a_history_but_nothing_in_the_window_the_frequency_is_nought_and_the_level_the_last() -> None:
    found = metrics_of(deployment(1, "01-05")).deployment_frequency
    assert (found.deployments, found.per_day, found.per_week, found.deployment_days) == (0, 0, 0, 0)
    assert (found.level, found.reason) == ("low", None)


def test_durations_are_written_with_a_unit() -> None:
    assert [parse_duration(text) for text in ("90m", "24h", "30d", "12w")] == [
        timedelta(minutes=90), timedelta(hours=24), timedelta(days=30), timedelta(weeks=12)
    ]  # fmt: skip
    for text in ("", "24", "h", "0h", "-1h", "1.5h", "24 hours", "1e3h", "365001d", "1234567890m", "999999999w"):
        with pytest.raises(ValueError, match="is not a valid duration"):
            parse_duration(text)


def test_an_instant_has_an_offset_and_a_year_that_can_be() -> None:
    assert parse_instant("2024-03-01T01:00:00+02:00") == parse_instant("2024-02-29T23:00Z") == at("02-29T23:00")
    for text in ("", "now", "2024-03-01", "2024-03-01T00:00:00", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z"):
        with pytest.raises(ValueError, match="is not a valid time; write date, time and offset"):
            parse_instant(text)


def test_a_list_is_written_with_commas_with_lines_or_as_a_list() -> None:
    assert parse_list("a, b,,c ") == parse_list("a\n b\n\nc\n") == parse_list(["a", " b", "c"]) == ["a", "b", "c"]
    assert parse_list([2023, "1.10"]) == ["2023", "1.10"]
    assert parse_list(7) == ["7"]
    for wrong in ({"a": 1}, None, [["a"]], [None]):
        with pytest.raises(ValueError, match="expected a list"):
            parse_list(wrong)


@pytest.mark.parametrize("item", [False, 1.1])
def test_what_yaml_reads_as_something_else_than_it_says_is_no_item(item: object) -> None:
    with pytest.raises(ValueError, match=f"{str(item).lower()} is not a string in YAML; put the item in quotes"):
        parse_list(["a", item])
    with pytest.raises(ValueError, match="put the item in quotes"):
        parse_list(item)


def test_seconds_inside_a_window_are_not_rounded() -> None:
    assert (HOUR, DAY) == (3600, 86400)
    assert metrics_of(deployment(1), window="90m", now="03-05T12:30").deployment_frequency.per_day == 16

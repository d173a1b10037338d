"""Rows of judged facts: what is in each table, with numbers worked out by hand."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.core.rows.judged import JudgedFacts
from dora_metrics.core.rows.ndjson import encode_rows
from dora_metrics.core.rows.tables import TABLES
from dora_metrics.core.teams import Teams
from dora_metrics.core.windows import parse_window
from support.facts import (
    DAY,
    HOUR,
    MARCH,
    at,
    change,
    commits,
    deployment,
    deployment_id,
    failed_deployment,
    incident,
    issue_id,
    pull_id,
    sha,
    vulnerability,
)

BY_NAME = {table.name: table for table in TABLES}
NOW = at("04-01")
Columns = dict[str, Any]


def judged(facts: Sequence[Fact], policy: Policy, window: str = MARCH) -> JudgedFacts:
    return JudgedFacts.of(evaluate_facts(facts, policy), facts, policy, parse_window(window, policy.zone), NOW)


def rows(table: str, *facts: Fact, window: str = MARCH, **policy: Any) -> list[Columns]:  # noqa: ANN401
    """The rows of a table as a database reads them."""
    source = judged(facts, Policy(**policy), window)
    return [msgspec.json.decode(line) for line in encode_rows(BY_NAME[table], source.rows(BY_NAME[table]))]


def columns(row: Columns, *names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


# Scopes


def test_a_scope_begins_with_its_first_attempt_in_the_week_of_the_time_zone() -> None:
    (scope,) = rows("scopes", failed_deployment(1, "03-03T23:30"), deployment(2), zone=ZoneInfo("Europe/Berlin"))
    assert columns(scope, "repository", "service", "environment") == ("acme/shop", "shop", "production")
    assert columns(scope, "began_at", "began_week") == ("2024-03-03T23:30:00.000000Z", "2024-03-04")
    assert columns(scope, "timezone", "team") == ("Europe/Berlin", None)
    assert columns(scope, "knows_incidents", "knows_rollbacks") == (True, True)


def test_a_git_history_knows_no_incidents() -> None:
    (scope,) = rows("scopes", deployment(1, source="git"))
    assert columns(scope, "knows_incidents", "knows_rollbacks") == (False, False)


def test_a_scope_with_an_incident_only_has_not_begun() -> None:
    (scope,) = rows("scopes", incident(1))
    assert columns(scope, "began_at", "began_week", "knows_incidents") == (None, None, True)


def test_a_scope_has_its_team() -> None:
    (scope,) = rows("scopes", deployment(1), teams=Teams.parse({"checkout": ["acme/*"]}))
    assert scope["team"] == "checkout"


# Deployments


def test_a_failed_deployment_has_its_rule_and_its_recovery() -> None:
    first, second, third = rows(
        "deployments",
        deployment(1, "03-05T12:00", version="V1"),
        deployment(2, "03-06T12:00", started_at="03-06T11:55", commit_count=3),
        deployment(3, "03-06T15:00", remediates=deployment_id(2)),
    )
    assert columns(first, "id", "version", "baseline", "counts", "failed", "rework") == (
        deployment_id(1), "V1", True, True, False, False,
    )  # fmt: skip
    assert columns(second, "failed", "failure_rule", "remediated_by") == (True, "explicit", deployment_id(3))
    assert columns(second, "started_at", "finished_at") == (
        "2024-03-06T11:55:00.000000Z",
        "2024-03-06T12:00:00.000000Z",
    )
    assert columns(second, "recovered_at", "recovery_seconds") == ("2024-03-06T15:00:00.000000Z", 3 * HOUR)
    assert columns(second, "day", "week", "commit_count") == ("2024-03-06", "2024-03-04", 3)
    assert columns(third, "rework", "rework_because") == (True, f"explicit: it remediates {deployment_id(2)}")


def test_an_open_failure_has_no_recovery() -> None:
    (row,) = rows("deployments", deployment(1), incident(1, deployment=deployment_id(1)))
    assert columns(row, "failed", "recovered_at", "recovery_seconds") == (True, None, None)


def test_a_recovery_before_the_failure_has_no_duration() -> None:
    ended = incident(1, "03-05T10:00", resolved_at="03-05T11:00", deployment=deployment_id(1))
    (row,) = rows("deployments", deployment(1, "03-05T12:00"), ended)
    assert columns(row, "recovered_at", "recovery_seconds") == ("2024-03-05T11:00:00.000000Z", None)


def test_a_count_that_no_database_has_room_for_is_null() -> None:
    """One such fact would stop the load of a whole table."""
    facts = (deployment(1, commit_count=2**63 - 1), deployment(2, "03-06", commit_count=2**63))
    assert [row["commit_count"] for row in rows("deployments", *facts)] == [2**63 - 1, None]


def test_a_failed_run_counts_if_the_settings_say_so() -> None:
    facts = (deployment(1), failed_deployment(2, "03-06"))
    assert columns(rows("deployments", *facts)[1], "counts", "failed", "reached_users") == (False, False, False)
    counted = rows("deployments", *facts, count_failed_runs=True)[1]
    assert columns(counted, "counts", "failed", "failure_rule") == (True, True, "failed-run")


def test_a_day_is_that_of_the_time_zone_and_of_utc_where_there_would_be_none() -> None:
    facts = (deployment(1, "0001-01-01T00:30"), deployment(2, "03-05T23:30"), deployment(3, "9999-12-31T23:30"))
    days = [
        row["day"]
        for zone in ("America/New_York", "Asia/Tokyo")
        for row in rows("deployments", *facts, zone=ZoneInfo(zone))
    ]
    assert days == ["0001-01-01", "2024-03-05", "9999-12-31", "0001-01-01", "2024-03-06", "9999-12-31"]


# Lead times


def test_a_change_has_its_lead_time_and_its_stages() -> None:
    measured = change(1, "03-01", opened_at="03-02", first_review_at="03-02T06:00", merged_at="03-03")
    (row,) = rows("lead_times", deployment(1, "02-20"), deployment(2, "03-05", changes=(1,)), measured)
    assert columns(row, "change", "deployment", "sha", "seconds", "excluded", "changes") == (
        pull_id(1), deployment_id(2), None, 4 * DAY, None, 1,
    )  # fmt: skip
    stages = columns(row, "coding_seconds", "pickup_seconds", "review_seconds", "delivery_seconds")
    assert stages == (DAY, 6 * HOUR, DAY, 2 * DAY)
    assert columns(row, "deployed_at", "week", "starts_too_late") == (
        "2024-03-05T00:00:00.000000Z",
        "2024-03-04",
        False,
    )


def test_an_excluded_change_has_the_reason() -> None:
    facts = (
        deployment(1, "02-20", changes=(1,)),
        deployment(2, "03-05", changes=(2, 3, 4)),
        change(1),
        change(2, bot=True),
        change(3, None),
        change(4, "03-06"),
    )
    lead_times = [columns(row, "change", "excluded", "seconds") for row in rows("lead_times", *facts)]
    assert lead_times == [
        (pull_id(1), "first_deployment", None),
        (pull_id(2), "bots", None),
        (pull_id(3), "no_start", None),
        (pull_id(4), "negative", None),
    ]


def test_commits_are_measured_one_by_one_and_excluded_together() -> None:
    both = change(1, commits=(*commits("03-01", "03-02", "03-06", "03-07"), *commits("03-01")))
    facts = (deployment(1, "02-20"), deployment(2, "03-05", changes=(1,)), both)
    lead_times = [
        columns(row, "sha", "seconds", "excluded", "changes")
        for row in rows("lead_times", *facts, lead_time_start="commit")
    ]
    assert lead_times == [
        (sha("03-01"), 4 * DAY, None, 1),
        (sha("03-02"), 3 * DAY, None, 1),
        (None, None, "negative", 2),
    ]


# Incidents, streaks, vulnerabilities


def test_an_incident_has_its_deployment_and_how_long_it_lasted() -> None:
    first, second = rows(
        "incidents",
        deployment(1),
        incident(1, "03-05T13:00", resolved_at="03-05T15:00", severity="high", title="Down"),
        incident(2, "03-20", resolved_at="03-19"),
    )
    assert columns(first, "id", "severity", "title", "restore_seconds") == (issue_id(1), "high", "Down", 2 * HOUR)
    assert columns(first, "deployment", "because", "week") == (
        deployment_id(1),
        "detected 1 h after it",
        "2024-03-04",
    )
    assert columns(second, "deployment", "restore_seconds") == (None, None)
    assert second["because"].startswith("the latest deployment before it was 14 d")


def test_an_incident_that_was_reported_twice_is_one_row() -> None:
    (row,) = rows("incidents", deployment(1), incident(1), incident(2, also=(issue_id(1),)))
    assert row["id"] == issue_id(1)
    assert issue_id(2) in row["because"]


def test_a_streak_has_its_source_and_its_first_run() -> None:
    facts = (
        failed_deployment(1, "03-05T12:00", source="pushes"),
        failed_deployment(2, "03-05T13:00", source="pushes"),
        deployment(3, "03-05T14:00", source="deployments"),
        deployment(4, "03-05T16:00", source="pushes"),
        failed_deployment(5, "03-06", source="deployments"),
    )
    names = ("source", "deployment", "since", "until", "seconds")
    assert [columns(row, *names) for row in rows("streaks", *facts)] == [
        ("pushes", deployment_id(1), "2024-03-05T12:00:00.000000Z", "2024-03-05T16:00:00.000000Z", 4 * HOUR),
        ("deployments", deployment_id(5), "2024-03-06T00:00:00.000000Z", None, None),
    ]


def test_a_vulnerability_is_fixed_dismissed_or_open() -> None:
    facts = (
        vulnerability(1, fixed_at="03-07", package="left-pad"),
        vulnerability(2, dismissed_at="03-06", fixed_at="03-07"),
        vulnerability(3),
        vulnerability(4, fixed_at="03-04"),
    )
    vulnerabilities = rows("vulnerabilities", deployment(1), *facts)
    assert [columns(row, "fixed_at", "open", "remediation_seconds") for row in vulnerabilities] == [
        ("2024-03-07T00:00:00.000000Z", False, 2 * DAY),
        (None, False, None),
        (None, True, None),
        ("2024-03-04T00:00:00.000000Z", False, None),
    ]
    assert vulnerabilities[0]["package"] == "left-pad"


def test_scopes_share_the_vulnerabilities_that_name_no_service() -> None:
    facts = (
        deployment(1),
        deployment(2, service="api"),
        vulnerability(1, service=None),
        vulnerability(2, service="api"),
    )
    vulnerabilities = [columns(row, "service", "id") for row in rows("vulnerabilities", *facts)]
    shared, own = "github:dependabot:acme/shop#1", "github:dependabot:acme/shop#2"
    assert vulnerabilities == [("api", shared), ("api", own), ("shop", shared)]


# Metrics, facts, weeks


def test_metrics_have_a_row_for_each_window_as_of_the_local_day() -> None:
    metrics = rows("metrics", deployment(1, "03-30"), window="2024-03-01..2024-03-10", zone=ZoneInfo("Asia/Tokyo"))
    assert [columns(row, "window_name", "window_days", "deployments") for row in metrics] == [
        ("7d", 7, 1),
        ("30d", 30, 1),
        ("90d", 90, 1),
        ("2024-03-01..2024-03-10", 9, 0),
    ]
    assert {row["day"] for row in metrics} == {"2024-04-01"}
    assert metrics[3]["deployment_frequency_reason"]
    assert len(rows("metrics", deployment(1, "03-30"), window="30d")) == 3


def test_a_rate_that_may_be_higher_says_so() -> None:
    row = rows("metrics", deployment(1, source="git"))[1]
    names = (
        "change_failure_ratio",
        "change_failure_rate_at_least",
        "change_failure_rate_level",
        "rework_rate_at_least",
    )
    assert columns(row, *names) == (0, True, None, True)


def test_facts_are_those_of_the_ledger_with_the_time_of_their_month() -> None:
    merged = change(1, "03-01", merged_at="03-03")
    first, second = rows("facts", merged, deployment(1, retracted=True))
    assert columns(first, "id", "kind", "repository") == (deployment_id(1), "deployment", "acme/shop")
    assert columns(first, "occurred_at", "observed_at") == ("2024-03-05T12:00:00.000000Z",) * 2
    assert columns(second, "kind", "occurred_at") == ("change", "2024-03-03T00:00:00.000000Z")
    assert (first["fact"]["retracted"], first["fact"]["status"], second["fact"]["kind"]) == (True, "success", "change")


def test_weeks_begin_at_midnight_of_the_time_zone_from_2015_to_2040() -> None:
    weeks = rows("week_starts", zone=ZoneInfo("Europe/Berlin"))
    assert columns(weeks[0], "week", "starts_at") == ("2014-12-29", "2014-12-28T23:00:00.000000Z")
    assert columns(weeks[-1], "week", "ends_at") == ("2040-12-31", "2041-01-06T23:00:00.000000Z")
    starts = {row["week"]: row["starts_at"] for row in weeks}
    assert starts["2024-04-01"] == "2024-03-31T22:00:00.000000Z", "daylight saving time has begun"
    assert all(date.fromisoformat(week).weekday() == 0 for week in starts)
    assert [row["ends_at"] for row in weeks[:-1]] == [row["starts_at"] for row in weeks[1:]]


@pytest.mark.parametrize(("first", "week"), [("2012-06-01", "2012-05-28"), ("0900-01-01", "1969-12-29")])
def test_weeks_begin_earlier_for_an_older_history(first: str, week: str) -> None:
    assert rows("week_starts", deployment(1, first))[0]["week"] == week


def test_weeks_begin_earlier_for_an_older_window() -> None:
    weeks = rows("week_starts", deployment(1), window="2012-06-01..2012-07-01")
    assert weeks[0]["week"] == "2012-05-28"


def test_a_window_in_the_future_is_none() -> None:
    with pytest.raises(ValueError, match="starts in the future"):
        judged((), Policy(), "2024-05-01..2024-06-01")

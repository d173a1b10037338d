"""The headlines of summary and weekly report: counts in one sentence are of the same thing, or say of what they are."""

from typing import Any

import pytest

from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.reports import summary
from dora_metrics.core.reports.event_story import EventInfo
from dora_metrics.core.reports.sections import Derivation
from dora_metrics.core.scope import Scope
from support.facts import commit_id, deployment, direct_commit, failed_deployment, incident, results_of
from support.periodic_reports import render_report

SHOP = Scope("acme/shop", "shop", "production")
BASELINE = deployment(0, "02-01")
REACHED = failed_deployment(8, "03-12T08:00", reached_users=True)
NOT_REACHED = failed_deployment(9, "03-12T09:00")


def built_summary(*facts: Fact, **policy: Any) -> summary.SummaryReport:  # noqa: ANN401
    return summary.build(results_of(*facts, **{"window": "30d", **policy}), SHOP, None, None)


@pytest.mark.parametrize(
    ("failed", "count_failed_runs", "deployments", "failures"),
    [
        ([], False, "1 deployment", "no known failures"),
        ([NOT_REACHED], False, "1 deployment", "no known failures"),
        ([REACHED], False, "1 successful deployment", "1 of 2 attempts failed"),
        ([REACHED, NOT_REACHED], False, "1 successful deployment", "1 of 2 that reached users failed"),
        ([REACHED, NOT_REACHED], True, "1 successful deployment", "2 of 3 attempts failed"),
    ],
)
def test_a_headline_says_what_was_counted_where_more_than_the_successes_are(
    failed: list[Deployment],
    count_failed_runs: bool,  # noqa: FBT001
    deployments: str,
    failures: str,
) -> None:
    facts = [BASELINE, deployment(1, "03-12"), *failed]
    headline = built_summary(*facts, count_failed_runs=count_failed_runs).story.headline
    assert f"{deployments} in 30 days" in headline
    assert headline.endswith(failures)


def test_failures_alone_are_attempts_without_a_successful_deployment() -> None:
    headline = built_summary(BASELINE, REACHED).story.headline
    assert headline.endswith("no successful deployment in 30 days, 1 of 1 attempts failed")


def test_a_success_that_failed_by_an_incident_is_one_of_the_deployments() -> None:
    headline = built_summary(BASELINE, deployment(1, "03-12"), incident(1, "03-12T13:00")).story.headline
    assert headline.endswith("1 deployment in 30 days, 1 of 1 failed")


def test_the_weekly_report_says_the_same() -> None:
    headline = render_report(BASELINE, deployment(1, "03-12T07:00"), REACHED).headline
    assert "1 successful deployment reached production; 1 of 2 attempts failed" in headline


def test_where_no_deployment_is_known_no_text_counts_any() -> None:
    """The table says why there is no value; headline and derivation say the same, and no 0."""
    report = built_summary(incident(1, "03-12T13:00"))
    assert report.story.headline == "📊 acme/shop: no deployment is recorded yet"
    assert isinstance(report.making, Derivation)
    assert report.making.metrics[0] == "**Deployment frequency**: no deployment is recorded yet."
    assert report.rows[0].sample_size == "no deployment is recorded yet"
    assert "No deployment is recorded yet" in render_report(incident(1, "03-12T13:00")).headline


def test_the_newest_failures_come_first() -> None:
    """As on a terminal, and in the periodic reports."""
    facts = [deployment(n, f"03-{n + 9}", version=f"v{n}", health="failed") for n in range(1, 13)]
    making = built_summary(BASELINE, *facts).making
    assert isinstance(making, Derivation)
    assert [line.split()[0] for line in making.failures] == [*(f"`v{n}`" for n in range(12, 2, -1)), "and"]
    assert making.failures[-1] == "and 2 earlier"


def test_a_window_before_the_records_says_when_they_start() -> None:
    report = built_summary(deployment(1, "03-20"), window="2024-02-01..2024-03-01")
    reason = "records start on 2024-03-20, after this window"
    assert report.story.headline == f"📊 acme/shop: {reason}"
    assert isinstance(report.making, Derivation)
    assert report.making.metrics[0] == f"**Deployment frequency**: {reason}."
    assert report.rows[0].sample_size == reason


@pytest.mark.parametrize(("first", "days", "has_median"), [("03-05", 5, True), ("03-28", 28, False)])
def test_records_that_start_inside_the_window_lower_the_frequency_but_no_median(
    first: str, days: int, *, has_median: bool
) -> None:
    report = built_summary(deployment(1, first), now="03-30")
    assert isinstance(report.making, Derivation)
    assert report.making.metrics[0] == (
        f"**Records start on 2024-{first}**, inside this window. The {days} days before it count as days without a "
        "deployment, so they lower the frequency per day and per week."
        f"{' Medians leave out the weeks before that date.' if has_median else ''}"
    )


def test_no_stage_waits_for_deployment_where_the_others_are_unknown() -> None:
    facts: list[Fact] = [
        BASELINE,
        *map(direct_commit, (1, 2, 3)),
        deployment(1, "03-12", changes=list(map(commit_id, (1, 2, 3)))),
    ]
    making = built_summary(*facts).making
    assert isinstance(making, Derivation)
    (lead_time,) = [line for line in making.metrics if line.startswith("**Lead time**")]
    assert lead_time.startswith("**Lead time**: median of 3 changes")
    assert "waiting for deployment" not in lead_time


@pytest.mark.parametrize(
    ("environment", "ending"), [("production", "reached production"), ("staging", "which is not production")]
)
def test_without_a_scope_an_environment_is_still_what_it_is(environment: str, ending: str) -> None:
    results = results_of(BASELINE, window="30d")
    event = EventInfo("Deployment", (deployment(1, "03-12", environment=environment),))
    headline = summary.build(results, None, event, None).story.headline
    assert headline.endswith(ending)

"""The page shows the definitions that its numbers were computed with."""

from datetime import timedelta

import pytest

from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.sections import METRIC_TITLES
from dora_metrics.core.reports.site.cards import metric_definitions


def definition_texts(policy: Policy) -> dict[str, str]:
    return {one.metric: f"{one.meaning} {one.reading}" for one in metric_definitions(policy)}


def test_each_metric_has_one_under_its_own_name() -> None:
    assert [(one.metric, one.title) for one in metric_definitions(Policy())] == list(METRIC_TITLES.items())


@pytest.mark.parametrize(
    ("start", "words"),
    [("first-commit", "From a change's first commit"), ("merged", "From the merge"), ("commit", "From each commit")],
)
def test_lead_time_starts_where_the_setting_says(start: str, words: str) -> None:
    assert definition_texts(Policy(lead_time_start=start))["lead_time"].startswith(words)


def test_the_rules_are_those_that_are_on_with_their_windows() -> None:
    few = Policy(failure_rules=frozenset({"rollback", "incident"}), incident_window=timedelta(hours=6))
    rules = "it was rolled back, an incident was detected within 6 h after it, or its run failed after reaching users"
    assert f"A deployment failed if {rules}." in definition_texts(few)["change_failure_rate"]
    one = Policy(failure_rules=frozenset({"explicit"}), count_failed_runs=True)
    assert "that reached users or whose run failed." in definition_texts(one)["change_failure_rate"]
    assert (
        "A deployment failed if an incident names it or its run failed." in definition_texts(one)["change_failure_rate"]
    )
    none = Policy(failure_rules=frozenset())
    assert (
        "A deployment failed if its run failed after reaching users." in definition_texts(none)["change_failure_rate"]
    )

"""A change of a rule makes one of its unit tests fail: of any limit, operator, range, guard, grouping or duration.

`promtool check rules` accepts nearly every wrong rule; only unit tests find them.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.rules import ALERTS, RECORDS, Mutation, Rule, RuleSuite, mutations, name_of

EQUIVALENT = {
    ("DoraRegressed", "line 4: > -> >="): "no value is 1.499999 times another",
    ("DoraRegressed", "line 8: > -> >="): "no value is 1.499999 times another",
}
"""Changes that change nothing, with the reason."""

RULES = {**ALERTS, **RECORDS}
MUTATIONS = [mutation for rule in RULES.values() for mutation in mutations(rule)]
CHECKED = [mutation for mutation in MUTATIONS if (name_of(mutation.rule), mutation.what) not in EQUIVALENT]

SuiteFactory = Callable[[str], RuleSuite]


@pytest.fixture(scope="module")
def suite_about(tmp_path_factory: pytest.TempPathFactory) -> SuiteFactory:
    """The unit tests about a rule, each written once."""
    folder, suites = tmp_path_factory.mktemp("rules"), dict[str, RuleSuite]()

    def suite(name: str) -> RuleSuite:
        if name not in suites:
            suites[name] = RuleSuite.about(RULES[name], folder / str(len(suites)))
        return suites[name]

    return suite


@pytest.mark.parametrize("name", RULES)
def test_a_rule_passes_the_unit_tests_about_it(name: str, suite_about: SuiteFactory) -> None:
    suite = suite_about(name)
    suite.write_rule(RULES[name])
    done = suite.run()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("mutation", CHECKED, ids=lambda mutation: f"{name_of(mutation.rule)}: {mutation.what}")
def test_a_changed_rule_fails(mutation: Mutation, suite_about: SuiteFactory) -> None:
    suite = suite_about(name_of(mutation.rule))
    suite.write_rule(mutation.rule)
    assert suite.run().returncode != 0


def test_each_kind_of_change_is_made() -> None:
    changes = [mutation.what for mutation in MUTATIONS]
    for kind in (
        "line 1: < -> <=", "line 1: > -> <", "line 1: 86400 -> 87264", "line 2: 5 -> 4", "no `for`", "a longer `for`",
        'no window="30d"', "line 1: 26h -> 5m", "line 1: offset 1d -> nothing", "line 1: * 86400 -> nothing",
        "line 1: sum by (le) -> sum", "line 1: sum without (severity) -> sum",
        'line 1: and last_over_time(dora_window_deployments{window="30d"}[26h]) >= 5 -> nothing',
    ):  # fmt: skip
        assert kind in changes


def test_what_is_equivalent_is_among_the_changes() -> None:
    assert {*EQUIVALENT} <= {(name_of(mutation.rule), mutation.what) for mutation in MUTATIONS}


# --- Mistakes that were made ---

PER_SECOND = "rate(dora_deployments_total[7d]) < 0.14"
WITHOUT_BUCKETS = "histogram_quantile(0.9, dora_lead_time_p90_seconds) > 24"
PERCENT = 'last_over_time(dora_change_failure_ratio{window="30d"}[26h]) > 15'
NOT_SUMMED = "histogram_quantile(0.5, dora_lead_time_seconds_bucket)"
OF_ALL_TIME = "sum(dora_deployment_failures_total) / sum(dora_deployments_total)"
MEAN_OF_A_HISTOGRAM = "avg_over_time(dora_incident_restore_seconds[30d])"
COUNTED_SERIES = "count(dora_last_deployment_timestamp_seconds)"


MISTAKES = {
    "a rate is per second, so it is always low": ("DoraDeploymentFrequencyLow", PER_SECOND),
    "a gauge has no buckets, so it has no quantile": ("DoraLeadTimeHigh", WITHOUT_BUCKETS),
    "a ratio is at most 1, so never above 15": ("DoraChangeFailureRateHigh", PERCENT),
    "a quantile of each series by itself, of all time": ("organisation:dora_lead_time_seconds:p50_30d", NOT_SUMMED),
    "totals are of all time, not of 30 days": ("organisation:dora_change_failure_ratio:30d", OF_ALL_TIME),
    "no series has the name of a histogram": ("repository:dora_incident_restore_seconds:mean30d", MEAN_OF_A_HISTOGRAM),
    "series are counted, not deployments": ("organisation:dora_deployments_per_day:30d", COUNTED_SERIES),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_that_the_linter_accepts_fails(mistake: str, tmp_path: Path) -> None:
    """Rules of the documents that this project began from."""
    name, expr = MISTAKES[mistake]
    wrong: Rule = {**RULES[name], "expr": expr}
    suite = RuleSuite.about(wrong, tmp_path)
    checked = suite.check()
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = suite.run()
    assert done.returncode != 0
    assert "got:" in done.stdout + done.stderr  # another answer, not an expression that is not valid

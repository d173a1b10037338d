"""Rules and alerts of monitoring/prometheus: they load, pass their own unit tests, and say what to do."""

import re
from pathlib import Path

import pytest
import yaml

from dora_metrics.core.reports import prometheus
from support.paths import ROOT
from support.rules import ALERTS, PROMETHEUS, RECORDS, RULE_FILES, TEST_FILES, Rule, name_of, promtool, read_yaml

PAGE = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
EXPECTED_ALERTS = {
    "DoraDeploymentFrequencyLow": ("6h", "warning"),
    "DoraLeadTimeHigh": ("6h", "warning"),
    "DoraRecoverySlow": ("1h", "critical"),
    "DoraChangeFailureRateHigh": ("1h", "critical"),
    "DoraGoalMissed": ("1d", "warning"),
    "DoraRegressed": ("1d", "warning"),
    "DoraLevelDropped": ("6h", "warning"),
    "DoraIncidentOpen": ("1d", "warning"),
    "DoraNoDeployment": ("1h", "info"),
    "DoraMetricsStale": ("10m", "warning"),
    "DoraMetricsRejected": ("10m", "warning"),
    "DoraCounterFell": (None, "info"),
}
each_rule = pytest.mark.parametrize("rule", [*ALERTS.values(), *RECORDS.values()], ids=name_of)
each_alert = pytest.mark.parametrize("alert", ALERTS.values(), ids=name_of)


def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("config", PROMETHEUS / "prometheus.yml"),
        ("rules", "--lint-fatal", *RULE_FILES),
    )
    for command in commands:
        done = promtool("check", *command)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.name)
def test_the_rules_pass_their_unit_tests(path: Path) -> None:
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_twelve_alerts_with_their_severity_and_duration() -> None:
    assert {name: (rule.get("for"), rule["labels"]["severity"]) for name, rule in ALERTS.items()} == EXPECTED_ALERTS


@each_alert
def test_an_alert_says_what_is_wrong_and_links_what_to_do(alert: Rule) -> None:
    annotations = alert["annotations"]
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert "$labels.repository" in annotations["summary"]
    _, _, anchor = annotations["runbook_url"].partition("/docs/monitoring.md#")
    assert anchor == name_of(alert).lower()
    assert f"### {name_of(alert)}\n" in PAGE


def test_the_page_has_a_paragraph_about_each_alert_and_no_other() -> None:
    assert re.findall(r"^### (Dora\w+)$", PAGE, flags=re.MULTILINE) == list(ALERTS)


@each_rule
def test_a_rule_uses_metrics_that_exist(rule: Rule) -> None:
    help_texts = Path(prometheus.__file__).read_text("utf-8")
    used = set(re.findall(r"(?<!:)\bdora_\w+", rule["expr"])) if "record" not in rule else set()
    missing = {name for name in used if re.sub(r"_(bucket|sum|count)$", "", name) not in help_texts}
    assert missing == set()


@each_rule
def test_no_rule_matches_a_bucket_or_a_commit(rule: Rule) -> None:
    """The value of `le` differs between versions, and a series for each commit never ends."""
    assert re.search(r"\ble=|sha|\bref\b|\bon \(", rule["expr"]) is None


@each_rule
def test_a_gauge_is_read_where_its_newest_sample_is_a_day_old(rule: Rule) -> None:
    selectors = re.findall(r"\bdora_\w+(?:\{[^}]*\})?(\[\w+\])?", rule["expr"])
    if "repository:" not in rule["expr"]:
        assert [selector for selector in selectors if not selector] == []


def test_recorded_numbers_are_visible_between_two_evaluations() -> None:
    """A plain selector sees a sample for five minutes."""
    intervals = {group.get("interval") for path in RULE_FILES for group in read_yaml(path)["groups"]}
    assert intervals == {None, "4m"}  # None is that of prometheus.yml, a minute


def test_every_rule_has_a_unit_test() -> None:
    tested = "".join(path.read_text("utf-8") for path in TEST_FILES)
    assert [name for name in (*ALERTS, *RECORDS) if name not in tested and "_bucket:" not in name] == []


def test_the_limits_are_those_that_the_page_names() -> None:
    edges = [str(value) for value in ("4 / 30", 86400, 3600, 0.15)]
    for alert, edge in zip(list(ALERTS.values())[:4], edges, strict=True):
        assert re.search(rf"[<>] {re.escape(edge)}$", alert["expr"], flags=re.MULTILINE), name_of(alert)


def test_the_configuration_keeps_the_labels_of_the_gateway() -> None:
    (scrape,) = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert scrape["honor_labels"] is True

"""Thresholds and goals in an event run: annotation, output, a line in the summary, and the exit code."""

import json
from pathlib import Path

import pytest

from support.runs import ActionRun, check_out, deployment_status, incident_issue, run_action


def run_with_failure(folder: Path, **inputs: object) -> ActionRun:
    """Run with one deployment in 30 days and an incident attributed to it."""
    run_action(folder, "deployment_status", deployment_status(3))
    return run_action(folder, "issues", incident_issue(), inputs)


def test_a_hit_of_fail_on_fails_the_job_after_everything_else_was_done(tmp_path: Path) -> None:
    ran = run_with_failure(tmp_path, **{"fail-on": "change_failure_rate > 0.15"})
    assert ran.code == 1
    said = "change failure rate is 100 % (1 of 1), above 15 %"
    written = said.replace("%", "%25")
    assert f"::error title=dora-metrics%3A threshold::{written} (fail-on: change_failure_rate > 0.15)" in ran.log
    assert f"❌ **{said}** (fail-on: change\\_failure\\_rate &gt; 0.15)" in ran.summary
    assert ran.summary.index(said) < ran.summary.index("| Deployment frequency |")
    assert json.loads(ran.outputs["violations"]) == [
        {
            "rule": "change_failure_rate > 0.15",
            "on": "fail",
            "repository": "acme/shop",
            "service": "shop",
            "environment": "production",
            "metric": "change_failure_rate",
            "value": 1.0,
            "text": said,
        }
    ]
    assert ran.outputs["change-failure-rate"] == "1"
    assert '"deployment":"github:deployment:3"' in ran.outputs["metrics"]


def test_a_hit_of_warn_on_is_a_warning(tmp_path: Path) -> None:
    ran = run_with_failure(tmp_path, **{"warn-on": "deployment_frequency < 1/d\nchange_failure_rate > 0.15"})
    assert ran.code == 0
    assert ran.log.count("::warning title=dora-metrics%3A threshold::") == 2
    assert ran.summary.count("⚠️ **") == 2
    assert [one["on"] for one in json.loads(ran.outputs["violations"])] == ["warn", "warn"]


def test_strict_takes_a_warning_of_a_threshold_for_what_it_is(tmp_path: Path) -> None:
    assert run_with_failure(tmp_path, **{"warn-on": "change_failure_rate > 0.15", "strict": "true"}).code == 0


def test_thresholds_that_are_kept_are_said_to_be(tmp_path: Path) -> None:
    ran = run_with_failure(tmp_path, **{"fail-on": "change_failure_rate > 1, lead_time > 1d"})
    assert ran.code == 0
    assert ran.outputs["violations"] == "[]"
    why = "lead_time > 1d: not evaluated, the first recorded deployment is the baseline and has no lead time"
    assert f"thresholds: 1 condition is not true; {why}" in ran.log
    assert "thresholds ✓ 1 condition is not true; lead" in ran.summary


def test_without_thresholds_nothing_is_said_of_them(tmp_path: Path) -> None:
    ran = run_with_failure(tmp_path)
    assert ran.outputs["violations"] == "[]"
    assert "threshold" not in ran.log + ran.summary


def test_an_event_is_judged_by_its_own_scope_and_a_run_without_one_by_all(tmp_path: Path) -> None:
    inputs = {"fail-on": "change_failure_rate > 0.15"}
    run_with_failure(tmp_path)
    text = json.dumps(deployment_status(4, at="2026-11-21T09:00:00Z")).replace('"production"', '"live"')
    elsewhere = run_action(tmp_path, "deployment_status", text, inputs)
    assert (elsewhere.code, elsewhere.outputs["violations"]) == (0, "[]")
    everything = run_action(tmp_path, "workflow_dispatch", {}, {**inputs, "mode": "rebuild"})
    assert everything.code == 1
    assert [one["environment"] for one in json.loads(everything.outputs["violations"])] == ["production"]
    assert "❌ **change failure rate is 100 %" in everything.summary


@pytest.mark.parametrize("name", ["fail-on", "warn-on"])
def test_every_threshold_that_is_none_is_named_at_once(tmp_path: Path, name: str) -> None:
    ran = run_action(tmp_path, "deployment_status", deployment_status(3), {name: "lead_time > soon, speed > 2"})
    assert ran.code == 2
    assert f"input {name}: 'soon' is not a valid duration" in ran.log
    assert "'speed' is not one of deployment_frequency" in ran.log


def test_goals_of_the_config_file_stand_in_the_summary(tmp_path: Path) -> None:
    check_out(tmp_path, {".github/dora.yml": "goals:\n  change_failure_rate: {target: 0.1, by: 2027-03-31}\n"})
    ran = run_with_failure(tmp_path)
    assert (
        "Goals: change failure rate at most 10 % by 2027-03-31: 90 percentage points to go, too few weeks for a trend"
        in ran.summary
    )
    (goal,) = json.loads(ran.outputs["metrics"])["scopes"][0]["outlook"]["goals"]
    assert (goal["metric"], goal["by"], goal["met"]) == ("change_failure_rate", "2027-03-31", False)


def test_goals_that_are_wrong_are_named_at_once(tmp_path: Path) -> None:
    check_out(tmp_path, {".github/dora.yml": "goals:\n  speed: {target: 1}\n  lead_time: {target: 1}\n"})
    ran = run_action(tmp_path, "deployment_status", deployment_status(3))
    assert ran.code == 2
    assert "dora.yml: goals: 'speed' is not one of deployment_frequency" in ran.log
    assert "lead_time target: '1' is not a valid duration" in ran.log

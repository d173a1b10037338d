"""Complete event runs with a ledger in a folder: what a user sees, and that a second run changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.runs import deployment_status, incident_issue, run_action

HOSTILE = (
    "::set-output name=x::y\n##[set-env name=a]b @everyone | <img src=x onerror=alert(1)> #1 \u202egnp.exe ``[a](b)"
)


def facts_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "ledger" / "facts").rglob("*.jsonl"))}


def test_a_deployment_is_recorded_counted_and_told_first(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "deployment_status", deployment_status(3))
    assert ran.code == 0
    assert ran.summary.startswith("### 🚀 ")
    assert "reached production" in ran.summary.splitlines()[0]
    assert [fact["id"] for fact in ran.facts] == ["github:deployment:3"]
    assert float(ran.outputs["deployment-frequency"]) == pytest.approx(1 / 30)


def deployment_to(environment: str, number: int = 3) -> dict[str, object]:
    payload: dict[str, Any] = deployment_status(number, environment=environment)
    payload["deployment_status"]["environment"] = environment
    return payload


BY_A_WORD = "counts as production because of a word in its name (`production-environments`)."


def test_the_first_deployment_to_an_environment_says_why_that_is_production(tmp_path: Path) -> None:
    first = run_action(tmp_path, "deployment_status", deployment_to("shop / production"))
    assert f"shop / production {BY_A_WORD}" in first.summary
    second = run_action(tmp_path, "deployment_status", deployment_to("shop / production", 4))
    assert BY_A_WORD not in second.summary


def test_an_environment_with_the_very_name_of_the_setting_needs_no_reason(tmp_path: Path) -> None:
    assert BY_A_WORD not in run_action(tmp_path, "deployment_status", deployment_status(3)).summary


def test_without_a_production_deployment_the_summary_names_what_was_seen_and_the_setting(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "deployment_status", deployment_to("main-site"))
    assert "No production deployment of acme/shop is recorded, only deployments to main-site (1)." in ran.summary
    assert "`production-environments`" in ran.summary
    assert "main-site (1)" in ran.summary


def test_a_metric_without_data_is_an_empty_output_and_a_reason_in_the_summary(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "deployment_status", deployment_status(3))
    assert (ran.outputs["lead-time-seconds"], ran.outputs["recovery-time-seconds"]) == ("", "")
    assert (ran.outputs["lead-time"], ran.outputs["recovery-time"]) == ("", "")
    assert ran.outputs["change-failure-rate"] == "0"
    assert "the first recorded deployment is the baseline and has no lead time" in ran.summary
    assert "no failed deployment in the window" in ran.summary


def test_outputs_for_people_are_in_the_units_that_people_read(tmp_path: Path) -> None:
    """One deployment in 30 days, at 11:00, whose incident was resolved 26 hours later."""
    run_action(tmp_path, "deployment_status", deployment_status(3, at="2026-11-19T11:00:00Z"))
    resolved = incident_issue(created_at="2026-11-19T12:00:00Z", state="closed", closed_at="2026-11-20T13:00:00Z")
    outputs = run_action(tmp_path, "issues", resolved).outputs
    assert (outputs["deployments-per-week"], outputs["recovery-time"]) == ("0.23", "1 d 2 h")
    assert outputs["recovery-time-seconds"] == str(26 * 3600)


def test_the_metrics_output_is_the_document_on_one_line(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "deployment_status", deployment_status(3))
    document = json.loads(ran.outputs["metrics"])
    assert "\n" not in ran.outputs["metrics"]
    for scope in document["scopes"]:
        del scope["weeks"], scope["evidence"]
    assert document == json.loads((tmp_path / "ledger" / "metrics.json").read_text("utf-8"))
    assert document["scopes"][0]["metrics"]["deployment_frequency"]["deployments"] == 1


def test_an_incident_is_attributed_to_the_deployment_before_it_and_its_end_recovers_it(tmp_path: Path) -> None:
    run_action(tmp_path, "deployment_status", deployment_status(3))
    opened = run_action(tmp_path, "issues", incident_issue())
    assert opened.summary.startswith("### 🔥 Incident:")
    assert "It is attributed to [`v1.3.0`]" in opened.summary
    assert "change failure rate 0 of 1 → **1 of 1**" in opened.summary
    closed = run_action(
        tmp_path,
        "issues",
        {
            **incident_issue(
                state="closed",
                state_reason="completed",
                closed_at="2026-11-21T11:50:00Z",
                updated_at="2026-11-21T11:50:00Z",
            ),
            "action": "closed",
        },
    )
    assert closed.summary.startswith("### ✅ Incident resolved after 20 min")
    assert closed.outputs["recovery-time-seconds"] == "3000"


def test_ten_redeliveries_of_each_event_in_any_order_leave_the_same_ledger(tmp_path: Path) -> None:
    events = [
        ("deployment_status", deployment_status(3)),
        ("issues", incident_issue()),
        ("deployment_status", deployment_status(4, state="failure", at="2026-11-21T11:40:00Z")),
    ]
    for name, order in (("one", events), ("other", [*reversed(events * 10), *events * 10])):
        (tmp_path / name).mkdir()
        for event, payload in order:
            run_action(tmp_path / name, event, payload)
    assert facts_files(tmp_path / "one") == facts_files(tmp_path / "other")


def test_the_deploy_job_is_recorded_without_any_event_for_it(tmp_path: Path) -> None:
    push = {
        "ref": "refs/heads/main",
        "after": "f" * 40,
        "repository": {"name": "shop", "full_name": "acme/shop", "default_branch": "main"},
    }
    inputs = {"environment": "production", "status": "success", "version": "v9"}
    payload = {**push, "before": "0" * 40, "deleted": False, "created": False, "forced": False, "commits": [],
               "head_commit": {"id": "f" * 40, "timestamp": "2026-11-21T10:00:00Z", "message": "x"}}  # fmt: skip
    ran = run_action(tmp_path, "push", payload, inputs)
    assert [fact["id"] for fact in ran.facts] == ["github:run:77:production"]
    assert "`v9`" in ran.summary.splitlines()[0]


def test_without_a_ledger_the_summary_shows_what_the_event_alone_gives(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "deployment_status", deployment_status(3), {"ledger": "none"})
    assert ran.code == 0
    assert "ledger: none: the numbers include only this run's facts" in ran.summary
    assert not (tmp_path / "ledger").exists()


def test_a_branch_ledger_without_a_token_leaves_the_event_alone_and_spares_the_job(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "deployment_status", deployment_status(3), {"ledger": "branch:dora-metrics"})
    assert ran.code == 0
    assert "reached production" in ran.summary
    assert "no `github-token`" in ran.log


@pytest.mark.parametrize("event", ["schedule", "workflow_dispatch"])
def test_a_run_without_an_event_of_its_own_computes_the_numbers_again(tmp_path: Path, event: str) -> None:
    run_action(tmp_path, "deployment_status", deployment_status(3))
    ran = run_action(tmp_path, event, {"schedule": "0 6 * * 1"})
    assert ran.code == 0
    assert ran.summary.startswith(
        "### 📊 acme/shop: 1 deployment in 30 days, no known failures\n\nAll numbers were computed again"
    )


def test_hostile_titles_are_text_in_the_summary_the_log_and_the_outputs(tmp_path: Path) -> None:
    ran = run_action(tmp_path, "issues", incident_issue(title=HOSTILE))
    assert ran.code == 0
    assert not any(line.lstrip().startswith("::") and "dora-metrics" not in line for line in ran.log.splitlines())
    assert "##[" not in ran.log
    assert "@everyone" not in ran.summary
    assert "<img" not in ran.summary
    assert "\u202e" not in ran.summary
    assert "x" not in ran.outputs
    assert "set-output" in str(ran.facts[0]["title"])

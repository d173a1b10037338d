"""health-check-url in an event run: when the service is requested, what is recorded, and what stays secret."""

import json
from pathlib import Path

import pytest

from support.runs import ActionRun, deployment_status, run_action
from support.servers import OK, Answer, Listener, listen

SECRET = "h34lth-k3y"


def run_deployment(folder: Path, listener: Listener, **inputs: object) -> ActionRun:
    given = {"health-check-url": f"{listener.url}/live?key={SECRET}", "health-check-retries": "1", **inputs}
    ran = run_action(folder, "deployment_status", deployment_status(3), given)
    assert SECRET not in ran.log + ran.summary + str(ran.outputs)
    assert all(SECRET not in path.read_text("utf-8") for path in (folder / "ledger").rglob("*") if path.is_file())
    return ran


def test_a_service_that_is_well_is_recorded_with_its_deployment(tmp_path: Path) -> None:
    with listen() as listener:
        ran = run_deployment(tmp_path, listener)
    assert ran.code == 0
    assert [fact["health"] for fact in ran.facts] == ["passed"]
    assert "health check ✓ passed (HTTP 200, 1 try)" in ran.summary
    assert ran.outputs["change-failure-rate"] == "0"
    assert len(listener.requests) == 1


def test_a_service_that_is_not_well_marks_the_deployment_as_failed(tmp_path: Path) -> None:
    with listen(Answer(503)) as listener:
        ran = run_deployment(tmp_path, listener)
    assert ran.code == 0
    assert [fact["health"] for fact in ran.facts] == ["failed"]
    assert "It counts as failed by rule `health-check`: its health check failed." in ran.summary
    assert "::warning title=dora-metrics%3A health check::failed: HTTP 503 (2 tries)" in ran.log
    assert ran.outputs["change-failure-rate"] == "1"


def test_a_service_that_is_not_well_fails_a_strict_job(tmp_path: Path) -> None:
    with listen(Answer(503)) as listener:
        assert run_deployment(tmp_path, listener, strict="true").code == 1


def test_a_redelivery_asks_nobody_and_keeps_what_was_recorded(tmp_path: Path) -> None:
    with listen(Answer(503), Answer(503), OK) as listener:
        run_deployment(tmp_path, listener)
        again = run_deployment(tmp_path, listener)
    assert [fact["health"] for fact in again.facts] == ["failed"]
    assert len(listener.requests) == 2
    assert "health check" not in again.log


@pytest.mark.parametrize(
    "payload",
    [
        deployment_status(3, state="failure"),
        deployment_status(3, at="2026-11-21T10:59:00Z"),
        json.loads(json.dumps(deployment_status(3)).replace('"production"', '"staging"')),
    ],
    ids=["a failed run", "more than an hour ago", "not production"],
)
def test_what_is_no_fresh_success_in_production_is_not_asked_about(tmp_path: Path, payload: dict[str, object]) -> None:
    with listen() as listener:
        ran = run_action(tmp_path, "deployment_status", payload, {"health-check-url": listener.url})
    assert listener.requests == []
    assert [fact["health"] for fact in ran.facts] == [None]


def test_a_run_that_deploys_nothing_asks_nobody(tmp_path: Path) -> None:
    with listen() as listener:
        run_deployment(tmp_path, listener)
        run_action(tmp_path, "workflow_dispatch", {}, {"mode": "rebuild", "health-check-url": listener.url})
    assert len(listener.requests) == 1


def test_a_service_that_cannot_be_asked_leaves_its_health_unknown(tmp_path: Path) -> None:
    with listen(Answer(301, headers={"Location": f"https://elsewhere.example/{SECRET}"})) as listener:
        ran = run_deployment(tmp_path, listener)
    assert [fact["health"] for fact in ran.facts] == [None]
    assert "health check ✗ not recorded: it redirects to another scheme" in ran.summary


def test_what_the_deployment_says_of_its_health_itself_stands(tmp_path: Path) -> None:
    sent = {"id": "1", "version": "v1", "health": "failed"}
    payload = {"action": "dora-deployment", "client_payload": sent}
    with listen() as listener:
        ran = run_action(tmp_path, "repository_dispatch", payload, {"health-check-url": listener.url})
    assert listener.requests == []
    assert [fact["health"] for fact in ran.facts] == ["failed"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "health-check-url",
            f"ftp://user:{SECRET}@host/",
            "not a valid address; it must begin with http:// or https://",
        ),
        ("health-check-url", f"https://[::1{SECRET}", "not a valid address"),
        ("health-check-url", f"https://host:{SECRET}/", "not a valid address"),
        ("health-check-url", f"https://host/{SECRET}\nx", "not a valid address"),
        (
            "health-check-status",
            "200, ok, 99",
            "'ok', '99' are not HTTP statuses; write for example 200 or 200-299",
        ),
        ("health-check-timeout", "10", "'10' is not a valid duration; write one such as 90m"),
        ("health-check-retries", "11", "'11' is not a number from 0 to 10"),
        ("health-check-retries", "-1", "'-1' is not a number from 0 to 10"),
    ],
)
def test_a_setting_that_cannot_be_is_named_without_its_secret(tmp_path: Path, name: str, value: str, said: str) -> None:
    ran = run_action(tmp_path, "deployment_status", deployment_status(3), {name: value})
    assert ran.code == 2
    assert f"input {name}: {said}" in ran.log
    assert SECRET not in ran.log

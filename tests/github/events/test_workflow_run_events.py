"""Deployments from workflow runs."""

from datetime import datetime

import pytest

from dora_metrics.github.events.observe import observe
from support.events import SHA, at, deployment, make_run, observe_event, settings, workflow_run


@pytest.mark.parametrize(
    ("conclusion", "status"),
    [
        ("success", "success"),
        ("failure", "failure"),
        ("timed_out", "failure"),
        ("startup_failure", "failure"),
        ("cancelled", "cancelled"),
        ("skipped", "cancelled"),
    ],
)
def test_conclusions(conclusion: str, status: str) -> None:
    assert deployment(observe_event("workflow_run", workflow_run(conclusion=conclusion))).status == status


@pytest.mark.parametrize("conclusion", ["neutral", "action_required", "stale", None, "unheard_of"])
def test_conclusions_that_are_no_end_even_of_a_completed_run(conclusion: str | None) -> None:
    assert observe_event("workflow_run", workflow_run(conclusion=conclusion)).facts == ()


@pytest.mark.parametrize("action", ["requested", "in_progress"])
def test_only_completed_runs_count(action: str) -> None:
    assert observe_event("workflow_run", workflow_run(action)).facts == ()


def test_the_commit_is_the_runs_and_not_that_of_this_run() -> None:
    fact = deployment(observe_event("workflow_run", workflow_run()))
    assert (fact.id, fact.sha, fact.ref) == ("github:run:77", SHA, "main")
    times = (fact.started_at, fact.finished_at, fact.observed_at)
    assert times == (at("20T10:00"), at("20T10:05"), at("20T10:05"))


def test_attempts_of_a_run_are_one_fact() -> None:
    attempts = [workflow_run(conclusion=end, run_attempt=n) for n, end in enumerate(("failure", "success"))]
    assert {deployment(observe_event("workflow_run", attempt)).id for attempt in attempts} == {"github:run:77"}


def test_the_attempt_has_its_number_and_its_own_beginning() -> None:
    times = {"run_started_at": "2026-11-20T11:00:00Z", "updated_at": "2026-11-20T11:05:00Z"}
    fact = deployment(observe_event("workflow_run", workflow_run(run_attempt=2, **times)))
    assert (fact.run_attempt, fact.started_at, fact.finished_at) == (2, at("20T11:00"), at("20T11:05"))


@pytest.mark.parametrize(("attempt", "since"), [(1, None), (2, at("01T10:00"))])
def test_an_earlier_attempt_may_be_as_old_as_its_run(attempt: int, since: datetime | None) -> None:
    payload = workflow_run(run_attempt=attempt, created_at="2026-11-01T10:00:00Z")
    assert observe_event("workflow_run", payload).may_repeat_since == since


NAMED_LIKE_DEPLOY = [
    "Deploy",
    "deploy to prod",
    "Release v2",
    "npm-publish",
    "cd",
    "CD: web",
    "Go Live",
    "🚀 Production",
    "Build & Releases",
]
NAMED_OTHERWISE = [
    "CI",
    "CI/CD",
    "Undeployed",
    "Redeployments",
    "prerelease-tags",
    "Deploy docs",
    "Deploy preview",
    "Release Drafter",
    "Release notes",
    "Lint deployment",
    "Terraform plan (prod)",
    "Deploy to staging",
    "",
]


@pytest.mark.parametrize("name", NAMED_LIKE_DEPLOY)
def test_workflows_named_like_deploy(name: str) -> None:
    assert observe_event("workflow_run", workflow_run(name=name)).facts


@pytest.mark.parametrize("name", NAMED_OTHERWISE)
def test_workflows_named_otherwise(name: str) -> None:
    assert observe_event("workflow_run", workflow_run(name=name, path=".github/workflows/ci.yml")).facts == ()


def test_the_file_decides_only_where_the_workflow_has_no_name() -> None:
    path = ".github/workflows/deploy_prod.yml"
    assert observe_event("workflow_run", workflow_run(name=path, path=path)).facts
    assert observe_event("workflow_run", workflow_run(name="Ship it", path=path)).facts == ()


@pytest.mark.parametrize("asked", ["Ship It", "ship.yml", ".github/workflows/ship.yml", "other,ship.yml"])
def test_workflows_named_in_the_settings(asked: str) -> None:
    payload = workflow_run(name="Ship it", path=".github/workflows/ship.yml@refs/heads/main")
    assert observe_event("workflow_run", payload, deploy_workflows=asked).facts
    assert observe_event("workflow_run", workflow_run(), deploy_workflows=asked).facts == ()


def test_a_title_by_a_stranger_does_not_make_a_run_a_deployment() -> None:
    payload = workflow_run(name="CI") | {}
    payload["workflow_run"]["name"] = "Deploy"
    assert observe_event("workflow_run", payload).facts == ()


def test_runs_without_a_workflow_object_have_its_name_and_path() -> None:
    payload = workflow_run() | {"workflow": None}
    payload["workflow_run"] |= {"name": "Deploy"}
    assert observe_event("workflow_run", payload).facts


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target", "pull_request_review"])
def test_runs_for_pull_requests_deploy_nothing(event: str) -> None:
    assert observe_event("workflow_run", workflow_run(event=event)).facts == ()


def test_runs_for_forks_deploy_nothing() -> None:
    assert observe_event("workflow_run", workflow_run(head_repository={"full_name": "eve/shop"})).facts == ()
    assert observe_event("workflow_run", workflow_run(head_repository={"full_name": "Acme/Shop"})).facts
    assert observe_event("workflow_run", workflow_run(head_repository=None)).facts


@pytest.mark.parametrize(("number", "is_counted"), [(7, True), (8, False)])
def test_the_number_of_a_repository_says_more_than_its_name(number: int, *, is_counted: bool) -> None:
    """The event may have the name from before a rename, and a fork the name of the original."""
    run = make_run("workflow_run", repository="acme/store", repository_number=7)
    payload = workflow_run(head_repository={"id": number, "full_name": "acme/shop"})
    assert bool(observe(run, payload, settings(), frozenset()).facts) is is_counted


ON_ANY_BRANCH = ["release", "workflow_dispatch", "schedule", "repository_dispatch", "deployment"]


@pytest.mark.parametrize("branch", ["main", "production", "live/eu", "v1.2.3", "release-2.1", "r-0906", "20-11-2026"])
@pytest.mark.parametrize("event", ["push", *ON_ANY_BRANCH])
def test_runs_for_the_default_branch_a_branch_named_production_or_a_version_count(event: str, branch: str) -> None:
    assert observe_event("workflow_run", workflow_run(event=event, head_branch=branch)).facts


@pytest.mark.parametrize(
    "branch",
    ["feature", "production-test", "v1.2.3-rc.1", "nightly", "2026.11.1-trial", "pr-7", "SHOP-12", "1.2.x", None],
)
@pytest.mark.parametrize("event", ["push", "merge_group", *ON_ANY_BRANCH])
def test_runs_for_anything_else_do_not(event: str, branch: str | None) -> None:
    assert observe_event("workflow_run", workflow_run(event=event, head_branch=branch)).facts == ()


@pytest.mark.parametrize("event", ["dynamic", "issue_comment", "issues", "watch", "fork", "discussion", "check_suite"])
def test_some_events_deploy_only_in_workflows_that_the_settings_name(event: str) -> None:
    observed = observe_event("workflow_run", workflow_run(event=event))
    assert observed.facts == ()
    assert "`deploy-workflows`" in observed.title
    assert observe_event("workflow_run", workflow_run(event=event), deploy_workflows="Deploy").facts


def test_branches_named_production_are_those_of_the_setting() -> None:
    payload = workflow_run(head_branch="stable")
    assert observe_event("workflow_run", payload, production_environments="prod, stable").facts
    assert observe_event("workflow_run", payload).facts == ()


def test_a_run_by_hand_for_another_branch_is_named_with_the_branch_and_the_setting() -> None:
    observed = observe_event("workflow_run", workflow_run(event="workflow_dispatch", head_branch="try-it"))
    assert "try-it, not for main" in observed.title
    assert "`deploy-workflows`" in observed.title


@pytest.mark.parametrize("event", ON_ANY_BRANCH)
def test_a_workflow_that_the_settings_name_is_meant_to_run_where_it_runs(event: str) -> None:
    payload = workflow_run(event=event, head_branch="feature")
    assert observe_event("workflow_run", payload, deploy_workflows="Deploy").facts


@pytest.mark.parametrize("branch", ["feature", None])
def test_but_a_push_to_another_branch_deploys_nothing_even_there(branch: str | None) -> None:
    payload = workflow_run(event="push", head_branch=branch)
    assert observe_event("workflow_run", payload, deploy_workflows="Deploy").facts == ()


def test_version_is_the_tag_that_the_run_was_for() -> None:
    assert deployment(observe_event("workflow_run", workflow_run(head_branch="v1.2.3"))).version == "v1.2.3"
    assert deployment(observe_event("workflow_run", workflow_run())).version is None

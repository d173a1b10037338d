"""Deployments from workflow runs."""

import pytest

from support.events import SHA, at, deployment, observe_event, workflow_run


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


NAMED_LIKE_DEPLOY = [
    "Deploy",
    "deploy to prod",
    "Release v2",
    "npm-publish",
    "CD: rollout",
    "Production deployment",
]


@pytest.mark.parametrize("name", NAMED_LIKE_DEPLOY)
def test_workflows_named_like_deploy(name: str) -> None:
    assert observe_event("workflow_run", workflow_run(name=name)).facts


@pytest.mark.parametrize("name", ["CI", "Undeployed docs", "Redeployments", "prerelease-notes", ""])
def test_workflows_named_otherwise(name: str) -> None:
    assert observe_event("workflow_run", workflow_run(name=name, path=".github/workflows/ci.yml")).facts == ()


def test_the_file_may_be_named_like_deploy() -> None:
    assert observe_event("workflow_run", workflow_run(name="Ship it", path=".github/workflows/deploy_prod.yml")).facts


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


@pytest.mark.parametrize(
    ("event", "branch", "counts"),
    [
        ("push", "main", True),
        ("push", "v1.2.3", True),
        ("push", "feature", False),
        ("push", None, False),
        ("merge_group", "gh-readonly-queue/main/pr-1", False),
        ("release", "nightly", True),
        ("workflow_dispatch", "feature", True),
        ("schedule", "feature", True),
        ("repository_dispatch", "feature", True),
        ("deployment", None, True),
    ],
)
def test_runs_on_other_branches_count_only_when_someone_meant_them_to(
    event: str, branch: str | None, *, counts: bool
) -> None:
    observed = observe_event("workflow_run", workflow_run(event=event, head_branch=branch))
    assert bool(observed.facts) == counts


def test_version_is_the_tag_that_the_run_was_for() -> None:
    assert deployment(observe_event("workflow_run", workflow_run(head_branch="v1.2.3"))).version == "v1.2.3"
    assert deployment(observe_event("workflow_run", workflow_run())).version is None

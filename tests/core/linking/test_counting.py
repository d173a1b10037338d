"""What counts as a deployment at all: no job that only uses an environment, and no failure of a cancelled run."""

from typing import Any

import pytest

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.linking.counting import count_deployments, without_environment_uses
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from support.facts import at, deployment, deployment_id, sha

RUN = "https://github.com/acme/shop/actions/runs"


def of_job(number: int, workflow: str | None, event: str | None = "push", **fields: Any) -> Deployment:  # noqa: ANN401
    """The GitHub deployment of a job in a run of its own."""
    defaults = {"url": f"{RUN}/{number}/job/1", "run_id": str(number), "workflow": workflow, "run_event": event}
    return deployment(number, f"03-{number:02}T10:00", **{**defaults, **fields})


def counted(*deployments: Deployment, policy: Policy | None = None) -> list[str]:
    return [each.id for each in count_deployments(deployments, policy or Policy()).deployments]


def test_a_workflow_that_does_not_deploy_only_uses_an_environment_that_another_one_deploys_to() -> None:
    deploy, drift = of_job(1, "Deploy"), of_job(2, "Nightly drift check", "schedule")
    assert counted(deploy, drift) == [deploy.id]
    assert counted(drift, deploy) == [deploy.id]


def test_where_no_other_workflow_deploys_it_may_well_deploy() -> None:
    ship = of_job(1, "Ship it")
    assert counted(ship, of_job(2, "Backup")) == [ship.id, deployment_id(2)]
    elsewhere = of_job(3, "Deploy", environment="production-eu")
    assert counted(ship, elsewhere) == [ship.id, elsewhere.id]
    other_repository = of_job(3, "Deploy", repository="acme/till")
    assert counted(ship, other_repository) == [ship.id, other_repository.id]


def test_a_run_for_a_pull_request_deploys_nothing_to_production() -> None:
    deploy = of_job(1, "Deploy")
    for event in ("pull_request", "pull_request_target", "pull_request_review"):
        assert counted(deploy, of_job(2, "Deploy", event)) == [deploy.id]
    assert counted(of_job(2, "Ship it"), of_job(3, "Deploy", "pull_request")) == [deployment_id(2)]


@pytest.mark.parametrize(
    "stays",
    [
        of_job(2, None, None),
        of_job(2, "Backup", url="https://ci.example/2", run_id=None),
        of_job(2, "Backup", id="github:run:2:production"),
        of_job(2, "Backup", id="dispatch:2"),
    ],
)
def test_what_no_job_made_or_says_nothing_or_called_the_action_counts(stays: Deployment) -> None:
    deploy = of_job(1, "Deploy")
    assert counted(deploy, stays) == [deploy.id, stays.id]


def test_a_workflow_that_the_setting_names_deploys() -> None:
    deploy, ship = of_job(1, "Deploy"), of_job(2, "Ship it")
    for names in (("ship it",), ("Deploy", "SHIP IT"), ("ship.yml",)):
        assert counted(deploy, ship, policy=Policy(deploy_workflows=names)) == [deploy.id, ship.id]
    assert counted(deploy, ship, policy=Policy(deploy_workflows=("Deploy",))) == [deploy.id]


def test_notes_name_the_workflows_with_counts_and_the_way_out() -> None:
    facts = [
        of_job(1, "Deploy"),
        of_job(2, "Drift check"),
        of_job(3, "Drift check"),
        of_job(4, "Backup"),
        of_job(5, "Preview", "pull_request"),
        of_job(6, "Backup", environment="staging"),
    ]
    notes = evaluate_facts(facts, Policy()).notes
    left_out = (
        "GitHub deployments by workflows that do not deploy and only use an environment, for example for its secrets, "
        "which do not count: Backup (1), Drift check (2). To have GitHub create none, write "
        "`environment: {name: production, deployment: false}` in these workflows."
    )
    for_pull_requests = (
        "GitHub deployments by runs for pull requests, which do not count: 1. If such a run deploys, for example when "
        "a pull request is merged (`closed`), call this action in its deploy job with `environment: production`: that "
        "counts."
    )
    assert notes == [
        for_pull_requests,
        left_out,
        "Deployments that are not production, and in no number: staging (1).",
    ]


def test_no_later_deployment_is_compared_with_one_that_does_not_count() -> None:
    deploy, drift = of_job(1, "Deploy"), of_job(2, "Drift check")
    assert without_environment_uses([deploy, drift], Policy()) == [deploy]


def test_a_failure_in_a_run_that_was_cancelled_is_cancelled() -> None:
    run = deployment(
        7, "03-05T11:00", id="github:run:7", status="cancelled", url=f"{RUN}/7", started_at=at("03-05T09:00")
    )
    failed = of_job(5, "Deploy", url=f"{RUN}/7/job/1", run_id="7", status="failure")
    (part,) = count_deployments([run, failed], Policy()).deployments
    assert (part.id, part.status) == (failed.id, "cancelled")
    earlier_attempt = deployment(
        7, "03-06T11:00", id="github:run:7", status="cancelled", url=f"{RUN}/7", started_at=at("03-06T09:00")
    )
    (part,) = count_deployments([earlier_attempt, failed], Policy()).deployments
    assert part.status == "failure"
    succeeded = of_job(5, "Deploy", url=f"{RUN}/7/job/1", run_id="7", sha=sha("a"))
    (part,) = count_deployments([run, succeeded], Policy()).deployments
    assert part.status == "success"

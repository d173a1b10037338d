"""What counts as a deployment at all: no job that only uses an environment, and no failure of a cancelled run."""

from typing import Any

import pytest

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.linking.counting import comparable_facts, count_deployments
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
    for names in (("ship it",), ("Deploy", "SHIP IT"), ("ship-it.yml",)):
        assert counted(deploy, ship, policy=Policy(deploy_workflows=names)) == [deploy.id, ship.id]
    assert counted(deploy, ship, policy=Policy(deploy_workflows=("Deploy",))) == [deploy.id]


@pytest.mark.parametrize(
    ("file", "workflow"),
    [
        ("deploy.yml", "Deploy"),
        ("ship-prod.yml", "Ship prod"),
        (".github/workflows/Ship_Prod.yaml", "ship  prod"),
        ("ship.yml", ".github/workflows/ship.yml"),
    ],
)
def test_a_file_in_the_setting_is_the_workflow_whose_name_has_its_words(file: str, workflow: str) -> None:
    deploy, drift = of_job(1, workflow), of_job(2, "Nightly drift")
    policy = Policy(deploy_workflows=(file,))
    assert counted(deploy, drift, policy=policy) == [deploy.id]
    elsewhere = of_job(3, "Docs", environment="docs")
    both = Policy(deploy_workflows=(file, "docs.yml"))
    assert counted(deploy, drift, elsewhere, policy=both) == [deploy.id, elsewhere.id]


def test_a_file_that_fits_no_workflow_leaves_all_counting_and_a_note_says_how_to_tell_them_apart() -> None:
    facts = [of_job(1, "Deploy"), of_job(2, "Nightly drift"), of_job(3, "Nightly drift"), of_job(4, "Ship it")]
    policy = Policy(deploy_workflows=("Deploy", "rollout.yml"))
    assert counted(*facts, policy=policy) == [each.id for each in facts]
    (note,) = count_deployments(facts, policy).notes
    assert note == (
        "`deploy-workflows` lists rollout.yml, but no recorded workflow has a name like that. So it is unknown which "
        "of these workflows only use an environment, and all of them count: Nightly drift (2), Ship it (1). To tell "
        "them apart, list the names of the workflows that deploy instead of their files."
    )


@pytest.mark.parametrize(
    "facts",
    [
        [of_job(1, "Ship it"), of_job(2, "Ship it")],
        [of_job(1, "Deploy"), of_job(2, "Release")],
        [of_job(1, "Deploy"), of_job(2, "Drift", "pull_request")],
        [of_job(1, "Deploy", environment="staging"), of_job(2, "Drift", environment="staging")],
    ],
)
def test_where_nothing_would_be_left_out_it_does_not_matter_that_a_file_fits_nothing(facts: list[Deployment]) -> None:
    notes = count_deployments(facts, Policy(deploy_workflows=("rollout.yml",))).notes
    assert not [note for note in notes if "rollout.yml" in note]


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
        "3 GitHub deployments are not counted, because these workflows only use an environment, for example for its "
        "secrets: Backup (1), Drift check (2). To stop GitHub from creating such deployments, write "
        "`environment: {name: production, deployment: false}` in these workflows."
    )
    for_pull_requests = (
        "1 GitHub deployment by a run for a pull request is not counted. If such a run does deploy, for example when "
        "a pull request is merged (`closed`), call this action in its deploy job with `environment: production`."
    )
    assert notes == [
        for_pull_requests,
        left_out,
        "1 deployment outside production (staging) is not counted.",
    ]


def test_no_later_deployment_is_compared_with_one_that_does_not_count() -> None:
    deploy, drift = of_job(1, "Deploy"), of_job(2, "Drift check")
    assert comparable_facts([deploy, drift], Policy()) == [deploy]


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


def test_nothing_is_compared_with_the_successful_part_of_an_attempt_that_failed() -> None:
    run = f"{RUN}/9/job"
    success = deployment(1, "03-05T10:00", url=f"{run}/1", sha=sha("a"))
    failure = deployment(2, "03-05T10:01", url=f"{run}/2", sha=sha("a"), status="failure")
    before, after = deployment(3, "03-04"), deployment(4, "03-06")
    assert comparable_facts([before, success, failure, after], Policy()) == [before, after]
    assert comparable_facts([before, success, after], Policy()) == [before, success, after]


# What was recorded under other settings


def notes_of(*deployments: Deployment, policy: Policy) -> list[str]:
    return count_deployments(deployments, policy).notes


def of_run(number: int, workflow: str | None) -> Deployment:
    fields = {"id": f"github:run:{number}", "source": "workflow-runs", "workflow": workflow}
    return deployment(number, f"03-{number:02}T10:00", **fields)


def test_a_workflow_that_is_not_listed_any_more_does_not_count_and_a_note_says_so() -> None:
    runs = [of_run(1, "Deploy"), of_run(2, "Publish packages"), of_run(3, None)]
    policy = Policy(deploy_workflows=("deploy",))
    assert counted(*runs, policy=policy) == ["github:run:1", "github:run:3"]
    assert notes_of(*runs, policy=policy) == [
        "1 recorded run is not counted, because `deploy-workflows` does not list Publish packages (1)."
    ]


def test_a_file_that_may_be_any_workflow_leaves_none_out() -> None:
    runs = [of_run(1, "Ship it"), of_run(2, "Publish packages")]
    assert counted(*runs, policy=Policy(deploy_workflows=("deploy.yml",))) == ["github:run:1", "github:run:2"]
    assert counted(*runs, policy=Policy(deploy_workflows=(".github/workflows/ship-it.yml",))) == ["github:run:1"]

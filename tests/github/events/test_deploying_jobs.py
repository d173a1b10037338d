"""A deployment that a job made says which job, run and attempt it is of, when that began and how it ended."""

from typing import Any

import pytest

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy
from dora_metrics.github.events.observe import observe
from support.events import SHA, at, deployment, deployment_status, make_run, observe_event, pull_request, settings

JOB = "https://github.com/acme/shop/actions/runs/7/job/9"
RUN_PAYLOAD = {"id": 7, "run_attempt": 2, "event": "push", "head_sha": SHA, "name": "Deploy"}
CHECK_RUN = {"id": 9, "name": "deploy (eu)", "started_at": "2026-11-20T10:03:00Z"}


def observed(state: str = "success", log_url: str | None = JOB, **payload: Any) -> Deployment:  # noqa: ANN401
    return deployment(observe_event("deployment_status", {**deployment_status(state, log_url=log_url), **payload}))


def test_run_job_attempt_workflow_and_event_are_recorded() -> None:
    fact = observed(workflow_run=RUN_PAYLOAD, check_run=CHECK_RUN, workflow={"name": "Ship"})
    assert (fact.run_id, fact.run_attempt, fact.job_id, fact.job_name) == ("7", 2, "9", "deploy (eu)")
    assert (fact.workflow, fact.run_event) == ("Ship", "push")
    assert observed(workflow_run=RUN_PAYLOAD).workflow == "Deploy"


def test_run_and_job_are_also_read_from_the_address_of_the_log() -> None:
    fact = observed()
    assert (fact.run_id, fact.job_id, fact.run_attempt, fact.workflow) == ("7", "9", None, None)
    status = deployment_status("success", target_url=JOB)
    assert deployment(observe_event("deployment_status", status)).job_id == "9"


@pytest.mark.parametrize(
    "log_url",
    [
        "https://git.example/acme/shop/actions/runs/7/job/9",
        "https://github.com/acme/till/actions/runs/7/job/9",
        "https://ci.example/7",
        "",
        None,
    ],
)
def test_an_address_elsewhere_ties_nothing(log_url: str | None) -> None:
    fact = observed(log_url=log_url)
    assert (fact.run_id, fact.job_id) == (None, None)
    assert fact.started_at == at("20T10:00")


def test_numbers_may_be_longer_than_64_bits() -> None:
    long = 12345678901234567890
    fact = observed(log_url=f"https://github.com/acme/shop/actions/runs/{long}/job/{long}", workflow_run={"id": long})
    assert (fact.run_id, fact.job_id) == (str(long), str(long))
    assert observed(log_url=None, workflow_run={"id": long}, check_run={"id": long}).job_id == str(long)


@pytest.mark.parametrize("missing", [None, {}, {"id": None, "run_attempt": None, "event": None, "name": None}])
def test_nothing_is_needed(missing: dict[str, None] | None) -> None:
    fact = observed(log_url=None, workflow_run=missing, check_run=missing, workflow=missing)
    assert (fact.run_id, fact.job_id, fact.run_attempt, fact.started_at) == (None, None, None, at("20T10:00"))


def test_a_job_starts_when_it_runs_and_not_when_it_reached_its_approval() -> None:
    assert observed(workflow_run=RUN_PAYLOAD, check_run=CHECK_RUN).started_at == at("20T10:03")
    assert observed(workflow_run=RUN_PAYLOAD).started_at is None
    assert observed(log_url=None).started_at == at("20T10:00")


@pytest.mark.parametrize(
    ("check_run", "workflow_run", "status"),
    [
        ({"conclusion": "cancelled"}, None, "cancelled"),
        ({"conclusion": None}, {"conclusion": "cancelled"}, "cancelled"),
        ({"conclusion": "failure"}, {"conclusion": "cancelled"}, "failure"),
        ({"conclusion": None}, {"conclusion": None}, "failure"),
        (None, None, "failure"),
    ],
)
def test_a_cancelled_job_is_no_failure(
    check_run: dict[str, object] | None, workflow_run: dict[str, object] | None, status: str
) -> None:
    assert observed("failure", check_run=check_run, workflow_run=workflow_run).status == status
    assert observed("success", check_run=check_run, workflow_run=workflow_run).status == "success"


# --- The job that calls the action ---


def of_job(service: str | None = None, **fields: object) -> Deployment:
    inputs: dict[str, object] = {"environment": "production"}
    if service:
        inputs |= {"service": service, "services": {service: ["api/**"]}}
    run = make_run("workflow_dispatch", run_id="7", workflow="Deploy", **fields)
    return deployment(observe(run, {}, settings(**inputs), frozenset()))


def test_each_executed_job_records_a_fact_of_its_own() -> None:
    fact = of_job(check_run_id="9", run_attempt=2, job="deploy", matrix_index=1, matrix_size=4)
    assert fact.id == "github:run:7:production:job:9"
    assert (fact.run_id, fact.run_attempt, fact.job_id, fact.url) == ("7", 2, "9", JOB)
    assert (fact.workflow, fact.run_event) == ("Deploy", "workflow_dispatch")


def test_without_a_check_run_each_job_and_each_attempt_has_an_id_of_its_own() -> None:
    assert of_job(job="deploy").id == "github:run:7:production:part:deploy.1"
    assert of_job(job="deploy", run_attempt=2).id == "github:run:7:production:part:deploy.2"
    assert of_job(job="deploy", matrix_index=1, matrix_size=4).id == "github:run:7:production:part:deploy.1.1"
    assert of_job("api", job="deploy", run_attempt=2).id == "github:run:7:production:part:deploy.2:api"
    assert of_job(run_attempt=2).id == "github:run:7:production", "not even the job is known"


def test_the_service_of_a_monorepo_comes_last() -> None:
    assert of_job("api", check_run_id="9").id == "github:run:7:production:job:9:api"
    assert of_job("api", run_attempt=2).id == "github:run:7:production:api"


def test_a_run_at_a_merge_deploys_if_its_job_calls_the_action_as_the_note_says() -> None:
    """The deployment that GitHub makes for the same job does not count; the note names the way."""
    at_merge = observe_event("pull_request", pull_request(), environment="production", status="success")
    (by_job,) = (fact for fact in at_merge.facts if isinstance(fact, Deployment))
    by_github = observed(workflow_run=RUN_PAYLOAD | {"event": "pull_request"})
    evaluation = evaluate_facts([by_job, by_github], Policy())
    (history,) = evaluation.histories
    assert [each.id for each in history.deployments] == [by_job.id]
    (note,) = evaluation.notes
    assert note.endswith("call this action in its deploy job with `environment: production`.")

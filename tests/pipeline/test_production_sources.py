"""Which sources a repository's production deployments have come from: what only uses the environment adds none."""

from dora_metrics.core.facts.model import Deployment
from dora_metrics.pipeline.record import production_sources
from dora_metrics.settings.model import Settings
from support.sink_payloads import NOW, SHOP, deployment


def sources(*facts: Deployment) -> frozenset[str]:
    return production_sources(facts, SHOP, Settings(), NOW)


def run_of_deploy(number: int) -> Deployment:
    return deployment(number, id=f"github:run:{number}", source="workflow-runs", workflow="Deploy", run_id=str(number))


def job_of(workflow: str, number: int = 9, **fields: object) -> Deployment:
    """A GitHub deployment that was made for a job with `environment: production`."""
    job = {"workflow": workflow, "run_id": f"7{number}", "job_id": f"8{number}"}
    return deployment(number, 1, **{**job, **fields})


def test_a_job_that_uses_production_for_its_secrets_is_no_source() -> None:
    """Else no run of the workflow that deploys would be recorded any more."""
    assert sources(run_of_deploy(1), job_of("CI"), job_of("E2E", 10, status="failure")) == {"workflow-runs"}


def test_nor_is_a_job_of_a_pull_request() -> None:
    assert sources(run_of_deploy(1), job_of("Deploy", run_event="pull_request")) == {"workflow-runs"}


def test_a_job_that_deploys_is_one() -> None:
    assert sources(run_of_deploy(1), job_of("Deploy")) == {"workflow-runs", "deployments"}
    assert sources(job_of("CI")) == {"deployments"}

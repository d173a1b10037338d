"""Cases that once went wrong: what a run, a branch, a gap in the links and a small sample may not do to the numbers."""

from datetime import UTC, datetime, timedelta

from dora_metrics.core.facts.model import Deployment, Fact, Incident
from dora_metrics.core.linking.link import previous_success
from dora_metrics.core.metrics.scope_history import evaluate_facts
from dora_metrics.core.policy import Policy

START = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


def deployed(number: int, hours: float, **more: object) -> Deployment:
    at = START + timedelta(hours=hours)
    given: dict[str, object] = {
        "id": f"github:deployment:{number}",
        "repository": "acme/shop",
        "environment": "production",
        "status": "success",
        "sha": f"{number:040x}",
        "finished_at": at,
        "observed_at": at,
        **more,
    }
    return Deployment(**given)  # type: ignore[arg-type]


def counted(*facts: Fact) -> list[str]:
    return [d.id for record in evaluate_facts(facts, Policy()).histories for d in record.deployments]


def test_a_staging_job_of_a_run_leaves_the_runs_production_deployment_alone() -> None:
    run = deployed(1, 1, id="github:run:1")
    staging = deployed(2, 1, id="github:run:1:staging", environment="staging")
    assert counted(run, staging) == ["github:run:1"]


def test_a_production_job_of_a_run_and_the_run_that_was_watched_are_one_deployment() -> None:
    run = deployed(1, 1, id="github:run:1")
    assert counted(run, deployed(2, 1, id="github:run:1:production")) == ["github:run:1:production"]


def test_what_a_failed_comparison_left_open_is_compared_again_by_the_next_deployment() -> None:
    first, known, gap = deployed(1, 0), deployed(2, 1, changes=()), deployed(3, 2)
    assert previous_success(deployed(4, 3), [first, known, gap]) == known
    assert previous_success(deployed(4, 3), [first, gap]) == first
    assert previous_success(first, []) is None


def test_a_branch_names_no_deployment() -> None:
    at = START + timedelta(hours=401)
    blames = Incident(id="i", repository="acme/shop", observed_at=at, detected_at=at, deployment="main")
    facts = (deployed(1, 0, ref="main"), deployed(2, 400, ref="main"), blames)
    (record,) = evaluate_facts(facts, Policy()).histories
    assert record.failures == []
    assert record.incidents[0].because == "names main, which is no production deployment that is known and counts"

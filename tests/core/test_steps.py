"""Computing takes no more than in proportion to the facts, however they refer to each other."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from dora_metrics.core.facts.model import Change, Commit, Deployment, Fact
from dora_metrics.core.metrics.totals import count_totals
from support.facts import at, change, commit_id, deployment, incident, pull_id, results_of, sha, vulnerability
from support.steps import count_steps

FEW, MANY = 40, 160
ALLOWED_RATIO = 6
"""Four times the facts take four times the steps; a step that compares all with all takes sixteen."""

START = at("03-02")
SHARED = sha("shared")
ADDRESS = "https://prometheus.example/graph"


def deploy(number: int, **fields: Any) -> Deployment:  # noqa: ANN401
    return deployment(number, (START + number * timedelta(minutes=30)).isoformat(), **fields)


def in_repository(number: int, **fields: Any) -> Deployment:  # noqa: ANN401
    return deploy(number, repository=f"acme/s{number}", service=f"s{number}", **fields)


def merged(number: int, **fields: Any) -> Change:  # noqa: ANN401
    merged_at = START + number * timedelta(minutes=30)
    return change(number, opened_at=merged_at - timedelta(minutes=5), merged_at=merged_at, **fields)


def commits_of(count: int) -> tuple[Commit, ...]:
    return tuple(Commit(sha(number), at("03-01")) for number in range(count))


def with_incidents(count: int, deployed: Callable[[int], Deployment], **fields: object) -> Iterator[Fact]:
    for number in range(count):
        yield deployed(number)
        yield incident(number, (START + timedelta(days=20)).isoformat(), **fields)


def reported_again(count: int, names: Callable[[int], tuple[str, ...]]) -> Iterator[Fact]:
    """Incidents that name others as the same one."""
    for number in range(count):
        yield deploy(number)
        yield incident(number, url=ADDRESS, also=names(number))


def carried_by_one(count: int) -> Iterator[Fact]:
    """A pull request that carries all others, in every deployment."""
    yield change(count, merged_at="03-30", commits=commits_of(count))
    for number in range(count):
        yield change(number, merged_at="03-01", commits=(Commit(sha(number), at("03-01")),))
        yield deploy(number, changes=(count, number))


def one_commit_of_pulls(count: int) -> Iterator[Fact]:
    """A commit that every deployment brings, and that every pull request contains."""
    for number in range(count):
        yield merged(number, commits=(Commit(SHARED, at("03-01")),))
        yield deploy(number, changes=(f"commit:{SHARED}",))


def job(number: int, **fields: object) -> Deployment:
    return deploy(number, **{"run_id": str(number), "job_id": str(number), "workflow": f"Backup {number}", **fields})


def runs_and_deployments(count: int) -> Iterator[Fact]:
    for number in range(count):
        yield deploy(number, id=f"github:run:{number}", source="workflow-runs", sha=SHARED, started_at="03-01")
        yield deploy(number, started_at="03-31", sha=SHARED)


def pushes_and_deployments(count: int) -> Iterator[Fact]:
    for number in range(count):
        yield deploy(number, id=f"github:push:{SHARED}:web:{number}", source="pushes", sha=SHARED, service="web")
        yield deploy(number, sha=SHARED)


def services_and_vulnerabilities(count: int) -> Iterator[Fact]:
    for number in range(count):
        yield deploy(number, service=f"s{number}")
        yield vulnerability(number, service=None)
        yield vulnerability(count + number, service=f"s{number}", fixed_at="03-06")


SHAPES: dict[str, Callable[[int], Iterator[Fact]]] = {
    "repositories": lambda n: map(in_repository, range(n)),
    "repositories without production": lambda n: (in_repository(each, environment="staging") for each in range(n)),
    "incidents of one version": lambda n: with_incidents(n, lambda i: deploy(i, version="v1"), deployment="v1"),
    "incidents of one version of services": lambda n: with_incidents(
        n, lambda i: deploy(i, version="v1", service=f"s{i}"), deployment="v1"
    ),
    "incidents elsewhere of one version": lambda n: with_incidents(
        n, lambda i: deploy(i, version="v1"), deployment="v1", repository="acme/other", service=None
    ),
    "incidents of one short sha": lambda n: with_incidents(
        n, lambda i: deploy(i, sha=f"abcdef0{i:033x}"), deployment="abcdef0"
    ),
    "short shas of one beginning": lambda n: (
        fact
        for i in range(n)
        for fact in (
            deploy(i, sha=f"abcdef0{i:033x}"),
            incident(i, deployment=f"abcdef0{i:033x}"[:39]),
        )
    ),
    "incidents of services": lambda n: (
        fact for i in range(n) for fact in (deploy(i, service=f"s{i}"), incident(i, service=f"s{i}", environment=None))
    ),
    "incidents without a success": lambda n: with_incidents(
        n, lambda i: deploy(i, service=f"s{i}", status="failure"), service=None, environment=None
    ),
    "reports of one incident": lambda n: reported_again(n, lambda _: ("#0",)),
    "a chain of reports": lambda n: reported_again(n, lambda i: (f"#{i - 1}", f"#{i + 1}")),
    "incidents of one address": lambda n: reported_again(n, lambda _: (ADDRESS,)),
    "remedies of one version": lambda n: (deploy(i, version="v1", remediates="v1") for i in range(n)),
    "a carrier in every deployment": carried_by_one,
    "a commit of every pull request": one_commit_of_pulls,
    "workflows that use an environment": lambda n: map(job, range(n)),
    "a workflow that deploys among them": lambda n: (
        job(i, workflow="Deploy" if i == n - 1 else f"Backup {i}") for i in range(n)
    ),
    "runs of one commit": runs_and_deployments,
    "pushes of one commit": pushes_and_deployments,
    "vulnerabilities of all services": services_and_vulnerabilities,
    "one commit in every deployment": lambda n: (deploy(i, changes=(commit_id(1),)) for i in range(n)),
    "reverts of reverts": lambda n: (
        fact for i in range(n) for fact in (deploy(i, changes=(i,)), change(i, reverts=pull_id(i - 1)))
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_four_times_the_facts_take_about_four_times_the_steps(shape: str) -> None:
    few, many = (list(SHAPES[shape](count)) for count in (FEW, MANY))
    assert steps_of(many) < ALLOWED_RATIO * steps_of(few)


def steps_of(facts: list[Fact]) -> int:
    def compute() -> None:
        results = results_of(*facts, window="all")
        count_totals(results.evaluation.histories, facts, results.policy)
        for history in results.evaluation.histories:
            assert results.metrics_of(history.scope)

    return count_steps(compute)


def test_listed_workflows_are_not_compared_with_every_deployment() -> None:
    def steps(count: int) -> int:
        runs = [deploy(i, id=f"github:run:{i}", source="workflow-runs", workflow=f"Release {i}") for i in range(count)]
        listed = tuple(f"release-{i}.yml" for i in range(count))
        return count_steps(lambda: results_of(*runs, deploy_workflows=listed))

    assert steps(MANY) < ALLOWED_RATIO * steps(FEW)


def test_production_names_are_not_compared_with_every_environment() -> None:
    def steps(count: int) -> int:
        deployments = [deploy(i, environment=f"env {i}") for i in range(count)]
        names = tuple(f"env {i}" for i in range(count))
        return count_steps(lambda: results_of(*deployments, production_environments=names))

    assert steps(MANY) < ALLOWED_RATIO * steps(FEW)

"""Which deployments count at all, before the parts of an attempt are joined.

A job with `environment:` makes a GitHub deployment even if it only wants the environment's secrets. A cancelled job
leaves a deployment that says `failure`. Several sources may report one deployment.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from msgspec.structs import replace

from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.job_links import job_link_of
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.linking.attempts import ids_without_success
from dora_metrics.core.linking.deselected import Deselection
from dora_metrics.core.linking.duplicates import deduplicate
from dora_metrics.core.linking.environment_uses import EnvironmentUses
from dora_metrics.core.policy import Policy

_CLOCK_SKEW = timedelta(minutes=1)


class CountedDeployments(NamedTuple):
    """The deployments that count, why others do not, by id, and notes for readers about those.

    Duplicates are in the notes only: what they report counts elsewhere.
    """

    deployments: list[Deployment]
    left_out: Mapping[str, str]
    notes: list[str]


def count_deployments(deployments: Sequence[Deployment], policy: Policy) -> CountedDeployments:
    """Leave out what the settings do not select, jobs that only use an environment, and duplicates.

    The deployments of cancelled runs are marked as cancelled.
    """
    deselection, uses = Deselection.of(deployments, policy), EnvironmentUses.of(deployments, policy)
    reasons = ((each.id, deselection.reason(each) or uses.exclusion_reason(each)) for each in deployments)
    left_out = {deployment_id: reason for deployment_id, reason in reasons if reason}
    remaining = [each for each in deployments if each.id not in left_out]
    deduplicated = deduplicate(list(_with_cancelled_runs(remaining)), policy)
    notes = [*deselection.notes(deployments), *uses.notes(deployments), *deduplicated.notes]
    return CountedDeployments(deduplicated.deployments, left_out, notes)


def comparable_facts(facts: Iterable[Fact], policy: Policy) -> list[Fact]:
    """Return the facts without deployments that nothing is compared with.

    These are the deployments of jobs that only use an environment, and the successful parts of attempts that did not
    succeed as a whole.
    """
    all_facts = list(facts)
    deployments = [fact for fact in all_facts if isinstance(fact, Deployment) and not fact.retracted]
    counted = count_deployments(deployments, policy)
    ignored_ids = counted.left_out.keys() | ids_without_success(counted.deployments)
    return [fact for fact in all_facts if fact.id not in ignored_ids]


def _with_cancelled_runs(deployments: Sequence[Deployment]) -> Iterator[Deployment]:
    """Yield the deployments; one that failed in a run that was cancelled is cancelled.

    Its status does not say so: GitHub ends the deployment of a cancelled job with `failure`.
    """
    cancelled_runs = {
        (run.repository, DeploymentId.parse(run.id).key): run
        for run in deployments
        if run.status == "cancelled" and DeploymentId.parse(run.id).kind == "run"
    }
    for deployment in deployments:
        run = _run_of(deployment, cancelled_runs) if cancelled_runs else None
        yield replace(deployment, status="cancelled") if run and _is_during(deployment, run) else deployment


def _run_of(deployment: Deployment, runs: Mapping[tuple[str, str], Deployment]) -> Deployment | None:
    """Return the run of a GitHub deployment that says that it failed."""
    if deployment.status != "failure" or DeploymentId.parse(deployment.id).kind != "deployment":
        return None
    link = job_link_of(deployment)
    return runs.get((deployment.repository, link.run_id)) if link else None


def _is_during(deployment: Deployment, run: Deployment) -> bool:
    """Whether a deployment ended during an attempt of its run and not in an earlier one."""
    return run.started_at is None or deployment.finished_at >= run.started_at - _CLOCK_SKEW

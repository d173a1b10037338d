"""Which deployments count at all, before the parts of an attempt are joined.

A job with `environment:` makes a GitHub deployment even if it only wants the environment's secrets. A cancelled job
leaves a deployment that says `failure`. Several sources may report one deployment.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from msgspec.structs import replace

from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.job_links import job_link_of
from dora_metrics.core.facts.model import Deployment, Fact
from dora_metrics.core.formatting import names_with_counts
from dora_metrics.core.linking.duplicates import deduplicate
from dora_metrics.core.names import is_for_pull_request, names_a_deploy_workflow
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import environment_of

_CLOCK_SKEW = timedelta(minutes=1)


class CountedDeployments(NamedTuple):
    """The deployments that count, why others do not, by id, and notes for readers about those.

    Duplicates are in the notes only: what they report counts elsewhere.
    """

    deployments: list[Deployment]
    left_out: Mapping[str, str]
    notes: list[str]


def count_deployments(deployments: Sequence[Deployment], policy: Policy) -> CountedDeployments:
    """Leave out jobs that only use an environment, mark those of cancelled runs, and leave out duplicates."""
    uses = _EnvironmentUses.of(deployments, policy)
    left_out = {each.id: reason for each in deployments if (reason := uses.exclusion_reason(each))}
    remaining = [each for each in deployments if each.id not in left_out]
    deduplicated = deduplicate(list(_with_cancelled_runs(remaining)), policy)
    in_production = [each for each in deployments if each.id in left_out and policy.is_production(environment_of(each))]
    notes = [*_exclusion_notes(in_production), *deduplicated.notes]
    return CountedDeployments(deduplicated.deployments, left_out, notes)


def without_environment_uses(facts: Iterable[Fact], policy: Policy) -> list[Fact]:
    """Return the facts without the deployments of jobs that only use an environment: nothing is compared with those."""
    all_facts = list(facts)
    deployments = [fact for fact in all_facts if isinstance(fact, Deployment) and not fact.retracted]
    uses = _EnvironmentUses.of(deployments, policy)
    return [fact for fact in all_facts if not (isinstance(fact, Deployment) and uses.exclusion_reason(fact))]


class _EnvironmentUses(NamedTuple):
    """The workflows that deploy to each environment of each repository, by their names."""

    deploying_workflows: defaultdict[tuple[str, str], set[str]]
    policy: Policy

    @classmethod
    def of(cls, deployments: Iterable[Deployment], policy: Policy) -> "_EnvironmentUses":
        uses = cls(defaultdict(set), policy)
        for deployment in deployments:
            workflow = deployment.workflow
            if workflow and not is_for_pull_request(deployment.run_event) and uses._deploys(workflow):
                uses._workflows_of(deployment).add(workflow)
        return uses

    def exclusion_reason(self, deployment: Deployment) -> str | None:
        """Return why a GitHub deployment of a job is none; None if it counts."""
        is_for_review = is_for_pull_request(deployment.run_event)
        if not is_for_review and (not deployment.workflow or self._deploys(deployment.workflow)):
            return None
        if DeploymentId.parse(deployment.id).kind != "deployment" or job_link_of(deployment) is None:
            return None
        if is_for_review:
            return "its run was for a pull request"
        if not self._workflows_of(deployment):
            return None
        return f"its workflow {deployment.workflow} does not deploy and only uses the environment"

    def _workflows_of(self, deployment: Deployment) -> set[str]:
        return self.deploying_workflows[deployment.repository, environment_of(deployment)]

    def _deploys(self, workflow: str) -> bool:
        """Whether a workflow deploys: `deploy-workflows` names it, or its name has the words for it.

        Where the setting names files, it is not known which names they have: then every workflow may deploy.
        """
        named = self.policy.deploy_workflows
        if any(name.endswith((".yml", ".yaml")) for name in named):
            return True
        return workflow.lower() in map(str.lower, named) or names_a_deploy_workflow(workflow)


def _exclusion_notes(left_out: Sequence[Deployment]) -> Iterator[str]:
    for_pull_requests = [deployment for deployment in left_out if is_for_pull_request(deployment.run_event)]
    if for_pull_requests:
        yield (
            f"GitHub deployments by runs for pull requests, which do not count: {len(for_pull_requests)}. If such a "
            "run deploys, for example when a pull request is merged (`closed`), call this action in its deploy job "
            f"with `environment: {min(map(environment_of, for_pull_requests))}`: that counts."
        )
    counts = Counter(str(each.workflow) for each in left_out if not is_for_pull_request(each.run_event))
    if counts:
        environments = sorted({environment_of(each) for each in left_out})
        workflows = names_with_counts(sorted(counts.items()))
        yield (
            "GitHub deployments by workflows that do not deploy and only use an environment, for example for its "
            f"secrets, which do not count: {workflows}. To have GitHub create none, write "
            f"`environment: {{name: {environments[0]}, deployment: false}}` in these workflows."
        )


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

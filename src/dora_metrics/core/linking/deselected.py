"""Workflow runs that were recorded as deployments before `deploy-workflows` left their workflow out.

Facts stay as they are. So the setting is applied to those that are recorded, too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.formatting import count_are, names_with_counts
from dora_metrics.core.linking.environment_uses import ListedWorkflows
from dora_metrics.core.policy import Policy


class Deselection(NamedTuple):
    """Which workflows are listed.

    Attributes:
        deselected: the names of the recorded workflows that are not in `deploy-workflows`; none as long as one of its
            files stands for no recorded workflow.
    """

    deselected: AbstractSet[str]

    @classmethod
    def of(cls, deployments: Iterable[Deployment], policy: Policy) -> "Deselection":
        listed = ListedWorkflows.of(policy.deploy_workflows)
        names = {each.workflow for each in deployments if each.workflow}
        if not policy.deploy_workflows or listed.unknown_files(names):
            return cls(frozenset())
        return cls({name for name in names if not listed.include(name)})

    def reason(self, deployment: Deployment) -> str | None:
        """Return why a deployment does not count; None if it may count."""
        if not self._leaves_out(deployment):
            return None
        return f"its workflow {deployment.workflow} is not in `deploy-workflows`"

    def notes(self, deployments: Sequence[Deployment]) -> Iterator[str]:
        """Yield what was recorded and does not count."""
        counts = Counter(str(each.workflow) for each in deployments if self._leaves_out(each))
        if counts:
            runs_are, workflows = count_are(counts.total(), "recorded run"), names_with_counts(sorted(counts.items()))
            yield f"{runs_are} not counted, because `deploy-workflows` does not list {workflows}."

    def _leaves_out(self, deployment: Deployment) -> bool:
        return deployment.source == "workflow-runs" and deployment.workflow in self.deselected

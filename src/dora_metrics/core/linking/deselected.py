"""Workflow runs that were recorded as deployments before `deploy-workflows` left their workflow out.

Facts stay as they are. So the setting is applied to those that are recorded, too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.formatting import names_with_counts
from dora_metrics.core.linking.environment_uses import fits_workflow, is_file
from dora_metrics.core.policy import Policy


class Deselection(NamedTuple):
    """Which workflows are listed.

    Attributes:
        listed: the names and files in `deploy-workflows`.
        is_certain: whether each of the files stands for a workflow whose name has the same words.
    """

    listed: tuple[str, ...]
    is_certain: bool

    @classmethod
    def of(cls, deployments: Iterable[Deployment], policy: Policy) -> "Deselection":
        names = {each.workflow for each in deployments if each.workflow}
        files = filter(is_file, policy.deploy_workflows)
        is_certain = all(any(fits_workflow(file, name) for name in names) for file in files)
        return cls(policy.deploy_workflows, is_certain)

    def reason(self, deployment: Deployment) -> str | None:
        """Return why a deployment does not count; None if it may count."""
        if not self._leaves_out(deployment):
            return None
        return f"its workflow {deployment.workflow} is not in `deploy-workflows`"

    def notes(self, deployments: Sequence[Deployment]) -> Iterator[str]:
        """Yield what was recorded and does not count."""
        counts = Counter(str(each.workflow) for each in deployments if self._leaves_out(each))
        if counts:
            yield (
                f"Not counted: runs of {names_with_counts(sorted(counts.items()))}, recorded before "
                "`deploy-workflows` left them out."
            )

    def _leaves_out(self, deployment: Deployment) -> bool:
        name = deployment.workflow
        if deployment.source != "workflow-runs" or not self.listed or not name or not self.is_certain:
            return False
        return not any(fits_workflow(entry, name) for entry in self.listed)

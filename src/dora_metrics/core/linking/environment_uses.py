"""Jobs that only use an environment, for example for its secrets: GitHub makes a deployment for them all the same.

The words in the name of a workflow say whether it deploys, or the setting `deploy-workflows` does. Deployments have the
names of workflows only, so a file in the setting stands for the workflow whose name has the same words.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.job_links import job_link_of
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.formatting import names_with_counts
from dora_metrics.core.names import is_for_pull_request, names_a_deploy_workflow, words_of
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import environment_of

_FILE_SUFFIXES = (".yml", ".yaml")

_Place = tuple[str, str]
"""A repository and one of its environments."""


class EnvironmentUses(NamedTuple):
    """The workflows whose jobs deployed to the environments of each repository, or only used them.

    Attributes:
        workflows: the names of all workflows by repository and environment, without runs for pull requests.
        unknown_files: by repository, the files in `deploy-workflows` that fit none of its workflows.
        policy: what deploys.
    """

    workflows: Mapping[_Place, set[str]]
    unknown_files: Mapping[str, list[str]]
    policy: Policy

    @classmethod
    def of(cls, deployments: Iterable[Deployment], policy: Policy) -> "EnvironmentUses":
        workflows: defaultdict[_Place, set[str]] = defaultdict(set)
        by_repository: defaultdict[str, set[str]] = defaultdict(set)
        for deployment in deployments:
            if deployment.workflow and not is_for_pull_request(deployment.run_event):
                workflows[_place_of(deployment)].add(deployment.workflow)
                by_repository[deployment.repository].add(deployment.workflow)
        files = [name for name in policy.deploy_workflows if is_file(name)]
        unknown_files = {
            repository: [file for file in files if not any(fits_workflow(file, name) for name in names)]
            for repository, names in by_repository.items()
        }
        return cls(workflows, unknown_files, policy)

    def exclusion_reason(self, deployment: Deployment) -> str | None:
        """Return why a GitHub deployment of a job is none; None if it counts."""
        if is_for_pull_request(deployment.run_event):
            return "its run was for a pull request" if _is_made_by_job(deployment) else None
        if not self._may_only_use_environment(deployment) or self.unknown_files.get(deployment.repository):
            return None
        if not any(map(self._deploys, self.workflows.get(_place_of(deployment), ()))):
            return None
        return f"its workflow {deployment.workflow} does not deploy and only uses the environment"

    def notes(self, deployments: Sequence[Deployment]) -> Iterator[str]:
        """Yield notes about the production environments that jobs use: what does not count, and what is not known."""
        yield from _exclusion_notes(self._in_production(each for each in deployments if self.exclusion_reason(each)))
        uncertain = self._in_production(each for each in deployments if self._is_uncertain(each))
        if uncertain:
            files = sorted({file for each in uncertain for file in self.unknown_files[each.repository]})
            yield _unknown_files_note(files, uncertain)

    def _in_production(self, deployments: Iterable[Deployment]) -> list[Deployment]:
        return [each for each in deployments if self.policy.is_production(environment_of(each))]

    def _is_uncertain(self, deployment: Deployment) -> bool:
        """Whether a deployment counts only because a file in the setting fits no workflow of its repository."""
        if not self.unknown_files.get(deployment.repository) or not self._may_only_use_environment(deployment):
            return False
        return len(self.workflows[_place_of(deployment)]) > 1

    def _may_only_use_environment(self, deployment: Deployment) -> bool:
        """Whether the workflow of a job's deployment is not one that deploys; its run was for no pull request."""
        if not deployment.workflow or is_for_pull_request(deployment.run_event):
            return False
        return not self._deploys(deployment.workflow) and _is_made_by_job(deployment)

    def _deploys(self, workflow: str) -> bool:
        return _deploys(workflow, self.policy.deploy_workflows)


def _place_of(deployment: Deployment) -> _Place:
    return deployment.repository, environment_of(deployment)


def _is_made_by_job(deployment: Deployment) -> bool:
    """Whether a deployment is one that GitHub made for a job."""
    return DeploymentId.parse(deployment.id).kind == "deployment" and job_link_of(deployment) is not None


def is_file(name: str) -> bool:
    return name.lower().endswith(_FILE_SUFFIXES)


@lru_cache(maxsize=1024)
def _deploys(workflow: str, deploy_workflows: tuple[str, ...]) -> bool:
    """Whether a workflow deploys: the setting names it or its file, or its name has the words for it."""
    return any(fits_workflow(setting, workflow) for setting in deploy_workflows) or names_a_deploy_workflow(workflow)


def fits_workflow(setting: str, workflow: str) -> bool:
    """Whether an entry of `deploy-workflows` is the name of a workflow, or a file whose name has the same words."""
    if setting.lower() == workflow.lower():
        return True
    return is_file(setting) and _name_words(setting) == _name_words(workflow)


def _name_words(name: str) -> tuple[str, ...]:
    """Return the words of a workflow's name; of a file, those of its name without folder and suffix."""
    return words_of(name.rpartition("/")[2].rpartition(".")[0] if is_file(name) else name)


def _exclusion_notes(left_out: Sequence[Deployment]) -> Iterator[str]:
    for_pull_requests = [deployment for deployment in left_out if is_for_pull_request(deployment.run_event)]
    if for_pull_requests:
        yield (
            f"Not counted: GitHub deployments by runs for pull requests ({len(for_pull_requests)}). If such a run "
            "does deploy, for example when a pull request is merged (`closed`), call this action in its deploy job "
            f"with `environment: {min(map(environment_of, for_pull_requests))}`."
        )
    counts = Counter(str(each.workflow) for each in left_out if not is_for_pull_request(each.run_event))
    if counts:
        environments = sorted({environment_of(each) for each in left_out})
        workflows = names_with_counts(sorted(counts.items()))
        yield (
            "Not counted: GitHub deployments by workflows that only use an environment, for example for its secrets: "
            f"{workflows}. To stop GitHub from creating them, write "
            f"`environment: {{name: {environments[0]}, deployment: false}}` in these workflows."
        )


def _unknown_files_note(files: Sequence[str], deployments: Iterable[Deployment]) -> str:
    counts = Counter(str(each.workflow) for each in deployments)
    workflows = names_with_counts(sorted(counts.items()))
    return (
        f"`deploy-workflows` lists {', '.join(files)}, but no recorded workflow has a name like that. So it is unknown "
        f"which of these workflows only use an environment, and all of them count: {workflows}. To tell them apart, "
        "list the names of the workflows that deploy instead of their files."
    )

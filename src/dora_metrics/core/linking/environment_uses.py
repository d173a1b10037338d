"""Jobs that only use an environment, for example for its secrets: GitHub makes a deployment for them all the same.

The words in the name of a workflow say whether it deploys, or the setting `deploy-workflows` does. Deployments have the
names of workflows only, so a file in the setting stands for the workflow whose name has the same words.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from msgspec import Struct

from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.job_links import job_link_of
from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.formatting import count_are, names_with_counts
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
        deploying: the names of those workflows that deploy.
        deployed_places: where one of them has deployed to.
        unknown_files: by repository, the files in `deploy-workflows` that fit none of its workflows.
        policy: what deploys.
    """

    workflows: Mapping[_Place, AbstractSet[str]]
    deploying: AbstractSet[str]
    deployed_places: AbstractSet[_Place]
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
        listed = ListedWorkflows.of(policy.deploy_workflows)
        names = set().union(*by_repository.values())
        deploying = {name for name in names if listed.include(name) or names_a_deploy_workflow(name)}
        deployed_places = {place for place, names in workflows.items() if not names.isdisjoint(deploying)}
        unknown_files = {repository: listed.unknown_files(names) for repository, names in by_repository.items()}
        return cls(workflows, deploying, deployed_places, unknown_files, policy)

    def exclusion_reason(self, deployment: Deployment) -> str | None:
        """Return why a GitHub deployment of a job is none; None if it counts."""
        if is_for_pull_request(deployment.run_event):
            return "its run was for a pull request" if _is_made_by_job(deployment) else None
        if not self._may_only_use_environment(deployment) or self.unknown_files.get(deployment.repository):
            return None
        if _place_of(deployment) not in self.deployed_places:
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
        return deployment.workflow not in self.deploying and _is_made_by_job(deployment)


def _place_of(deployment: Deployment) -> _Place:
    return deployment.repository, environment_of(deployment)


def _is_made_by_job(deployment: Deployment) -> bool:
    """Whether a deployment is one that GitHub made for a job."""
    return DeploymentId.parse(deployment.id).kind == "deployment" and job_link_of(deployment) is not None


def is_file(name: str) -> bool:
    return name.lower().endswith(_FILE_SUFFIXES)


class ListedWorkflows(Struct, frozen=True):
    """The entries of `deploy-workflows`: names of workflows, and files that stand for those with the same words.

    Attributes:
        files: those entries that are files.
        names: all entries in lower case.
        file_words: the words of each file's name.
    """

    files: Sequence[str]
    names: AbstractSet[str]
    file_words: AbstractSet[tuple[str, ...]]

    @classmethod
    def of(cls, entries: Sequence[str]) -> "ListedWorkflows":
        files = list(filter(is_file, entries))
        return cls(files, {entry.lower() for entry in entries}, set(map(_name_words, files)))

    def include(self, workflow: str) -> bool:
        """Whether an entry stands for a workflow."""
        return workflow.lower() in self.names or (bool(self.files) and _name_words(workflow) in self.file_words)

    def unknown_files(self, workflows: Collection[str]) -> list[str]:
        """Return the files that stand for none of these workflows."""
        if not self.files:
            return []
        names, words = {name.lower() for name in workflows}, set(map(_name_words, workflows))
        return [file for file in self.files if file.lower() not in names and _name_words(file) not in words]


def _name_words(name: str) -> tuple[str, ...]:
    """Return the words of a workflow's name; of a file, those of its name without folder and suffix."""
    return words_of(name.rpartition("/")[2].rpartition(".")[0] if is_file(name) else name)


def _exclusion_notes(left_out: Sequence[Deployment]) -> Iterator[str]:
    for_pull_requests = [deployment for deployment in left_out if is_for_pull_request(deployment.run_event)]
    if for_pull_requests:
        yield (
            f"{_made_for_pull_requests(len(for_pull_requests))} not counted. If such a run does deploy, for example "
            "when a pull request is merged (`closed`), call this action in its deploy job with "
            f"`environment: {min(map(environment_of, for_pull_requests))}`."
        )
    counts = Counter(str(each.workflow) for each in left_out if not is_for_pull_request(each.run_event))
    if counts:
        environments = sorted({environment_of(each) for each in left_out})
        workflows = names_with_counts(sorted(counts.items()))
        yield (
            f"{count_are(counts.total(), 'GitHub deployment')} not counted, because these workflows only use an "
            f"environment, for example for its secrets: {workflows}. To stop GitHub from creating such deployments, "
            f"write `environment: {{name: {environments[0]}, deployment: false}}` in these workflows."
        )


def _made_for_pull_requests(number: int) -> str:
    return count_are(
        number, "GitHub deployment by a run for a pull request", "GitHub deployments by runs for pull requests"
    )


def _unknown_files_note(files: Sequence[str], deployments: Iterable[Deployment]) -> str:
    counts = Counter(str(each.workflow) for each in deployments)
    workflows = names_with_counts(sorted(counts.items()))
    return (
        f"`deploy-workflows` lists {', '.join(files)}, but no recorded workflow has a name like that. So it is unknown "
        f"which of these workflows only use an environment, and all of them count: {workflows}. To tell them apart, "
        "list the names of the workflows that deploy instead of their files."
    )

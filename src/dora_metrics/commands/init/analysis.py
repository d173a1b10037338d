"""Which workflows deploy to production or publish, which only use an environment, and which deploy elsewhere. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from dora_metrics.commands.init.deploy_targets import DeployTarget, DeployTargets, deploy_targets
from dora_metrics.commands.init.findings import Findings, GitHubDeployment
from dora_metrics.commands.init.publishers import Product
from dora_metrics.commands.init.workflows import WorkflowFile, WorkflowJob
from dora_metrics.core.names import (
    DEPLOY_WORDS,
    NOT_DEPLOY_WORDS,
    NOT_PRODUCTION_WORDS,
    PRERELEASE_WORDS,
    PRODUCTION_NAMES,
    words_of,
)
from dora_metrics.github.events.deployments import is_deploy_workflow
from dora_metrics.github.payloads import WorkflowPayload
from dora_metrics.settings.model import Settings

_JOB_DEPLOY_WORDS = (DEPLOY_WORDS - set(PRODUCTION_NAMES)) | {"apply", "promote", "rollout"}
"""Words in a job's name that deploys; a production word alone is also in that of a job that builds for production."""

_BUILD_WORDS = frozenset({"build", "builds", "compile", "package"})
_STAGE_WORDS = frozenset({"staging", "stg", "uat", "preprod", "preproduction", "sandbox"})
"""Words of environments before production that have no other meaning in the name of a step."""

_MOVING_WORDS = PRERELEASE_WORDS - NOT_PRODUCTION_WORDS
"""Words in the name of a workflow that publishes only prereleases: nightly, canary."""


@dataclass(frozen=True)
class Analysis:
    """The findings with what the decisions share.

    Attributes:
        candidates: workflows that may deploy, without those that use this action.
    """

    findings: Findings
    candidates: tuple[WorkflowFile, ...]
    targets_by_path: Mapping[str, DeployTargets]

    @classmethod
    def of(cls, findings: Findings) -> "Analysis":
        workflows = findings.checkout.workflows
        triggered = (workflow for workflow in workflows.values() if workflow.has_own_trigger or workflow.runs_on_merge)
        candidates = tuple(workflow for workflow in triggered if not workflow.this_action)
        targets_by_path = {workflow.path: deploy_targets(workflow, workflows) for workflow in candidates}
        return cls(findings, candidates, targets_by_path)

    @property
    def settings(self) -> Settings:
        return self.findings.checkout.settings

    def is_production(self, environment: str) -> bool:
        """Return whether an environment is production by the settings of the checkout."""
        return self.settings.policy.is_production(environment)

    # --- Environments ---

    def production_targets(self, *workflows: WorkflowFile) -> list[DeployTarget]:
        """Return the production environments that workflows deploy to."""
        targets = (target for workflow in workflows for target in self.targets_by_path[workflow.path].targets)
        return [target for target in targets if self.is_production(target.environment)]

    @property
    def production_deployments(self) -> list[GitHubDeployment]:
        """Deployments to production on GitHub, newest first."""
        deployments = self.findings.github.deployments if self.findings.github else ()
        return [deployment for deployment in deployments if self.is_production(deployment.environment)]

    @property
    def counted_deployments(self) -> list[GitHubDeployment]:
        """Deployments to production on GitHub, without those of jobs where workflows here only use the environment."""
        only_uses = bool(self.environment_users) and not self.deploying_workflows
        return [each for each in self.production_deployments if not (only_uses and each.is_by_actions)]

    @cached_property
    def deploying_workflows(self) -> list[WorkflowFile]:
        """Workflows that deploy to production by `environment:`, the certain ones first."""
        with_targets = [workflow for workflow in self.candidates if self.production_targets(workflow)]
        workflows = [
            workflow
            for workflow in with_targets
            if workflow.path not in self.environment_users and not self._uses_environment_to_build(workflow)
        ]
        return sorted(workflows, key=lambda workflow: not any(t.is_certain for t in self.production_targets(workflow)))

    @property
    def workflows_with_chosen_environment(self) -> list[WorkflowFile]:
        """Workflows that are named like deploy, to an environment that is known only when they run."""
        return [
            workflow
            for workflow in self.workflows_named_deploy
            if self.targets_by_path[workflow.path].chosen_at_run and workflow not in self.deploying_workflows
        ]

    @cached_property
    def environment_users(self) -> dict[str, DeployTarget]:
        """Workflows that only use production environments, by path, each with the first of these.

        Their names do not say that they deploy, and either workflows whose names do deploy to the same environments; or
        their names say that they do something else (test, check, drift); or only a schedule starts them.
        """
        deployed_to = {
            target.environment for target in self.production_targets(*filter(self.says_it_deploys, self.candidates))
        }
        users = {}
        for workflow in self.candidates:
            targets = [] if self.says_it_deploys(workflow) else self.production_targets(workflow)
            is_shared = all(target.environment in deployed_to for target in targets)
            if targets and (is_shared or workflow.runs_only_on_schedule or _is_named_otherwise(workflow)):
                users[workflow.path] = targets[0]
        return users

    def _uses_environment_to_build(self, workflow: WorkflowFile) -> bool:
        """Whether only jobs that build have the production environment, while another job deploys without one."""
        names = {target.job_name for target in self.production_targets(workflow)}
        jobs = [job for job in workflow.jobs if job.name in names]
        builds = all(job.words & _BUILD_WORDS and not job.words & _JOB_DEPLOY_WORDS for job in jobs)
        return builds and any(self._production_jobs(workflow))

    def says_it_deploys(self, workflow: WorkflowFile) -> bool:
        """Whether the setting or the name says of a workflow that it deploys."""
        return is_named_deploy(workflow, self.settings.deploy_workflows) or is_named_deploy(workflow, ())

    # --- Jobs ---

    @cached_property
    def production_evidence(self) -> dict[str, str]:
        """Workflows that deploy to production without `environment:`, by path, with the job or name that says so."""
        evidence = {
            workflow.path: next(self._production_jobs(workflow), "") or self._production_name(workflow)
            for workflow in self.candidates
            if workflow.has_own_trigger
        }
        return {path: text for path, text in evidence.items() if text}

    def _production_jobs(self, workflow: WorkflowFile) -> Iterator[str]:
        """Yield the jobs of a workflow that deploy to production by their names, or by that of a step."""
        for job in workflow.jobs:
            texts = () if job.environment else (*self._texts_of_deploying_job(job), *self._deploying_steps(job))
            if texts:
                yield f"{workflow.path}:{job.line}: job {job.name} deploys to production ({texts[0]})"

    def _production_name(self, workflow: WorkflowFile) -> str:
        """Return how a workflow's name says that it deploys to production; empty if it does not."""
        deploys = is_named_deploy(workflow, ()) and not _JOB_DEPLOY_WORDS.isdisjoint(words_of(workflow.name or ""))
        is_production = deploys and self.is_production(workflow.name or "")
        return (
            f"{workflow.path}: its name, {workflow.name}, says that it deploys to production" if is_production else ""
        )

    def _texts_of_deploying_job(self, job: WorkflowJob) -> Iterator[str]:
        """Yield what names production in a job whose name, or whose called workflow's name, says that it deploys."""
        call = job.called_workflow.text.partition("@")[0].rpartition("/")[2] if job.called_workflow else ""
        words = job.words | frozenset(words_of(call))
        if not words & _JOB_DEPLOY_WORDS or words & NOT_DEPLOY_WORDS:
            return
        if any(map(self.is_production, (job.name, job.title))):
            yield f"its name is {job.title or job.name}"
        if self.is_production(job.used_environment):
            yield f"it uses the environment {job.used_environment}"
        if self.is_production(call):
            yield f"it calls {call}"
        for name, value in job.call_inputs.items():
            if job.called_workflow and "${{" not in value and self.is_production(value):
                yield f"it calls {call} with `{name}: {value}`"

    def _deploying_steps(self, job: WorkflowJob) -> Iterator[str]:
        """Yield the steps whose name begins with a word for deploying, and names production: `Deploy to prod`."""
        for step in job.steps:
            if set(words_of(step.title)[:1]) & _JOB_DEPLOY_WORDS and self.is_production(step.title):
                yield f"its step is {step.title}"

    # --- Releases and packages ---

    def publishers(self, product: Product) -> list[WorkflowFile]:
        """Return the workflows that publish releases or packages, without those that are named after prereleases."""
        publications = self.findings.checkout.publications
        return [
            workflow
            for workflow in self.candidates
            if workflow.path in publications
            and publications[workflow.path].product == product
            and _MOVING_WORDS.isdisjoint(words_of(workflow.display_name))
        ]

    @property
    def release_listeners(self) -> list[WorkflowFile]:
        """Workflows that run when a release is published, and deploy or publish packages."""
        return [
            workflow
            for workflow in self.candidates
            if "release" in workflow.events
            and (
                self.says_it_deploys(workflow)
                or workflow.path in self.findings.checkout.publications
                or workflow.path in self.production_evidence
            )
        ]

    # --- Names ---

    @cached_property
    def workflows_named_deploy(self) -> list[WorkflowFile]:
        """Workflows with a name like deploy. Runs for pull requests never count as deployments."""
        triggered = (workflow for workflow in self.candidates if workflow.has_own_trigger)
        return [workflow for workflow in triggered if is_named_deploy(workflow, self.settings.deploy_workflows)]

    @property
    def workflows_to_elsewhere(self) -> list[WorkflowFile]:
        """Workflows named like deploy that name an environment before production, and production nowhere."""
        return [workflow for workflow in self.workflows_named_deploy if self._names_only_stages(workflow)]

    def _names_only_stages(self, workflow: WorkflowFile) -> bool:
        words = set(words_of(" ".join(_texts_of(workflow))))
        is_configured = bool(self.settings.deploy_workflows)
        names = {word for name in self.settings.production_environments for word in words_of(name)}
        return not is_configured and not words.isdisjoint(_STAGE_WORDS) and words.isdisjoint(names)


def is_named_deploy(workflow: WorkflowFile, configured: tuple[str, ...]) -> bool:
    """Return whether a workflow is one of the configured ones, or is named like deploy if none are."""
    return is_deploy_workflow(WorkflowPayload(name=workflow.name, path=workflow.path), configured)


def _is_named_otherwise(workflow: WorkflowFile) -> bool:
    """Return whether the name says that a workflow does something else than deploy."""
    return not NOT_DEPLOY_WORDS.isdisjoint(words_of(workflow.name or ""))


def _texts_of(workflow: WorkflowFile) -> Iterator[str]:
    """Yield what may name the environments of a workflow."""
    yield workflow.display_name
    for values in workflow.input_values.values():
        yield from values
    for job in workflow.jobs:
        yield from (job.name, job.title, job.used_environment)
        yield from job.call_inputs.values()
        yield from (value for values in job.matrix.values() for value in values)
        yield from (step.title for step in job.steps)

"""From findings to a proposal with its reasons. Pure: the same findings give the same proposal."""

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dora_metrics.commands.init.findings import CONFIG_PATH, WORKFLOW_PATH, Checkout, Findings, GitHubDeployment
from dora_metrics.commands.init.workflows import DeployTarget, DeployTargets, WorkflowFile, deploy_targets
from dora_metrics.core import formatting
from dora_metrics.core.names import NOT_PRODUCTION_WORDS, words_of
from dora_metrics.core.selection import SOURCES_BEST_FIRST
from dora_metrics.github.events.deployments import is_deploy_workflow
from dora_metrics.github.payloads import WorkflowPayload
from dora_metrics.settings.model import Settings

_SCHEDULE_MINUTES = [minute for minute in range(7, 54, 2) if minute % 5]
"""Minutes at which few other workflows start."""
_MAX_REASONS = 3
_MAX_ENVIRONMENTS_NAMED = 10


@dataclass(frozen=True)
class ProposedSetting:
    """A setting that differs from its default, and the reasons."""

    name: str
    value: object
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Triggers:
    """What starts the proposed workflow.

    Attributes:
        workflows: names of workflows whose end starts it.
        has_pull_request_runs: whether some of them also run for pull requests, which deploy nothing to production.
        merge_workflows: those of them that run when a pull request is closed, and so may deploy a merge.
        push_branch: the branch whose pushes start it, None for none.
        schedule_minute: minute of the nightly run.
        schedule_hour: hour of the nightly run, in UTC.
    """

    workflows: tuple[str, ...] = ()
    has_pull_request_runs: bool = False
    merge_workflows: tuple[str, ...] = ()
    deployment_status: bool = False
    release: bool = False
    push_branch: str | None = None
    issues: bool = True
    schedule_minute: int = 17
    schedule_hour: int = 5


@dataclass(frozen=True)
class Proposal:
    """What to record, from which source and when.

    Attributes:
        services: paths by the name of the service.
        calls_action_in_step: whether the job calls the action in a step, instead of the reusable workflow.
        existing_use: where another workflow already uses the action, as `path:line`.
        missing_label: the label of the issue form if it does not exist on GitHub.
    """

    sources: tuple[str, ...]
    source_reasons: tuple[str, ...]
    triggers: Triggers
    production_environments: tuple[str, ...]
    incident_labels: tuple[str, ...]
    incident_labels_reason: str
    settings: tuple[ProposedSetting, ...]
    services: Mapping[str, str]
    calls_action_in_step: bool
    existing_use: str | None
    has_incident_form: bool
    notes: tuple[str, ...]
    missing_label: str | None


@dataclass(frozen=True)
class _Analysis:
    """The findings with what the decisions share.

    Attributes:
        candidates: workflows that may deploy, without those that use this action.
    """

    findings: Findings
    candidates: tuple[WorkflowFile, ...]
    targets_by_path: Mapping[str, DeployTargets]

    @property
    def settings(self) -> Settings:
        return self.findings.checkout.settings

    def is_production(self, environment: str) -> bool:
        """Return whether an environment is production by the settings of the checkout."""
        return self.settings.policy.is_production(environment)

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
    def deploying_workflows(self) -> list[WorkflowFile]:
        """Workflows that deploy to production by `environment:`, the certain ones first."""
        users = set(self.environment_users)
        with_targets = (workflow for workflow in self.candidates if self.production_targets(workflow))
        workflows = [workflow for workflow in with_targets if workflow.path not in users]
        return sorted(workflows, key=lambda workflow: not any(t.is_certain for t in self.production_targets(workflow)))

    @property
    def environment_users(self) -> dict[str, DeployTarget]:
        """Workflows that only use production environments, by path, each with the first of these.

        Their names do not say that they deploy, and workflows whose names do deploy to the same environments.
        """
        deploying = [workflow for workflow in self.candidates if self._says_it_deploys(workflow)]
        deployed_to = {target.environment for target in self.production_targets(*deploying)}
        targets_by_path = {
            workflow.path: self.production_targets(workflow)
            for workflow in self.candidates
            if not self._says_it_deploys(workflow)
        }
        return {
            path: targets[0]
            for path, targets in targets_by_path.items()
            if targets and all(target.environment in deployed_to for target in targets)
        }

    def _says_it_deploys(self, workflow: WorkflowFile) -> bool:
        """Whether the setting or the name says of a workflow that it deploys."""
        return _is_named_deploy(workflow, self.settings.deploy_workflows) or _is_named_deploy(workflow, ())

    @property
    def publishing_workflows(self) -> list[WorkflowFile]:
        return [workflow for workflow in self.candidates if workflow.path in self.findings.checkout.release_evidence]

    @property
    def workflows_named_deploy(self) -> list[WorkflowFile]:
        """Workflows with a name like deploy. Runs for pull requests never count as deployments."""
        triggered = (workflow for workflow in self.candidates if workflow.has_own_trigger)
        return [workflow for workflow in triggered if _is_named_deploy(workflow, self.settings.deploy_workflows)]


def _is_named_deploy(workflow: WorkflowFile, configured: tuple[str, ...]) -> bool:
    """Return whether a workflow is one of the configured ones, or is named like deploy if none are."""
    return is_deploy_workflow(WorkflowPayload(name=workflow.name, path=workflow.path), configured)


def propose(findings: Findings) -> Proposal:
    """Return the proposal for a repository."""
    checkout = findings.checkout
    analysis = _analyse(findings)
    sources, source_reasons = _choose_sources(analysis)
    labels, labels_reason = incident_labels(findings)
    other_forms = set(checkout.incident_forms) - checkout.existing_files.keys()
    return Proposal(
        sources=sources,
        source_reasons=source_reasons,
        triggers=_choose_triggers(analysis, sources),
        production_environments=_production_environments(analysis),
        incident_labels=labels,
        incident_labels_reason=labels_reason,
        settings=tuple(_proposed_settings(analysis, sources, source_reasons, labels, labels_reason)),
        services=checkout.services if len(checkout.services) > 1 else {},
        calls_action_in_step=checkout.is_enterprise_server,
        existing_use=next(_existing_uses(checkout.workflows.values()), None),
        has_incident_form=findings.has_issues and not other_forms,
        notes=tuple(_notes(analysis, sources)),
        missing_label=missing_form_label(findings, labels) if findings.has_issues else None,
    )


def _analyse(findings: Findings) -> _Analysis:
    workflows = findings.checkout.workflows
    triggered = (workflow for workflow in workflows.values() if workflow.has_own_trigger or workflow.runs_on_merge)
    candidates = tuple(workflow for workflow in triggered if not workflow.this_action)
    targets_by_path = {workflow.path: deploy_targets(workflow, workflows) for workflow in candidates}
    return _Analysis(findings, candidates, targets_by_path)


def _existing_uses(workflows: Iterable[WorkflowFile]) -> Iterator[str]:
    """Yield where another workflow already uses this action; the proposed file itself is compared by its text."""
    for workflow in workflows:
        if workflow.this_action and workflow.path != WORKFLOW_PATH:
            yield f"{workflow.path}:{workflow.this_action.line}"


# --- Deployments ---


def _choose_sources(analysis: _Analysis) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the deployment sources and the reasons: the config file's, otherwise the best one with evidence."""
    evidence = {source: tuple(_EVIDENCE_BY_SOURCE[source](analysis)) for source in SOURCES_BEST_FIRST}
    best = next(source for source in SOURCES_BEST_FIRST if evidence[source])
    configured = analysis.settings.deployment_source
    if configured in (("auto",), (best,)):
        return (best,), evidence[best][:_MAX_REASONS]
    return configured, (f"{CONFIG_PATH} says so",)


def _deployment_evidence(analysis: _Analysis) -> Iterator[str]:
    target_evidence = [target.evidence for target in analysis.production_targets(*analysis.deploying_workflows)]
    yield from target_evidence[:1]
    deployments = analysis.production_deployments
    for environment in dict.fromkeys(deployment.environment for deployment in deployments):
        in_environment = [deployment for deployment in deployments if deployment.environment == environment]
        count_text = formatting.count(len(in_environment), "deployment")
        last_day = in_environment[0].day
        yield f"GitHub has {count_text} to {environment} among the newest 100 of all, the last of {last_day}"
    yield from target_evidence[1:]


def _release_evidence(analysis: _Analysis) -> Iterator[str]:
    checkout, github = analysis.findings.checkout, analysis.findings.github
    yield from (checkout.release_evidence[workflow.path] for workflow in analysis.publishing_workflows)
    yield from (
        f"{workflow.path}: it runs `on: release`" for workflow in analysis.candidates if "release" in workflow.events
    )
    if github and github.releases:
        yield f"GitHub has releases, the newest is {github.releases[0]}"
    if github is None and checkout.version_tags:
        count_text = formatting.count(len(checkout.version_tags), "tag")
        yield f"{count_text} look like versions, the newest is {checkout.version_tags[0]}"


def _workflow_run_evidence(analysis: _Analysis) -> Iterator[str]:
    yield from (
        f"{workflow.path}: the workflow {workflow.display_name} is named like one that deploys"
        for workflow in analysis.workflows_named_deploy
    )


def _push_evidence(analysis: _Analysis) -> Iterator[str]:
    for evidence in analysis.findings.checkout.gitops_evidence:
        yield f"{evidence}: a controller takes what is merged"
    yield "no job has a production `environment:`, nothing publishes releases, no workflow is named like deploy"


_EVIDENCE_BY_SOURCE = {
    "deployments": _deployment_evidence,
    "releases": _release_evidence,
    "workflow-runs": _workflow_run_evidence,
    "pushes": _push_evidence,
}


def _production_environments(analysis: _Analysis) -> tuple[str, ...]:
    """Return the names of the production environments, without duplicates that differ only in case."""
    names = [target.environment for target in analysis.production_targets(*analysis.deploying_workflows)]
    names += [deployment.environment for deployment in analysis.production_deployments]
    return tuple({name.lower(): name for name in reversed(names)}.values())[::-1]


def _choose_triggers(analysis: _Analysis, sources: tuple[str, ...]) -> Triggers:
    findings, watched = analysis.findings, list(_watched_workflows(analysis, sources))
    at_merge = [workflow for workflow in watched if workflow.runs_on_merge]
    others = [workflow for workflow in watched if not workflow.runs_on_merge]
    minute, hour = _schedule(findings.checkout.repository or "")
    return Triggers(
        workflows=tuple(dict.fromkeys(workflow.display_name for workflow in watched)),
        has_pull_request_runs=any("pull_request" in workflow.events for workflow in others),
        merge_workflows=tuple(dict.fromkeys(workflow.display_name for workflow in at_merge)),
        deployment_status="deployments" in sources and _has_other_deployers(analysis),
        release="releases" in sources,
        push_branch=findings.default_branch.name if "pushes" in sources else None,
        issues=findings.has_issues,
        schedule_minute=minute,
        schedule_hour=hour,
    )


def _watched_workflows(analysis: _Analysis, sources: tuple[str, ...]) -> Iterator[WorkflowFile]:
    """Yield the workflows whose end starts the proposed one."""
    if "deployments" in sources:
        yield from analysis.deploying_workflows
    if "releases" in sources:
        yield from analysis.publishing_workflows
    if "workflow-runs" in sources:
        yield from analysis.workflows_named_deploy


def _has_other_deployers(analysis: _Analysis) -> bool:
    """Return whether anything but Actions deploys to production, or nothing is known to deploy."""
    deployments = analysis.production_deployments
    if not deployments:
        return not analysis.deploying_workflows
    return any(not deployment.is_by_actions for deployment in deployments)


def _schedule(repository: str) -> tuple[int, int]:
    """Return minute and hour of the nightly run; they depend on the name, to spread the load over the night."""
    hours, minute = divmod(zlib.crc32(repository.lower().encode()), len(_SCHEDULE_MINUTES))
    return _SCHEDULE_MINUTES[minute], 3 + hours % 3


# --- Settings and notes ---


def _proposed_settings(
    analysis: _Analysis,
    sources: tuple[str, ...],
    source_reasons: tuple[str, ...],
    labels: tuple[str, ...],
    labels_reason: str,
) -> Iterator[ProposedSetting]:
    yield ProposedSetting("deployment-source", sources[0] if len(sources) == 1 else list(sources), source_reasons)
    default_policy, environments = Settings().policy, _production_environments(analysis)
    if any(not default_policy.is_production(name) for name in environments):
        yield ProposedSetting(
            "production-environments", list(environments), ("these names were found; the default has not all of them",)
        )
    if not analysis.findings.has_issues:
        yield ProposedSetting("report", "off", ("issues are switched off on GitHub, and a report is an issue",))
    if labels != Settings().incident_labels:
        yield ProposedSetting("incident-labels", list(labels), (labels_reason,))
    if hotfixes := hotfix_labels(analysis.findings):
        yield ProposedSetting("hotfix-labels", list(hotfixes), ("these labels were found on GitHub",))


def _notes(analysis: _Analysis, sources: tuple[str, ...]) -> Iterator[str]:
    checkout = analysis.findings.checkout
    yield from _host_notes(checkout)
    yield from checkout.problems
    paths_named_deploy = {workflow.path for workflow in analysis.workflows_named_deploy}
    for path, targets in analysis.targets_by_path.items():
        yield from (note for note in targets.unresolved if path in paths_named_deploy or "known only when" in note)
    yield from _no_production_notes(analysis)
    yield from _pull_request_only_notes(analysis)
    yield from _merge_deployment_notes(analysis)
    yield from _environment_user_notes(analysis)
    yield from _unnamed_workflow_notes(analysis)
    if (
        "deployments" in sources
        and not analysis.deploying_workflows
        and any(deployment.is_by_actions for deployment in analysis.production_deployments)
    ):
        yield "no workflow here names the environment that Actions deploys to: those deployments are found at night"
    if "pushes" in sources and checkout.gitops_evidence:
        yield "the controller can tell when it has deployed, by a repository_dispatch: docs/events.md of dora-metrics"
    yield from _uncertain_branch_notes(analysis.findings)
    if analysis.findings.github is None:
        reason = analysis.findings.github_unavailable_reason
        yield f"labels, releases and environments on GitHub are not known: {reason}"


def _no_production_notes(analysis: _Analysis) -> Iterator[str]:
    """Name the environments of a repository that has none for production, and the setting that decides."""
    deployments = analysis.findings.github.deployments if analysis.findings.github else ()
    names = {target.environment for targets in analysis.targets_by_path.values() for target in targets.targets}
    names |= {deployment.environment for deployment in deployments}
    if any(names) and not any(map(analysis.is_production, names)):
        listed = ", ".join(sorted(filter(None, names))[:_MAX_ENVIRONMENTS_NAMED])
        yield f"no environment here is production by its name; `production-environments` can name one of: {listed}"


def _host_notes(checkout: Checkout) -> Iterator[str]:
    """Say where the workflow will run if that is not github.com."""
    if checkout.is_hosted_elsewhere:
        advice = "where the repository is on GitHub too, name it with --repository OWNER/NAME"
        yield f"origin is on {checkout.host}, and this is for GitHub: its Actions run what is written here; {advice}"
    elif checkout.has_data_residency:
        yield f"{checkout.server_url} is taken to know what github.com knows (docs/adopting.md#for-whom-this-is-not)"
    elif checkout.is_enterprise_server:
        yield f"{checkout.server_url} is taken for a GitHub Enterprise Server, so the action is called in a step"


def _uncertain_branch_notes(findings: Findings) -> Iterator[str]:
    branch = findings.default_branch
    if not branch.is_certain:
        advice = "`git remote set-head origin --auto` asks it; then run this again"
        yield f"that {branch.name} is the default branch is not sure, as git does not know what origin says: {advice}"


def _pull_request_only_notes(analysis: _Analysis) -> Iterator[str]:
    """Point to workflows that may deploy on a merge, of which only the name says so."""
    certain = (*analysis.deploying_workflows, *analysis.publishing_workflows)
    for workflow in analysis.candidates:
        if workflow not in certain and not workflow.has_own_trigger and _is_named_deploy(workflow, ()):
            yield f"{workflow.path}: it is named like one that deploys, and {_PULL_REQUEST_ADVICE}"


_PULL_REQUEST_ADVICE = (
    "runs for pull requests do not count; if it deploys, call the action there with `environment: production`"
)


def _merge_deployment_notes(analysis: _Analysis) -> Iterator[str]:
    """Say how deployments count that are made when a pull request is merged."""
    at_merge = [workflow for workflow in analysis.deploying_workflows if workflow.runs_on_merge]
    for target in analysis.production_targets(*at_merge):
        yield (
            f"{target.location}: job {target.job_name} runs for pull requests, and GitHub deployments by such runs do "
            f"not count; call the action in this job with `environment: {target.environment}`"
        )


def _environment_user_notes(analysis: _Analysis) -> Iterator[str]:
    """Advise `deployment: false` where GitHub makes a deployment for a job that does not deploy."""
    for target in analysis.environment_users.values():
        yield (
            f"{target.location}: job {target.job_name} uses {target.environment} and its workflow is not named like "
            "one that deploys, so this does not count; "
            f"`environment: {{name: {target.environment}, deployment: false}}` makes no deployment on GitHub either"
        )


def _unnamed_workflow_notes(analysis: _Analysis) -> Iterable[str]:
    watched_workflows: list[WorkflowFile] = [
        *analysis.deploying_workflows,
        *analysis.publishing_workflows,
        *analysis.workflows_named_deploy,
    ]
    paths = dict.fromkeys(workflow.path for workflow in watched_workflows if workflow.name is None)
    return (f"{path}: it has no `name:`, so it is listened to by its path; give it a name to be sure" for path in paths)


# --- Names ---

_NOT_INCIDENT_WORDS = NOT_PRODUCTION_WORDS | {"false"}
_SEVERITY = re.compile(r"sev(?:erity)?[ _:/-]*[0-4]", re.IGNORECASE)


def incident_labels(findings: Findings) -> tuple[tuple[str, ...], str]:
    """Return the labels of incidents, best first, and the reason."""
    configured, default = findings.checkout.settings.incident_labels, Settings().incident_labels
    github_labels = [
        name for name in (findings.github.labels if findings.github else ()) if _looks_like_incident_label(name)
    ]
    github_labels.sort(key=lambda name: (name.lower() != "incident", "incident" not in words_of(name)))
    if configured not in (default, tuple(github_labels)):
        return configured, f"{CONFIG_PATH} says so"
    if [name.lower() for name in github_labels] == ["incident"]:
        return default, "GitHub has this label"
    if github_labels:
        return tuple(github_labels), "GitHub has these labels"
    return default, "the default; GitHub has no such label yet" if findings.github else "the default"


def missing_form_label(findings: Findings, labels: tuple[str, ...]) -> str | None:
    """Return the label of the issue form if GitHub lacks it, None if it has it or could not be asked."""
    if findings.github is None:
        return None
    existing_names = {name.lower() for name in findings.github.labels}
    return next((label for label in labels[:1] if label.lower() not in existing_names), None)


def hotfix_labels(findings: Findings) -> tuple[str, ...]:
    """Return the labels of hotfixes if their names differ from the default."""
    labels = findings.github.labels if findings.github else ()
    hotfix_names = tuple(name for name in labels if "hotfix" in words_of(name))
    return hotfix_names if [name.lower() for name in hotfix_names] not in ([], ["hotfix"]) else ()


def _looks_like_incident_label(label: str) -> bool:
    label_words = set(words_of(label))
    if "${{" in label or not label.isprintable():  # cannot be part of an expression
        return False
    return not label_words & _NOT_INCIDENT_WORDS and bool(
        label_words & {"incident", "incidents", "outage"} or _SEVERITY.fullmatch(label.strip())
    )

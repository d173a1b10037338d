"""From findings to a proposal with its reasons. Pure: the same findings give the same proposal."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dora_metrics.commands.init.analysis import Analysis
from dora_metrics.commands.init.findings import WORKFLOW_PATH, Findings
from dora_metrics.commands.init.labels import hotfix_labels, incident_labels, missing_form_label
from dora_metrics.commands.init.notes import can_name_services, notes_on
from dora_metrics.commands.init.sources import SourceChoice, choose_source
from dora_metrics.commands.init.workflows import WorkflowFile
from dora_metrics.settings.model import Settings

_SCHEDULE_MINUTES = [minute for minute in range(7, 54, 2) if minute % 5]
"""Minutes at which few other workflows start."""

_PROPOSED_REPORT = "weekly"


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
        repository_dispatch: whether reports from outside of GitHub start it.
        schedule_minute: minute of the nightly run.
        schedule_hour: hour of the nightly run, in UTC.
    """

    workflows: tuple[str, ...] = ()
    has_pull_request_runs: bool = False
    merge_workflows: tuple[str, ...] = ()
    deployment_status: bool = False
    release: bool = False
    push_branch: str | None = None
    repository_dispatch: bool = False
    issues: bool = True
    schedule_minute: int = 17
    schedule_hour: int = 5


@dataclass(frozen=True)
class Proposal:
    """What to record, from which source and when.

    Attributes:
        report: which report the workflow asks for; None where issues are off, or where the config file decides.
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
    report: str | None
    services: Mapping[str, str]
    calls_action_in_step: bool
    existing_use: str | None
    has_incident_form: bool
    notes: tuple[str, ...]
    missing_label: str | None


def propose(findings: Findings) -> Proposal:
    """Return the proposal for a repository."""
    checkout = findings.checkout
    analysis = Analysis.of(findings)
    choice = choose_source(analysis)
    labels, labels_reason = incident_labels(findings)
    other_forms = set(checkout.incident_forms) - checkout.existing_files.keys()
    return Proposal(
        sources=choice.sources,
        source_reasons=choice.reasons,
        triggers=_choose_triggers(analysis, choice),
        production_environments=_production_environments(analysis),
        incident_labels=labels,
        incident_labels_reason=labels_reason,
        settings=tuple(_proposed_settings(analysis, choice, labels, labels_reason)),
        report=_PROPOSED_REPORT if findings.has_issues and "report" not in checkout.configured_names else None,
        services=checkout.services if can_name_services(analysis, choice) else {},
        calls_action_in_step=checkout.is_enterprise_server,
        existing_use=next(_existing_uses(checkout.workflows.values()), None),
        has_incident_form=findings.has_issues and not other_forms,
        notes=tuple(notes_on(analysis, choice)),
        missing_label=missing_form_label(findings, labels) if findings.has_issues else None,
    )


def _existing_uses(workflows: Iterable[WorkflowFile]) -> Iterator[str]:
    """Yield where another workflow already uses this action; the proposed file itself is compared by its text."""
    for workflow in workflows:
        if workflow.this_action and workflow.path != WORKFLOW_PATH:
            yield f"{workflow.path}:{workflow.this_action.line}"


def _production_environments(analysis: Analysis) -> tuple[str, ...]:
    """Return the names of the production environments, without duplicates that differ only in case."""
    names = [target.environment for target in analysis.production_targets(*analysis.deploying_workflows)]
    names += [deployment.environment for deployment in analysis.production_deployments]
    return tuple({name.lower(): name for name in reversed(names)}.values())[::-1]


# --- Triggers ---


def _choose_triggers(analysis: Analysis, choice: SourceChoice) -> Triggers:
    findings, sources = analysis.findings, choice.sources
    at_merge = [workflow for workflow in choice.watched if workflow.runs_on_merge]
    others = [workflow for workflow in choice.watched if not workflow.runs_on_merge]
    minute, hour = _schedule(findings.checkout.repository or "")
    return Triggers(
        workflows=tuple(dict.fromkeys(workflow.display_name for workflow in choice.watched)),
        has_pull_request_runs=any("pull_request" in workflow.events for workflow in others),
        merge_workflows=tuple(dict.fromkeys(workflow.display_name for workflow in at_merge)),
        deployment_status="deployments" in sources and _has_other_deployers(analysis),
        release="releases" in sources,
        push_branch=findings.default_branch.name if "pushes" in sources else None,
        repository_dispatch="none" in sources or ("pushes" in sources and bool(findings.checkout.gitops_evidence)),
        issues=findings.has_issues,
        schedule_minute=minute,
        schedule_hour=hour,
    )


def _has_other_deployers(analysis: Analysis) -> bool:
    """Return whether anything but Actions deploys to production, or nothing is known to deploy."""
    deployments = analysis.production_deployments
    if not deployments:
        return not analysis.deploying_workflows
    return any(not deployment.is_by_actions for deployment in deployments)


def _schedule(repository: str) -> tuple[int, int]:
    """Return minute and hour of the nightly run; they depend on the name, to spread the load over the night."""
    hours, minute = divmod(zlib.crc32(repository.lower().encode()), len(_SCHEDULE_MINUTES))
    return _SCHEDULE_MINUTES[minute], 3 + hours % 3


# --- Settings ---


def _proposed_settings(
    analysis: Analysis, choice: SourceChoice, labels: tuple[str, ...], labels_reason: str
) -> Iterator[ProposedSetting]:
    sources = choice.sources
    yield ProposedSetting("deployment-source", sources[0] if len(sources) == 1 else list(sources), choice.reasons)
    if choice.deploy_workflows:
        yield ProposedSetting("deploy-workflows", list(choice.deploy_workflows), (choice.deploy_workflows_reason,))
    default_policy, environments = Settings().policy, _production_environments(analysis)
    if any(not default_policy.is_production(name) for name in environments):
        yield ProposedSetting(
            "production-environments",
            list(environments),
            ("init found these names; the default does not cover all of them",),
        )
    if labels != Settings().incident_labels:
        yield ProposedSetting("incident-labels", list(labels), (labels_reason,))
    if hotfixes := hotfix_labels(analysis.findings):
        yield ProposedSetting("hotfix-labels", list(hotfixes), ("GitHub has these labels",))

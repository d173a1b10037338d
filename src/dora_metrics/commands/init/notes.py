"""What is worth knowing beside a proposal: what was left out and why, and what could not be found out. Pure."""

from collections.abc import Iterable, Iterator

from dora_metrics.commands.init.analysis import Analysis, is_named_deploy
from dora_metrics.commands.init.findings import Checkout, Findings
from dora_metrics.commands.init.sources import SourceChoice
from dora_metrics.commands.init.workflows import WorkflowFile
from dora_metrics.core.selection import LONGEST_PAUSE_OF_RELEASES

_MAX_ENVIRONMENTS_NAMED = 10
_MAX_JOBS_NAMED = 6
_PULL_REQUEST_ADVICE = (
    "runs for pull requests do not count; if it deploys, call the action there with `environment: production`"
)


def notes_on(analysis: Analysis, choice: SourceChoice) -> Iterator[str]:
    """Yield what is worth knowing, the most important first."""
    checkout = analysis.findings.checkout
    yield from _host_notes(checkout)
    yield from checkout.problems
    yield from _source_notes(analysis, choice)
    yield from _unclear_target_notes(analysis, choice)
    if "releases" not in choice.sources:
        yield from _no_production_notes(analysis)
    yield from _pull_request_only_notes(analysis)
    yield from _merge_deployment_notes(analysis)
    yield from _environment_user_notes(analysis)
    yield from _unnamed_workflow_notes(choice.watched)
    yield from _unseen_deployer_notes(analysis, choice)
    yield from _service_notes(analysis, choice)
    yield from _uncertain_branch_notes(analysis.findings)
    if analysis.findings.github is None:
        reason = analysis.findings.github_unavailable_reason
        yield f"init could not read labels, releases and environments from GitHub: {reason}"


# --- The source ---


def _source_notes(analysis: Analysis, choice: SourceChoice) -> Iterator[str]:
    yield from _tag_notes(analysis, choice)
    yield from _elsewhere_notes(analysis, choice)
    yield from _package_notes(analysis, choice)
    if "pushes" in choice.sources and analysis.findings.checkout.gitops_evidence:
        yield "The controller can report each deployment by a repository_dispatch: see docs/events.md of dora-metrics"


def _tag_notes(analysis: Analysis, choice: SourceChoice) -> Iterator[str]:
    """Say that tags alone are not recorded, and which tags or releases are too old, if deployments rest on them."""
    if "deployments" in choice.sources or choice.deploy_workflows:
        return
    tags, github = analysis.findings.checkout.version_tags, analysis.findings.github
    pause_days = LONGEST_PAUSE_OF_RELEASES.days
    if github and github.last_release:
        yield (
            f"The newest release, {github.last_release}, is at least {pause_days} days older than the newest commit, "
            "so releases do not count"
        )
    if tags and not tags.is_habit and tags.days_behind is not None:
        yield (
            f"The newest version tag, {tags.newest}, is {tags.days_behind:,} days older than the newest commit, so "
            "tags do not count"
        )
    elif tags and (choice.rests_on_tags or (github and not github.releases)):
        yield f"{'GitHub has no releases. ' if github else ''}{_TAG_ADVICE}"


_TAG_ADVICE = (
    "Tags alone are not recorded. If you publish no releases, no deployment will be recorded. Publish one for each tag "
    "(`gh release create TAG`), or name the workflow that deploys in `deploy-workflows` and set "
    "`deployment-source: workflow-runs`"
)


def _elsewhere_notes(analysis: Analysis, choice: SourceChoice) -> Iterator[str]:
    """Say which workflows do not count though their names say that they deploy."""
    if choice.sources == ("none",):
        yield (
            "No workflow here deploys to production. The system that does can report each deployment with a "
            "`repository_dispatch`: see docs/events.md of dora-metrics. If a workflow here deploys to production, name "
            "it in `deploy-workflows`"
        )
    if choice.deploy_workflows and "workflow-runs" in choice.sources:
        for workflow in analysis.workflows_named_deploy:
            if workflow not in choice.watched:
                yield (
                    f"{workflow.path}: its name says that it deploys, but nothing says that it deploys to production, "
                    "so its runs do not count; add it to `deploy-workflows` if they should"
                )


def _package_notes(analysis: Analysis, choice: SourceChoice) -> Iterator[str]:
    if "releases" in choice.sources:
        for workflow in analysis.publishers("package"):
            yield f"{workflow.path}: it publishes packages; a package counts only if GitHub has a release for it"


# --- Environments ---


def _unclear_target_notes(analysis: Analysis, choice: SourceChoice) -> Iterator[str]:
    paths_named_deploy = {workflow.path for workflow in analysis.workflows_named_deploy}
    for path, targets in analysis.targets_by_path.items():
        yield from targets.chosen_at_run
        is_evidence = "workflow-runs" in choice.sources and path in analysis.production_evidence
        if path in paths_named_deploy and not is_evidence:
            yield from targets.outside_checkout


def _no_production_notes(analysis: Analysis) -> Iterator[str]:
    """Name the environments of a repository that has none for production, and the setting that decides."""
    deployments = analysis.findings.github.deployments if analysis.findings.github else ()
    names = {target.environment for targets in analysis.targets_by_path.values() for target in targets.targets}
    names |= {deployment.environment for deployment in deployments}
    if any(names) and not any(map(analysis.is_production, names)):
        listed = ", ".join(sorted(filter(None, names))[:_MAX_ENVIRONMENTS_NAMED])
        yield (
            f"None of these environments looks like production: {listed}. "
            "If one of them is, add it to `production-environments`."
        )


def _environment_user_notes(analysis: Analysis) -> Iterator[str]:
    """Advise `deployment: false` where GitHub makes a deployment for a job that does not deploy."""
    users = analysis.environment_users.values()
    for environment in dict.fromkeys(target.environment for target in users):
        jobs = [f"{each.location} (job {each.job_name})" for each in users if each.environment == environment]
        more = f" and {len(jobs) - _MAX_JOBS_NAMED} more" if len(jobs) > _MAX_JOBS_NAMED else ""
        yield (
            f"These only use the environment {environment}, so they do not count as deployments: "
            f"{', '.join(jobs[:_MAX_JOBS_NAMED])}{more}. "
            f"With `environment: {{name: {environment}, deployment: false}}` GitHub creates no deployment for them"
        )


def _unseen_deployer_notes(analysis: Analysis, choice: SourceChoice) -> Iterator[str]:
    is_by_actions = any(deployment.is_by_actions for deployment in analysis.production_deployments)
    if "deployments" in choice.sources and not analysis.deploying_workflows and is_by_actions:
        yield "No workflow here names the environment that Actions deploys to; the nightly run finds those deployments"


def can_name_services(analysis: Analysis, choice: SourceChoice) -> bool:
    """Return whether deployments can say which of several services they are of.

    The payload of a deployment can, and a report by repository_dispatch. A release, a run, a merge, and the deployment
    that Actions creates for a job cannot.
    """
    has_payload = any(not deployment.is_by_actions for deployment in analysis.production_deployments)
    return choice.sources == ("none",) or ("deployments" in choice.sources and has_payload)


def _service_notes(analysis: Analysis, choice: SourceChoice) -> Iterator[str]:
    names = ", ".join(analysis.findings.checkout.services)
    if names and not can_name_services(analysis, choice):
        yield (
            f"{names} look like services, but these deployments cannot name one. To get numbers for each, call the "
            "action with `environment` and `service` in its deploy job: see docs/definitions.md#monorepos of "
            "dora-metrics"
        )


# --- Pull requests ---


def _pull_request_only_notes(analysis: Analysis) -> Iterator[str]:
    """Point to workflows that may deploy on a merge, of which only the name says so."""
    certain = (*analysis.deploying_workflows, *analysis.publishers("release"), *analysis.publishers("package"))
    for workflow in analysis.candidates:
        if workflow not in certain and not workflow.has_own_trigger and is_named_deploy(workflow, ()):
            yield f"{workflow.path}: its name says that it deploys, and {_PULL_REQUEST_ADVICE}"


def _merge_deployment_notes(analysis: Analysis) -> Iterator[str]:
    """Say how deployments count that are made when a pull request is merged."""
    at_merge = [workflow for workflow in analysis.deploying_workflows if workflow.runs_on_merge]
    for target in analysis.production_targets(*at_merge):
        yield (
            f"{target.location}: job {target.job_name} runs for pull requests, and GitHub deployments by such runs do "
            f"not count; call the action in this job with `environment: {target.environment}`"
        )


# --- Where it runs ---


def _host_notes(checkout: Checkout) -> Iterator[str]:
    """Say where the workflow will run if that is not github.com."""
    if checkout.is_hosted_elsewhere:
        advice = "if the repository is on GitHub too, name it with --repository OWNER/NAME"
        yield f"origin is on {checkout.host}, and these workflows run only on GitHub; {advice}"
    elif checkout.has_data_residency:
        reference = "docs/adopting.md#where-this-does-not-work"
        yield f"{checkout.server_url} may not have all features of github.com ({reference})"
    elif checkout.is_enterprise_server:
        yield f"{checkout.server_url} is treated as a GitHub Enterprise Server, so a step calls the action"


def _uncertain_branch_notes(findings: Findings) -> Iterator[str]:
    branch = findings.default_branch
    if not branch.is_certain:
        advice = "run `git remote set-head origin --auto`, then run this command again"
        yield f"{branch.name} may not be the default branch, since git has no record of it: {advice}"


def _unnamed_workflow_notes(watched: Iterable[WorkflowFile]) -> Iterable[str]:
    paths = dict.fromkeys(workflow.path for workflow in watched if workflow.name is None)
    return (f"{path}: it has no `name:`, so its path stands for it in `workflow_run`; give it a name" for path in paths)

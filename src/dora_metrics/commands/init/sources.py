"""Which source of deployments fits a repository, with the reasons and the workflows that it depends on. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dora_metrics.commands.init.analysis import Analysis, is_named_deploy
from dora_metrics.commands.init.findings import CONFIG_PATH, VersionTags
from dora_metrics.commands.init.workflows import WorkflowFile
from dora_metrics.core import formatting

MAX_REASONS = 3


@dataclass(frozen=True)
class SourceChoice:
    """The sources of deployments.

    Attributes:
        rests_on_tags: whether tags are the only evidence for releases.
        reasons: the evidence, strongest first.
        deploy_workflows: names for the setting `deploy-workflows`; empty where the names of workflows suffice.
        deploy_workflows_reason: why these.
        watched: workflows whose end is worth a look for deployments.
    """

    sources: tuple[str, ...]
    reasons: tuple[str, ...]
    rests_on_tags: bool = False
    deploy_workflows: tuple[str, ...] = ()
    deploy_workflows_reason: str = ""
    watched: tuple[WorkflowFile, ...] = ()


def choose_source(analysis: Analysis) -> SourceChoice:
    """Return the sources of the config file, otherwise the best one that has evidence."""
    best_source, evidence = next(
        (source, reasons) for source, find_evidence in _KINDS_OF_EVIDENCE if (reasons := tuple(find_evidence(analysis)))
    )
    configured = analysis.settings.deployment_source
    is_ours = configured in (("auto",), (best_source,))
    sources = (best_source,) if is_ours else configured
    reasons = evidence[:MAX_REASONS] if is_ours else (f"{CONFIG_PATH} says so",)
    names, names_reason = _deploy_workflows(analysis, sources)
    return SourceChoice(
        sources=sources,
        reasons=reasons,
        rests_on_tags="releases" in sources and not any(_release_evidence(analysis)),
        deploy_workflows=names,
        deploy_workflows_reason=names_reason,
        watched=tuple({each.path: each for each in _watched(analysis, sources, names)}.values()),
    )


# --- Evidence, best first ---


def _deployment_evidence(analysis: Analysis) -> Iterator[str]:
    target_evidence = [target.evidence for target in analysis.production_targets(*analysis.deploying_workflows)]
    yield from target_evidence[:1]
    deployments = analysis.counted_deployments
    for environment in dict.fromkeys(deployment.environment for deployment in deployments):
        in_environment = [deployment for deployment in deployments if deployment.environment == environment]
        count_text = formatting.count(len(in_environment), "deployment")
        last_day = in_environment[0].day
        yield f"GitHub has {count_text} to {environment} among its newest 100, the last on {last_day}"
    yield from target_evidence[1:]


def _production_evidence(analysis: Analysis) -> Iterator[str]:
    yield from analysis.production_evidence.values()


def _release_evidence(analysis: Analysis) -> Iterator[str]:
    checkout, github = analysis.findings.checkout, analysis.findings.github
    yield from (checkout.publications[workflow.path].evidence for workflow in analysis.publishers("release"))
    yield from (f"{workflow.path}: it runs `on: release`" for workflow in analysis.release_listeners)
    if github and github.releases:
        yield f"GitHub has releases, the newest is {github.releases[0]}"


def _package_evidence(analysis: Analysis) -> Iterator[str]:
    publications = analysis.findings.checkout.publications
    yield from (publications[workflow.path].evidence for workflow in analysis.publishers("package"))


def _tag_evidence(analysis: Analysis) -> Iterator[str]:
    """Yield the tags of a repository that still tags versions, where GitHub could not be asked for its releases."""
    tags = analysis.findings.checkout.version_tags
    if analysis.findings.github is None and tags and tags.is_habit:
        yield _tags_text(tags)


def _tags_text(tags: VersionTags) -> str:
    verb = "looks like a version" if tags.count == 1 else "look like versions"
    return f"{formatting.count(tags.count, 'tag')} {verb}; the newest is {tags.newest}"


def _name_evidence(analysis: Analysis) -> Iterator[str]:
    yield from (
        f"{workflow.path}: the name of the workflow {workflow.display_name} says that it deploys"
        for workflow in analysis.workflows_named_deploy
        if workflow not in analysis.workflows_to_elsewhere
    )


def _elsewhere_evidence(analysis: Analysis) -> Iterator[str]:
    if not analysis.findings.checkout.gitops_evidence:
        for workflow in analysis.workflows_to_elsewhere:
            yield f"{workflow.path}: the workflow {workflow.display_name} names only a pre-production environment"


def _push_evidence(analysis: Analysis) -> Iterator[str]:
    for evidence in analysis.findings.checkout.gitops_evidence:
        yield f"{evidence}: a controller deploys what is merged"
    yield (
        "no job has a production `environment:`, nothing publishes releases, and no workflow's name suggests that it "
        "deploys"
    )


_KINDS_OF_EVIDENCE: tuple[tuple[str, Callable[[Analysis], Iterator[str]]], ...] = (
    ("deployments", _deployment_evidence),
    ("workflow-runs", _production_evidence),
    ("releases", _release_evidence),
    ("workflow-runs", _package_evidence),
    ("releases", _tag_evidence),
    ("workflow-runs", _name_evidence),
    ("none", _elsewhere_evidence),
    ("pushes", _push_evidence),
)
"""Sources in the order in which they are tried; the last one always has evidence."""


# --- Workflows ---


def _deploy_workflows(analysis: Analysis, sources: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Return the names for `deploy-workflows` and the reason; no names if those of the workflows tell enough."""
    if configured := analysis.settings.deploy_workflows:
        return configured, f"{CONFIG_PATH} says so"
    if "deployments" in sources:
        return _deployers_beside_users(analysis)
    if "workflow-runs" in sources:
        return _deployers_by_content(analysis)
    return (), ""


def _deployers_beside_users(analysis: Analysis) -> tuple[tuple[str, ...], str]:
    """Tell apart what deploys from what only uses the same environment, where the names do not."""
    deploying = analysis.deploying_workflows
    if not deploying or not analysis.environment_users or all(map(analysis.says_it_deploys, deploying)):
        return (), ""
    return _names(deploying), "These workflows deploy to production; others only use the environment"


def _deployers_by_content(analysis: Analysis) -> tuple[tuple[str, ...], str]:
    to_production = [each for each in analysis.candidates if each.path in analysis.production_evidence]
    if to_production:
        return _names(
            to_production
        ), "These workflows deploy to production by their own name, or by that of a job or step"
    publishers = analysis.publishers("package")
    if publishers:
        return _names(publishers), "These workflows publish packages"
    elsewhere = analysis.workflows_to_elsewhere
    named = [workflow for workflow in analysis.workflows_named_deploy if workflow not in elsewhere]
    return (
        (_names(named), "Other workflows deploy only to pre-production environments")
        if named and elsewhere
        else ((), "")
    )


def _names(workflows: list[WorkflowFile]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(workflow.display_name for workflow in workflows))


def _watched(analysis: Analysis, sources: tuple[str, ...], names: tuple[str, ...]) -> Iterator[WorkflowFile]:
    """Yield the workflows whose end starts the proposed one."""
    if "deployments" in sources:
        yield from analysis.deploying_workflows
        yield from analysis.workflows_with_chosen_environment
    if "releases" in sources:
        yield from analysis.publishers("release")
        yield from analysis.publishers("package")
    if "workflow-runs" in sources:
        yield from (each for each in analysis.candidates if each.has_own_trigger and is_named_deploy(each, names))

"""Deployments as the completed runs of a workflow that deploys."""

from dora_metrics.core.facts.model import Deployment, Status
from dora_metrics.github import text
from dora_metrics.github.observation import Observed, Run, ended, nothing
from dora_metrics.github.payloads import Workflow, WorkflowRun, WorkflowRunEvent

_DEPLOYING = frozenset({"deploy", "deployment", "release", "publish", "rollout"})
_ANY_BRANCH = frozenset({"release", "workflow_dispatch", "schedule", "repository_dispatch", "deployment"})
_OUTCOMES: dict[str, Status] = {
    "success": "success",
    "failure": "failure",
    "timed_out": "failure",
    "startup_failure": "failure",
    "cancelled": "cancelled",
    "skipped": "cancelled",
}


def completed(run: Run, event: WorkflowRunEvent, deploy_workflows: tuple[str, ...]) -> Observed:
    """A completed run of a workflow that deploys. All its attempts are one fact."""
    seen = event.workflow_run
    why_not = _why_not(run, event, deploy_workflows)
    outcome = _OUTCOMES.get(seen.conclusion or "")
    if why_not or outcome is None:
        return nothing(
            why_not or f"the run concluded {seen.conclusion or 'nothing yet'}, which is neither success nor failure"
        )
    branch = text.short_ref(seen.head_branch)
    return ended(
        Deployment(
            id=f"github:run:{seen.id}",
            repository=run.repository,
            source="workflow-runs",
            observed_at=seen.updated_at,
            url=text.link(seen.html_url, f"{run.home}/actions/runs/{seen.id}"),
            environment="production",
            status=outcome,
            # never GITHUB_SHA, which is the default branch's in this event
            sha=text.full_sha(seen.head_sha),
            ref=branch,
            version=text.version(branch),
            started_at=seen.run_started_at,
            finished_at=seen.updated_at,
        )
    )


def _why_not(run: Run, event: WorkflowRunEvent, deploy_workflows: tuple[str, ...]) -> str | None:
    """Why a run is no deployment, or None."""
    seen, workflow = event.workflow_run, _workflow(event)
    head = seen.head_repository.full_name if seen.head_repository else None
    if event.action != "completed":
        return f"the run was {event.action}; runs count when they are completed"
    if not deploys(workflow, deploy_workflows):
        name = workflow.name or workflow.path
        return f"the workflow {name} does not deploy; `deploy-workflows` names those that do"
    if (seen.event or "").startswith("pull_request"):
        return "the run was for a pull request, which deploys nothing to production"
    if head and head.lower() != run.repository.lower():
        return f"the run was for a commit of {head}"
    return _wrong_branch(seen, event.repository.default_branch)


def _wrong_branch(seen: WorkflowRun, default: str) -> str | None:
    tag = seen.event == "push" and text.version(text.short_ref(seen.head_branch))
    if seen.head_branch == default or seen.event in _ANY_BRANCH or tag:
        return None
    return f"the run was for {seen.head_branch or 'no branch'} and not for {default}"


def _workflow(event: WorkflowRunEvent) -> Workflow:
    """The workflow's name and path; the run's own name comes second, as a stranger may have written it."""
    workflow, seen = event.workflow or Workflow(), event.workflow_run
    path = workflow.path or seen.path or ""
    return Workflow(name=workflow.name or seen.name, path=path.partition("@")[0])


def deploys(workflow: Workflow, deploy_workflows: tuple[str, ...]) -> bool:
    name, path = workflow.name or "", workflow.path or ""
    file = path.rpartition("/")[2]
    if deploy_workflows:
        return name.lower() in map(str.lower, deploy_workflows) or bool({path, file} & set(deploy_workflows) - {""})
    return not _DEPLOYING.isdisjoint((*text.words(name), *text.words(file)))

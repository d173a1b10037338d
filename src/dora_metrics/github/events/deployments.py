"""Deployments as GitHub tells of them: deployment statuses, releases, pushes, and the job that deploys.

Deployments as the completed runs of a workflow that deploys.
"""

from dora_metrics.core.facts.model import Deployment, Status
from dora_metrics.github import text
from dora_metrics.github.observation import Observed, Run, ended, nothing
from dora_metrics.github.payloads import (
    DeploymentEvent,
    DeploymentObject,
    DeploymentStatusEvent,
    PushEvent,
    ReleaseEvent,
    Workflow,
    WorkflowRun,
    WorkflowRunEvent,
)
from dora_metrics.settings.model import Settings


def started(event: DeploymentEvent) -> Observed:
    where = event.deployment.environment or "an environment"
    return nothing(f"a deployment to {where} began; it is recorded when its status says how it ended")


def status(run: Run, event: DeploymentStatusEvent) -> Observed:
    """A status of a deployment: a fact once it says how the deployment ended."""
    state, task = event.deployment_status.state, event.deployment.task or "deploy"
    if task != "deploy" and not task.startswith("deploy:"):
        return nothing(
            f"the deployment's task is {task}, which is no deployment; those have the task deploy or deploy:…"
        )
    match state:
        case "success":
            return ended(_of_status(run, event, "success"))
        case "failure" | "error":
            return ended(_of_status(run, event, "failure"))
        case _:
            return nothing(f"the deployment's state {state} is no end; success, failure and error are")


def _of_status(run: Run, event: DeploymentStatusEvent, outcome: Status) -> Deployment:
    deployment, seen = event.deployment, event.deployment_status
    return Deployment(
        id=f"github:deployment:{deployment.id}",
        repository=run.repository,
        service=_service(deployment),
        source="deployments",
        observed_at=seen.updated_at or seen.created_at,
        url=text.link(seen.target_url, seen.log_url, seen.environment_url, f"{run.home}/deployments"),
        environment=seen.environment or deployment.environment or None,
        status=outcome,
        sha=text.full_sha(deployment.sha),
        ref=text.short_ref(deployment.ref),
        version=_version(deployment),
        started_at=deployment.created_at,
        finished_at=seen.created_at,
    )


def _service(deployment: DeploymentObject) -> str | None:
    """The payload's `service`, for a repository that holds several."""
    match deployment.payload:
        case {"service": str(service)}:
            return str(text.clean(service)).strip() or None
        case _:
            return None


def _version(deployment: DeploymentObject) -> str | None:
    """The payload's `version`, which the deployer chose, else the ref if it looks like one."""
    match deployment.payload:
        case {"version": str(version)} if version.strip():
            return str(text.clean(version))
        case _:
            return text.version(text.short_ref(deployment.ref))


def released(run: Run, event: ReleaseEvent, settings: Settings) -> Observed:
    """A published release, stable or not.

    `released` would count a prerelease that turns stable twice, and `created_at` is the commit's time:
    https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#release
    """
    release = event.release
    if event.action != "published" or release.draft or release.published_at is None:
        return nothing(f"release {release.tag_name} was {event.action}; releases count when they are published")
    return ended(
        Deployment(
            id=f"github:release:{release.id}{_apart(settings)}",
            repository=run.repository,
            source="releases",
            observed_at=release.published_at,
            url=text.link(release.html_url),
            environment="prerelease" if release.prerelease else "production",
            status="success",
            sha=text.full_sha(run.sha),
            ref=release.tag_name or None,
            version=release.tag_name or None,
            finished_at=release.published_at,
        )
    )


def pushed(run: Run, event: PushEvent, settings: Settings) -> Observed:
    """A push to the default branch, which deploys where no better source is known."""
    branch, sha = event.repository.default_branch, text.full_sha(event.after)
    if event.ref != f"refs/heads/{branch}":
        return nothing(f"the push was to {event.ref}; pushes to {branch} count")
    if event.deleted or sha is None or event.head_commit is None:
        return nothing(f"the push brought no commit to {branch}")
    at = event.repository.pushed_at or event.head_commit.timestamp
    return ended(
        Deployment(
            id=f"github:push:{sha}{_apart(settings)}",
            repository=run.repository,
            source="pushes",
            observed_at=at,
            url=text.link(f"{run.home}/commit/{sha}"),
            environment="production",
            status="success",
            sha=sha,
            ref=branch,
            finished_at=at,
        )
    )


def job(run: Run, environment: str, settings: Settings, watched: WorkflowRun | None) -> Deployment:
    """The deployment that the job did which calls the action.

    `watched` is the run of a workflow_run event: there GITHUB_SHA and GITHUB_REF are the default branch's.
    """
    sha, ref = (watched.head_sha, watched.head_branch) if watched else (run.sha, run.ref)
    return Deployment(
        id=f"github:run:{run.run_id}:{environment}{_apart(settings)}",
        repository=run.repository,
        source="workflow-runs",
        observed_at=run.now,
        url=text.link(f"{run.home}/actions/runs/{run.run_id}"),
        environment=environment,
        status=settings.status,
        sha=text.full_sha(sha),
        ref=text.short_ref(ref),
        version=settings.version,
        finished_at=run.now,
    )


def _apart(settings: Settings) -> str:
    """The end of an id: one push, release or run may bring several services of a monorepo, each by itself."""
    return f":{settings.service}" if settings.service in settings.services else ""


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

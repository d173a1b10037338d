"""Deployments as GitHub tells of them: deployment statuses, releases, pushes, and the job that deploys.

Deployments as the completed runs of a workflow that deploys.
"""

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import Deployment, Status
from dora_metrics.github import text
from dora_metrics.github.observation import Observation, Run, deployment_observation, nothing_to_record
from dora_metrics.github.payloads import (
    DeploymentEvent,
    DeploymentPayload,
    DeploymentStatusEvent,
    PushEvent,
    ReleaseEvent,
    WorkflowPayload,
    WorkflowRunEvent,
    WorkflowRunPayload,
)
from dora_metrics.settings.model import Settings


def observe_deployment_created(event: DeploymentEvent) -> Observation:
    environment = event.deployment.environment or "an environment"
    return nothing_to_record(f"a deployment to {environment} began; it is recorded when its status says how it ended")


def observe_deployment_status(run: Run, event: DeploymentStatusEvent) -> Observation:
    """A status of a deployment: a fact once it says how the deployment ended."""
    state, task = event.deployment_status.state, event.deployment.task or "deploy"
    if task != "deploy" and not task.startswith("deploy:"):
        return nothing_to_record(
            f"the deployment's task is {task}, which is no deployment; those have the task deploy or deploy:…"
        )
    match state:
        case "success":
            return deployment_observation(_deployment_of_status(run, event, "success"))
        case "failure" | "error":
            return deployment_observation(_deployment_of_status(run, event, "failure"))
        case _:
            return nothing_to_record(f"the deployment's state {state} is no end; success, failure and error are")


def _deployment_of_status(run: Run, event: DeploymentStatusEvent, status: Status) -> Deployment:
    deployment, deployment_status = event.deployment, event.deployment_status
    return Deployment(
        id=ids.github_deployment(deployment.id),
        repository=run.repository,
        service=_service_of(deployment),
        source="deployments",
        observed_at=deployment_status.updated_at or deployment_status.created_at,
        url=text.first_http_url(
            deployment_status.target_url,
            deployment_status.log_url,
            deployment_status.environment_url,
            f"{run.repository_url}/deployments",
        ),
        environment=deployment_status.environment or deployment.environment or None,
        status=status,
        sha=text.full_sha_or_none(deployment.sha),
        ref=text.short_ref(deployment.ref),
        version=_version_of(deployment),
        started_at=deployment.created_at,
        finished_at=deployment_status.created_at,
    )


def _service_of(deployment: DeploymentPayload) -> str | None:
    """The payload's `service`, for a repository that holds several."""
    match deployment.payload:
        case {"service": str(service)}:
            return str(text.remove_unstorable(service)).strip() or None
        case _:
            return None


def _version_of(deployment: DeploymentPayload) -> str | None:
    """The payload's `version`, which the deployer chose, else the ref if it looks like one."""
    match deployment.payload:
        case {"version": str(version)} if version.strip():
            return str(text.remove_unstorable(version))
        case _:
            return text.version_or_none(text.short_ref(deployment.ref))


def observe_release(run: Run, event: ReleaseEvent, settings: Settings) -> Observation:
    """A published release, stable or not.

    `released` would count a prerelease that turns stable twice, and `created_at` is the commit's time:
    https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#release
    """
    release = event.release
    if event.action != "published" or release.draft or release.published_at is None:
        return nothing_to_record(
            f"release {release.tag_name} was {event.action}; releases count when they are published"
        )
    return deployment_observation(
        Deployment(
            id=ids.release(release.id, _monorepo_service(settings)),
            repository=run.repository,
            source="releases",
            observed_at=release.published_at,
            url=text.first_http_url(release.html_url),
            environment="prerelease" if release.prerelease else "production",
            status="success",
            sha=text.full_sha_or_none(run.sha),
            ref=release.tag_name or None,
            version=release.tag_name or None,
            finished_at=release.published_at,
        )
    )


def observe_push(run: Run, event: PushEvent, settings: Settings) -> Observation:
    """A push to the default branch, which deploys where no better source is known."""
    branch, sha = event.repository.default_branch, text.full_sha_or_none(event.after)
    if event.ref != f"refs/heads/{branch}":
        return nothing_to_record(f"the push was to {event.ref}; pushes to {branch} count")
    if event.deleted or sha is None or event.head_commit is None:
        return nothing_to_record(f"the push brought no commit to {branch}")
    pushed_at = event.repository.pushed_at or event.head_commit.timestamp
    return deployment_observation(
        Deployment(
            id=ids.push(sha, _monorepo_service(settings)),
            repository=run.repository,
            source="pushes",
            observed_at=pushed_at,
            url=text.first_http_url(f"{run.repository_url}/commit/{sha}"),
            environment="production",
            status="success",
            sha=sha,
            ref=branch,
            finished_at=pushed_at,
        )
    )


def deployment_of_job(
    run: Run, environment: str, settings: Settings, triggering_run: WorkflowRunPayload | None
) -> Deployment:
    """The deployment that the job did which calls the action.

    `watched` is the run of a workflow_run event: there GITHUB_SHA and GITHUB_REF are the default branch's.
    """
    sha, ref = (triggering_run.head_sha, triggering_run.head_branch) if triggering_run else (run.sha, run.ref)
    return Deployment(
        id=ids.deploy_job(run.run_id, environment, _monorepo_service(settings)),
        repository=run.repository,
        source="workflow-runs",
        observed_at=run.now,
        url=text.first_http_url(f"{run.repository_url}/actions/runs/{run.run_id}"),
        environment=environment,
        status=settings.status,
        sha=text.full_sha_or_none(sha),
        ref=text.short_ref(ref),
        version=settings.version,
        finished_at=run.now,
    )


def _monorepo_service(settings: Settings) -> str | None:
    """The service in an id: one push, release or run may deploy several services of a monorepo, each by itself."""
    return settings.service if settings.service in settings.services else None


_DEPLOY_WORDS = frozenset({"deploy", "deployment", "release", "publish", "rollout"})
_EVENTS_ON_ANY_BRANCH = frozenset({"release", "workflow_dispatch", "schedule", "repository_dispatch", "deployment"})
_STATUS_BY_CONCLUSION: dict[str, Status] = {
    "success": "success",
    "failure": "failure",
    "timed_out": "failure",
    "startup_failure": "failure",
    "cancelled": "cancelled",
    "skipped": "cancelled",
}


def observe_workflow_run(run: Run, event: WorkflowRunEvent, deploy_workflows: tuple[str, ...]) -> Observation:
    """A completed run of a workflow that deploys. All its attempts are one fact."""
    workflow_run = event.workflow_run
    exclusion_reason = _exclusion_reason(run, event, deploy_workflows)
    status = _STATUS_BY_CONCLUSION.get(workflow_run.conclusion or "")
    if exclusion_reason or status is None:
        return nothing_to_record(
            exclusion_reason
            or f"the run concluded {workflow_run.conclusion or 'nothing yet'}, which is neither success nor failure"
        )
    branch = text.short_ref(workflow_run.head_branch)
    return deployment_observation(
        Deployment(
            id=ids.workflow_run(workflow_run.id),
            repository=run.repository,
            source="workflow-runs",
            observed_at=workflow_run.updated_at,
            url=text.first_http_url(workflow_run.html_url, f"{run.repository_url}/actions/runs/{workflow_run.id}"),
            environment="production",
            status=status,
            # never GITHUB_SHA, which is the default branch's in this event
            sha=text.full_sha_or_none(workflow_run.head_sha),
            ref=branch,
            version=text.version_or_none(branch),
            started_at=workflow_run.run_started_at,
            finished_at=workflow_run.updated_at,
        )
    )


def _exclusion_reason(run: Run, event: WorkflowRunEvent, deploy_workflows: tuple[str, ...]) -> str | None:
    """Why a run is no deployment, or None."""
    workflow_run, workflow = event.workflow_run, _workflow_of(event)
    head_repository = workflow_run.head_repository.full_name if workflow_run.head_repository else None
    if event.action != "completed":
        return f"the run was {event.action}; runs count when they are completed"
    if not is_deploy_workflow(workflow, deploy_workflows):
        name = workflow.name or workflow.path
        return f"the workflow {name} does not deploy; `deploy-workflows` names those that do"
    if (workflow_run.event or "").startswith("pull_request"):
        return "the run was for a pull request, which deploys nothing to production"
    if head_repository and head_repository.lower() != run.repository.lower():
        return f"the run was for a commit of {head_repository}"
    return _branch_exclusion_reason(workflow_run, event.repository.default_branch)


def _branch_exclusion_reason(workflow_run: WorkflowRunPayload, default_branch: str) -> str | None:
    is_version_tag = workflow_run.event == "push" and text.version_or_none(text.short_ref(workflow_run.head_branch))
    if workflow_run.head_branch == default_branch or workflow_run.event in _EVENTS_ON_ANY_BRANCH or is_version_tag:
        return None
    return f"the run was for {workflow_run.head_branch or 'no branch'} and not for {default_branch}"


def _workflow_of(event: WorkflowRunEvent) -> WorkflowPayload:
    """The workflow's name and path; the run's own name comes second, as a stranger may have written it."""
    workflow, workflow_run = event.workflow or WorkflowPayload(), event.workflow_run
    path = workflow.path or workflow_run.path or ""
    return WorkflowPayload(name=workflow.name or workflow_run.name, path=path.partition("@")[0])


def is_deploy_workflow(workflow: WorkflowPayload, deploy_workflows: tuple[str, ...]) -> bool:
    name, path = workflow.name or "", workflow.path or ""
    file_name = path.rpartition("/")[2]
    if deploy_workflows:
        return name.lower() in map(str.lower, deploy_workflows) or bool(
            {path, file_name} & set(deploy_workflows) - {""}
        )
    return not _DEPLOY_WORDS.isdisjoint((*text.lowercase_words(name), *text.lowercase_words(file_name)))

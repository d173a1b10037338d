"""Deployments in events: deployment statuses, releases, pushes, workflow runs, and the job that runs the action."""

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core import names, versions
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.job_links import JobLink, parse_job_link
from dora_metrics.core.facts.model import PRERELEASE, Deployment, Status
from dora_metrics.github import text
from dora_metrics.github.observation import Observation, Run, deployment_observation, nothing_to_record
from dora_metrics.github.payloads import (
    CheckRunPayload,
    DeployingRunPayload,
    DeploymentEvent,
    DeploymentPayload,
    DeploymentStatusEvent,
    HeadRepositoryPayload,
    PushEvent,
    ReleaseEvent,
    WorkflowPayload,
    WorkflowRunEvent,
    WorkflowRunPayload,
)
from dora_metrics.settings.model import Settings


def observe_deployment_created(event: DeploymentEvent) -> Observation:
    """Explain that a deployment is recorded once a status says how it ended."""
    environment = event.deployment.environment or "an environment"
    return nothing_to_record(f"a deployment to {environment} started; it is recorded when it ends")


def observe_deployment_status(
    run: Run, event: DeploymentStatusEvent, in_progress_at: datetime | None = None
) -> Observation:
    """Map a deployment status to a deployment if it is a final one.

    `in_progress_at` is the time of the deployment's first status `in_progress`, where the statuses before are known.
    """
    state, task = event.deployment_status.state, event.deployment.task or "deploy"
    if task != "deploy" and not task.startswith("deploy:"):
        return nothing_to_record(
            f"the deployment's task is {task}; only the tasks deploy and deploy:… count as deployments"
        )
    match state:
        case "success":
            return deployment_observation(_deployment_of_status(run, event, "success", in_progress_at))
        case "failure" | "error":
            status = DeployingJob.of(run, event).status_of_failure
            return deployment_observation(_deployment_of_status(run, event, status, in_progress_at))
        case _:
            return nothing_to_record(f"the deployment's state is {state}; only success, failure and error are recorded")


def _deployment_of_status(
    run: Run, event: DeploymentStatusEvent, status: Status, in_progress_at: datetime | None
) -> Deployment:
    deployment, last_status = event.deployment, event.deployment_status
    job = DeployingJob.of(run, event)
    links = (last_status.target_url, last_status.log_url, last_status.environment_url)
    return Deployment(
        id=ids.github_deployment(deployment.id),
        repository=run.repository,
        service=_service_of(deployment),
        source="deployments",
        observed_at=last_status.updated_at or last_status.created_at,
        url=text.first_http_url(*links, f"{run.repository_url}/deployments"),
        environment=last_status.environment or deployment.environment or None,
        status=status,
        sha=text.full_sha_or_none(deployment.sha),
        ref=text.short_ref(deployment.ref),
        version=_version_of(deployment),
        started_at=in_progress_at or (job.check_run.started_at if job.link else deployment.created_at),
        finished_at=last_status.created_at,
        run_id=job.link.run_id if job.link else None,
        run_attempt=job.workflow_run.run_attempt or None,
        job_id=job.link.job_id if job.link else None,
        job_name=job.check_run.name or None,
        workflow=job.workflow_name,
        run_event=job.workflow_run.event or None,
    )


class DeployingJob(Struct, frozen=True):
    """The job that made a GitHub deployment, as far as its status says.

    `link` is None for a deployment that no job of this repository made. The `created_at` of a job's deployment is when
    the job reached the approval of its environment, which may be days before it starts.
    """

    link: JobLink | None
    check_run: CheckRunPayload
    workflow_run: DeployingRunPayload
    workflow_name: str | None

    @classmethod
    def of(cls, run: Run, event: DeploymentStatusEvent) -> "DeployingJob":
        check_run = event.check_run or CheckRunPayload()
        workflow_run = event.workflow_run or DeployingRunPayload()
        workflow_name = event.workflow.name if event.workflow else None
        return cls(_job_link(run, event), check_run, workflow_run, workflow_name or workflow_run.name or None)

    @property
    def status_of_failure(self) -> Status:
        """The status of a deployment with the state `failure`: GitHub also gives it to that of a cancelled job."""
        conclusion = self.check_run.conclusion or self.workflow_run.conclusion
        return "cancelled" if conclusion == "cancelled" else "failure"


def _job_link(run: Run, event: DeploymentStatusEvent) -> JobLink | None:
    """Return the run and job in the address of the log, otherwise those that the event names."""
    addresses = (event.deployment_status.log_url, event.deployment_status.target_url)
    links = (parse_job_link(address, run.repository, run.server_url) for address in addresses)
    address = next(filter(None, links), None)
    run_id = event.workflow_run.id if event.workflow_run else None
    job_id = event.check_run.id if event.check_run else None
    if run_id is None:
        return address
    if address and address.run_id == str(run_id) and address.job_id:
        return address
    return JobLink(str(run_id), None if job_id is None else str(job_id))


def _service_of(deployment: DeploymentPayload) -> str | None:
    """Return `service` from the deployment's payload, for a repository with several services."""
    match deployment.payload:
        case {"service": str(service)}:
            return str(text.remove_unstorable(service)).strip() or None
        case _:
            return None


def _version_of(deployment: DeploymentPayload) -> str | None:
    """Return `version` from the deployment's payload, or else the ref if it reads as a version."""
    match deployment.payload:
        case {"version": str(version)} if version.strip():
            return str(text.remove_unstorable(version))
        case _:
            return text.version_or_none(text.short_ref(deployment.ref))


_RELEASE_ACTIONS = ("published", "released")
_LONGEST_PUBLICATION = timedelta(minutes=10)
"""A release that became stable within this time of its publication was stable from the start, as far as is known."""


def observe_release(run: Run, event: ReleaseEvent, settings: Settings) -> Observation:
    """Map a release or prerelease to a deployment, when it is published or promoted from prerelease to release.

    GitHub sends `published` and `released` for a new release, and only `released` for a promotion. What is withdrawn
    later has been deployed. `created_at` is the time of the commit:
    https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#release
    """
    release = event.release
    if event.action not in _RELEASE_ACTIONS or release.draft or release.published_at is None:
        return nothing_to_record(
            f"release {release.tag_name} was {event.action}; a release counts when it is published or promoted"
        )
    finished_at, observed_at = _release_times(run, event, release.published_at)
    deployment = Deployment(
        id=ids.release(release.id, _monorepo_service(settings)),
        repository=run.repository,
        source="releases",
        observed_at=observed_at,
        url=text.address_on(run.server_url, release.html_url),
        environment=PRERELEASE if release.prerelease else "production",
        status="success",
        sha=text.full_sha_or_none(run.sha),
        ref=release.tag_name or None,
        version=release.tag_name or None,
        finished_at=finished_at,
    )
    return replace(deployment_observation(deployment), may_repeat_since=release.published_at)


def _release_times(run: Run, event: ReleaseEvent, published_at: datetime) -> tuple[datetime, datetime]:
    """Return when a release reached its environment, and when that was observed."""
    if event.action == "published":
        return published_at, published_at
    released_at = max(event.release.updated_at or run.now, published_at)
    is_new = released_at - published_at <= _LONGEST_PUBLICATION
    return published_at if is_new else released_at, released_at


def observe_push(run: Run, event: PushEvent, settings: Settings) -> Observation:
    """Map a push to the default branch to a deployment; it counts if there is no better source."""
    branch, sha = event.repository.default_branch, text.full_sha_or_none(event.after)
    if event.ref != f"refs/heads/{branch}":
        return nothing_to_record(f"the push was to {event.ref}; pushes to {branch} count")
    if event.deleted or sha is None or event.head_commit is None:
        return nothing_to_record(f"the push added no commit to {branch}")
    pushed_at = event.repository.pushed_at or event.head_commit.timestamp
    deployment = Deployment(
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
    committed_at = event.head_commit.timestamp if event.forced else None
    return replace(deployment_observation(deployment), may_repeat_since=committed_at)


def deployment_of_job(
    run: Run, environment: str, settings: Settings, triggering_run: WorkflowRunPayload | None
) -> Deployment:
    """Return the deployment of the job that runs the action: a part of its run's attempt.

    `triggering_run` is the run of a workflow_run event, where GITHUB_SHA and GITHUB_REF are those of the default
    branch.
    """
    sha, ref = (triggering_run.head_sha, triggering_run.head_branch) if triggering_run else (run.sha, run.ref)
    job_path = f"/job/{run.check_run_id}" if run.check_run_id else ""
    return Deployment(
        id=ids.deploy_job(run.run_id, environment, _monorepo_service(settings), _job_part(run)),
        repository=run.repository,
        source="workflow-runs",
        observed_at=run.now,
        url=text.first_http_url(f"{run.repository_url}/actions/runs/{run.run_id}{job_path}"),
        environment=environment,
        status=settings.status,
        sha=text.full_sha_or_none(sha),
        ref=text.short_ref(ref),
        version=settings.version,
        finished_at=run.now,
        run_id=run.run_id or None,
        run_attempt=max(run.run_attempt, 1),
        job_id=run.check_run_id or None,
        workflow=run.workflow or None,
        run_event=run.event,
    )


def _job_part(run: Run) -> str:
    """Return what distinguishes this execution of a job from others of its run; empty if nothing is known of the job.

    Each has a fact of its own, also a later attempt: which of them failed decides about the attempt as a whole.
    """
    if run.check_run_id:
        return ids.executed_job(run.check_run_id)
    matrix_index = run.matrix_index if run.matrix_size > 1 else None
    return ids.numbered_job(run.job, max(run.run_attempt, 1), matrix_index) if run.job else ""


def _monorepo_service(settings: Settings) -> str | None:
    """Return the service in an id: one push, release or run may deploy several services of a monorepo."""
    return settings.service if settings.service in settings.services else None


_EVENTS_ON_ANY_BRANCH = frozenset({"release", "workflow_dispatch", "schedule", "repository_dispatch", "deployment"})
"""Events whose runs count on any branch if the workflow is named in `deploy-workflows`."""

_STATUS_BY_CONCLUSION: dict[str, Status] = {
    "success": "success",
    "failure": "failure",
    "timed_out": "failure",
    "startup_failure": "failure",
    "cancelled": "cancelled",
    "skipped": "cancelled",
}


def observe_workflow_run(run: Run, event: WorkflowRunEvent, settings: Settings) -> Observation:
    """Map a completed attempt of a run of a workflow that deploys to a deployment.

    It has the id of the run; `core.facts.occurrences` gives an attempt after a success an id of its own.
    """
    workflow_run, workflow = event.workflow_run, _workflow_of(event)
    exclusion_reason = _exclusion_reason(run, event, settings)
    status = _STATUS_BY_CONCLUSION.get(workflow_run.conclusion or "")
    if exclusion_reason or status is None:
        return nothing_to_record(
            exclusion_reason
            or f"the run's conclusion is {workflow_run.conclusion or 'not known yet'}, neither success nor failure"
        )
    branch = text.short_ref(workflow_run.head_branch)
    deployment = Deployment(
        id=ids.workflow_run(workflow_run.id),
        repository=run.repository,
        source="workflow-runs",
        observed_at=workflow_run.updated_at,
        url=text.first_http_url(f"{run.repository_url}/actions/runs/{workflow_run.id}"),
        environment="production",
        status=status,
        # not GITHUB_SHA: in this event it is the head of the default branch
        sha=text.full_sha_or_none(workflow_run.head_sha),
        ref=branch,
        version=text.version_or_none(branch),
        started_at=workflow_run.run_started_at,
        finished_at=workflow_run.updated_at,
        run_attempt=workflow_run.run_attempt,
        workflow=text.truncate_title(workflow.name or workflow.path),
    )
    is_rerun = (workflow_run.run_attempt or 1) > 1
    return replace(deployment_observation(deployment), may_repeat_since=workflow_run.created_at if is_rerun else None)


def _exclusion_reason(run: Run, event: WorkflowRunEvent, settings: Settings) -> str | None:
    """Return why a run is not a deployment; None if it is one."""
    workflow = _workflow_of(event)
    if event.action != "completed":
        return f"the run was {event.action}; runs count when they are completed"
    if not is_deploy_workflow(workflow, settings.deploy_workflows):
        name = workflow.name or workflow.path
        return f"the workflow {name} does not deploy; `deploy-workflows` lists those that do"
    return _origin_exclusion_reason(run, event.workflow_run) or _trigger_exclusion_reason(event, settings)


def _origin_exclusion_reason(run: Run, workflow_run: WorkflowRunPayload) -> str | None:
    """Return why a run of any workflow with this origin is not a deployment; None if it may be one."""
    if names.is_for_pull_request(workflow_run.event):
        return "the run was for a pull request, which does not deploy to production"
    head_repository = workflow_run.head_repository
    if head_repository and not _is_repository_of(run, head_repository):
        return f"the run was for a commit of {head_repository.full_name}"
    return None


def _is_repository_of(run: Run, head_repository: HeadRepositoryPayload) -> bool:
    """Return whether a commit's repository is that of the run, by number or, where one is missing, by name."""
    if run.repository_number and head_repository.id:
        return run.repository_number == head_repository.id
    return head_repository.full_name is None or head_repository.full_name.lower() == run.repository.lower()


def _trigger_exclusion_reason(event: WorkflowRunEvent, settings: Settings) -> str | None:
    """Return why a run with this event and branch is not a deployment; None if it is one."""
    workflow_run, is_named = event.workflow_run, bool(settings.deploy_workflows)
    if is_named and workflow_run.event in _EVENTS_ON_ANY_BRANCH:
        return None
    if not is_named and workflow_run.event in names.EVENTS_WITHOUT_DEPLOYMENT:
        return f"{workflow_run.event} started the run; such runs count if `deploy-workflows` lists their workflow"
    return _branch_exclusion_reason(workflow_run, event.repository.default_branch, settings)


def _branch_exclusion_reason(workflow_run: WorkflowRunPayload, default_branch: str, settings: Settings) -> str | None:
    """Return why a run for this branch or tag is not a deployment; None if it may be one."""
    branch = text.short_ref(workflow_run.head_branch) or ""
    if branch == default_branch or names.is_production_name(branch, settings.production_environments):
        return None
    if versions.ref_reads_as_version(branch):
        return f"the run was for the prerelease {branch}" if versions.is_prerelease_name(branch) else None
    reason = f"the run was for {branch or 'no branch'}, not for {default_branch}"
    is_by_hand = workflow_run.event == "workflow_dispatch"
    return reason + ("; a manual run like this counts if `deploy-workflows` lists its workflow" if is_by_hand else "")


def _workflow_of(event: WorkflowRunEvent) -> WorkflowPayload:
    """Return the workflow's name and path. The run's own name comes last, since a stranger may have written it."""
    workflow, workflow_run = event.workflow or WorkflowPayload(), event.workflow_run
    path = workflow.path or workflow_run.path or ""
    return WorkflowPayload(name=workflow.name or workflow_run.name, path=path.partition("@")[0])


def is_deploy_workflow(workflow: WorkflowPayload, deploy_workflows: tuple[str, ...]) -> bool:
    """Return whether a workflow deploys: by `deploy_workflows` (names, paths or file names) if set, else by its name.

    A workflow without a name is named by its path, as on GitHub.
    """
    name, path = workflow.name or "", workflow.path or ""
    if deploy_workflows:
        has_path = bool({path, path.rpartition("/")[2]} & set(deploy_workflows) - {""})
        return has_path or name.lower() in map(str.lower, deploy_workflows)
    return names.names_a_deploy_workflow(name or path)

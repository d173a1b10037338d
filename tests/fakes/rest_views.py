"""Records and commits as the REST API shows them."""

from typing import Any

from fakes.git import Commit, Signature
from fakes.records import Actor, Deployment, DeploymentStatus, Issue, Job, PullRequest, Release, Review, WorkflowRun
from fakes.repository import Repository
from fakes.resolvers import timestamp

Json = dict[str, Any]


def _timestamp(moment: Any) -> str | None:  # noqa: ANN401 - a time or None
    return timestamp(moment) if moment else None


def repository_url(base: str, repository: Repository) -> str:
    return f"{base}/repos/{repository.name_with_owner}"


def actor(base: str, account: Actor | None) -> Json | None:
    if account is None:
        return None
    url = f"{base}/users/{account.name}"
    return {
        "login": account.name,
        "id": account.database_id,
        "type": account.typename,
        "url": url,
        "html_url": account.url,
    }


def repository(base: str, repository: Repository, *, push: bool) -> Json:
    url = repository_url(base, repository)
    return {
        "id": repository.database_id,
        "node_id": repository.id,
        "name": repository.name,
        "full_name": repository.name_with_owner,
        "private": repository.is_private,
        "visibility": "private" if repository.is_private else "public",
        "owner": actor(base, Actor(repository.owner_login)),
        "default_branch": repository.default_branch,
        "html_url": repository.url,
        "url": url,
        "created_at": _timestamp(repository.created_at),
        "fork": False,
        "archived": False,
        "permissions": {"admin": False, "push": push, "pull": True},
    }


def git_person(signature: Signature) -> Json:
    return {"name": signature.name, "email": signature.email, "date": _timestamp(signature.at)}


def git_commit(base: str, repository: Repository, commit: Commit) -> Json:
    """A commit as shown below git/commits."""
    url = repository_url(base, repository)
    return {
        "sha": commit.oid,
        "node_id": f"Commit_{repository.database_id}_{commit.oid}",
        "url": f"{url}/git/commits/{commit.oid}",
        "html_url": f"{repository.url}/commit/{commit.oid}",
        "author": git_person(commit.author),
        "committer": git_person(commit.committer),
        "message": commit.message.rstrip("\n"),
        "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
        "parents": [{"sha": oid, "url": f"{url}/git/commits/{oid}"} for oid in commit.parents],
    }


def commit(base: str, repository: Repository, commit: Commit) -> Json:
    """A commit as shown by commits, pulls and compare: the git commit with accounts."""
    url, git_view = repository_url(base, repository), git_commit(base, repository, commit)
    shared_fields = {key: git_view[key] for key in ("sha", "node_id", "html_url")}
    parents = [{"sha": oid, "url": f"{url}/commits/{oid}"} for oid in commit.parents]
    people = {"author": actor(base, Actor(commit.author.name)), "committer": actor(base, Actor("web-flow"))}
    return {**shared_fields, "url": f"{url}/commits/{commit.oid}", "commit": git_view, "parents": parents, **people}


def issue(base: str, issue: Issue) -> Json:
    url = repository_url(base, issue.repository)
    view = {
        "id": issue.database_id,
        "node_id": issue.id,
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "user": actor(base, issue.author),
        "labels": [{"name": name, "node_id": f"LA_{name}", "color": "ededed"} for name in issue.labels],
        "state": "closed" if issue.closed_at else "open",
        "state_reason": issue.state_reason,
        "created_at": _timestamp(issue.created_at),
        "updated_at": _timestamp(issue.updated_at),
        "closed_at": _timestamp(issue.closed_at),
        "html_url": issue.url,
        "url": f"{url}/issues/{issue.number}",
    }
    if isinstance(issue, PullRequest):
        view["pull_request"] = {"url": f"{url}/pulls/{issue.number}", "merged_at": _timestamp(issue.merged_at)}
    return view


def pull(base: str, pull_request: PullRequest) -> Json:
    """A pull request in a list; `full_pull` has the fields of a single one."""
    view = issue(base, pull_request)
    del view["pull_request"], view["state_reason"]
    repo = repository(base, pull_request.repository, push=True)
    return view | {
        "url": f"{repository_url(base, pull_request.repository)}/pulls/{pull_request.number}",
        "draft": pull_request.is_draft,
        "merged_at": _timestamp(pull_request.merged_at),
        "merge_commit_sha": pull_request.merge_commit_sha,
        "head": {"ref": pull_request.head_ref_name, "sha": pull_request.head_ref_oid, "repo": repo},
        "base": {"ref": pull_request.base_ref_name, "sha": pull_request.base_ref_oid, "repo": repo},
    }


def full_pull(base: str, pull_request: PullRequest) -> Json:
    merge_fields = {"merged": pull_request.merged, "merged_by": actor(base, pull_request.merged_by)}
    return pull(base, pull_request) | merge_fields | {"commits": len(pull_request.shas)}


def review(base: str, review: Review) -> Json:
    author = actor(base, review.author)
    return {
        "id": review.database_id,
        "user": author,
        "state": review.state,
        "submitted_at": _timestamp(review.submitted_at),
    }


def deployment(base: str, deployment: Deployment) -> Json:
    url = f"{repository_url(base, deployment.repository)}/deployments/{deployment.database_id}"
    return {
        "id": deployment.database_id,
        "node_id": deployment.id,
        "sha": deployment.commit_oid,
        "ref": deployment.ref_name,
        "task": deployment.task,
        "payload": deployment.payload,
        "original_environment": deployment.environment,
        "environment": deployment.environment,
        "description": deployment.description,
        "creator": actor(base, deployment.creator),
        "created_at": _timestamp(deployment.created_at),
        "updated_at": _timestamp(deployment.updated_at),
        "production_environment": deployment.production,
        "transient_environment": deployment.transient,
        "url": url,
        "statuses_url": f"{url}/statuses",
        "repository_url": repository_url(base, deployment.repository),
    }


def deployment_status(base: str, status: DeploymentStatus) -> Json:
    url = f"{repository_url(base, status.repository)}/deployments/{status.deployment.database_id}"
    return {
        "id": status.database_id,
        "node_id": status.id,
        "state": status.state,
        "environment": status.environment,
        "description": status.description,
        "creator": actor(base, status.creator),
        "created_at": _timestamp(status.created_at),
        "updated_at": _timestamp(status.updated_at),
        "environment_url": status.environment_url or "",
        "log_url": status.log_url or "",
        "deployment_url": url,
        "url": f"{url}/statuses/{status.database_id}",
    }


def release(base: str, release: Release) -> Json:
    return {
        "id": release.database_id,
        "node_id": release.id,
        "tag_name": release.tag_name,
        "target_commitish": release.repository.default_branch,
        "name": release.name,
        "body": release.description,
        "draft": release.is_draft,
        "prerelease": release.is_prerelease,
        "created_at": _timestamp(release.created_at),
        "published_at": _timestamp(release.published_at),
        "updated_at": _timestamp(release.updated_at),
        "author": actor(base, release.author),
        "assets": [],
        "html_url": release.url,
        "url": f"{repository_url(base, release.repository)}/releases/{release.database_id}",
    }


def run(base: str, run: WorkflowRun) -> Json:
    return {
        "id": run.database_id,
        "node_id": run.id,
        "name": run.name,
        "path": run.path,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "head_sha": run.head_sha,
        "head_branch": run.head_branch,
        "head_repository": {"full_name": run.repository.name_with_owner},
        "run_number": run.run_number,
        "run_attempt": run.run_attempt,
        "run_started_at": _timestamp(run.run_started_at),
        "created_at": _timestamp(run.created_at),
        "updated_at": _timestamp(run.updated_at),
        "pull_requests": [],
        "html_url": run.url,
        "url": f"{repository_url(base, run.repository)}/actions/runs/{run.database_id}",
    }


def job(base: str, job: Job) -> Json:
    return {
        "id": job.database_id,
        "run_id": job.run.database_id,
        "run_attempt": job.attempt,
        "node_id": job.id,
        "name": job.name,
        "workflow_name": job.run.name,
        "status": "completed" if job.conclusion else "in_progress",
        "conclusion": job.conclusion,
        "started_at": _timestamp(job.started_at),
        "html_url": job.url,
        "url": f"{repository_url(base, job.repository)}/actions/jobs/{job.database_id}",
    }


def deployment_status_event(base: str, status: DeploymentStatus) -> Json:
    """The payload of an event; it does not say how the job ended."""
    payload: Json = {
        "deployment": deployment(base, status.deployment),
        "deployment_status": deployment_status(base, status),
        "workflow": None,
        "workflow_run": None,
        "check_run": None,
    }
    if deploying := status.deployment.job:
        payload["workflow"] = {"name": deploying.run.name, "path": deploying.run.path}
        payload["workflow_run"] = {**run(base, deploying.run), "run_attempt": deploying.attempt, "conclusion": None}
        payload["check_run"] = {**job(base, deploying), "conclusion": None}
    return payload

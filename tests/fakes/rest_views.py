"""Records and commits as REST shows them."""

from typing import Any

from fakes.git import Commit, Signature
from fakes.records import Actor, Deployment, DeploymentStatus, Issue, PullRequest, Release, Review, WorkflowRun
from fakes.repository import Repository
from fakes.resolvers import stamp

Json = dict[str, Any]


def _at(when: Any) -> str | None:  # noqa: ANN401 - a time or none
    return stamp(when) if when else None


def api(base: str, home: Repository) -> str:
    return f"{base}/repos/{home.name_with_owner}"


def actor(base: str, who: Actor | None) -> Json | None:
    if who is None:
        return None
    url = f"{base}/users/{who.name}"
    return {"login": who.name, "id": who.database_id, "type": who.typename, "url": url, "html_url": who.url}


def repository(base: str, home: Repository, *, push: bool) -> Json:
    url = api(base, home)
    return {
        "id": home.database_id,
        "node_id": home.id,
        "name": home.name,
        "full_name": home.name_with_owner,
        "private": home.is_private,
        "visibility": "private" if home.is_private else "public",
        "owner": actor(base, Actor(home.owner_login)),
        "default_branch": home.default_branch,
        "html_url": home.url,
        "url": url,
        "created_at": _at(home.created_at),
        "fork": False,
        "archived": False,
        "permissions": {"admin": False, "push": push, "pull": True},
    }


def person(who: Signature) -> Json:
    return {"name": who.name, "email": who.email, "date": _at(who.at)}


def git_commit(base: str, home: Repository, made: Commit) -> Json:
    """As under git/commits."""
    url = api(base, home)
    return {
        "sha": made.oid,
        "node_id": f"Commit_{home.database_id}_{made.oid}",
        "url": f"{url}/git/commits/{made.oid}",
        "html_url": f"{home.url}/commit/{made.oid}",
        "author": person(made.author),
        "committer": person(made.committer),
        "message": made.message.rstrip("\n"),
        "tree": {"sha": made.tree, "url": f"{url}/git/trees/{made.tree}"},
        "parents": [{"sha": oid, "url": f"{url}/git/commits/{oid}"} for oid in made.parents],
    }


def commit(base: str, home: Repository, made: Commit) -> Json:
    """As under commits, pulls and compare: the git commit with accounts around it."""
    url, inner = api(base, home), git_commit(base, home, made)
    top = {key: inner[key] for key in ("sha", "node_id", "html_url")}
    parents = [{"sha": oid, "url": f"{url}/commits/{oid}"} for oid in made.parents]
    people = {"author": actor(base, Actor(made.author.name)), "committer": actor(base, Actor("web-flow"))}
    return {**top, "url": f"{url}/commits/{made.oid}", "commit": inner, "parents": parents, **people}


def issue(base: str, made: Issue) -> Json:
    url = api(base, made.repository)
    shown = {
        "id": made.database_id,
        "node_id": made.id,
        "number": made.number,
        "title": made.title,
        "body": made.body,
        "user": actor(base, made.author),
        "labels": [{"name": name, "node_id": f"LA_{name}", "color": "ededed"} for name in made.labels],
        "state": "closed" if made.closed_at else "open",
        "state_reason": made.state_reason,
        "created_at": _at(made.created_at),
        "updated_at": _at(made.updated_at),
        "closed_at": _at(made.closed_at),
        "html_url": made.url,
        "url": f"{url}/issues/{made.number}",
    }
    if isinstance(made, PullRequest):
        shown["pull_request"] = {"url": f"{url}/pulls/{made.number}", "merged_at": _at(made.merged_at)}
    return shown


def pull(base: str, made: PullRequest) -> Json:
    """Without what only the single pull request shows; see `whole_pull`."""
    shown = issue(base, made)
    del shown["pull_request"], shown["state_reason"]
    repo = repository(base, made.repository, push=True)
    return shown | {
        "url": f"{api(base, made.repository)}/pulls/{made.number}",
        "draft": made.is_draft,
        "merged_at": _at(made.merged_at),
        "merge_commit_sha": made.merge_commit_sha,
        "head": {"ref": made.head_ref_name, "sha": made.head_ref_oid, "repo": repo},
        "base": {"ref": made.base_ref_name, "sha": made.base_ref_oid, "repo": repo},
    }


def whole_pull(base: str, made: PullRequest) -> Json:
    merged = {"merged": made.merged, "merged_by": actor(base, made.merged_by)}
    return pull(base, made) | merged | {"commits": len(made.shas)}


def review(base: str, made: Review) -> Json:
    who = actor(base, made.author)
    return {"id": made.database_id, "user": who, "state": made.state, "submitted_at": _at(made.submitted_at)}


def deployment(base: str, made: Deployment) -> Json:
    url = f"{api(base, made.repository)}/deployments/{made.database_id}"
    return {
        "id": made.database_id,
        "node_id": made.id,
        "sha": made.commit_oid,
        "ref": made.ref_name,
        "task": made.task,
        "payload": made.payload,
        "original_environment": made.environment,
        "environment": made.environment,
        "description": made.description,
        "creator": actor(base, made.creator),
        "created_at": _at(made.created_at),
        "updated_at": _at(made.updated_at),
        "production_environment": made.production,
        "transient_environment": made.transient,
        "url": url,
        "statuses_url": f"{url}/statuses",
        "repository_url": api(base, made.repository),
    }


def deployment_status(base: str, made: DeploymentStatus) -> Json:
    url = f"{api(base, made.repository)}/deployments/{made.deployment.database_id}"
    return {
        "id": made.database_id,
        "node_id": made.id,
        "state": made.state,
        "environment": made.environment,
        "description": made.description,
        "creator": actor(base, made.creator),
        "created_at": _at(made.created_at),
        "updated_at": _at(made.updated_at),
        "environment_url": made.environment_url or "",
        "log_url": made.log_url or "",
        "deployment_url": url,
        "url": f"{url}/statuses/{made.database_id}",
    }


def release(base: str, made: Release) -> Json:
    return {
        "id": made.database_id,
        "node_id": made.id,
        "tag_name": made.tag_name,
        "target_commitish": made.repository.default_branch,
        "name": made.name,
        "body": made.description,
        "draft": made.is_draft,
        "prerelease": made.is_prerelease,
        "created_at": _at(made.created_at),
        "published_at": _at(made.published_at),
        "author": actor(base, made.author),
        "assets": [],
        "html_url": made.url,
        "url": f"{api(base, made.repository)}/releases/{made.database_id}",
    }


def run(base: str, made: WorkflowRun) -> Json:
    return {
        "id": made.database_id,
        "node_id": made.id,
        "name": made.name,
        "path": made.path,
        "event": made.event,
        "status": made.status,
        "conclusion": made.conclusion,
        "head_sha": made.head_sha,
        "head_branch": made.head_branch,
        "head_repository": {"full_name": made.repository.name_with_owner},
        "run_number": made.run_number,
        "run_attempt": made.run_attempt,
        "run_started_at": _at(made.run_started_at),
        "created_at": _at(made.created_at),
        "updated_at": _at(made.updated_at),
        "pull_requests": [],
        "html_url": made.url,
        "url": f"{api(base, made.repository)}/actions/runs/{made.database_id}",
    }

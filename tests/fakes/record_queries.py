"""GraphQL resolvers of pull requests, issues, deployments and releases."""

import json

from fakes import nodes
from fakes.git import NULL_OID
from fakes.nodes import CommitNode, Ref
from fakes.records import Deployment, DeploymentStatus, Issue, Job, Label, PullRequest, Release
from fakes.resolvers import Info, Value, connection, context, field, require

Page = dict[str, object]


@field("PullRequest", "labels")
@field("Issue", "labels")
def _labels(record: Issue, info: Info, **arguments: Value) -> Page:
    return connection(info, [Label(name) for name in record.labels], arguments)


@field("Issue", "viewerDidAuthor")
def _viewer_did_author(issue: Issue, info: Info) -> bool:
    return issue.author == context(info).token.actor


@field("Issue", "stateReason")
def _state_reason(issue: Issue, _: Info, *, enableDuplicate: bool = False) -> str | None:  # noqa: N803
    """Reason of closing. Duplicates are reported as NOT_PLANNED unless `enableDuplicate` is set."""
    if issue.state_reason == "duplicate" and not enableDuplicate:
        return "NOT_PLANNED"
    return issue.state_reason and issue.state_reason.upper()


@field("Issue", "timelineItems")
def _timeline(issue: Issue, info: Info, **arguments: Value) -> Page:
    kinds = arguments.get("itemTypes") or ()
    events = [event for event in issue.label_events if not kinds or event.kind in kinds]
    return connection(info, events, arguments)


@field("PullRequest", "mergeCommit")
def _merge_commit(pull: PullRequest, _: Info) -> CommitNode | None:
    return nodes.commit(pull.repository, pull.merge_commit_sha or NULL_OID)


@field("PullRequest", "commits")
def _pull_commits(pull: PullRequest, info: Info, **arguments: Value) -> Page:
    def commit_node(oid: str) -> Page:
        return {"id": f"PRC_{oid}", "commit": nodes.commit(pull.repository, oid), "pullRequest": pull}

    return connection(info, pull.shas[:250], arguments, commit_node) | {"totalCount": len(pull.shas)}


@field("PullRequest", "reviews")
def _reviews(pull: PullRequest, info: Info, **arguments: Value) -> Page:
    states = arguments.get("states")
    return connection(info, [review for review in pull.reviews if not states or review.state in states], arguments)


@field("PullRequest", "changedFiles")
def _pull_changes(pull: PullRequest, _: Info) -> int:
    return len(changed_paths(pull))


@field("PullRequest", "files")
def _pull_files(pull: PullRequest, info: Info, **arguments: Value) -> Page:
    return connection(info, changed_paths(pull), arguments, lambda path: {"path": path})


def changed_paths(pull: PullRequest) -> list[str]:
    git = pull.repository.git
    base = git.commit(git.merge_base(pull.base_ref_oid, pull.head_ref_oid) or NULL_OID)
    head = git.commit(pull.head_ref_oid)
    return list(git.changes(base.tree if base else None, head.tree)) if head else []


@field("Deployment", "payload")
def _payload(deployment: Deployment, _: Info) -> str:
    return deployment.payload if isinstance(deployment.payload, str) else json.dumps(deployment.payload)


@field("Deployment", "commit")
def _deployment_commit(deployment: Deployment, _: Info) -> CommitNode | None:
    return nodes.commit(deployment.repository, deployment.commit_oid)


@field("Deployment", "ref")
def _deployment_ref(deployment: Deployment, _: Info) -> Ref | None:
    names = [f"refs/heads/{deployment.ref_name}", f"refs/tags/{deployment.ref_name}"]
    return next((Ref(deployment.repository, name) for name in names if deployment.repository.git.ref(name)), None)


@field("Deployment", "statuses")
def _statuses(deployment: Deployment, info: Info, **arguments: Value) -> Page:
    return connection(info, deployment.status_history[::-1], arguments)


@field("DeploymentStatus", "state")
def _status_state(status: DeploymentStatus, _: Info) -> str:
    return status.state.upper()


@field("CheckRun", "conclusion")
def _job_conclusion(job: Job, info: Info) -> str | None:
    require(info, job.repository, "checks")
    return job.conclusion.upper() if job.conclusion else None


@field("CheckRun", "checkSuite")
def _check_suite(job: Job, _: Info) -> Job:
    return job


@field("CheckSuite", "workflowRun")
def _run_of_job(job: Job, info: Info) -> Page:
    require(info, job.repository, "actions")
    return {"event": job.run.event, "workflow": {"name": job.run.name}}


@field("Release", "tagCommit")
def _release_commit(release: Release, _: Info) -> CommitNode | None:
    return nodes.commit(release.repository, release.sha)


@field("Release", "tag")
def _release_tag(release: Release, _: Info) -> Ref | None:
    name = f"refs/tags/{release.tag_name}"
    return Ref(release.repository, name) if release.repository.git.ref(name) else None

"""What can be asked in GraphQL of pull requests, issues, deployments and releases."""

import json

from fakes import nodes
from fakes.git import NOTHING
from fakes.nodes import CommitNode, Ref
from fakes.records import Deployment, DeploymentStatus, Issue, Label, PullRequest, Release
from fakes.resolvers import Info, Value, connection, context, field

Page = dict[str, object]


@field("PullRequest", "labels")
@field("Issue", "labels")
def _labels(record: Issue, info: Info, **arguments: Value) -> Page:
    return connection(info, [Label(name) for name in record.labels], arguments)


@field("Issue", "viewerDidAuthor")
def _own(issue: Issue, info: Info) -> bool:
    return issue.author == context(info).token.actor


@field("Issue", "stateReason")
def _state_reason(issue: Issue, _: Info, *, enableDuplicate: bool = False) -> str | None:  # noqa: N803
    """Without being asked for, duplicates are not told."""
    if issue.state_reason == "duplicate" and not enableDuplicate:
        return "NOT_PLANNED"
    return issue.state_reason and issue.state_reason.upper()


@field("Issue", "timelineItems")
def _timeline(issue: Issue, info: Info, **arguments: Value) -> Page:
    kinds = arguments.get("itemTypes") or ()
    found = [one for one in issue.labelled if not kinds or one.kind in kinds]
    return connection(info, found, arguments)


@field("PullRequest", "mergeCommit")
def _merge_commit(pull: PullRequest, _: Info) -> CommitNode | None:
    return nodes.commit(pull.repository, pull.merge_commit_sha or NOTHING)


@field("PullRequest", "commits")
def _pull_commits(pull: PullRequest, info: Info, **arguments: Value) -> Page:
    def made(oid: str) -> Page:
        return {"id": f"PRC_{oid}", "commit": nodes.commit(pull.repository, oid), "pullRequest": pull}

    return connection(info, pull.shas[:250], arguments, made) | {"totalCount": len(pull.shas)}


@field("PullRequest", "reviews")
def _reviews(pull: PullRequest, info: Info, **arguments: Value) -> Page:
    states = arguments.get("states")
    return connection(info, [one for one in pull.reviews if not states or one.state in states], arguments)


@field("PullRequest", "changedFiles")
def _pull_changes(pull: PullRequest, _: Info) -> int:
    return len(paths(pull))


@field("PullRequest", "files")
def _pull_files(pull: PullRequest, info: Info, **arguments: Value) -> Page:
    return connection(info, paths(pull), arguments, lambda path: {"path": path})


def paths(pull: PullRequest) -> list[str]:
    git = pull.repository.git
    base = git.commit(git.merge_base(pull.base_ref_oid, pull.head_ref_oid) or NOTHING)
    head = git.commit(pull.head_ref_oid)
    return list(git.changes(base.tree if base else None, head.tree)) if head else []


@field("Deployment", "payload")
def _payload(made: Deployment, _: Info) -> str:
    return made.payload if isinstance(made.payload, str) else json.dumps(made.payload)


@field("Deployment", "commit")
def _deployed(made: Deployment, _: Info) -> CommitNode | None:
    return nodes.commit(made.repository, made.commit_oid)


@field("Deployment", "ref")
def _deployed_ref(made: Deployment, _: Info) -> Ref | None:
    names = [f"refs/heads/{made.ref_name}", f"refs/tags/{made.ref_name}"]
    return next((Ref(made.repository, name) for name in names if made.repository.git.ref(name)), None)


@field("Deployment", "statuses")
def _statuses(made: Deployment, info: Info, **arguments: Value) -> Page:
    return connection(info, made.history[::-1], arguments)


@field("DeploymentStatus", "state")
def _status_state(made: DeploymentStatus, _: Info) -> str:
    return made.state.upper()


@field("Release", "tagCommit")
def _tagged(made: Release, _: Info) -> CommitNode | None:
    return nodes.commit(made.repository, made.sha)


@field("Release", "tag")
def _tag(made: Release, _: Info) -> Ref | None:
    name = f"refs/tags/{made.tag_name}"
    return Ref(made.repository, name) if made.repository.git.ref(name) else None

"""GraphQL resolvers of commits, tags and comparisons."""

from datetime import datetime
from typing import Any

from fakes import nodes
from fakes.git import Signature
from fakes.nodes import CommitNode, GitNode, Ref, TagNode, TreeEntry
from fakes.records import Actor, Deployment
from fakes.resolvers import Info, Value, connection, field, require, sort_records

Page = dict[str, object]


@field("Commit", "author")
def _author(commit: CommitNode, _: Info) -> Page:
    return git_actor(commit.data.author)


@field("Commit", "committer")
def _committer(commit: CommitNode, _: Info) -> Page:
    return git_actor(commit.data.committer)


@field("Tag", "tagger")
def _tagger(tag: TagNode, _: Info) -> Page:
    return git_actor(tag.tagger)


def git_actor(signature: Signature) -> Page:
    account = Actor(signature.name) if signature.name != "GitHub" and Actor(signature.name).typename == "User" else None
    return {"name": signature.name, "email": signature.email, "date": signature.at.isoformat(), "user": account}


@field("Commit", "authoredDate")
def _authored(commit: CommitNode, _: Info) -> datetime:
    return commit.data.author.at


@field("Commit", "committedDate")
def _committed(commit: CommitNode, _: Info) -> datetime:
    return commit.data.committer.at


@field("Commit", "changedFiles", "changedFilesIfAvailable")
def _changed(commit: CommitNode, _: Info) -> int:
    return len(commit.changes)


@field("Commit", "tree")
def _tree(commit: CommitNode, _: Info) -> GitNode | None:
    return nodes.node(commit.repository, commit.data.tree)


@field("Commit", "file")
def _file(commit: CommitNode, _: Info, *, path: str) -> TreeEntry | None:
    folder, _slash, name = path.strip("/").rpartition("/")
    entries = commit.repository.git.entries(f"{commit.oid}:{folder}")
    return next((TreeEntry(commit.repository, entry, path) for entry in entries if entry.name == name), None)


@field("Commit", "parents")
def _parents(commit: CommitNode, info: Info, **arguments: Value) -> Page:
    return connection(info, commit.data.parents, arguments, lambda oid: nodes.commit(commit.repository, oid))


@field("Commit", "history")
def _history(commit: CommitNode, info: Info, **arguments: Value) -> Page:
    times = [f"--{key}={arguments[key]}" for key in ("since", "until") if arguments.get(key)]
    path = ["--", arguments["path"]] if arguments.get("path") else []
    shas = commit.repository.git.rev_list(*times, commit.oid, *path)
    return connection(info, shas, arguments, lambda oid: nodes.commit(commit.repository, oid))


@field("Commit", "associatedPullRequests")
def _associated(commit: CommitNode, info: Info, **arguments: Value) -> Page:
    """The merged pull requests that brought a commit; for one outside the default branch also open ones."""
    require(info, commit.repository, "pull-requests")
    pulls = commit.repository.pulls_by_commit.get(commit.oid, [])
    shown = [pull for pull in pulls if pull.merged_at or (not pull.closed_at and not _is_on_default_branch(commit))]
    return connection(info, sort_records(shown, arguments), arguments)


def _is_on_default_branch(commit: CommitNode) -> bool:
    head = commit.repository.head(commit.repository.default_branch)
    return head is not None and commit.oid in commit.repository.git.rev_list(head)


@field("Commit", "deployments")
def _commit_deployments(commit: CommitNode, info: Info, **arguments: Value) -> Page:
    require(info, commit.repository, "deployments")
    deployments = [
        deployment for deployment in commit.repository.records_of(Deployment) if deployment.commit_oid == commit.oid
    ]
    return connection(info, sort_records(deployments, arguments), arguments)


@field("Ref", "compare")
def _compare(ref: Ref, _: Info, *, headRef: str) -> Page | None:  # noqa: N803 - GraphQL's name
    repository = ref.repository
    base, head = repository.git.resolve(ref.full_name), repository.git.resolve(headRef)
    if base is None or head is None:
        return None
    ahead, behind = repository.git.rev_list("--reverse", f"{base}..{head}"), repository.git.rev_list(f"{head}..{base}")
    return {
        "id": f"CMP_{base}_{head}",
        "aheadBy": len(ahead),
        "behindBy": len(behind),
        "status": comparison_status(len(ahead), len(behind)).upper(),
        "commits": (repository, ahead),
    }


def comparison_status(ahead: int, behind: int) -> str:
    if ahead and behind:
        return "diverged"
    return "ahead" if ahead else "behind" if behind else "identical"


@field("Comparison", "commits")
def _compared(source: dict[str, Any], info: Info, **arguments: Value) -> Page:
    repository, shas = source["commits"]
    return connection(info, shas, arguments, lambda oid: nodes.commit(repository, oid))

"""What can be asked in GraphQL of commits, tags and comparisons."""

from datetime import datetime
from typing import Any

from fakes import nodes
from fakes.git import Signature
from fakes.nodes import CommitNode, GitNode, Ref, TagNode, TreeEntry
from fakes.records import Actor, Deployment
from fakes.resolvers import Info, Value, connection, field, need, ordered

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


def git_actor(who: Signature) -> Page:
    account = Actor(who.name) if who.name != "GitHub" and Actor(who.name).typename == "User" else None
    return {"name": who.name, "email": who.email, "date": who.at.isoformat(), "user": account}


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
    found = commit.repository.git.walk(*times, commit.oid, *path)
    return connection(info, found, arguments, lambda oid: nodes.commit(commit.repository, oid))


@field("Commit", "associatedPullRequests")
def _associated(commit: CommitNode, info: Info, **arguments: Value) -> Page:
    need(info, commit.repository, "pull-requests")
    return connection(info, ordered(commit.repository.landed.get(commit.oid, []), arguments), arguments)


@field("Commit", "deployments")
def _commit_deployments(commit: CommitNode, info: Info, **arguments: Value) -> Page:
    need(info, commit.repository, "deployments")
    found = [made for made in commit.repository.every(Deployment) if made.commit_oid == commit.oid]
    return connection(info, ordered(found, arguments), arguments)


@field("Ref", "compare")
def _compare(ref: Ref, _: Info, *, headRef: str) -> Page | None:  # noqa: N803 - GraphQL's name
    home = ref.repository
    base, head = home.git.resolve(ref.full_name), home.git.resolve(headRef)
    if base is None or head is None:
        return None
    ahead, behind = home.git.walk("--reverse", f"{base}..{head}"), home.git.walk(f"{head}..{base}")
    return {
        "id": f"CMP_{base}_{head}",
        "aheadBy": len(ahead),
        "behindBy": len(behind),
        "status": status(len(ahead), len(behind)).upper(),
        "commits": (home, ahead),
    }


def status(ahead: int, behind: int) -> str:
    if ahead and behind:
        return "diverged"
    return "ahead" if ahead else "behind" if behind else "identical"


@field("Comparison", "commits")
def _compared(source: dict[str, Any], info: Info, **arguments: Value) -> Page:
    home, found = source["commits"]
    return connection(info, found, arguments, lambda oid: nodes.commit(home, oid))

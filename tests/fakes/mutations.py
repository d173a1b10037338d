"""What can be changed through GraphQL: commits on a branch, refs, issues."""

import base64
import binascii
from collections.abc import Callable
from typing import Any, TypeVar

from fakes import git_writes, nodes
from fakes.git import FILE, NOTHING, Leaf
from fakes.git_writes import RefUpdate, WriteRefusedError
from fakes.nodes import Ref
from fakes.queries import named
from fakes.records import Issue
from fakes.repository import Repository
from fakes.resolvers import Info, TypedError, context, field, need

Input = dict[str, Any]
Payload = dict[str, object]
T = TypeVar("T")
BODY_LIMIT = 65_536


def _mutation(name: str) -> Callable[[Callable[[Info, Input], Payload]], None]:
    """Registers a mutation: it takes the input, and its refusals become typed errors."""

    def register(change: Callable[[Info, Input], Payload]) -> None:
        @field("Mutation", name)
        def _(_: object, info: Info, *, input: Input) -> Payload:  # noqa: A002 - GraphQL's name
            try:
                return change(info, input) | {"clientMutationId": input.get("clientMutationId")}
            except WriteRefusedError as error:
                raise TypedError(error.kind, str(error)) from error

    return register


@_mutation("createCommitOnBranch")
def _create_commit(info: Info, given: Input) -> Payload:
    home, branch = _branch(info, given["branch"])
    need(info, home, "contents", "write")
    message = "\n\n".join(filter(None, [given["message"]["headline"], given["message"].get("body")]))
    changes = _changes(home, given.get("fileChanges") or {})
    author = context(info).token.actor
    oid = git_writes.commit_on_branch(home, branch, given["expectedHeadOid"], message, changes, author=author)
    return {"commit": nodes.commit(home, oid), "ref": Ref(home, f"refs/heads/{branch}")}


def _branch(info: Info, given: Input) -> tuple[Repository, str]:
    if given.get("repositoryNameWithOwner"):
        return named(info, given["repositoryNameWithOwner"]), given["branchName"].removeprefix("refs/heads/")
    raise TypedError("UNPROCESSABLE", "The fake GitHub takes a branch by repositoryNameWithOwner and branchName only.")


def _changes(home: Repository, given: Input) -> dict[str, Leaf | None]:
    changes: dict[str, Leaf | None] = {one["path"]: None for one in given.get("deletions") or ()}
    for one in given.get("additions") or ():
        try:
            data = base64.b64decode(one["contents"], validate=True)
        except binascii.Error as error:
            raise TypedError("UNPROCESSABLE", f"The contents of {one['path']} are not valid base64.") from error
        changes[one["path"]] = (FILE, home.git.write("blob", data))
    return changes


@_mutation("updateRefs")
def _update_refs(info: Info, given: Input) -> Payload:
    home = _by_id(info, given["repositoryId"], Repository)
    need(info, home, "contents", "write")
    git_writes.move(home, [
        RefUpdate(one["name"], one["afterOid"], one.get("beforeOid"), force=bool(one.get("force")))
        for one in given["refUpdates"]
    ])  # fmt: skip
    return {}


@_mutation("createRef")
def _create_ref(info: Info, given: Input) -> Payload:
    home = _by_id(info, given["repositoryId"], Repository)
    need(info, home, "contents", "write")
    name = given["name"]
    if home.git.ref(name):
        raise TypedError("UNPROCESSABLE", f'A ref named "{name}" already exists in the repository.')
    git_writes.move(home, [RefUpdate(name, given["oid"], NOTHING)])
    return {"ref": Ref(home, name)}


@_mutation("createIssue")
def _create_issue(info: Info, given: Input) -> Payload:
    home = _by_id(info, given["repositoryId"], Repository)
    need(info, home, "issues", "write")
    body = _short(given.get("body") or "")
    labels = [label.removeprefix("LA_") for label in given.get("labelIds") or ()]
    return {"issue": home.issue(given["title"], body=body, labels=labels, author=context(info).token.actor.name)}


@_mutation("updateIssue")
def _update_issue(info: Info, given: Input) -> Payload:
    issue = _by_id(info, given["id"], Issue)
    need(info, issue.repository, "issues", "write")
    now = issue.repository.world.now()
    issue.title, issue.body = given.get("title") or issue.title, _short(given.get("body", issue.body) or "")
    if "labelIds" in given:
        issue.labels = [label.removeprefix("LA_") for label in given["labelIds"] or ()]
    if given.get("state"):
        issue.closed_at = now if given["state"] == "CLOSED" else None
    issue.updated_at = now
    return {"issue": issue, "actor": context(info).token.actor}


def _short(body: str) -> str:
    if len(body) > BODY_LIMIT:
        raise TypedError("UNPROCESSABLE", f"Body is too long (maximum is {BODY_LIMIT} characters)")
    return body


def _by_id(info: Info, node_id: str, kind: type[T]) -> T:
    found = context(info).world.nodes.get(node_id)
    if not isinstance(found, kind):
        raise TypedError("NOT_FOUND", f"Could not resolve to a node with the global id of '{node_id}'")
    return found

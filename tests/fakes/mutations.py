"""GraphQL mutations: commits on a branch, refs, issues."""

import base64
import binascii
from collections.abc import Callable
from typing import Any, TypeVar

from fakes import git_writes, nodes
from fakes.git import FILE_MODE, NULL_OID, Leaf
from fakes.git_writes import RefUpdate, WriteRefusedError
from fakes.nodes import Ref
from fakes.queries import repository_named
from fakes.records import Issue
from fakes.repository import Repository
from fakes.resolvers import Info, TypedError, context, field, require

MutationInput = dict[str, Any]
Payload = dict[str, object]
T = TypeVar("T")
BODY_LIMIT = 65_536
TITLE_LIMIT = 256


def _mutation(name: str) -> Callable[[Callable[[Info, MutationInput], Payload]], None]:
    """Register a mutation that takes the input. Refused writes become typed errors."""

    def register(change: Callable[[Info, MutationInput], Payload]) -> None:
        @field("Mutation", name)
        def _(_: object, info: Info, *, input: MutationInput) -> Payload:  # noqa: A002 - GraphQL's name
            try:
                return change(info, input) | {"clientMutationId": input.get("clientMutationId")}
            except WriteRefusedError as error:
                raise TypedError(error.kind, str(error)) from error

    return register


@_mutation("createCommitOnBranch")
def _create_commit(info: Info, arguments: MutationInput) -> Payload:
    repository, branch = _branch(info, arguments["branch"])
    require(info, repository, "contents", "write")
    message = "\n\n".join(filter(None, [arguments["message"]["headline"], arguments["message"].get("body")]))
    changes = _changes(repository, arguments.get("fileChanges") or {})
    author = context(info).token.actor
    oid = git_writes.commit_on_branch(repository, branch, arguments["expectedHeadOid"], message, changes, author=author)
    return {"commit": nodes.commit(repository, oid), "ref": Ref(repository, f"refs/heads/{branch}")}


def _branch(info: Info, arguments: MutationInput) -> tuple[Repository, str]:
    if arguments.get("repositoryNameWithOwner"):
        return repository_named(info, arguments["repositoryNameWithOwner"]), arguments["branchName"].removeprefix(
            "refs/heads/"
        )
    raise TypedError("UNPROCESSABLE", "The fake GitHub takes a branch by repositoryNameWithOwner and branchName only.")


def _changes(repository: Repository, arguments: MutationInput) -> dict[str, Leaf | None]:
    changes: dict[str, Leaf | None] = {deletion["path"]: None for deletion in arguments.get("deletions") or ()}
    for addition in arguments.get("additions") or ():
        try:
            data = base64.b64decode(addition["contents"], validate=True)
        except binascii.Error as error:
            raise TypedError("UNPROCESSABLE", f"The contents of {addition['path']} are not valid base64.") from error
        changes[addition["path"]] = (FILE_MODE, repository.git.write("blob", data))
    return changes


@_mutation("updateRefs")
def _update_refs(info: Info, arguments: MutationInput) -> Payload:
    repository = _by_id(info, arguments["repositoryId"], Repository)
    require(info, repository, "contents", "write")
    git_writes.update_refs(repository, [
        RefUpdate(update["name"], update["afterOid"], update.get("beforeOid"), force=bool(update.get("force")))
        for update in arguments["refUpdates"]
    ])  # fmt: skip
    return {}


@_mutation("createRef")
def _create_ref(info: Info, arguments: MutationInput) -> Payload:
    repository = _by_id(info, arguments["repositoryId"], Repository)
    require(info, repository, "contents", "write")
    name = arguments["name"]
    if repository.git.ref(name):
        raise TypedError("UNPROCESSABLE", f'A ref named "{name}" already exists in the repository.')
    git_writes.update_refs(repository, [RefUpdate(name, arguments["oid"], NULL_OID)])
    return {"ref": Ref(repository, name)}


@_mutation("createIssue")
def _create_issue(info: Info, arguments: MutationInput) -> Payload:
    repository = _by_id(info, arguments["repositoryId"], Repository)
    require(info, repository, "issues", "write")
    body = _within_length_limit(arguments.get("body") or "")
    labels = [label.removeprefix("LA_") for label in arguments.get("labelIds") or ()]
    return {
        "issue": repository.issue(arguments["title"], body=body, labels=labels, author=context(info).token.actor.name)
    }


@_mutation("updateIssue")
def _update_issue(info: Info, arguments: MutationInput) -> Payload:
    issue = _by_id(info, arguments["id"], Issue)
    require(info, issue.repository, "issues", "write")
    now = issue.repository.state.now()
    issue.title, issue.body = (
        arguments.get("title") or issue.title,
        _within_length_limit(arguments.get("body", issue.body) or ""),
    )
    if "labelIds" in arguments:
        issue.labels = [label.removeprefix("LA_") for label in arguments["labelIds"] or ()]
    if arguments.get("state"):
        issue.closed_at = now if arguments["state"] == "CLOSED" else None
    issue.updated_at = now
    return {"issue": issue, "actor": context(info).token.actor}


def _within_length_limit(body: str) -> str:
    if len(body) > BODY_LIMIT:
        raise TypedError("UNPROCESSABLE", f"Body is too long (maximum is {BODY_LIMIT} characters)")
    return body


def _by_id(info: Info, node_id: str, kind: type[T]) -> T:
    node = context(info).state.nodes.get(node_id)
    if not isinstance(node, kind):
        raise TypedError("NOT_FOUND", f"Could not resolve to a node with the global id of '{node_id}'")
    return node

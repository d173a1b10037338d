"""Writes to git that every API shares: permission, branch protection, no lost update."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fakes.git import NULL_OID, Leaf, RefConflictError, valid_ref
from fakes.records import Actor
from fakes.repository import Repository


class WriteRefusedError(Exception):
    """A refused write; `kind` is GraphQL's error type, the message is GitHub's."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class RefUpdate:
    """An update of a ref. before None skips the check of the old value; 40 zeros mean absent."""

    name: str
    after: str
    before: str | None = None
    force: bool = False


def commit_on_branch(
    repository: Repository,
    branch: str,
    expected: str,
    message: str,
    changes: Mapping[str, Leaf | None],
    *,
    author: Actor,
) -> str:
    name = f"refs/heads/{branch.removeprefix('refs/heads/')}"
    head = repository.git.ref(name)
    if head is None:
        raise WriteRefusedError("NOT_FOUND", f'No such branch "{branch}" in {repository.name_with_owner}.')
    _require_unprotected(repository, name)
    commit = repository.git.commit(head)
    if head != expected or commit is None:
        raise stale_data_error(expected)
    missing = [path for path, leaf in changes.items() if leaf is None and repository.git.read(f"{head}:{path}") is None]
    if missing:
        message = f"A path was requested for deletion which does not exist as of commit oid `{head}`"
        raise WriteRefusedError("UNPROCESSABLE", message)
    sha = repository.write_commit(repository.git.amend_tree(commit.tree, changes), [head], message, author=author)
    try:
        repository.git.update_refs((name, sha, head))
    except RefConflictError as error:
        raise stale_data_error(expected) from error
    return sha


def stale_data_error(expected: str) -> WriteRefusedError:
    message = f'Expected branch to point to "{expected}" but it did not.  Pull and try again.'
    return WriteRefusedError("STALE_DATA", message)


def update_refs(repository: Repository, updates: Sequence[RefUpdate]) -> None:
    """Update refs, all or none."""
    if not repository.git.refs("refs/"):
        raise WriteRefusedError("UNPROCESSABLE", "Git Repository is empty.")
    for update in updates:
        _check(repository, update)
    try:
        repository.git.update_refs(*((update.name, update.after, update.before) for update in updates))
    except RefConflictError as error:
        raise WriteRefusedError("UNPROCESSABLE", "Reference update failed") from error


def _check(repository: Repository, update: RefUpdate) -> None:
    if not valid_ref(update.name):
        raise WriteRefusedError("UNPROCESSABLE", f"{update.name} is not a valid ref name.")
    _require_unprotected(repository, update.name)
    current = repository.git.ref(update.name)
    if update.before is not None and update.before != (current or NULL_OID):
        message = f"Reference update failed: {update.name} is at {current or NULL_OID} but expected {update.before}"
        raise WriteRefusedError("STALE_DATA", message)
    if update.after != NULL_OID and repository.git.read(update.after) is None:
        raise WriteRefusedError("UNPROCESSABLE", "Object does not exist")
    is_fast_forward = current is None or update.after == NULL_OID or repository.git.contains(update.after, current)
    if not (update.force or is_fast_forward):
        raise WriteRefusedError("UNPROCESSABLE", "Update is not a fast forward")


def _require_unprotected(repository: Repository, name: str) -> None:
    reason = repository.protected.get(name.removeprefix("refs/heads/"))
    if reason:
        raise WriteRefusedError("BRANCH_PROTECTION_RULE_VIOLATION", reason)

"""Writes to git as every door of GitHub does them: permission, protection, and no lost update."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fakes.git import NOTHING, Leaf, RefConflictError, valid_ref
from fakes.records import Actor
from fakes.repository import Repository


class WriteRefusedError(Exception):
    """Why a write was not done: `kind` is GraphQL's type, the message is GitHub's."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class RefUpdate:
    """One ref's move; before None: wherever it is; 40 zeros: absent."""

    name: str
    after: str
    before: str | None = None
    force: bool = False


def commit_on_branch(
    home: Repository,
    branch: str,
    expected: str,
    message: str,
    changes: Mapping[str, Leaf | None],
    *,
    author: Actor,
) -> str:
    name = f"refs/heads/{branch.removeprefix('refs/heads/')}"
    head = home.git.ref(name)
    if head is None:
        raise WriteRefusedError("NOT_FOUND", f'No such branch "{branch}" in {home.name_with_owner}.')
    _unprotected(home, name)
    commit = home.git.commit(head)
    if head != expected or commit is None:
        raise stale(expected)
    gone = [path for path, leaf in changes.items() if leaf is None and home.git.read(f"{head}:{path}") is None]
    if gone:
        message = f"A path was requested for deletion which does not exist as of commit oid `{head}`"
        raise WriteRefusedError("UNPROCESSABLE", message)
    made = home.write(home.git.amend(commit.tree, changes), [head], message, author=author)
    try:
        home.git.move((name, made, head))
    except RefConflictError as error:
        raise stale(expected) from error
    return made


def stale(expected: str) -> WriteRefusedError:
    message = f'Expected branch to point to "{expected}" but it did not.  Pull and try again.'
    return WriteRefusedError("STALE_DATA", message)


def move(home: Repository, updates: Sequence[RefUpdate]) -> None:
    """Moves refs, all or none."""
    if not home.git.refs("refs/"):
        raise WriteRefusedError("UNPROCESSABLE", "Git Repository is empty.")
    for update in updates:
        _check(home, update)
    try:
        home.git.move(*((update.name, update.after, update.before) for update in updates))
    except RefConflictError as error:
        raise WriteRefusedError("UNPROCESSABLE", "Reference update failed") from error


def _check(home: Repository, update: RefUpdate) -> None:
    if not valid_ref(update.name):
        raise WriteRefusedError("UNPROCESSABLE", f"{update.name} is not a valid ref name.")
    _unprotected(home, update.name)
    now = home.git.ref(update.name)
    if update.before is not None and update.before != (now or NOTHING):
        message = f"Reference update failed: {update.name} is at {now or NOTHING} but expected {update.before}"
        raise WriteRefusedError("STALE_DATA", message)
    if update.after != NOTHING and home.git.read(update.after) is None:
        raise WriteRefusedError("UNPROCESSABLE", "Object does not exist")
    forward = now is None or update.after == NOTHING or home.git.contains(update.after, now)
    if not (update.force or forward):
        raise WriteRefusedError("UNPROCESSABLE", "Update is not a fast forward")


def _unprotected(home: Repository, name: str) -> None:
    why = home.protected.get(name.removeprefix("refs/heads/"))
    if why:
        raise WriteRefusedError("BRANCH_PROTECTION_RULE_VIOLATION", why)

"""The base of a repository: its git store, its records, and how commits, branches and tags are made."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar, cast

from fakes.git import FILE_MODE, NULL_OID, Commit, Git, Leaf, Signature
from fakes.records import WEB, Actor, PullRequest, Record

if TYPE_CHECKING:
    from fakes.repository import Repository
    from fakes.state import ServerState

Files = Mapping[str, str | bytes | None]
"""File contents by path; None removes the file."""
R = TypeVar("R", bound=Record)

GITHUB = Actor("web-flow")


class RepositoryStore:
    typename = "Repository"

    def __init__(self, world: "ServerState", name_with_owner: str, default_branch: str, *, is_private: bool) -> None:
        self.state = world
        self.name_with_owner = name_with_owner
        self.owner_login, self.name = name_with_owner.split("/")
        self.default_branch = default_branch
        self.is_private = is_private
        self.is_archived = self.is_fork = False
        self.topics: list[str] = []
        self.database_id = next(world.ids)
        self.created_at = self.updated_at = world.now()
        self.pushed_at: datetime | None = None
        self.git = Git(world.folder / f"{self.database_id}.git", default_branch, self._note_push)
        self.records: list[Record] = []
        self.last_number = 0
        self.has_issues_enabled = True
        self.disabled_alerts: dict[str, tuple[int, str]] = {}
        """Disabled kinds of security alerts, each with the status and message of GitHub's answer."""
        self.labels: list[str] = []
        self.protected: dict[str, str] = {}
        self.pulls_by_commit: dict[str, list[PullRequest]] = {}
        """Pull requests by the commits that they contain or created."""

    @property
    def id(self) -> str:
        return f"R_{self.database_id}"

    @property
    def url(self) -> str:
        return f"{WEB}/{self.name_with_owner}"

    def _note_push(self) -> None:
        self.pushed_at = self.state.now()

    def records_of(self, kind: type[R]) -> list[R]:
        return [record for record in self.records if type(record) is kind]

    def add_record(self, record: R) -> R:
        self.records.append(record)
        self.state.nodes[record.id] = record
        return record

    def _new_record_fields(self, at: datetime | None) -> tuple["Repository", int, datetime]:
        """First fields of every record: repository, number, time."""
        return cast("Repository", self), next(self.state.ids), at or self.state.now()

    def _next_number(self) -> int:
        self.last_number += 1
        return self.last_number

    def head(self, branch: str | None = None) -> str | None:
        return self.git.ref(f"refs/heads/{branch or self.default_branch}")

    def commit(
        self,
        files: Files,
        *,
        message: str = "Change",
        branch: str | None = None,
        parents: Sequence[str] | None = None,
        author: str | Actor = "octocat",
        author_date: datetime | None = None,
        committer_date: datetime | None = None,
    ) -> str:
        """Commit to a branch (by default the default branch; created if missing), by default on its head."""
        name = f"refs/heads/{branch or self.default_branch}"
        with self.state.lock:
            parent_shas = [oid for oid in (self.git.ref(name) or self.head(),) if oid] if parents is None else parents
            base = self.git.commit(parent_shas[0]) if parent_shas else None
            tree = self.git.amend_tree(base.tree if base else None, self.leaves(files))
            sha = self.write_commit(
                tree, parent_shas, message, author=author, author_date=author_date, committer_date=committer_date
            )
            self.git.set_ref(name, sha)
        return sha

    def leaves(self, files: Files) -> dict[str, Leaf | None]:
        raw = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
        return {path: None if data is None else (FILE_MODE, self.git.write("blob", data)) for path, data in raw.items()}

    def write_commit(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        *,
        author: str | Actor = GITHUB,
        author_date: datetime | None = None,
        committer_date: datetime | None = None,
    ) -> str:
        actor = author if isinstance(author, Actor) else Actor(author)
        authored_at = author_date or self.state.now()
        author_signature = Signature(actor.name, actor.email, authored_at)
        committer = Signature("GitHub", "noreply@github.com", committer_date or authored_at)
        return self.git.write_commit(tree, parents, author_signature, committer, message)

    def branch(self, name: str, sha: str | None = None) -> str:
        """Create or move a branch, without a check."""
        target = sha or self.head() or NULL_OID
        self.git.set_ref(f"refs/heads/{name}", target)
        return target

    def delete_branch(self, name: str) -> None:
        self.git.update_refs((f"refs/heads/{name}", NULL_OID, None))

    def tag(self, name: str, sha: str | None = None, *, message: str = "", at: datetime | None = None) -> str:
        """Create a lightweight tag, or with a message an annotated one."""
        target = sha or self.head() or NULL_OID
        if message:
            tagger = Signature("octocat", Actor("octocat").email, at or self.state.now())
            body = f"object {target}\ntype commit\ntag {name}\ntagger {tagger}\n\n{message}\n"
            target = self.git.write("tag", body.encode())
        self.git.set_ref(f"refs/tags/{name}", target)
        return target

    def protect(self, branch: str, reason: str = "Changes must be made through a pull request.") -> None:
        self.protected[branch] = reason

    def read(self, path: str, branch: str | None = None) -> bytes | None:
        """Content of a file on a branch, for assertions."""
        blob = self.git.read(f"refs/heads/{branch or self.default_branch}:{path}")
        return blob.data if blob else None

    def log(self, branch: str | None = None) -> list[Commit]:
        """Commits of a branch, newest first, for assertions."""
        head = self.head(branch)
        commits = [self.git.commit(oid) for oid in self.git.rev_list(head)] if head else []
        return [commit for commit in commits if commit]

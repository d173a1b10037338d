"""Pull requests of a repository: opened, reviewed, and landed by squash, merge or rebase."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from fakes.git import Signature
from fakes.records import Actor, PullRequest, Review
from fakes.store import Files, Store


class Pulls(Store):
    def pull(
        self,
        title: str,
        *,
        branch: str | None = None,
        base: str | None = None,
        files: Files | None = None,
        body: str = "",
        labels: Sequence[str] = (),
        author: str | None = "octocat",
        created_at: datetime | None = None,
        draft: bool = False,
    ) -> PullRequest:
        """A pull request of a branch made before by `commit`, or, with files, of one commit made here."""
        number = self._number()
        onto, name = base or self.default_branch, branch or f"feature-{number}"
        home, database_id, at = self._made(created_at)
        if files is not None or self.head(name) is None:
            text = {f"{name}.txt": title} if files is None else files
            parents = [oid for oid in (self.head(name) or self.head(onto),) if oid]
            self.commit(text, message=title, branch=name, parents=parents, author=author or "ghost", author_date=at)
        made = PullRequest(
            home, database_id, at, number, title, body, list(labels), Actor(author) if author else None, at,
            head_ref_name=name, base_ref_name=onto, is_draft=draft,
        )  # fmt: skip
        self.refresh(made)
        return self.keep(made)

    def refresh(self, pull: PullRequest) -> None:
        """Reads a pull request's own commits anew from its branch."""
        pull.head_ref_oid = self.head(pull.head_ref_name) or ""
        pull.base_ref_oid = self.head(pull.base_ref_name) or ""
        pull.shas = list(self.git.walk("--reverse", f"{pull.base_ref_oid}..{pull.head_ref_oid}"))
        for sha in pull.shas:
            self._land(sha, pull)

    def _land(self, sha: str, pull: PullRequest) -> None:
        if pull not in self.landed.setdefault(sha, []):
            self.landed[sha].append(pull)

    def review(
        self, pull: PullRequest, *, author: str | None = "reviewer", at: datetime | None = None, state: str = "APPROVED"
    ) -> Review:
        who = Actor(author) if author else None
        pull.reviews.append(Review(who, at or self.world.now(), state, next(self.world.ids)))
        return pull.reviews[-1]

    def merge_pull(
        self,
        pull: PullRequest,
        how: Literal["squash", "merge", "rebase"] = "squash",
        *,
        at: datetime | None = None,
        by: str = "octocat",
        delete_branch: bool = False,
    ) -> str:
        """Lands a pull request; returns its merge commit: the squash, the merge, or the last rebased commit."""
        self.refresh(pull)
        when = at or self.world.now()
        landed = {"squash": self._squash, "merge": self._merge, "rebase": self._rebase}[how](pull, when)
        self.git.put(f"refs/heads/{pull.base_ref_name}", landed[-1])
        for sha in landed:
            self._land(sha, pull)
        pull.merged_at = pull.closed_at = pull.updated_at = when
        pull.merged_by, pull.merge_commit_sha = Actor(by), landed[-1]
        if delete_branch:
            self.delete_branch(pull.head_ref_name)
        return landed[-1]

    def _tree(self, onto: str, before: str | None, after: str) -> str:
        """The tree of `onto` with what changed between two commits; the later side wins where both touched a file."""
        base, old, new = (self.git.commit(sha or "") for sha in (onto, before, after))
        assert base is not None
        assert new is not None
        return self.git.amend(base.tree, self.git.changes(old.tree if old else None, new.tree))

    def _merged_tree(self, pull: PullRequest) -> str:
        before = self.git.merge_base(pull.base_ref_oid, pull.head_ref_oid)
        return self._tree(pull.base_ref_oid, before, pull.head_ref_oid)

    def _squash(self, pull: PullRequest, at: datetime) -> list[str]:
        message, author = f"{pull.title} (#{pull.number})", pull.author or Actor("ghost")
        return [self.write(self._merged_tree(pull), [pull.base_ref_oid], message, author=author, author_date=at)]

    def _merge(self, pull: PullRequest, at: datetime) -> list[str]:
        author = pull.author or Actor("ghost")
        message = f"Merge pull request #{pull.number} from {self.owner_login}/{pull.head_ref_name}\n\n{pull.title}"
        parents = [pull.base_ref_oid, pull.head_ref_oid]
        return [self.write(self._merged_tree(pull), parents, message, author=author, author_date=at)]

    def _rebase(self, pull: PullRequest, at: datetime) -> list[str]:
        landed, onto = [], pull.base_ref_oid
        for sha in pull.shas:
            commit = self.git.commit(sha)
            assert commit is not None
            tree = self._tree(onto, commit.parents[0] if commit.parents else None, sha)
            committer = Signature("GitHub", "noreply@github.com", at)
            onto = self.git.write_commit(tree, [onto], commit.author, committer, commit.message)
            landed.append(onto)
        return landed

"""Pull requests of a repository: opened, reviewed, and merged by squash, merge commit or rebase."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from fakes.git import Signature
from fakes.records import Actor, PullRequest, Review
from fakes.store import Files, RepositoryStore


class PullRequestStore(RepositoryStore):
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
        """Open a pull request of an existing branch, or of a new branch with one commit of `files`."""
        number = self._next_number()
        base_branch, head_branch = base or self.default_branch, branch or f"feature-{number}"
        repository, database_id, at = self._new_record_fields(created_at)
        if files is not None or self.head(head_branch) is None:
            changed_files = {f"{head_branch}.txt": title} if files is None else files
            parents = [oid for oid in (self.head(head_branch) or self.head(base_branch),) if oid]
            self.commit(
                changed_files,
                message=title,
                branch=head_branch,
                parents=parents,
                author=author or "ghost",
                author_date=at,
            )
        pull_request = PullRequest(
            repository, database_id, at, number, title, body, list(labels), Actor(author) if author else None, at,
            head_ref_name=head_branch, base_ref_name=base_branch, is_draft=draft,
        )  # fmt: skip
        self.refresh(pull_request)
        return self.add_record(pull_request)

    def refresh(self, pull: PullRequest) -> None:
        """Read the pull request's commits from its branch again."""
        pull.head_ref_oid = self.head(pull.head_ref_name) or ""
        pull.base_ref_oid = self.head(pull.base_ref_name) or ""
        pull.shas = list(self.git.rev_list("--reverse", f"{pull.base_ref_oid}..{pull.head_ref_oid}"))
        for sha in pull.shas:
            self._link_commit(sha, pull)

    def _link_commit(self, sha: str, pull: PullRequest) -> None:
        if pull not in self.pulls_by_commit.setdefault(sha, []):
            self.pulls_by_commit[sha].append(pull)

    def review(
        self, pull: PullRequest, *, author: str | None = "reviewer", at: datetime | None = None, state: str = "APPROVED"
    ) -> Review:
        reviewer = Actor(author) if author else None
        pull.reviews.append(Review(reviewer, at or self.state.now(), state, next(self.state.ids)))
        return pull.reviews[-1]

    def merge_pull(
        self,
        pull: PullRequest,
        method: Literal["squash", "merge", "rebase"] = "squash",
        *,
        at: datetime | None = None,
        merged_by: str = "octocat",
        delete_branch: bool = False,
    ) -> str:
        """Merge a pull request; return the squash commit, the merge commit, or the last rebased commit."""
        self.refresh(pull)
        merged_at = at or self.state.now()
        merged_shas = {"squash": self._squash, "merge": self._merge, "rebase": self._rebase}[method](pull, merged_at)
        self.git.set_ref(f"refs/heads/{pull.base_ref_name}", merged_shas[-1])
        for sha in merged_shas:
            self._link_commit(sha, pull)
        pull.merged_at = pull.closed_at = pull.updated_at = merged_at
        pull.merged_by, pull.merge_commit_sha = Actor(merged_by), merged_shas[-1]
        if delete_branch:
            self.delete_branch(pull.head_ref_name)
        return merged_shas[-1]

    def _tree_with_changes(self, onto: str, before: str | None, after: str) -> str:
        """The tree of `onto` with the changes between two commits; they overwrite files that both sides changed."""
        base, old, new = (self.git.commit(sha or "") for sha in (onto, before, after))
        assert base is not None
        assert new is not None
        return self.git.amend_tree(base.tree, self.git.changes(old.tree if old else None, new.tree))

    def _merged_tree(self, pull: PullRequest) -> str:
        before = self.git.merge_base(pull.base_ref_oid, pull.head_ref_oid)
        return self._tree_with_changes(pull.base_ref_oid, before, pull.head_ref_oid)

    def _squash(self, pull: PullRequest, at: datetime) -> list[str]:
        message, author = f"{pull.title} (#{pull.number})", pull.author or Actor("ghost")
        return [self.write_commit(self._merged_tree(pull), [pull.base_ref_oid], message, author=author, author_date=at)]

    def _merge(self, pull: PullRequest, at: datetime) -> list[str]:
        author = pull.author or Actor("ghost")
        message = f"Merge pull request #{pull.number} from {self.owner_login}/{pull.head_ref_name}\n\n{pull.title}"
        parents = [pull.base_ref_oid, pull.head_ref_oid]
        return [self.write_commit(self._merged_tree(pull), parents, message, author=author, author_date=at)]

    def _rebase(self, pull: PullRequest, at: datetime) -> list[str]:
        rebased, tip = [], pull.base_ref_oid
        for sha in pull.shas:
            commit = self.git.commit(sha)
            assert commit is not None
            tree = self._tree_with_changes(tip, commit.parents[0] if commit.parents else None, sha)
            committer = Signature("GitHub", "noreply@github.com", at)
            tip = self.git.write_commit(tree, [tip], commit.author, committer, commit.message)
            rebased.append(tip)
        return rebased

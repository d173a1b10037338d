"""Repositories with any pull requests: opened, deployed, grown and merged in any way, among deployments of any kind."""

from random import Random

from fakes.records import PullRequest
from support.deploying_shop import DeployingShop
from support.github_history import at

_STEPS = (
    "commit",
    "open",
    "open",
    "grow",
    "merge",
    "merge",
    "deploy",
    "deploy",
    "roll_back",
    "deploy_branch",
    "backport",
)


class AnyPullRequests:
    """What happens to a shop, step by step, by random choices; each deployment is recorded as it happens."""

    def __init__(self, shop: DeployingShop, random: Random) -> None:
        self.shop, self.random = shop, random
        self.hours = 0
        self.count = 0
        self.pulls = list[PullRequest]()
        self.released = [self._commit([], "main")]

    def happen(self, steps: int) -> None:
        """Let so many things happen, after and before a deployment of the main branch."""
        self.deploy()
        for step in self.random.choices(_STEPS, k=steps):
            getattr(self, step)()
        self.deploy()

    def commit(self) -> None:
        self.released.append(self._commit([self._head("main")], "main"))

    def open(self) -> None:
        branch = f"feature-{self.count}"
        bases = ["main", *(pull.head_ref_name for pull in self.pulls)]
        self._commit([self._head(self.random.choice(bases))], branch)
        self.pulls.append(self.shop.repository.pull(branch, branch=branch, created_at=at(self._later())))

    def grow(self) -> None:
        if self.pulls:
            pull = self.random.choice(self.pulls)
            self._commit([self._head(pull.head_ref_name)], pull.head_ref_name)
            self.shop.repository.refresh(pull)

    def merge(self) -> None:
        """Merge a pull request, unless another one has brought all its commits."""
        if not self.pulls:
            return
        pull = self.pulls.pop(self.random.randrange(len(self.pulls)))
        self.shop.repository.refresh(pull)
        if pull.shas:
            method = self.random.choice(("squash", "merge", "rebase"))
            merged = self.shop.repository.merge_pull(pull, method=method, at=at(self._later()))  # type: ignore[arg-type]
            self.released.append(merged)

    def deploy(self) -> None:
        self._deploy(self._head("main"))

    def roll_back(self) -> None:
        self._deploy(self.random.choice(self.released))

    def deploy_branch(self) -> None:
        if self.pulls:
            self._deploy(self._head(self.random.choice(self.pulls).head_ref_name))

    def backport(self) -> None:
        self._deploy(self._commit([self.random.choice(self.released)], "release/1.x"))

    def _commit(self, parents: list[str], branch: str) -> str:
        self.count += 1
        return self.shop.commit(f"commit {self.count}", parents, at(self._later()), branch)

    def _deploy(self, sha: str) -> None:
        self.count += 1
        self.shop.deploy(sha, at(self._later()), f"v1.{self.count}.0")

    def _head(self, branch: str) -> str:
        return self.shop.repository.head(branch) or ""

    def _later(self) -> int:
        self.hours += self.random.choice((1, 2, 5, 20))
        return self.hours

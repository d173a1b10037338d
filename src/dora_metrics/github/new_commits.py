"""The commits that a deployment reaches and no earlier success of its scope reaches, by GitHub's comparisons.

GitHub compares two commits. The first comparison lists what the deployment has and the nearest earlier success lacks.
Each further one takes away what another earlier success has. A linear history needs one comparison.

A comparison with a distant release line would list thousands of commits. Compared the other way round, it lists what
that line has and the deployment lacks; the parents of these commits are where the two meet, and what both have are the
ancestors of these parents.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from dora_metrics.core.facts.model import Deployment
from dora_metrics.core.linking.earlier_successes import EarlierSuccesses, may_reach
from dora_metrics.core.windows import parse_instant_or_none
from dora_metrics.github import shapes
from dora_metrics.github.client import (
    NO_COMMON_ANCESTOR,
    Client,
    ForbiddenError,
    GitHubError,
    NotFoundError,
    UncertainOutcomeError,
    UnexpectedAnswerError,
)
from dora_metrics.github.paging import PagesRead
from dora_metrics.github.queries import JsonObject
from dora_metrics.github.repository import read_objects

_PAGE_SIZE = 100
_MAX_PAGES = 30
_MAX_PROBED_TIPS = 4
"""How many earlier successes are compared in search of one that is near."""

_MAX_TIPS = 4
"""How many earlier successes every deployment is compared with."""

_MAX_POSSIBLE_TIPS = 25
"""How many it is compared with if its commits were made before these were deployed."""


_NOT_COMPARED = "GitHub answered 404 to a comparison of {} and {}, although it has both commits; try again later"


class TooManyCommitsError(GitHubError):
    """A deployment has more commits than one run may read."""


class UnrelatedHistoryError(GitHubError):
    """A deployment shares no commit with any earlier success."""


class NewCommits(NamedTuple):
    """The commits that a deployment brought, oldest first, as REST shows them.

    `previous` is the last earlier success that it was compared with, `descends_from` the ids of those that it descends
    from. `uncompared` are the earlier successes that may reach some of these commits, and were not compared.
    """

    commits: tuple[JsonObject, ...]
    previous: Deployment
    descends_from: tuple[str, ...]
    uncompared: tuple[Deployment, ...]


class _Comparison(NamedTuple):
    """What HEAD has and BASE lacks: all or the first of these commits, their number, and the number the other way.

    `next_page_token` is that of the commits that follow; None if none do.
    """

    commits: tuple[JsonObject, ...]
    ahead_count: int
    behind_count: int
    next_page_token: str | None = None

    @property
    def is_complete(self) -> bool:
        return len(self.commits) >= self.ahead_count


def read_new_commits(client: Client, repository: str, deployment: Deployment, earlier: EarlierSuccesses) -> NewCommits:
    """Return the commits that a deployment brought.

    Raises:
        TooManyCommitsError: if they are more than one run may read.
        UnrelatedHistoryError: if the deployment shares no commit with any of the earlier ones.
        NotFoundError: if GitHub says that it no longer has the commit, or none of the earlier ones.
        GitHubError: if GitHub refuses a request or does not answer.
    """
    comparer = _Comparer(client, repository, str(deployment.sha))
    nearest, remaining = comparer.compare_with_nearest(earlier.tips)
    others = [tip for tip in earlier.tips if tip is not nearest]
    certain = others[: _MAX_TIPS - 1]
    remaining = comparer.without_shared(remaining, certain)
    possible = [tip for tip in others[_MAX_TIPS - 1 :] if may_reach(tip, _times(remaining))]
    remaining = comparer.without_shared(remaining, possible[: _MAX_POSSIBLE_TIPS - _MAX_TIPS])
    uncompared = [tip for tip in possible[_MAX_POSSIBLE_TIPS - _MAX_TIPS :] if may_reach(tip, _times(remaining))]
    return NewCommits(
        commits=tuple(remaining.values()),
        previous=nearest if earlier.latest in comparer.gone else earlier.latest,
        descends_from=tuple(sorted(comparer.ancestor_ids)) if remaining else (),
        uncompared=(*uncompared, *comparer.gone),
    )


@dataclass
class _Comparer:
    """Compares one deployed commit with earlier ones.

    Attributes:
        client: GitHub's API.
        repository: of the commits.
        head: the deployed commit.
        ancestor_ids: the ids of the earlier successes that it turned out to descend from.
        gone: the earlier successes whose commits GitHub no longer has.
    """

    client: Client
    repository: str
    head: str
    ancestor_ids: set[str] = field(default_factory=set)
    gone: list[Deployment] = field(default_factory=list)
    _first_pages: dict[str, _Comparison] = field(default_factory=dict)

    def compare_with_nearest(self, tips: Sequence[Deployment]) -> tuple[Deployment, dict[str, JsonObject]]:
        """Return the tip that lacks the fewest commits, and these commits by sha.

        Raises:
            UnrelatedHistoryError: if the head shares no commit with any of them.
            NotFoundError: if GitHub has none of the commits.
        """
        problem: NotFoundError | None = None
        probed: list[Deployment] = []
        for tip in tips[:_MAX_PROBED_TIPS]:
            try:
                comparison = self._since(tip)
            except NotFoundError as error:
                problem = self._note_gone(tip, error)
                continue
            probed.append(tip)
            if comparison.is_complete:
                break
        if problem and not (probed or self.gone or tips[_MAX_PROBED_TIPS:]):
            raise UnrelatedHistoryError(str(problem)) from problem
        if not probed:
            raise problem or NotFoundError("no earlier commit to compare with")
        nearest = min(probed, key=lambda tip: self._since(tip).ahead_count)
        commits = self._all_commits(str(nearest.sha), self.head, self._since(nearest))
        return nearest, {commit["sha"]: commit for commit in commits}

    def without_shared(self, remaining: dict[str, JsonObject], tips: Iterable[Deployment]) -> dict[str, JsonObject]:
        """Return the commits that none of the tips reaches."""
        for tip in tips:
            if not remaining:
                break
            try:
                shared = self._shared_with(tip, remaining) if tip not in self.gone else frozenset()
            except NotFoundError as error:
                self._note_gone(tip, error)
            else:
                remaining = {sha: commit for sha, commit in remaining.items() if sha not in shared}
        return remaining

    def _note_gone(self, tip: Deployment, error: NotFoundError) -> NotFoundError:
        """Note a tip that GitHub no longer has, unless it only shares nothing with the head; return the error.

        A 404 may also be a fault of GitHub's, so it is asked whether it has the commits.

        Raises:
            NotFoundError: if it no longer has the head.
            GitHubError: if it has both, or does not say.
        """
        if NO_COMMON_ANCESTOR in error.phrases:
            return error
        try:
            head, base = read_objects(self.client, self.repository, [self.head, str(tip.sha)])
        except NotFoundError as problem:
            raise ForbiddenError(f"the repository of the commits: {problem}") from None
        if head is None:
            raise error
        if base is not None:
            raise UncertainOutcomeError(_NOT_COMPARED.format(tip.sha, self.head)) from error
        self.gone.append(tip)
        return error

    def _since(self, tip: Deployment) -> _Comparison:
        """Return the first page of the commits that the head has and a tip lacks."""
        if tip.id not in self._first_pages:
            comparison = self._first_pages[tip.id] = self._compare(str(tip.sha), self.head)
            self._note_ancestor(tip, comparison.behind_count)
        return self._first_pages[tip.id]

    def _shared_with(self, tip: Deployment, remaining: Mapping[str, JsonObject]) -> AbstractSet[str]:
        """Return which of the remaining commits a tip reaches."""
        if tip.id in self._first_pages and self._since(tip).is_complete:
            return remaining.keys() - _shas(self._since(tip).commits)
        reverse = self._compare(self.head, str(tip.sha))
        self._note_ancestor(tip, reverse.ahead_count)
        if not reverse.is_complete and reverse.behind_count < reverse.ahead_count:
            commits = self._all_commits(str(tip.sha), self.head, self._since(tip))
            return remaining.keys() - _shas(commits)
        return _shared_ancestors(self._all_commits(self.head, str(tip.sha), reverse), str(tip.sha), remaining)

    def _note_ancestor(self, tip: Deployment, lacking_count: int) -> None:
        """Note that the head descends from a tip if it lacks none of its commits."""
        if lacking_count == 0:
            self.ancestor_ids.add(tip.id)

    def _all_commits(self, base: str, head: str, first_page: _Comparison) -> Iterator[JsonObject]:
        """Yield all commits of a comparison, of which the first page was read."""
        if first_page.ahead_count > _PAGE_SIZE * _MAX_PAGES:
            raise TooManyCommitsError(f"more than {_PAGE_SIZE * _MAX_PAGES} commits since the previous deployment")
        page, read_count, pages_read = first_page, len(first_page.commits), PagesRead("commits")
        yield from page.commits
        while page.next_page_token and read_count < first_page.ahead_count:
            pages_read.add(page.next_page_token)
            page = self._compare(base, head, page.next_page_token)
            read_count += len(page.commits)
            yield from page.commits
        if read_count < first_page.ahead_count:
            problem = f"GitHub shows {read_count} of the {first_page.ahead_count} commits of {base}...{head}"
            raise UnexpectedAnswerError(problem)

    def _compare(self, base: str, head: str, page_token: str | None = None) -> _Comparison:
        """Return a page of the commits that `head` has and `base` lacks, oldest first."""
        if base == head:
            return _Comparison((), 0, 0)
        path = f"/repos/{self.repository}/compare/{base}...{head}"
        parameters = {"per_page": _PAGE_SIZE}
        page, next_page_token = self.client.get_page(path, parameters, page_token, shapes.Comparison)
        return _Comparison(tuple(page["commits"]), page["total_commits"], page["behind_by"], next_page_token)


def _shas(commits: Iterable[JsonObject]) -> set[str]:
    return {commit["sha"] for commit in commits}


def _shared_ancestors(
    only_in_tip: Iterable[JsonObject], tip_sha: str, remaining: Mapping[str, JsonObject]
) -> AbstractSet[str]:
    """Return which of the remaining commits a tip reaches, given the commits that it has and the head lacks.

    A path from the tip to a commit that both have enters the head's history at a parent of such a commit.
    """
    tip_commits = list(only_in_tip)
    entries = {parent["sha"] for commit in tip_commits for parent in commit["parents"]} if tip_commits else {tip_sha}
    shared: set[str] = set()
    pending = list(entries & remaining.keys())
    while pending:
        sha = pending.pop()
        if sha not in shared:
            shared.add(sha)
            pending += [parent["sha"] for parent in remaining[sha]["parents"] if parent["sha"] in remaining]
    return shared


def _times(commits: Mapping[str, JsonObject]) -> list[datetime | None]:
    return [committed_at(commit) for commit in commits.values()]


def committed_at(commit: JsonObject) -> datetime | None:
    """Return when a commit was made, as REST shows it; None if that is unreadable."""
    return parse_instant_or_none(commit["commit"]["committer"]["date"])

"""Which change a pull request's number in a history means.

A number occurs again in three ways. Further commits of a pull request come with the same deployment. A copy is on
another line of releases, so no commit of the original is behind it. What comes later on a line that has the number
already is another pull request: a repository that was moved begins again at #1, and titles also name issues.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dora_metrics.core.facts import ids
from dora_metrics.sources.git.landed import LandedChange
from dora_metrics.sources.git.reached import Reached
from dora_metrics.sources.git.repository import RepositoryIdentity

_MAX_LANDINGS = 100
"""Of one pull request, the commits that later ones are compared with: the first, and the newest copies."""


@dataclass(slots=True)
class _NumberedPull:
    """A pull request, and the commits that landed it or copies of it."""

    change_id: str
    shas: list[str] = field(default_factory=list)

    def is_behind(self, sha: str, reached: Reached) -> bool:
        """Whether a commit comes later on a line that has this pull request."""
        return any(reached.is_behind(own_sha, sha) for own_sha in self.shas)

    def add_copy(self, sha: str) -> None:
        self.shas.append(sha)
        if len(self.shas) > _MAX_LANDINGS:
            del self.shas[1]


class PullNumbers:
    """The change ids of pull requests, while deployments are added in order.

    Of pull requests with one number, the newest is enough to compare with: the older ones are behind it.
    """

    def __init__(self, identity: RepositoryIdentity) -> None:
        self.repeated_count = 0
        """The pull requests whose number an earlier one on the same line has."""
        self._identity = identity
        self._newest: dict[int, _NumberedPull] = {}
        self._id_by_landing: dict[str, str] = {}

    def newest_id(self, number: int) -> str | None:
        """Return the id of the newest pull request with a number so far; None if there is none."""
        newest = self._newest.get(number)
        return newest.change_id if newest else None

    def add(self, landed_changes: Iterable[LandedChange], reached: Reached) -> None:
        """Add the pull requests among the changes of one deployment."""
        new: dict[int, _NumberedPull] = {}
        copies: list[tuple[_NumberedPull, str]] = []
        for landed in landed_changes:
            number, sha = landed.pull_number, landed.commit.sha
            if number is None or sha in self._id_by_landing:
                continue
            pull = self._newest.get(number)
            if pull and not pull.is_behind(sha, reached):
                copies.append((pull, sha))
            else:
                pull = new.setdefault(number, _NumberedPull(self._new_id(number, sha)))
                pull.shas.append(sha)
            self._id_by_landing[sha] = pull.change_id
        for original, sha in copies:
            original.add_copy(sha)
        self.repeated_count += sum(number in self._newest for number in new)
        self._newest |= new

    def _new_id(self, number: int, sha: str) -> str:
        """Return an id as from GitHub's events for the first with a number; the ids of later ones name a commit."""
        first_id = self._identity.pull_request_id(number)
        return ids.repeated_pull_request(first_id, sha) if number in self._newest else first_id

    def change_id(self, landed: LandedChange) -> str:
        """Return the id of a pull request that was added, or of a commit without one."""
        return self._id_by_landing.get(landed.commit.sha) or ids.commit(landed.commit.sha)

    def has_page(self, landed: LandedChange) -> bool:
        """Whether the page of a pull request's number is about it: it is the first one with the number."""
        number = landed.pull_number
        return number is not None and self.change_id(landed) == self._identity.pull_request_id(number)

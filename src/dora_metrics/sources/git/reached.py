"""What earlier deployments to an environment reached, and which commits of a branch they reached before its merge."""

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush

from dora_metrics.sources.git.commits import GitCommit

_PLACES_PER_LINE = 1 << 32


class Reached:
    """The commits that were reached so far, and the lines of first parents that they stand on.

    Nearly every branch leaves the line of first parents that it is merged into, or a branch that was merged into it. So
    a commit where a branch meets what was reached before is nearly always known to be behind that line, and only the
    others need a look at the history around them.
    """

    def __init__(self) -> None:
        self.shas: set[str] = set()
        self.direct_shas: set[str] = set()
        """Commits that are changes by themselves."""
        self._places: dict[str, int] = {}
        """The line and the position on it of each commit, in one number to save memory."""
        self._origins: list[int] = []
        """Where each line left another one."""
        self._heads: list[int] = []
        """The newest place on each line."""
        self._merges: dict[int, tuple[int, int]] = {}
        """By line, the place that was merged last, and the place of that merge."""

    def finish(self, commit: GitCommit) -> None:
        """Give a commit its place, after its parents have theirs."""
        parents = commit.parents
        origin = self._places.get(parents[0], -1) if parents else -1
        if origin < 0 or self._heads[origin // _PLACES_PER_LINE] != origin:
            origin = self._begin_line(origin)
        place = origin + 1
        self._heads[place // _PLACES_PER_LINE] = self._places[commit.sha] = place
        if len(parents) > 1:
            self._add_merge(parents[1:], place)

    def _begin_line(self, origin: int) -> int:
        """Begin a line that leaves another one at `origin`; return the place before its first."""
        place = len(self._heads) * _PLACES_PER_LINE
        self._origins.append(origin)
        self._heads.append(place)
        return place

    def _add_merge(self, parents: Iterable[str], merge_place: int) -> None:
        for parent in parents:
            if (place := self._places.get(parent)) is not None:
                self._merges[place // _PLACES_PER_LINE] = place, merge_place

    def is_surely_behind(self, sha: str, tip: str) -> bool:
        """Whether a commit is on the line of first parents from `tip`, by itself or by merges; if not, it may be."""
        place, tip_place = self._places.get(sha, -1), self._places.get(tip, -1)
        while not self._is_on_line(place, tip_place):
            merged_place, merge_place = self._merges.get(place // _PLACES_PER_LINE, (-1, -1))
            if merged_place < place or merge_place < 0:
                return False
            place = merge_place
        return True

    def _is_on_line(self, place: int, line_place: int) -> bool:
        line = place // _PLACES_PER_LINE
        while line_place // _PLACES_PER_LINE > line:
            line_place = self._origins[line_place // _PLACES_PER_LINE]
        return line_place // _PLACES_PER_LINE == line and place <= line_place


def commits_only_behind(commits: Mapping[str, GitCommit], tips: Iterable[str], main: str) -> list[GitCommit]:
    """Return what is reachable from `tips` and not from `main`, newest first.

    It looks at commits in order of time, and no further back than where only those behind `main` are left.
    """
    search = _Search(commits)
    search.add(main, is_main=True)
    for tip in tips:
        search.add(tip, is_main=False)
    search.run()
    return [commits[sha] for sha, is_main in search.is_main.items() if not is_main]


class _Search:
    """Commits that were met, and whether they are behind the main line; it ends when no other one is unexamined."""

    def __init__(self, commits: Mapping[str, GitCommit]) -> None:
        self.is_main: dict[str, bool] = {}
        self._commits = commits
        self._queue: list[tuple[int, str]] = []
        self._unexamined: set[str] = set()

    def add(self, sha: str, *, is_main: bool) -> None:
        """Examine a commit later, unless all that could be learnt of it is known."""
        commit, was_main = self._commits.get(sha), self.is_main.get(sha)
        if commit is None or was_main or was_main is is_main:
            return
        self.is_main[sha] = is_main
        heappush(self._queue, (-(commit.committed_at or 0), sha))
        if is_main:
            self._unexamined.discard(sha)
        else:
            self._unexamined.add(sha)

    def run(self) -> None:
        """Examine commits, the newest first."""
        while self._unexamined:
            _, sha = heappop(self._queue)
            self._unexamined.discard(sha)
            for parent in self._commits[sha].parents:
                self.add(parent, is_main=self.is_main[sha])

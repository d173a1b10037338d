"""What earlier deployments to an environment reached, and which commits of a branch they reached before its merge."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from heapq import heappop, heappush

from dora_metrics.sources.git.commits import GitCommit

_PLACES_PER_LINE = 1 << 32


class Reached:
    """The commits that were reached so far, and the lines of first parents that they stand on.

    Nearly every branch leaves the line of first parents that it is merged into, or a branch that was merged into it. So
    a commit where a branch meets what was reached before is nearly always known to be behind that line. For the others,
    everything behind the line is looked up: what is behind the place where it left another one, and what its own merges
    brought. That is found once for each line that is asked about, so all questions about a line together take one look
    at each commit behind it.
    """

    def __init__(self, commits: Mapping[str, GitCommit]) -> None:
        self.commits = commits
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
        self._brought: defaultdict[int, dict[str, int]] = defaultdict(dict)
        """By line, the place of the merge that brought each commit which is not behind the line's origin."""
        self._known_places: dict[int, int] = {}
        """By line, the last place of which it is known what is behind it."""

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

    def is_behind(self, sha: str, tip: str) -> bool:
        """Whether a commit is reachable from `tip`, which must have been reached."""
        if sha not in self._places:
            return False
        if self.is_surely_behind(sha, tip):
            return True
        self._learn_what_is_behind(tip)
        return self._is_behind(sha, self._places[tip])

    def is_surely_behind(self, sha: str, tip: str) -> bool:
        """Whether a commit is on the line of first parents from `tip`, by itself or by merges; if not, it may be."""
        place, tip_place = self._places.get(sha, -1), self._places.get(tip, -1)
        earlier_places: set[int] = set()
        while not self._is_on_line(place, tip_place):
            merged_place, merge_place = self._merges.get(place // _PLACES_PER_LINE, (-1, -1))
            if merged_place < place or merge_place < 0 or merge_place in earlier_places:
                return False
            earlier_places.add(merge_place)
            place = merge_place
        return True

    def _is_on_line(self, place: int, line_place: int) -> bool:
        line = place // _PLACES_PER_LINE
        while line_place // _PLACES_PER_LINE > line:
            line_place = self._origins[line_place // _PLACES_PER_LINE]
        return line_place // _PLACES_PER_LINE == line and place <= line_place

    def only_behind(self, tips: Iterable[str], main: str) -> list[GitCommit]:
        """Return what is reachable from `tips` and not from `main`, newest first; all of it must have been reached."""
        self._learn_what_is_behind(main)
        main_place = self._places.get(main, -1)
        found: dict[str, GitCommit] = {}
        queue: list[tuple[int, str]] = []
        parents = tips
        while True:
            for sha in parents:
                if sha in self._places and sha not in found and not self._is_behind(sha, main_place):
                    found[sha] = self.commits[sha]
                    heappush(queue, (-(found[sha].committed_at or 0), sha))
            if not queue:
                return list(found.values())
            parents = found[heappop(queue)[1]].parents

    def _is_behind(self, sha: str, line_place: int) -> bool:
        """Whether a commit is reachable from a place of which it is known what is behind it."""
        place = self._places[sha]
        while line_place >= 0:
            line = line_place // _PLACES_PER_LINE
            if place // _PLACES_PER_LINE == line:
                return place <= line_place
            if (merge_place := self._brought[line].get(sha)) is not None:
                return merge_place <= line_place
            line_place = self._origins[line]
        return False

    def _learn_what_is_behind(self, sha: str) -> None:
        """Look at the merges on the lines of first parents from a commit that were not looked at before."""
        place = self._places.get(sha, -1)
        unknown: list[tuple[int, GitCommit]] = []
        while place > self._known_places.get(place // _PLACES_PER_LINE, -1):
            commit = self.commits[sha]
            unknown.append((place, commit))
            place, sha = self._place_before(place), next(iter(commit.parents), "")
        for merge_place, commit in reversed(unknown):
            self._add_brought(commit.parents[1:], merge_place)
            self._known_places[merge_place // _PLACES_PER_LINE] = merge_place

    def _place_before(self, place: int) -> int:
        """Return the place of a commit's first parent; negative if that was not reached."""
        line = place // _PLACES_PER_LINE
        return place - 1 if place - 1 > line * _PLACES_PER_LINE else self._origins[line]

    def _add_brought(self, merged: Iterable[str], merge_place: int) -> None:
        """Remember what a merge brought to its line: what was not behind an earlier place on it."""
        brought = self._brought[merge_place // _PLACES_PER_LINE]
        pending = list(merged)
        while pending:
            sha = pending.pop()
            if sha in self._places and sha not in brought and not self._is_behind(sha, merge_place):
                brought[sha] = merge_place
                pending += self.commits[sha].parents

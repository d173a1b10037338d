"""Tags in order of time become deployments, each with what it was the first to bring."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from urllib.parse import quote

from dora_metrics.core.facts.model import Deployment
from dora_metrics.settings.model import Settings
from dora_metrics.sources.git.commits import Newly, newly
from dora_metrics.sources.git.git_changes import Changes, moment
from dora_metrics.sources.git.git_log import EARLIEST, LATEST, Log
from dora_metrics.sources.git.git_project import Project
from dora_metrics.sources.git.git_tags import Tag, is_patch_of, is_prerelease, natural

PRODUCTION, PRERELEASE = "production", "prerelease"
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Release:
    """A tag with the time at which it counts, and its place among tags of the same time."""

    name: str
    commit: str
    at: datetime
    started_at: datetime | None = None

    @property
    def environment(self) -> str:
        return PRERELEASE if is_prerelease(self.name) else PRODUCTION


def in_order(tags: Iterable[Tag], log: Log) -> tuple[list[Release], list[str]]:
    """Tags by the tagger's time, else the commit's, then as versions are sorted; and the names of those without one."""
    timed = [(_time(tag, log), tag) for tag in tags]
    found = [Release(tag.name, tag.commit, at) for at, tag in timed if at]
    found.sort(key=lambda release: (release.at, natural(release.name)))
    return list(_with_places(found)), [tag.name for at, tag in timed if at is None]


def _time(tag: Tag, log: Log) -> datetime | None:
    if tag.tagged_at is None:
        return moment(log.commits[tag.commit].committed_at)
    return moment(tag.tagged_at) if EARLIEST <= tag.tagged_at < LATEST else None


def _with_places(releases: Iterable[Release]) -> Iterator[Release]:
    """Deployments are in order by their end, their start and their id; starts keep equal ends in order of version."""
    for at, group in groupby(releases, attrgetter("at")):
        together = list(group)
        for place, one in enumerate(reversed(together)) if len(together) > 1 else ():
            together[-1 - place] = Release(one.name, one.commit, at, at - place * _TICK)
        yield from together


@dataclass
class Deployments:
    """The deployments of one repository, as they are added, and what is to be said about them."""

    project: Project
    settings: Settings
    log: Log
    cut: frozenset[str]
    changes: Changes
    facts: list[Deployment] = field(default_factory=list)
    quick: list[tuple[str, str]] = field(default_factory=list)
    unknown: int = 0

    def add(self, releases: Sequence[Release]) -> None:
        """The deployments to one environment, in order."""
        met: set[str] = set()
        edge = _Edge(self.cut)
        before: Release | None = None
        for release in releases:
            new = newly(self.log.commits, release.commit, met)
            listed = self._listed(release, before, new) if edge.leaves_whole(new) else None
            self.unknown += listed is None
            self.facts.append(self._fact(release, before, new, listed))
            before = release

    def _listed(self, release: Release, before: Release | None, new: Newly) -> tuple[str, ...]:
        """What a deployment brought. That of a quick patch gets the label of a hotfix, which it is."""
        if before is None or self.label is None or not self._is_quick(release, before):
            return self.changes.add(new.landings, release.at)
        listed = self.changes.add(new.landings, release.at, (self.label,))
        if listed:
            self.quick.append((release.name, before.name))
        return listed

    def _is_quick(self, release: Release, before: Release) -> bool:
        soon = release.at - before.at <= self.settings.hotfix_window
        return soon and release.environment == PRODUCTION and is_patch_of(release.name, before.name)

    @property
    def label(self) -> str | None:
        """What makes a change a hotfix."""
        return next(iter(self.settings.hotfix_labels), None)

    def _fact(self, release: Release, before: Release | None, new: Newly, listed: tuple[str, ...] | None) -> Deployment:
        known = listed is not None
        return Deployment(
            id=_identity(release),
            repository=self.project.repository,
            service=self.settings.service,
            source="git",
            observed_at=release.at,
            url=self.project.page("releases/tag", quote(release.name)),
            environment=release.environment,
            sha=release.commit,
            ref=release.name,
            version=release.name,
            status="success",
            started_at=release.started_at,
            finished_at=release.at,
            changes=listed,
            previous=_identity(before) if before and known else None,
            commit_count=len(new.commits) if known else None,
        )


def _identity(release: Release) -> str:
    return f"git:tag:{release.name}"


class _Edge:
    """Where the history of a shallow clone is cut off.

    What is behind the cut is not there, and neither is what it would have shown: that a commit which is there was
    behind an earlier tag, too. Such a commit is older than the cut. So a deployment is known where it brought nothing
    at the cut, and nothing older.
    """

    def __init__(self, cut: frozenset[str]) -> None:
        self._cut = cut
        self._newest = 0

    def leaves_whole(self, new: Newly) -> bool:
        at_edge = [commit.committed_at or LATEST for commit in new.commits if commit.sha in self._cut]
        self._newest = max(self._newest, *at_edge, 0)
        if not self._newest:
            return True
        return all((commit.committed_at or 0) > self._newest for commit in new.commits)

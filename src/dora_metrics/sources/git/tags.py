"""Tags in order of time become deployments, each with what it was the first to bring.

What landed becomes changes, with the ids that pull requests have everywhere else.

Tags: which there are, which are prereleases, which only raise a patch number, and their order.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import groupby
from operator import attrgetter
from urllib.parse import quote

from dora_metrics.core.facts import model
from dora_metrics.core.facts.model import Change, Deployment
from dora_metrics.github import text
from dora_metrics.github.events.pull_requests import reverted
from dora_metrics.settings.model import Settings
from dora_metrics.sources.git.commits import EARLIEST, LATEST, Commit, Landing, Log, Newly, newly
from dora_metrics.sources.git.repository import Git, Project

_SHORT = re.compile(r"\bThis reverts commit ([0-9a-f]{7,64})\b")
_REVERT = re.compile(r'Revert "(?:Merge pull request #(\d{1,18})\b|.*\(#(\d{1,18})\)"$)', re.ASCII)


class Changes:
    """Changes by id, as their deployments are added in order; a change stays as it was first delivered."""

    def __init__(self, project: Project, service: str | None, log: Log) -> None:
        self.facts: dict[str, Change] = {}
        self.squashed = 0
        self._project, self._service, self._log = project, service, log
        self._known: set[str] = set()
        self._owners: dict[str, str] = {}

    def add(self, landings: Iterable[Landing], at: datetime, labels: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The ids of what landed with a deployment that ended `at`; `labels` are for what nobody delivered before."""
        found: dict[str, Landing] = {}
        for landing in landings:
            identity = self._identity(landing)
            if identity in found:
                found[identity].join(landing)
            found.setdefault(identity, landing)
            for commit in (landing.commit, *landing.brought):
                self._owners[commit.sha] = identity
        self._known.update(found)
        for identity, landing in found.items():
            if identity not in self.facts:
                self.squashed += landing.squashed
                self.facts[identity] = self._change(identity, landing, at, labels)
        return tuple(found)

    def _identity(self, landing: Landing) -> str:
        return f"commit:{landing.commit.sha}" if landing.number is None else self._project.pull(landing.number)

    def _change(self, identity: str, landing: Landing, at: datetime, labels: tuple[str, ...]) -> Change:
        commit, pull = landing.commit, landing.number is not None
        began, merged = moment(landing.began), moment(commit.committed_at)
        title = _title(landing)
        page = self._project.page("pull", landing.number) if pull else self._project.page("commit", commit.sha)
        return Change(
            id=identity,
            repository=self._project.repository,
            service=self._service,
            source="git",
            observed_at=merged or began or at,
            url=page,
            sha=commit.sha,
            title=text.title(title),
            first_commit_at=began,
            merged_at=merged if pull else None,
            labels=labels,
            branch=landing.branch,
            bot=all(one.bot for one in landing.brought or (commit,)),
            reverts=self._reverts(identity, landing, title),
            commits=tuple(_commits(landing.brought)) if pull else None,
        )

    def _reverts(self, identity: str, landing: Landing, title: str) -> str | None:
        """What a change takes back: as its text says, else as its title does, else as all of its commits do."""
        named = self._named(landing.commit.body) or self._titled(title)
        if named is None and landing.brought and landing.brought != [landing.commit]:
            named = self._by_its_commits(identity, landing, title)
        return None if named == identity else named

    def _by_its_commits(self, identity: str, landing: Landing, title: str) -> str | None:
        targets = [self._named(commit.body) for commit in landing.brought]
        if all(targets) or title.startswith('Revert "') or (landing.branch or "").startswith("revert-"):
            return next((target for target in targets if target not in (None, identity)), None)
        return None

    def _named(self, body: str) -> str | None:
        if not body:
            return None
        named = reverted(self._project.repository, body)
        if named is None:
            short = _SHORT.search(body)
            named = self._log.full(short[1]) if short else None
        if named and "#" in named:
            return self._own(named)
        return self._owners.get(named, named) if named else None

    def _own(self, pull: str) -> str:
        """A pull request by another name is one of a fork's origin, or of this repository without a known name."""
        own = self._project.pull(int(pull.rpartition("#")[2]))
        return own if own in self._known else pull

    def _titled(self, title: str) -> str | None:
        found = _REVERT.match(title)
        return self._project.pull(int(found[1] or found[2])) if found else None


def moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _title(landing: Landing) -> str:
    """A pull request's title as it was before GitHub added its number; that of a merge begins the merge's text."""
    commit = landing.commit
    if landing.number is None:
        return commit.subject
    if commit.subject.startswith("Merge pull request "):
        return next((line for line in map(str.strip, commit.body.split("\n")) if line), commit.subject)
    return commit.subject.removesuffix(f"(#{landing.number})").rstrip() or commit.subject


def _commits(brought: Iterable[Commit]) -> Iterable[model.Commit]:
    return (model.Commit(commit.sha, at) for commit in brought if (at := moment(commit.authored_at)))


# %(object) and %(type) are what a tag says of its target, so that no target is read: a partial clone may lack it.
_FORMAT = "%(objectname)%00%(objecttype)%00%(object)%00%(type)%00%(taggerdate:unix)%00%(refname)"


@dataclass(frozen=True)
class Tag:
    """A name for a commit; `tagged_at` in seconds since 1970, None where the tag itself has no time."""

    name: str
    commit: str
    tagged_at: int | None


@dataclass(frozen=True)
class Tags:
    """All tags on commits, and the names of those on something else."""

    tags: list[Tag]
    elsewhere: list[str]

    def fitting(self, pattern: str | None) -> list[Tag]:
        """Those that a pattern fits, as in `git tag --list PATTERN`: its `*` also stands for a slash."""
        return [tag for tag in self.tags if pattern is None or fnmatchcase(tag.name, pattern)]


def tags(git: Git) -> Tags:
    """Every tag of a repository, by name.

    Raises:
        GitError: if git cannot read them.
    """
    text = git.read("for-each-ref", f"--format={_FORMAT}", "--", "refs/tags/").decode("utf-8", "backslashreplace")
    rows = [line.split("\0") for line in text.split("\n")[:-1]]
    bottoms = _bottoms(git, [target for _, _, target, kind, _, _ in rows if kind == "tag"])
    found = Tags([], [])
    for oid, kind, target, target_kind, at, ref in rows:
        name = ref.removeprefix("refs/tags/")
        bottom = {"commit": target, "tag": bottoms.get(target, "")}.get(target_kind, "") if kind == "tag" else oid
        if bottom and kind in ("commit", "tag"):
            found.tags.append(Tag(name, bottom, int(at) if at.isdecimal() else None))
        else:
            found.elsewhere.append(name)
    return found


def _bottoms(git: Git, nested: list[str]) -> dict[str, str]:
    """The commits under tags of tags; no entry for what is no commit, or not there."""
    if not nested:
        return {}
    asked = "".join(f"{oid}^{{}}\n" for oid in nested).encode()
    answers = git.read("cat-file", "--batch-check=%(objectname) %(objecttype)", given=asked).decode().splitlines()
    pairs = (answer.rpartition(" ") for answer in answers)
    return {oid: bottom for oid, (bottom, _, kind) in zip(nested, pairs, strict=True) if kind == "commit"}


_BEFORE = r"(?:.*?[^0-9.])??"  # as little as can be: `1.2.0-0.3.7` is a prerelease of 1.2.0
_NUMBER = r"(?:0|[1-9]\d{0,17})"
_SEMVER = re.compile(
    rf"(?P<before>{_BEFORE})(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})"
    r"(?P<prerelease>-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)
"""https://semver.org, with anything before it: `v1.2.0-rc.1`, `api/v1.2.0`."""

_WORDS = "alpha|beta|rc|pre|preview|prerelease|dev|snapshot|nightly|canary|milestone"
_SPOKEN = re.compile(
    rf"{_BEFORE}\d+(?:\.\d+)*(?:[-_.]?(?:{_WORDS})(?![a-z]).*|[-.]m\d+)|{_BEFORE}\d+(?:\.\d+)+[ab]\d+",
    re.ASCII | re.IGNORECASE,
)
"""What other schemes call a prerelease: `v6.1-rc3`, `5.0a1`, `1.2.0.beta1`."""

_FIRST_YEAR = 1900


def is_prerelease(name: str) -> bool:
    """Whether a name says that it is no release yet. In a date, as `2026.11.21-2` is one, only words say so."""
    found = _SEMVER.fullmatch(name)
    by_semver = bool(found and found["prerelease"] and int(found["major"]) < _FIRST_YEAR)
    return by_semver or _SPOKEN.fullmatch(name) is not None


def is_patch_of(name: str, before: str) -> bool:
    """Whether a name only raises the patch number of the one before it. A date does not: the day after is no patch."""
    new, old = _SEMVER.fullmatch(name), _SEMVER.fullmatch(before)
    if not new or not old or new["prerelease"] or old["prerelease"] or int(new["major"]) >= _FIRST_YEAR:
        return False
    same = all(new[part] == old[part] for part in ("major", "minor"))
    return same and _bare(new) == _bare(old) and int(new["patch"]) > int(old["patch"])


def _bare(found: re.Match[str]) -> str:
    return found["before"].removesuffix("v")


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts names as people do: v1.9.0 before v1.10.0."""
    return tuple(_natural(name))


def _natural(name: str) -> Iterator[tuple[int, int, str]]:
    for part in re.findall(r"\d{1,18}|\D+", name, re.ASCII):
        yield (0, int(part), "") if part[0] in "0123456789" else (1, 0, part)


def some(names: Iterable[str], most: int = 5) -> str:
    """The last few names, for a note."""
    found = sorted(names, key=natural, reverse=True)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


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

"""Git tags as deployments: each tag, in order of time, delivers the changes that no earlier tag reached.

Pull requests have the same ids as in facts from GitHub's events.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import groupby
from operator import attrgetter
from urllib.parse import quote

from dora_metrics.core.facts import ids, model
from dora_metrics.core.facts.model import Change, Deployment
from dora_metrics.github import text
from dora_metrics.github.events.pull_requests import revert_target
from dora_metrics.settings.model import Settings
from dora_metrics.sources.git.commits import (
    EARLIEST_SECONDS,
    LATEST_SECONDS,
    CommitLog,
    GitCommit,
    LandedChange,
    NewHistory,
    new_history,
)
from dora_metrics.sources.git.repository import Git, RepositoryIdentity

# %(object) and %(type) describe a tag's target without reading it: a partial clone may lack it.
_TAG_FORMAT = "%(objectname)%00%(objecttype)%00%(object)%00%(type)%00%(taggerdate:unix)%00%(refname)"


@dataclass(frozen=True)
class Tag:
    """A name for a commit. `tagged_at` is in seconds since 1970, None for a tag without a time of its own."""

    name: str
    commit: str
    tagged_at: int | None


@dataclass(frozen=True)
class TagList:
    """All tags on commits, and the names of tags on anything else."""

    tags: list[Tag]
    not_on_commits: list[str]

    def matching(self, pattern: str | None) -> list[Tag]:
        """Return the tags that match a pattern as in `git tag --list PATTERN`, where `*` also matches a slash."""
        return [tag for tag in self.tags if pattern is None or fnmatchcase(tag.name, pattern)]


def read_tags(git: Git) -> TagList:
    """Read every tag of a repository.

    Raises:
        GitError: if git cannot read them.
    """
    output = git.read("for-each-ref", f"--format={_TAG_FORMAT}", "--", "refs/tags/").decode("utf-8", "backslashreplace")
    rows = [line.split("\0") for line in output.split("\n")[:-1]]
    commit_by_tag = _commits_of_nested_tags(git, [target for _, _, target, kind, _, _ in rows if kind == "tag"])
    tag_list = TagList([], [])
    for oid, kind, target, target_kind, tagged_at, ref in rows:
        name = ref.removeprefix("refs/tags/")
        commit = {"commit": target, "tag": commit_by_tag.get(target, "")}.get(target_kind, "") if kind == "tag" else oid
        if commit and kind in ("commit", "tag"):
            tag_list.tags.append(Tag(name, commit, int(tagged_at) if tagged_at.isdecimal() else None))
        else:
            tag_list.not_on_commits.append(name)
    return tag_list


def _commits_of_nested_tags(git: Git, tag_oids: list[str]) -> dict[str, str]:
    """Return the commit under each tag of a tag, without those that point to anything else or are missing."""
    if not tag_oids:
        return {}
    lines = "".join(f"{oid}^{{}}\n" for oid in tag_oids).encode()
    answers = git.read("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=lines).decode().splitlines()
    pairs = (answer.rpartition(" ") for answer in answers)
    return {oid: commit for oid, (commit, _, kind) in zip(tag_oids, pairs, strict=True) if kind == "commit"}


# --- Versions ---

_PREFIX = r"(?:.*?[^0-9.])??"  # non-greedy: `1.2.0-0.3.7` is a prerelease of 1.2.0
_NUMBER = r"(?:0|[1-9]\d{0,17})"
_SEMVER = re.compile(
    rf"(?P<prefix>{_PREFIX})(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})"
    r"(?P<prerelease>-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)
"""A version by https://semver.org after any prefix: `v1.2.0-rc.1`, `api/v1.2.0`."""

_PRERELEASE_WORDS = "alpha|beta|rc|pre|preview|prerelease|dev|snapshot|nightly|canary|milestone"
_WORDED_PRERELEASE = re.compile(
    rf"{_PREFIX}\d+(?:\.\d+)*(?:[-_.]?(?:{_PRERELEASE_WORDS})(?![a-z]).*|[-.]m\d+)|{_PREFIX}\d+(?:\.\d+)+[ab]\d+",
    re.ASCII | re.IGNORECASE,
)
"""A prerelease by other schemes: `v6.1-rc3`, `5.0a1`, `1.2.0.beta1`."""

_MIN_CALENDAR_MAJOR = 1900
"""From this major version on, a version is a date."""


def is_prerelease(name: str) -> bool:
    """Return whether a tag's name is that of a prerelease. In a date such as `2026.11.21-2` only words count."""
    match = _SEMVER.fullmatch(name)
    is_semver_prerelease = bool(match and match["prerelease"] and int(match["major"]) < _MIN_CALENDAR_MAJOR)
    return is_semver_prerelease or _WORDED_PRERELEASE.fullmatch(name) is not None


def is_patch_of(name: str, previous: str) -> bool:
    """Return whether a version differs from the previous one only by a higher patch number. Dates never do."""
    new, old = _SEMVER.fullmatch(name), _SEMVER.fullmatch(previous)
    if not new or not old or new["prerelease"] or old["prerelease"] or int(new["major"]) >= _MIN_CALENDAR_MAJOR:
        return False
    has_same_minor = all(new[part] == old[part] for part in ("major", "minor"))
    return has_same_minor and _prefix_without_v(new) == _prefix_without_v(old) and int(new["patch"]) > int(old["patch"])


def _prefix_without_v(match: re.Match[str]) -> str:
    return match["prefix"].removesuffix("v")


def version_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts names with numbers by value: v1.9.0 before v1.10.0."""
    return tuple(_version_key_parts(name))


def _version_key_parts(name: str) -> Iterator[tuple[int, int, str]]:
    for part in re.findall(r"\d{1,18}|\D+", name, re.ASCII):
        yield (0, int(part), "") if part[0] in "0123456789" else (1, 0, part)


def newest_names(names: Iterable[str], limit: int = 5) -> str:
    """Return the highest versions as text, with the count of the rest."""
    ordered = sorted(names, key=version_key, reverse=True)
    return ", ".join(ordered[:limit]) + (f" and {len(ordered) - limit} more" if len(ordered) > limit else "")


# --- Releases in order ---

PRODUCTION, PRERELEASE = "production", "prerelease"
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class TagRelease:
    """A tag as a deployment at the time `at`. `started_at` keeps tags of equal time in order."""

    name: str
    commit: str
    at: datetime
    started_at: datetime | None = None

    @property
    def environment(self) -> str:
        return PRERELEASE if is_prerelease(self.name) else PRODUCTION


def order_releases(tags: Iterable[Tag], log: CommitLog) -> tuple[list[TagRelease], list[str]]:
    """Sort tags by time (the tagger's, otherwise the commit's), then by version.

    Returns:
        The releases in order, and the names of tags without a plausible time.
    """
    timed_tags = [(_tag_time(tag, log), tag) for tag in tags]
    releases = [TagRelease(tag.name, tag.commit, at) for at, tag in timed_tags if at]
    releases.sort(key=lambda release: (release.at, version_key(release.name)))
    return list(_with_distinct_starts(releases)), [tag.name for at, tag in timed_tags if at is None]


def _tag_time(tag: Tag, log: CommitLog) -> datetime | None:
    if tag.tagged_at is None:
        return to_datetime(log.commits[tag.commit].committed_at)
    return to_datetime(tag.tagged_at) if EARLIEST_SECONDS <= tag.tagged_at < LATEST_SECONDS else None


def _with_distinct_starts(releases: Iterable[TagRelease]) -> Iterator[TagRelease]:
    """Give releases of equal time distinct starts, since deployments are sorted by end, start and id."""
    for at, group in groupby(releases, attrgetter("at")):
        same_time = list(group)
        for steps_before_end, release in enumerate(reversed(same_time)) if len(same_time) > 1 else ():
            same_time[-1 - steps_before_end] = TagRelease(
                release.name, release.commit, at, at - steps_before_end * _MICROSECOND
            )
        yield from same_time


# --- Changes ---

_REVERTED_SHA = re.compile(r"\bThis reverts commit ([0-9a-f]{7,64})\b")
_REVERT_TITLE = re.compile(r'Revert "(?:Merge pull request #(\d{1,18})\b|.*\(#(\d{1,18})\)"$)', re.ASCII)


class ChangeCollector:
    """Collects changes by id while deployments are added in order. A change keeps the state of its first delivery."""

    def __init__(self, identity: RepositoryIdentity, service: str | None, log: CommitLog) -> None:
        self.facts: dict[str, Change] = {}
        self.squashed_count = 0
        self._identity, self._service, self._log = identity, service, log
        self._change_ids: set[str] = set()
        self._change_id_by_sha: dict[str, str] = {}

    def add(
        self, landed_changes: Iterable[LandedChange], deployed_at: datetime, labels: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """Add the changes of one deployment and return their ids; `labels` go to those not delivered before."""
        landed_by_id: dict[str, LandedChange] = {}
        for landed in landed_changes:
            change_id = self._change_id(landed)
            if change_id in landed_by_id:
                landed_by_id[change_id].merge_later(landed)
            landed_by_id.setdefault(change_id, landed)
            for commit in (landed.commit, *landed.commits):
                self._change_id_by_sha[commit.sha] = change_id
        self._change_ids.update(landed_by_id)
        for change_id, landed in landed_by_id.items():
            if change_id not in self.facts:
                self.squashed_count += landed.is_squashed
                self.facts[change_id] = self._change(change_id, landed, deployed_at, labels)
        return tuple(landed_by_id)

    def _change_id(self, landed: LandedChange) -> str:
        return (
            ids.commit(landed.commit.sha)
            if landed.pull_number is None
            else self._identity.pull_request_id(landed.pull_number)
        )

    def _change(self, change_id: str, landed: LandedChange, deployed_at: datetime, labels: tuple[str, ...]) -> Change:
        commit, is_pull_request = landed.commit, landed.pull_number is not None
        page = ("pull", landed.pull_number) if is_pull_request else ("commit", commit.sha)
        first_commit_at, merged_at = to_datetime(landed.first_authored_at), to_datetime(commit.committed_at)
        title = _change_title(landed)
        return Change(
            id=change_id,
            repository=self._identity.repository,
            service=self._service,
            source="git",
            observed_at=merged_at or first_commit_at or deployed_at,
            url=self._identity.page_url(*page),
            sha=commit.sha,
            title=text.truncate_title(title),
            first_commit_at=first_commit_at,
            merged_at=merged_at if is_pull_request else None,
            labels=labels,
            branch=landed.branch,
            bot=all(part.is_by_bot for part in landed.commits or (commit,)),
            reverts=self._reverted_id(change_id, landed, title),
            commits=tuple(_fact_commits(landed.commits)) if is_pull_request else None,
        )

    def _reverted_id(self, change_id: str, landed: LandedChange, title: str) -> str | None:
        """Return the id of what a change reverts, by its body, otherwise its title, otherwise all of its commits."""
        reverted_id = self._reverted_in_body(landed.commit.body) or self._reverted_in_title(title)
        if reverted_id is None and landed.commits and landed.commits != [landed.commit]:
            reverted_id = self._reverted_by_commits(change_id, landed, title)
        return None if reverted_id == change_id else reverted_id

    def _reverted_by_commits(self, change_id: str, landed: LandedChange, title: str) -> str | None:
        reverted_ids = [self._reverted_in_body(commit.body) for commit in landed.commits]
        if all(reverted_ids) or title.startswith('Revert "') or (landed.branch or "").startswith("revert-"):
            return next((reverted_id for reverted_id in reverted_ids if reverted_id not in (None, change_id)), None)
        return None

    def _reverted_in_body(self, body: str) -> str | None:
        if not body:
            return None
        reverted_id = revert_target(self._identity.repository, body)
        if reverted_id is None:
            match = _REVERTED_SHA.search(body)
            reverted_id = self._log.expand_sha(match[1]) if match else None
        if reverted_id and "#" in reverted_id:
            return self._own_pull_request(reverted_id)
        return self._change_id_by_sha.get(reverted_id, reverted_id) if reverted_id else None

    def _own_pull_request(self, pull_request_id: str) -> str:
        """Return this repository's id for a pull request that it has delivered, otherwise the id unchanged.

        The name in the text differs if it is the upstream of a fork, or if this repository has no remote.
        """
        own_id = self._identity.pull_request_id(int(pull_request_id.rpartition("#")[2]))
        return own_id if own_id in self._change_ids else pull_request_id

    def _reverted_in_title(self, title: str) -> str | None:
        match = _REVERT_TITLE.match(title)
        return self._identity.pull_request_id(int(match[1] or match[2])) if match else None


def to_datetime(seconds: int | None) -> datetime | None:
    """Convert seconds since 1970; None stays None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _change_title(landed: LandedChange) -> str:
    """Return a pull request's original title: GitHub appends its number, or puts the title into the merge's body."""
    commit = landed.commit
    if landed.pull_number is None:
        return commit.subject
    if commit.subject.startswith("Merge pull request "):
        return next((line for line in map(str.strip, commit.body.split("\n")) if line), commit.subject)
    return commit.subject.removesuffix(f"(#{landed.pull_number})").rstrip() or commit.subject


def _fact_commits(commits: Iterable[GitCommit]) -> Iterable[model.Commit]:
    return (
        model.Commit(commit.sha, authored_at) for commit in commits if (authored_at := to_datetime(commit.authored_at))
    )


# --- Deployments ---


@dataclass
class DeploymentCollector:
    """Collects the deployments of one repository, and what readers should know about them.

    Attributes:
        shallow_shas: commits at which a shallow history ends.
        quick_patches: pairs of a patch release that counts as a hotfix, and the release before it.
        unknown_count: deployments whose changes a shallow clone does not show.
    """

    identity: RepositoryIdentity
    settings: Settings
    log: CommitLog
    shallow_shas: frozenset[str]
    changes: ChangeCollector
    facts: list[Deployment] = field(default_factory=list)
    quick_patches: list[tuple[str, str]] = field(default_factory=list)
    unknown_count: int = 0

    def add(self, releases: Sequence[TagRelease]) -> None:
        """Add the deployments to one environment, in order."""
        visited: set[str] = set()
        edge = _ShallowEdge(self.shallow_shas)
        previous: TagRelease | None = None
        for release in releases:
            history = new_history(self.log.commits, release.commit, visited)
            change_ids = self._delivered_change_ids(release, previous, history) if edge.is_complete(history) else None
            self.unknown_count += change_ids is None
            self.facts.append(self._deployment(release, previous, history, change_ids))
            previous = release

    def _delivered_change_ids(
        self, release: TagRelease, previous: TagRelease | None, history: NewHistory
    ) -> tuple[str, ...]:
        """Return the ids of the delivered changes. Those of a quick patch get the hotfix label."""
        if previous is None or self.hotfix_label is None or not self._is_quick_patch(release, previous):
            return self.changes.add(history.changes, release.at)
        change_ids = self.changes.add(history.changes, release.at, (self.hotfix_label,))
        if change_ids:
            self.quick_patches.append((release.name, previous.name))
        return change_ids

    def _is_quick_patch(self, release: TagRelease, previous: TagRelease) -> bool:
        is_soon = release.at - previous.at <= self.settings.hotfix_window
        return is_soon and release.environment == PRODUCTION and is_patch_of(release.name, previous.name)

    @property
    def hotfix_label(self) -> str | None:
        """The label that marks a change as a hotfix, None if none is configured."""
        return next(iter(self.settings.hotfix_labels), None)

    def _deployment(
        self, release: TagRelease, previous: TagRelease | None, history: NewHistory, change_ids: tuple[str, ...] | None
    ) -> Deployment:
        is_complete = change_ids is not None
        return Deployment(
            id=_deployment_id(release),
            repository=self.identity.repository,
            service=self.settings.service,
            source="git",
            observed_at=release.at,
            url=self.identity.page_url("releases/tag", quote(release.name)),
            environment=release.environment,
            sha=release.commit,
            ref=release.name,
            version=release.name,
            status="success",
            started_at=release.started_at,
            finished_at=release.at,
            changes=change_ids,
            previous=_deployment_id(previous) if previous and is_complete else None,
            commit_count=len(history.commits) if is_complete else None,
        )


def _deployment_id(release: TagRelease) -> str:
    return ids.git_tag(release.name)


class _ShallowEdge:
    """The edge of a shallow clone: the oldest commits that it has.

    Missing commits also hide whether an earlier tag already reached a commit that is there. Such a commit is older than
    the edge. So the changes of a deployment are known only if it brought no commit at the edge and none older.
    """

    def __init__(self, shallow_shas: frozenset[str]) -> None:
        self._shallow_shas = shallow_shas
        self._newest_edge_seconds = 0

    def is_complete(self, history: NewHistory) -> bool:
        """Return whether the changes of the next deployment, in order, are all known."""
        edge_seconds = [
            commit.committed_at or LATEST_SECONDS for commit in history.commits if commit.sha in self._shallow_shas
        ]
        self._newest_edge_seconds = max(self._newest_edge_seconds, *edge_seconds, 0)
        if not self._newest_edge_seconds:
            return True
        return all((commit.committed_at or 0) > self._newest_edge_seconds for commit in history.commits)

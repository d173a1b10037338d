"""Git tags as deployments: each commit with tags, in order of time, delivers the changes that no earlier one reached.

Pull requests have the same ids as in facts from GitHub's events.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import chain, groupby
from operator import attrgetter
from urllib.parse import quote

from dora_metrics.core.facts import ids, model
from dora_metrics.core.facts.model import GIT_SOURCE, Change, Deployment
from dora_metrics.core.versions import parse_version, version_key, versions_by_tag
from dora_metrics.github import text
from dora_metrics.github.reverts import as_field, reverts_in
from dora_metrics.settings.model import Settings
from dora_metrics.sources.git.commits import (
    EARLIEST_SECONDS,
    LATEST_SECONDS,
    CommitLog,
    GitCommit,
    parse_seconds,
)
from dora_metrics.sources.git.landed import LandedChange, NewHistory, commits_brought_by, new_history
from dora_metrics.sources.git.pull_numbers import PullNumbers
from dora_metrics.sources.git.reached import Reached
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


def read_tags(git: Git) -> TagList:
    """Read every tag of a repository.

    Raises:
        GitError: if git cannot read them.
    """
    output = git.read("for-each-ref", f"--format={_TAG_FORMAT}", "--", "refs/tags/").decode("utf-8", "backslashreplace")
    rows = [line.split("\0") for line in output.split("\n")[:-1]]
    commit_by_tag = _commits_of_nested_tags(git, {row[2] for row in rows if row[3] == "tag"})
    tag_list = TagList([], [])
    for oid, kind, target, target_kind, tagged_at, ref in rows:
        name = ref.removeprefix("refs/tags/")
        commit = {"commit": target, "tag": commit_by_tag.get(target, "")}.get(target_kind, "") if kind == "tag" else oid
        if commit and kind in ("commit", "tag"):
            tag_list.tags.append(Tag(name, commit, parse_seconds(tagged_at)))
        else:
            tag_list.not_on_commits.append(name)
    return tag_list


def _commits_of_nested_tags(git: Git, tag_oids: set[str]) -> dict[str, str]:
    """Return the commit under each tag of a tag, without those that point to anything else or are missing."""
    if not tag_oids:
        return {}
    lines = "".join(f"{oid}^{{}}\n" for oid in tag_oids).encode()
    answers = git.read("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=lines).decode().splitlines()
    pairs = (answer.rpartition(" ") for answer in answers)
    return {oid: commit for oid, (commit, _, kind) in zip(tag_oids, pairs, strict=True) if kind == "commit"}


# --- Which tags are deployments ---


def fitting_tags(tags: Iterable[Tag], pattern: str | None) -> list[Tag]:
    """Return the tags that fit a pattern as in `git tag --list`, where `*` also matches a slash; all if it is None."""
    return [tag for tag in tags if pattern is None or fnmatchcase(tag.name, pattern)]


def version_tags(tags: Sequence[Tag], log: CommitLog) -> list[Tag]:
    """Return the tags that read as versions, without those that move with each release, such as `v1`."""
    times = {tag.name: _tag_time(tag, log) for tag in tags}
    versions = versions_by_tag({name: None if at is None else at.timestamp() for name, at in times.items()})
    return [tag for tag in tags if tag.name in versions]


# --- Releases in order ---

PRODUCTION, PRERELEASE = "production", "prerelease"
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class TagRelease:
    """The tags on one commit as a deployment at the time `at`, that of the oldest of them.

    `name` is the most specific of the tags, `names` are all of them. `started_at` keeps releases of the same time in
    order.
    """

    name: str
    commit: str
    environment: str
    at: datetime
    names: tuple[str, ...]
    started_at: datetime | None = None


def order_releases(tags: Sequence[Tag], log: CommitLog) -> tuple[list[TagRelease], list[str]]:
    """Make one release of the tags on each commit, apart from its prereleases, in the order of their first tags.

    Tags are in order of time (the tagger's, otherwise the commit's), then of version.

    Returns:
        The releases in order, and the names of tags without a plausible time.
    """
    times = {tag.name: _tag_time(tag, log) for tag in tags}
    timed_tags = [(at, tag) for tag in tags if (at := times[tag.name])]
    timed_tags.sort(key=lambda timed: (timed[0], version_key(timed[1].name)))
    tags_by_place: defaultdict[tuple[str, str], list[tuple[datetime, Tag]]] = defaultdict(list)
    for at, tag in timed_tags:
        tags_by_place[_environment_of(tag), tag.commit].append((at, tag))
    releases = (_release(place, group) for place, group in tags_by_place.items())
    return list(_with_distinct_starts(releases)), [name for name, at in times.items() if at is None]


def _environment_of(tag: Tag) -> str:
    version = parse_version(tag.name)
    return PRERELEASE if version and version.is_prerelease else PRODUCTION


def _release(place: tuple[str, str], timed_tags: Sequence[tuple[datetime, Tag]]) -> TagRelease:
    """Make a release of the tags on one commit, the oldest first."""
    environment, commit = place
    names = sorted((tag.name for _, tag in timed_tags), key=_specificity, reverse=True)
    return TagRelease(names[0], commit, environment, timed_tags[0][0], tuple(names))


def _specificity(name: str) -> tuple[bool, tuple[object, ...]]:
    version = parse_version(name)
    return version is not None, version.specificity if version else version_key(name)


def _tag_time(tag: Tag, log: CommitLog) -> datetime | None:
    if tag.tagged_at is None:
        return to_datetime(log.commits[tag.commit].committed_at)
    return to_datetime(tag.tagged_at) if EARLIEST_SECONDS <= tag.tagged_at < LATEST_SECONDS else None


def _with_distinct_starts(releases: Iterable[TagRelease]) -> Iterator[TagRelease]:
    """Give releases of equal time distinct starts, since deployments are sorted by end, start and id."""
    for at, group in groupby(releases, attrgetter("at")):
        same_time = list(group)
        for steps_before_end, release in enumerate(reversed(same_time)) if len(same_time) > 1 else ():
            same_time[-1 - steps_before_end] = replace(release, started_at=at - steps_before_end * _MICROSECOND)
        yield from same_time


# --- Changes ---

_REVERT_TITLE = re.compile(r'Revert "(?:Merge pull request #(\d{1,18})\b|.*\(#(\d{1,18})\)"$)', re.ASCII)


class ChangeCollector:
    """Collects changes by id while deployments are added in order. A change keeps the state of its first delivery."""

    def __init__(self, identity: RepositoryIdentity, service: str | None, log: CommitLog) -> None:
        self.facts: dict[str, Change] = {}
        self.squashed_count = 0
        self._identity, self._service, self._log = identity, service, log
        self._pull_numbers = PullNumbers(identity)
        self._change_id_by_sha: dict[str, str] = {}
        self._reached = Reached(log.commits)

    @property
    def repeated_number_count(self) -> int:
        """The pull requests whose number an earlier one on the same line has."""
        return self._pull_numbers.repeated_count

    def add(self, history: NewHistory, deployed_at: datetime, reached: Reached) -> tuple[str, ...]:
        """Add what one deployment brought to what was `reached`.

        Returns:
            The ids of its changes, of copies of earlier ones, and of pull requests that only carried changes.
        """
        self._reached = reached
        changes = self._add_landed(history.changes, deployed_at)
        carriers = [carrier for carrier in history.carriers if self._carries_pulls(carrier)]
        return (*changes, *self._add_landed(carriers, deployed_at))

    def _carries_pulls(self, carrier: LandedChange) -> bool:
        """Whether all that a pull request carried is of pull requests that were merged before it.

        A commit without one would belong to the carrier, which is the only pull request that has it.
        """
        merged_at = to_datetime(carrier.commit.committed_at)
        carried_ids = {self._change_id_by_sha.get(commit.sha, "") for commit in carrier.commits}
        carried = [self.facts[each] for each in carried_ids if ids.is_pull_request(each)]
        return len(carried) == len(carried_ids) and all(
            merged_at and pull.merged_at and pull.merged_at < merged_at for pull in carried
        )

    def _add_landed(self, landed_changes: Sequence[LandedChange], deployed_at: datetime) -> tuple[str, ...]:
        self._pull_numbers.add(landed_changes, self._reached)
        landed_by_id: dict[str, LandedChange] = {}
        listed_ids: dict[str, None] = {}
        for landed in landed_changes:
            change_id = self._pull_numbers.change_id(landed)
            if landed.pull_number is None:
                listed_ids[change_id] = None
                self._change_id_by_sha.setdefault(landed.commit.sha, change_id)
            else:
                listed_ids.update(self._listed_pull_ids(change_id, landed))
            if change_id in landed_by_id:
                landed_by_id[change_id].merge_later(landed)
            landed_by_id.setdefault(change_id, landed)
        new = {change_id: landed for change_id, landed in landed_by_id.items() if change_id not in self.facts}
        for change_id, landed in new.items():
            self.squashed_count += landed.is_squashed
            self.facts[change_id] = self._change(change_id, landed, deployed_at)
        return tuple(listed_ids)

    def _listed_pull_ids(self, change_id: str, landed: LandedChange) -> dict[str, None]:
        """Return how a deployment lists a pull request: by its id, or by copies of what another line had first.

        A dictionary keeps each once, in order.
        """
        shas = (landed.commit.sha, *(commit.sha for commit in landed.commits))
        if change_id in self.facts:
            copied_shas = (sha for sha in shas if sha not in self._change_id_by_sha)
            copies = dict.fromkeys(ids.pull_request_copy(change_id, sha) for sha in copied_shas)
            return copies or {change_id: None}
        for sha in shas:
            self._change_id_by_sha.setdefault(sha, change_id)
        return {change_id: None}

    def _change(self, change_id: str, landed: LandedChange, deployed_at: datetime) -> Change:
        commit, is_pull_request = landed.commit, landed.pull_number is not None
        page = ("pull", landed.pull_number) if self._pull_numbers.has_page(landed) else ("commit", commit.sha)
        first_commit_at, merged_at = to_datetime(landed.first_authored_at), to_datetime(commit.committed_at)
        title = _change_title(landed)
        return Change(
            id=change_id,
            repository=self._identity.repository,
            service=self._service,
            source=GIT_SOURCE,
            observed_at=merged_at or first_commit_at or deployed_at,
            url=self._identity.page_url(*page),
            sha=commit.sha,
            title=text.truncate_title(title),
            first_commit_at=first_commit_at,
            merged_at=merged_at if is_pull_request else None,
            branch=landed.branch,
            bot=all(part.is_by_bot for part in landed.commits or (commit,)),
            reverts=as_field(self._reverted_ids(change_id, landed, title)),
            commits=tuple(_fact_commits(reversed(landed.commits))) if is_pull_request else None,
        )

    def _reverted_ids(self, change_id: str, landed: LandedChange, title: str) -> list[str]:
        """Return the ids of what a change reverts, by its body, otherwise its title, otherwise all of its commits."""
        reverted_ids = self._reverted_in_body(landed.commit) or self._reverted_in_title(title)
        if not reverted_ids and landed.commits and landed.commits != [landed.commit]:
            reverted_ids = self._reverted_by_commits(landed, title)
        return [reverted_id for reverted_id in reverted_ids if reverted_id != change_id]

    def _reverted_by_commits(self, landed: LandedChange, title: str) -> list[str]:
        ids_by_commit = [self._reverted_in_body(commit) for commit in landed.commits]
        if all(ids_by_commit) or title.startswith('Revert "') or (landed.branch or "").startswith("revert-"):
            return list(dict.fromkeys(chain.from_iterable(ids_by_commit)))
        return []

    def _reverted_in_body(self, commit: GitCommit) -> list[str]:
        names = self._stated_reverts(commit)
        reverted_ids = (self._own_pull_request(name) if "#" in name else self._delivered_id(name) for name in names)
        return list(dict.fromkeys(reverted_id for reverted_id in reverted_ids if reverted_id))

    def _stated_reverts(self, commit: GitCommit) -> tuple[str, ...]:
        lines = commit.revert_lines
        return reverts_in(lines, self._identity.repository, self._identity.web_url) if lines else ()

    def _delivered_id(self, sha: str) -> str | None:
        """Return the id of the pull request that a sha or its first digits belong to, otherwise the full sha.

        It is None if the history lacks the commit. A merge without a pull request stands for the newest commit that it
        brought. The sha stays for a commit without a pull request, which may turn out to belong to one, and for a copy
        on another line of releases, which another deployment brought.
        """
        full_sha = self._log.expand_sha(sha)
        change_id = self._change_id_by_sha.get(full_sha) if full_sha else None
        if full_sha and change_id is None and (brought := self._newest_brought_by_merge(full_sha)):
            return self._delivered_id(brought)
        if full_sha is None or change_id is None or ids.is_commit(change_id):
            return full_sha
        return None if self._is_revert_within(full_sha, change_id) else change_id

    def _newest_brought_by_merge(self, sha: str) -> str | None:
        """Return the sha of the newest commit that a merge brought; None if it is not a merge, or not reached yet."""
        merge = self._log.commits[sha]
        if not merge.is_merge or sha not in self._reached.shas:
            return None
        return next((commit.sha for commit in commits_brought_by(merge, self._reached)), None)

    def _is_revert_within(self, sha: str, pull_request_id: str) -> bool:
        """Whether a commit is a revert in a pull request of more than that; a revert of it takes nothing new back."""
        fact, commit = self.facts.get(pull_request_id), self._log.commits[sha]
        is_revert = commit.subject.startswith('Revert "') or bool(self._stated_reverts(commit))
        return is_revert and fact is not None and fact.sha != sha

    def _own_pull_request(self, pull_request_id: str) -> str:
        """Return this repository's id for a pull request that it has delivered, otherwise the id unchanged.

        The name in the text differs if it is the upstream of a fork, or if this repository has no remote.
        """
        return self._pull_numbers.newest_id(int(pull_request_id.rpartition("#")[2])) or pull_request_id

    def _reverted_in_title(self, title: str) -> list[str]:
        match = _REVERT_TITLE.match(title)
        if match is None:
            return []
        number = int(match[1] or match[2])
        return [self._pull_numbers.newest_id(number) or self._identity.pull_request_id(number)]


def to_datetime(seconds: int | None) -> datetime | None:
    """Convert seconds since 1970; None stays None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _change_title(landed: LandedChange) -> str:
    """Return a pull request's original title: GitHub appends its number, or puts the title into the merge's body."""
    commit = landed.commit
    if landed.pull_number is None:
        return commit.subject
    if commit.subject.startswith("Merge pull request "):
        return commit.title_in_body or commit.subject
    return commit.subject.removesuffix(f"(#{landed.pull_number})").rstrip() or commit.subject


def _fact_commits(oldest_first: Iterable[GitCommit]) -> Iterable[model.Commit]:
    return (
        model.Commit(commit.sha, authored_at)
        for commit in oldest_first
        if (authored_at := to_datetime(commit.authored_at))
    )


# --- Deployments ---


@dataclass
class DeploymentCollector:
    """Collects the deployments of one repository, and what readers should know about them.

    Attributes:
        shallow_shas: commits at which a shallow history ends.
        unknown_count: deployments whose changes a shallow clone does not show.
    """

    identity: RepositoryIdentity
    settings: Settings
    log: CommitLog
    shallow_shas: frozenset[str]
    changes: ChangeCollector
    facts: list[Deployment] = field(default_factory=list)
    unknown_count: int = 0

    def add(self, releases: Sequence[TagRelease]) -> None:
        """Add the deployments to one environment, in order."""
        reached = Reached(self.log.commits)
        edge = _ShallowEdge(self.shallow_shas)
        previous: TagRelease | None = None
        for release in releases:
            history = new_history(release.commit, reached)
            is_complete = edge.is_complete(history)
            change_ids = self.changes.add(history, release.at, reached) if is_complete else None
            self.unknown_count += change_ids is None
            self.facts.append(self._deployment(release, previous, history, change_ids))
            previous = release

    def _deployment(
        self, release: TagRelease, previous: TagRelease | None, history: NewHistory, change_ids: tuple[str, ...] | None
    ) -> Deployment:
        is_complete = change_ids is not None
        return Deployment(
            id=_deployment_id(release),
            repository=self.identity.repository,
            service=self.settings.service,
            source=GIT_SOURCE,
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

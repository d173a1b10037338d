"""Facts from a local git history: tags are deployments, merged pull requests and commits are changes.

`docs/definitions.md`, "From a git history alone", says what is read as what, and why.
"""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain

from dora_metrics.core import formatting
from dora_metrics.core.versions import newest_names, parse_version, version_key
from dora_metrics.errors import GitError
from dora_metrics.settings.model import Settings
from dora_metrics.sources import SourceFacts
from dora_metrics.sources.git.commits import LATEST_SECONDS, CommitLog, parse_seconds, read_log
from dora_metrics.sources.git.repository import Git, RepositoryIdentity, git_directory, identify_repository
from dora_metrics.sources.git.tags import (
    PRERELEASE,
    PRODUCTION,
    ChangeCollector,
    DeploymentCollector,
    Tag,
    TagList,
    TagRelease,
    fitting_tags,
    order_releases,
    read_tags,
    to_datetime,
    version_tags,
)

_SHALLOW = "The clone is shallow, so it lacks older history"
_UNSHALLOW = "Fetch it with `fetch-depth: 0` in actions/checkout, or with `git fetch --unshallow --tags`"


@dataclass(frozen=True)
class GitHistoryRequest:
    """What to read: the repository at `path`, its tags that match `pattern` (all if None), as of `now`."""

    path: str
    pattern: str | None
    settings: Settings
    now: datetime


def read_history(request: GitHistoryRequest, environment: Mapping[str, str]) -> SourceFacts:
    """Read the facts of a repository. git runs with the process's `environment`.

    Raises:
        GitError: if it is not a repository, git cannot read it, or no tag matches; the message says what to do.
    """
    git = Git(request.path, environment)
    directory, tags = git_directory(git), read_tags(git)
    identity = identify_repository(git, directory.folder)
    candidates = fitting_tags(tags.tags, request.pattern)
    if request.pattern is not None and not candidates:
        raise GitError(_no_matching_tag_problems(tags.tags, request.pattern))
    log = read_log(git, (tag.commit for tag in candidates))
    selected = version_tags(candidates, log) if request.pattern is None else candidates
    if not selected:
        absence = no_deployments_notes(git, tags, is_shallow=bool(directory.shallow_shas))
        return SourceFacts([], (*absence, *left_out_notes(tags, ())), records_incidents=False)
    releases, undated_names = order_releases(selected, log)
    changes = ChangeCollector(identity, request.settings.service, log)
    deployments = DeploymentCollector(identity, request.settings, log, directory.shallow_shas, changes)
    for environment_name in (PRODUCTION, PRERELEASE):
        deployments.add([release for release in releases if release.environment == environment_name])
    notes = chain(
        left_out_notes(tags, undated_names),
        future_tag_notes(releases, request.now),
        age_notes(git, log, releases, request.now),
        lightweight_tag_notes(releases, selected),
        history_notes(deployments),
    )
    selection = TagSelection(releases, _other_names(tags.tags, selected), request.pattern, identity)
    return SourceFacts(
        [*deployments.facts, *changes.facts.values()],
        tuple(notes),
        selection_note(selection),
        records_incidents=False,
        is_undeployed_commit=partial(_is_undeployed_commit, git, log, is_shallow=bool(directory.shallow_shas)),
    )


_MIN_SHA_DIGITS = 4


def _is_undeployed_commit(git: Git, log: CommitLog, sha_digits: str, *, is_shallow: bool) -> bool:
    """Whether a repository has a commit that no tag contains. A shallow clone may lack what connects the two."""
    if is_shallow or not re.fullmatch(rf"[0-9a-f]{{{_MIN_SHA_DIGITS},40}}", sha_digits):
        return False
    try:
        sha = (
            git.read("rev-parse", "--verify", "--quiet", f"{sha_digits}^{{commit}}").decode("ascii", "replace").strip()
        )
    except GitError:  # there is no such commit, or there are several
        return False
    return sha.startswith(sha_digits) and sha not in log.commits


def _other_names(tags: Iterable[Tag], selected: Iterable[Tag]) -> list[str]:
    selected_names = {tag.name for tag in selected}
    return [tag.name for tag in tags if tag.name not in selected_names]


# --- Notes for readers of the numbers ---


def no_deployments_notes(git: Git, tags: TagList, *, is_shallow: bool) -> Iterator[str]:
    """Say why there are no deployments."""
    if not git.read("rev-list", "--all", "--max-count=1", "--"):
        yield "The repository has no commits, so there are no tags and no deployments."
    elif not tags.tags:
        yield "The repository has no tags, so there are no deployments. To fetch tags, run `git fetch --tags`."
    else:
        count, names = formatting.count(len(tags.tags), "tag"), newest_names(tag.name for tag in tags.tags)
        yield (
            f"None of {count} looks like a version ({names}), so there are no deployments. "
            "Select tags of another form with `--tags PATTERN`."
        )
    if is_shallow:
        yield f"{_SHALLOW}. {_UNSHALLOW}."


def _no_matching_tag_problems(tags: Sequence[Tag], pattern: str) -> list[str]:
    """Say that no tag matches a pattern, and what there is instead."""
    if not tags:
        return [
            f"--tags: no tag matches {pattern!r}: the repository has no tags",
            "run 'git fetch --tags' in it",
        ]
    count = formatting.count(len(tags), "tag")
    return [
        f"--tags: no tag matches {pattern!r}; the repository has {count}: {_names_of_each_package(tags)}",
        "use a pattern such as 'v*', or omit --tags to select version tags",
    ]


_MAX_NAMES = 5


def _names_of_each_package(tags: Sequence[Tag]) -> str:
    """Return some names of tags: the newest of each package, then the newest of the others."""
    newest_first = sorted((tag.name for tag in tags), key=version_key, reverse=True)
    package_by_name = {name: version.package if (version := parse_version(name)) else "" for name in newest_first}
    newest_of_packages = {package: name for name, package in reversed(package_by_name.items())}.values()
    names = list(dict.fromkeys((*sorted(newest_of_packages, key=version_key, reverse=True), *newest_first)))
    others = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + others


@dataclass(frozen=True)
class TagSelection:
    """What was taken of a repository's tags: the releases, by which pattern, and the names of the other tags."""

    releases: Sequence[TagRelease]
    other_names: Sequence[str]
    pattern: str | None
    identity: RepositoryIdentity


def selection_note(selection: TagSelection) -> str:
    """Say which tags are deployments, and what else there is."""
    sentences = (
        _taken_text(selection),
        _others_text(selection),
    )
    return " ".join(filter(None, sentences))


def _taken_text(selection: TagSelection) -> str:
    """Say how many tags are versions and how many deployments these are, with a hint for several packages.

    Example: `The repository has 40 tags, 38 of them versions. These make 19 deployments, because …`.
    """
    releases = selection.releases
    tag_count = sum(len(release.names) for release in releases)
    package = _package_pattern(selection)
    hint = f" To count one package only, use `--tags {shlex.quote(package)}`." if package else ""
    return f"{_counted_tags_text(selection, tag_count)}{_deployments_text(releases, tag_count)}{hint}"


def _counted_tags_text(selection: TagSelection, tag_count: int) -> str:
    """Return `The repository has 40 tags, 38 of them versions`, or `… 38 of which match` with the pattern."""
    total = tag_count + len(selection.other_names)
    beginning = f"The repository has {formatting.count(total, 'tag')}"
    is_one, pattern = tag_count == 1, selection.pattern
    if total == 1:
        return f"{beginning}, which {f'matches `{pattern}`' if pattern else 'is a version'}"
    amount = f"{tag_count:,}" if tag_count < total else "both" if total == 2 else "all"  # noqa: PLR2004 - both
    if pattern is None:
        return f"{beginning}, {amount} of them {'a version' if is_one else 'versions'}"
    return f"{beginning}, {amount} of which {'matches' if is_one else 'match'} `{pattern}`"


def _deployments_text(releases: Sequence[TagRelease], tag_count: int) -> str:
    """Say how many deployments the tags are, and why these are fewer."""
    deployments = formatting.count(len(releases), "deployment")
    if len(releases) == tag_count:
        return ". It is a deployment." if tag_count == 1 else ". Each of these is a deployment."
    has_prereleases_apart = len({release.commit for release in releases}) < len(releases)
    apart = ", but a prerelease and a release are two" if has_prereleases_apart else ""
    return f". These make {deployments}, because tags on the same commit are one deployment{apart}."


def _others_text(selection: TagSelection) -> str:
    if not selection.other_names:
        return ""
    is_one = len(selection.other_names) == 1
    reason = "it is not a version or moves" if is_one else "they are not versions or move"
    return _not_counted_text(selection.other_names, "" if selection.pattern else f"{reason} with each release")


def _package_pattern(selection: TagSelection) -> str:
    """Return the pattern of one package where the tags are of several; empty otherwise.

    That is the package named like the repository, otherwise the one with the most tags. One odd tag, such as
    `example-v0.46.0`, and the names of prereleases, such as `pre-release-0.39`, are no packages.
    """
    names = (name for release in selection.releases for name in release.names)
    versions = [version for name in names if (version := parse_version(name)) and not version.is_prerelease]
    release_counts = Counter(version.package for version in versions)
    if sum(count > 1 for count in release_counts.values()) < 2:  # noqa: PLR2004 - one package needs no choice
        return ""
    counts = Counter((version.package, version.pattern) for version in versions if version.pattern)
    own_name = selection.identity.repository.rpartition("/")[2]
    return max(counts, key=lambda key: (key[0] == own_name, counts[key], key), default=("", ""))[1]


def left_out_notes(tags: TagList, undated_names: Sequence[str]) -> Iterator[str]:
    """Say which tags were left out, and why."""
    if tags.not_on_commits:
        subject = "it is" if len(tags.not_on_commits) == 1 else "they are"
        yield _not_counted_text(tags.not_on_commits, f"{subject} on a tree or file instead of a commit")
    if undated_names:
        subject = "it is" if len(undated_names) == 1 else "they are"
        yield _not_counted_text(undated_names, f"{subject} dated before 1990 or after 2199")


def future_tag_notes(releases: Sequence[TagRelease], now: datetime) -> Iterator[str]:
    """Say which tags lie in the future."""
    future_names = [release.name for release in releases if release.at > now]
    if future_names:
        deployments = formatting.count_are(len(future_names), "deployment")
        subject = "it is" if len(future_names) == 1 else "they are"
        reason = f"{subject} later than {now:%Y-%m-%dT%H:%M:%SZ}"
        yield f"{deployments} not counted yet, because {reason}: {newest_names(future_names)}."


_FRESH = timedelta(days=7)


def age_notes(git: Git, log: CommitLog, releases: Sequence[TagRelease], now: datetime) -> Iterator[str]:
    """Say how old the newest commit is, if that is more than a week, and what time includes all releases."""
    output = git.read("rev-list", "--branches", "--remotes", "--max-count=1", "--format=%ct", "--")
    newest_of_branches = [parse_seconds(line) or 0 for line in output.decode("ascii", "replace").split("\n")[1:2]]
    newest_of_tags = (commit.committed_at or 0 for commit in log.commits.values())
    newest = to_datetime(min(max(chain(newest_of_branches, newest_of_tags), default=0), LATEST_SECONDS))
    if newest and now - newest > _FRESH:
        end = max((newest, *(release.at for release in releases if release.at < now))) + timedelta(seconds=1)
        yield (
            f"The newest commit of this clone is {formatting.count((now - newest).days, 'day')} old "
            f"({newest:%Y-%m-%d}). The time since then counts as time without deployments. If the clone is out of "
            f"date, run `git fetch --tags`, or add `--now {end:%Y-%m-%dT%H:%M:%SZ}` to compute "
            "the numbers for that date."
        )


def lightweight_tag_notes(releases: Sequence[TagRelease], tags: Iterable[Tag]) -> Iterator[str]:
    """Say how many deployments have the time of their commit, because no tag on it has one."""
    timed_names = {tag.name for tag in tags if tag.tagged_at is not None}
    untimed_count = sum(timed_names.isdisjoint(release.names) for release in releases)
    if untimed_count:
        is_one = untimed_count == 1
        yield (
            f"{_part_of(untimed_count, len(releases))} in the history {'uses' if is_one else 'use'} the commit's time, "
            "because lightweight tags have no date. "
            f"{'Its lead time leaves' if is_one else 'Their lead times leave'} out the wait between commit and tag."
        )


def _part_of(count: int, total: int) -> str:
    """Return `3 of 7 deployments`, `All 7 deployments` or `The only deployment`."""
    if count < total:
        return f"{count:,} of {total:,} deployments"
    return "The only deployment" if total == 1 else f"All {total:,} deployments"


def history_notes(deployments: DeploymentCollector) -> Iterator[str]:
    """Say what the history lacks, and what was assumed instead."""
    if not deployments.identity.is_from_remote:
        name = deployments.identity.repository
        yield f"There is no remote origin with an owner/name, so this repository is called {name}."
    if deployments.shallow_shas:
        count = formatting.count(deployments.unknown_count, "deployment")
        yield (
            f"{_SHALLOW}. It is not known what {count} delivered, and earlier tags and reverts may be missing. "
            f"{_UNSHALLOW}."
        )
    yield from _start_notes(deployments)


def _start_notes(deployments: DeploymentCollector) -> Iterator[str]:
    """Say where the start of a change is assumed or unknown."""
    squashed_count = deployments.changes.squashed_count
    if squashed_count and deployments.settings.lead_time_start in ("first-commit", "commit"):
        pull_requests, verb = formatting.count(squashed_count, "pull request"), "was" if squashed_count == 1 else "were"
        lacks, starts, they = (
            ("its branch is", "Its lead time starts", "it")
            if squashed_count == 1
            else ("their branches are", "Their lead times start", "them")
        )
        yield (
            f"In the whole history, {pull_requests} {verb} squash-merged, so {lacks} not in the history. "
            f"{starts} when the squashed commit was authored, so a median that includes {they} may be too low."
        )
    yield from _repeated_number_notes(deployments.changes.repeated_number_count)
    if undated_count := sum(
        not commit.authored_at and not commit.is_merge for commit in deployments.log.commits.values()
    ):
        count = formatting.count(undated_count, "commit")
        yield f"{count} dated before 1990 or after 2199 {'has' if undated_count == 1 else 'have'} no lead time."
    if deployments.settings.lead_time_start == "opened":
        yield "A git history does not record when a pull request was opened, so merged ones have no lead time."


def _repeated_number_notes(repeated_count: int) -> Iterator[str]:
    """Say how many pull requests have a number that another one has."""
    if repeated_count:
        pull_requests = formatting.count(repeated_count, "pull request")
        has, counts = ("has", "It counts by itself") if repeated_count == 1 else ("have", "Each counts by itself")
        yield (
            f"In the whole history, {pull_requests} {has} the number of an earlier one that the same line contains. "
            f"{counts}: the repository was moved, or titles name issues."
        )


def _not_counted_text(tag_names: Sequence[str], reason: str) -> str:
    """Return `2 tags are not counted, because …: latest, nightly.`"""
    tags, because = formatting.count_are(len(tag_names), "tag"), f", because {reason}" if reason else ""
    return f"{tags} not counted{because}: {newest_names(tag_names)}."

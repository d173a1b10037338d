"""What a reader of numbers from a git history must know about them, in sentences.

Facts from any local git history: tags are deployments, merged pull requests and commits are changes.

What is read as what, and why, is told in `docs/definitions.md`, "From a git history alone".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dora_metrics.core import formatting
from dora_metrics.settings.model import Settings
from dora_metrics.sources import SourceFacts
from dora_metrics.sources.git import tags as git_tags
from dora_metrics.sources.git.commits import read_log
from dora_metrics.sources.git.repository import Git, GitDirectory, git_directory, identify_repository
from dora_metrics.sources.git.tags import (
    PRERELEASE,
    PRODUCTION,
    ChangeCollector,
    DeploymentCollector,
    TagList,
    TagRelease,
    newest_names,
    order_releases,
)

_MAX_PATCHES = 3
_SHALLOW = "The clone is shallow, so that older history is not there"
_UNSHALLOW = "fetch it with `fetch-depth: 0` in actions/checkout, or with `git fetch --unshallow --tags`"


def no_deployments_notes(tags: TagList, pattern: str | None, *, is_empty: bool, is_shallow: bool) -> Iterator[str]:
    """Why there is no deployment."""
    if is_empty:
        yield "The repository is empty: no commits, so no tags and no deployments."
    elif not tags.tags:
        yield "No tags, so no deployments: each tag is read as one. If there should be some: git fetch --tags."
    else:
        count_text = formatting.count(len(tags.tags), "tag")
        yield (
            f"No tag fits {pattern}, so there are no deployments. Of {count_text} there are "
            f"{newest_names(_tag_names(tags))}."
        )
    if is_shallow:
        yield f"{_SHALLOW}; {_UNSHALLOW}."


def _tag_names(tags: TagList) -> list[str]:
    return [tag.name for tag in tags.tags]


def tags_note(tags: TagList, pattern: str | None, releases: Sequence[TagRelease]) -> str:
    """How tags were read."""
    prerelease_count = sum(release.environment == PRERELEASE for release in releases)
    kind_counts = [formatting.count(len(releases) - prerelease_count, "release")] + (
        [formatting.count(prerelease_count, "prerelease")] if prerelease_count else []
    )
    pattern_text = "" if pattern is None else f", those of {len(tags.tags):,} that fit {pattern}"
    prerelease_text = f"; prereleases have the environment {PRERELEASE}" if prerelease_count else ""
    return (
        f"{formatting.count(len(releases), 'tag')} as deployments "
        f"({', '.join(kind_counts)}){pattern_text}{prerelease_text}."
    )


def left_out_notes(tags: TagList, undated: Sequence[str]) -> Iterator[str]:
    if tags.not_on_commits:
        yield (
            f"Tags on no commit but a tree or a file, and left out: {len(tags.not_on_commits)} "
            f"({newest_names(tags.not_on_commits)})."
        )
    if undated:
        yield f"Tags with a time before 1990 or after 2199, and left out: {len(undated)} ({newest_names(undated)})."


def unusual_tag_notes(releases: Sequence[TagRelease], now: datetime) -> Iterator[str]:
    """Tags that count, or not yet, as one might not expect."""
    future_tags = [release.name for release in releases if release.at > now]
    if future_tags:
        yield (
            f"Tags later than {now:%Y-%m-%dT%H:%M:%SZ}, and in no number yet: {len(future_tags)} "
            f"({newest_names(future_tags)})."
        )
    deployed: set[tuple[str, str]] = set()
    repeated_tags = []
    for release in releases:
        if (release.environment, release.commit) in deployed:
            repeated_tags.append(release.name)
        deployed.add((release.environment, release.commit))
    if repeated_tags:
        yield (
            "Tags on a commit that had one before; they count, and deliver nothing new: "
            f"{len(repeated_tags)} ({newest_names(repeated_tags)})."
        )


def history_notes(collector: DeploymentCollector) -> Iterator[str]:
    """How the history was read."""
    if not collector.identity.is_from_remote:
        name = collector.identity.repository
        yield f"The remote origin names no owner/name, or is not there, so that this repository is called {name}."
    if collector.shallow_shas:
        yield (
            f"{_SHALLOW}: what {formatting.count(collector.unknown_count, 'deployment')} brought is "
            "not known, and earlier tags, "
            f"and what was reverted of them, may be missing; {_UNSHALLOW}."
        )
    if collector.quick_patches:
        pairs = ", ".join(f"{patch} after {previous}" for patch, previous in collector.quick_patches[-_MAX_PATCHES:])
        yield (
            "Tags that soon raised only the patch number of the one before, so that what they brought counts as a "
            f"hotfix (the label {collector.hotfix_label}, the rule hotfix): {len(collector.quick_patches)} ({pairs})."
        )
    if squashed_count := collector.changes.squashed_count:
        yield (
            f"Pull requests that were squashed into one commit: {squashed_count:,}; each starts when that commit was "
            "authored, for its branch is not in the history."
        )
    timeless_count = sum(
        not commit.authored_at and len(commit.parents) <= 1 for commit in collector.log.commits.values()
    )
    if timeless_count:
        yield f"Commits authored before 1990 or after 2199, which is no start of a lead time: {timeless_count:,}."
    if collector.settings.lead_time_start == "opened":
        yield "A git history does not say when a pull request was opened: no merged one has a lead time from there."


@dataclass(frozen=True)
class GitHistoryRequest:
    """Which repository, which of its tags, by which settings, and as of when."""

    path: str
    pattern: str | None
    settings: Settings
    now: datetime


def read_history(request: GitHistoryRequest, environment: Mapping[str, str]) -> SourceFacts:
    """The facts of a repository; `environment` is the process's, for git.

    Raises:
        GitError: if it is none, or git cannot read it; with what to do.
    """
    git = Git(request.path, environment)
    directory, all_tags = git_directory(git), git_tags.read_tags(git)
    matching_tags = all_tags.matching(request.pattern)
    if not matching_tags:
        return SourceFacts([], tuple(_empty_result_notes(git, directory, all_tags, request.pattern)))
    commit_log = read_log(git, (tag.commit for tag in matching_tags))
    identity = identify_repository(git, directory.folder)
    releases, undated = order_releases(matching_tags, commit_log)
    changes = ChangeCollector(identity, request.settings.service, commit_log)
    deployments = DeploymentCollector(identity, request.settings, commit_log, directory.shallow_shas, changes)
    for environment_name in (PRODUCTION, PRERELEASE):
        deployments.add([release for release in releases if release.environment == environment_name])
    notes = (
        tags_note(all_tags, request.pattern, releases),
        *left_out_notes(all_tags, undated),
        *unusual_tag_notes(releases, request.now),
        *history_notes(deployments),
    )
    return SourceFacts([*deployments.facts, *changes.facts.values()], notes)


def _empty_result_notes(git: Git, directory: GitDirectory, tags: TagList, pattern: str | None) -> Iterator[str]:
    is_empty = not git.read("rev-list", "--all", "--max-count=1", "--")
    yield from no_deployments_notes(tags, pattern, is_empty=is_empty, is_shallow=bool(directory.shallow_shas))
    yield from left_out_notes(tags, ())

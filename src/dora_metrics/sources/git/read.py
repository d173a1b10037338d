"""Facts from a local git history: tags are deployments, merged pull requests and commits are changes.

`docs/definitions.md`, "From a git history alone", says what is read as what, and why.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dora_metrics.core import formatting
from dora_metrics.settings.model import Settings
from dora_metrics.sources import SourceFacts
from dora_metrics.sources.git.commits import read_log
from dora_metrics.sources.git.repository import Git, git_directory, identify_repository
from dora_metrics.sources.git.tags import (
    PRERELEASE,
    PRODUCTION,
    ChangeCollector,
    DeploymentCollector,
    TagList,
    TagRelease,
    newest_names,
    order_releases,
    read_tags,
)

_MAX_PATCHES = 3
_SHALLOW = "The clone is shallow, so that older history is not there"
_UNSHALLOW = "fetch it with `fetch-depth: 0` in actions/checkout, or with `git fetch --unshallow --tags`"


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
        GitError: if it is not a repository or git cannot read it; the message says what to do.
    """
    git = Git(request.path, environment)
    directory, tags = git_directory(git), read_tags(git)
    matching_tags = tags.matching(request.pattern)
    if not matching_tags:
        is_empty = not git.read("rev-list", "--all", "--max-count=1", "--")
        is_shallow = bool(directory.shallow_shas)
        notes = no_deployments_notes(tags, request.pattern, is_empty=is_empty, is_shallow=is_shallow)
        return SourceFacts([], (*notes, *left_out_notes(tags, ())))
    log = read_log(git, (tag.commit for tag in matching_tags))
    identity = identify_repository(git, directory.folder)
    releases, undated_names = order_releases(matching_tags, log)
    changes = ChangeCollector(identity, request.settings.service, log)
    deployments = DeploymentCollector(identity, request.settings, log, directory.shallow_shas, changes)
    for environment_name in (PRODUCTION, PRERELEASE):
        deployments.add([release for release in releases if release.environment == environment_name])
    return SourceFacts(
        [*deployments.facts, *changes.facts.values()],
        (
            tags_note(tags, request.pattern, releases),
            *left_out_notes(tags, undated_names),
            *unusual_tag_notes(releases, request.now),
            *history_notes(deployments),
        ),
    )


# --- Notes for readers of the numbers ---


def no_deployments_notes(tags: TagList, pattern: str | None, *, is_empty: bool, is_shallow: bool) -> Iterator[str]:
    """Say why there are no deployments."""
    if is_empty:
        yield "The repository is empty: no commits, so no tags and no deployments."
    elif not tags.tags:
        yield "No tags, so no deployments: each tag is read as one. If there should be some: git fetch --tags."
    else:
        count = formatting.count(len(tags.tags), "tag")
        names = newest_names(tag.name for tag in tags.tags)
        yield f"No tag fits {pattern}, so there are no deployments. Of {count} there are {names}."
    if is_shallow:
        yield f"{_SHALLOW}; {_UNSHALLOW}."


def tags_note(tags: TagList, pattern: str | None, releases: Sequence[TagRelease]) -> str:
    """Say how many tags were read as deployments, releases and prereleases."""
    prereleases = sum(release.environment == PRERELEASE for release in releases)
    kinds = [formatting.count(len(releases) - prereleases, "release")]
    if prereleases:
        kinds.append(formatting.count(prereleases, "prerelease"))
    selection = "" if pattern is None else f", those of {len(tags.tags):,} that fit {pattern}"
    environment = f"; prereleases have the environment {PRERELEASE}" if prereleases else ""
    return f"{formatting.count(len(releases), 'tag')} as deployments ({', '.join(kinds)}){selection}{environment}."


def left_out_notes(tags: TagList, undated_names: Sequence[str]) -> Iterator[str]:
    """Say which tags were left out, and why."""
    if tags.not_on_commits:
        yield f"Tags on no commit but a tree or a file, and left out: {_count_and_names(tags.not_on_commits)}."
    if undated_names:
        yield f"Tags with a time before 1990 or after 2199, and left out: {_count_and_names(undated_names)}."


def unusual_tag_notes(releases: Sequence[TagRelease], now: datetime) -> Iterator[str]:
    """Say which tags lie in the future, and which deploy a commit once more."""
    future_names = [release.name for release in releases if release.at > now]
    if future_names:
        yield f"Tags later than {now:%Y-%m-%dT%H:%M:%SZ}, and in no number yet: {_count_and_names(future_names)}."
    deployed: set[tuple[str, str]] = set()
    repeated_names = []
    for release in releases:
        if (release.environment, release.commit) in deployed:
            repeated_names.append(release.name)
        deployed.add((release.environment, release.commit))
    if repeated_names:
        counted = _count_and_names(repeated_names)
        yield f"Tags on a commit that had one before; they count, and deliver nothing new: {counted}."


def history_notes(deployments: DeploymentCollector) -> Iterator[str]:
    """Say what the history lacks, and what was assumed instead."""
    if not deployments.identity.is_from_remote:
        name = deployments.identity.repository
        yield f"The remote origin names no owner/name, or is not there, so that this repository is called {name}."
    if deployments.shallow_shas:
        count = formatting.count(deployments.unknown_count, "deployment")
        yield (
            f"{_SHALLOW}: what {count} brought is not known, and earlier tags, and what was reverted of them, may be "
            f"missing; {_UNSHALLOW}."
        )
    if patches := deployments.quick_patches:
        pairs = ", ".join(f"{patch} after {previous}" for patch, previous in patches[-_MAX_PATCHES:])
        yield (
            "Tags that soon raised only the patch number of the one before, so that what they brought counts as a "
            f"hotfix (the label {deployments.hotfix_label}, the rule hotfix): {len(patches)} ({pairs})."
        )
    if squashed_count := deployments.changes.squashed_count:
        yield (
            f"Pull requests that were squashed into one commit: {squashed_count:,}; each starts when that commit was "
            "authored, for its branch is not in the history."
        )
    if undated_count := sum(
        not commit.authored_at and not commit.is_merge for commit in deployments.log.commits.values()
    ):
        yield f"Commits authored before 1990 or after 2199, which is no start of a lead time: {undated_count:,}."
    if deployments.settings.lead_time_start == "opened":
        yield "A git history does not say when a pull request was opened: no merged one has a lead time from there."


def _count_and_names(names: Sequence[str]) -> str:
    return f"{len(names)} ({newest_names(names)})"

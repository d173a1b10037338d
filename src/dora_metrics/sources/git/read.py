"""What a reader of numbers from a git history must know about them, in sentences.

Facts from any local git history: tags are deployments, merged pull requests and commits are changes.

What is read as what, and why, is told in `docs/definitions.md`, "From a git history alone".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dora_metrics.core import formatting
from dora_metrics.settings.model import Settings
from dora_metrics.sources import Read
from dora_metrics.sources.git import tags as git_tags
from dora_metrics.sources.git.commits import log
from dora_metrics.sources.git.repository import Git, Place, place, project
from dora_metrics.sources.git.tags import PRERELEASE, PRODUCTION, Changes, Deployments, Release, Tags, in_order, some

_MOST = 3
_SHALLOW = "The clone is shallow, so that older history is not there"
_UNSHALLOW = "fetch it with `fetch-depth: 0` in actions/checkout, or with `git fetch --unshallow --tags`"


def none(tags: Tags, pattern: str | None, *, empty: bool, shallow: bool) -> Iterator[str]:
    """Why there is no deployment."""
    if empty:
        yield "The repository is empty: no commits, so no tags and no deployments."
    elif not tags.tags:
        yield "No tags, so no deployments: each tag is read as one. If there should be some: git fetch --tags."
    else:
        many = formatting.count(len(tags.tags), "tag")
        yield f"No tag fits {pattern}, so there are no deployments. Of {many} there are {some(_names(tags))}."
    if shallow:
        yield f"{_SHALLOW}; {_UNSHALLOW}."


def _names(tags: Tags) -> list[str]:
    return [tag.name for tag in tags.tags]


def read_as(tags: Tags, pattern: str | None, releases: Sequence[Release]) -> str:
    """How tags were read."""
    early = sum(release.environment == PRERELEASE for release in releases)
    kinds = [formatting.count(len(releases) - early, "release")] + (
        [formatting.count(early, "prerelease")] if early else []
    )
    of = "" if pattern is None else f", those of {len(tags.tags):,} that fit {pattern}"
    in_no_number = f"; prereleases have the environment {PRERELEASE}" if early else ""
    return f"{formatting.count(len(releases), 'tag')} as deployments ({', '.join(kinds)}){of}{in_no_number}."


def left_out(tags: Tags, undated: Sequence[str]) -> Iterator[str]:
    if tags.elsewhere:
        yield f"Tags on no commit but a tree or a file, and left out: {len(tags.elsewhere)} ({some(tags.elsewhere)})."
    if undated:
        yield f"Tags with a time before 1990 or after 2199, and left out: {len(undated)} ({some(undated)})."


def odd(releases: Sequence[Release], now: datetime) -> Iterator[str]:
    """Tags that count, or not yet, as one might not expect."""
    future = [release.name for release in releases if release.at > now]
    if future:
        yield f"Tags later than {now:%Y-%m-%dT%H:%M:%SZ}, and in no number yet: {len(future)} ({some(future)})."
    seen: set[tuple[str, str]] = set()
    again = []
    for release in releases:
        if (release.environment, release.commit) in seen:
            again.append(release.name)
        seen.add((release.environment, release.commit))
    if again:
        yield (
            f"Tags on a commit that had one before; they count, and deliver nothing new: {len(again)} ({some(again)})."
        )


def about(found: Deployments) -> Iterator[str]:
    """How the history was read."""
    if not found.project.known:
        called = found.project.repository
        yield f"The remote origin names no owner/name, or is not there, so that this repository is called {called}."
    if found.cut:
        yield (
            f"{_SHALLOW}: what {formatting.count(found.unknown, 'deployment')} brought is not known, and earlier tags, "
            f"and what was reverted of them, may be missing; {_UNSHALLOW}."
        )
    if found.quick:
        pairs = ", ".join(f"{patch} after {before}" for patch, before in found.quick[-_MOST:])
        yield (
            "Tags that soon raised only the patch number of the one before, so that what they brought counts as a "
            f"hotfix (the label {found.label}, the rule hotfix): {len(found.quick)} ({pairs})."
        )
    if squashed := found.changes.squashed:
        yield (
            f"Pull requests that were squashed into one commit: {squashed:,}; each starts when that commit was "
            "authored, for its branch is not in the history."
        )
    timeless = sum(not commit.authored_at and len(commit.parents) <= 1 for commit in found.log.commits.values())
    if timeless:
        yield f"Commits authored before 1990 or after 2199, which is no start of a lead time: {timeless:,}."
    if found.settings.lead_time_start == "opened":
        yield "A git history does not say when a pull request was opened: no merged one has a lead time from there."


@dataclass(frozen=True)
class Asked:
    """Which repository, which of its tags, by which settings, and as of when."""

    place: str
    pattern: str | None
    settings: Settings
    now: datetime


def read(asked: Asked, environment: Mapping[str, str]) -> Read:
    """The facts of a repository; `environment` is the process's, for git.

    Raises:
        GitError: if it is none, or git cannot read it; with what to do.
    """
    git = Git(asked.place, environment)
    where, tags = place(git), git_tags.tags(git)
    chosen = tags.fitting(asked.pattern)
    if not chosen:
        return Read([], tuple(_nothing(git, where, tags, asked.pattern)))
    history = log(git, (tag.commit for tag in chosen))
    name = project(git, where.folder)
    releases, undated = in_order(chosen, history)
    changes = Changes(name, asked.settings.service, history)
    found = Deployments(name, asked.settings, history, where.cut, changes)
    for environment_name in (PRODUCTION, PRERELEASE):
        found.add([release for release in releases if release.environment == environment_name])
    notes = (
        read_as(tags, asked.pattern, releases),
        *left_out(tags, undated),
        *odd(releases, asked.now),
        *about(found),
    )
    return Read([*found.facts, *changes.facts.values()], notes)


def _nothing(git: Git, where: Place, tags: Tags, pattern: str | None) -> Iterator[str]:
    empty = not git.read("rev-list", "--all", "--max-count=1", "--")
    yield from none(tags, pattern, empty=empty, shallow=bool(where.cut))
    yield from left_out(tags, ())

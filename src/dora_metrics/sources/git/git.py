"""Facts from any local git history: tags are deployments, merged pull requests and commits are changes.

What is read as what, and why, is told in `docs/definitions.md`, "From a git history alone".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from dora_metrics.settings.model import Settings
from dora_metrics.sources.git import git_tags
from dora_metrics.sources.git import read as git_notes
from dora_metrics.sources.git.git_changes import Changes
from dora_metrics.sources.git.git_log import log
from dora_metrics.sources.git.git_project import Place, place, project
from dora_metrics.sources.git.git_tags import Tags
from dora_metrics.sources.git.repository import Git
from dora_metrics.sources.git.tags import PRERELEASE, PRODUCTION, Deployments, in_order
from dora_metrics.sources.port import Read


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
        git_notes.read_as(tags, asked.pattern, releases),
        *git_notes.left_out(tags, undated),
        *git_notes.odd(releases, asked.now),
        *git_notes.about(found),
    )
    return Read([*found.facts, *changes.facts.values()], notes)


def _nothing(git: Git, where: Place, tags: Tags, pattern: str | None) -> Iterator[str]:
    empty = not git.read("rev-list", "--all", "--max-count=1", "--")
    yield from git_notes.none(tags, pattern, empty=empty, shallow=bool(where.cut))
    yield from git_notes.left_out(tags, ())

"""What landed becomes changes, with the ids that pull requests have everywhere else."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from dora_metrics.core.facts import model
from dora_metrics.core.facts.model import Change
from dora_metrics.github import text
from dora_metrics.github.events.pull_requests import reverted
from dora_metrics.sources.git.commits import Landing
from dora_metrics.sources.git.git_log import Commit, Log
from dora_metrics.sources.git.git_project import Project

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

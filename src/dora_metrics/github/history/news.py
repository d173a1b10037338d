"""Whether repositories have anything new since their last reading, which ten of them tell in one request.

What GitHub shows of a repository is kept as a digest. If it shows the same again, and nothing was left to read, then a
reading would find what the last one has found. Security alerts and workflow runs are not in GraphQL as they are needed
here: alerts are then read once a day, and a repository whose runs may be deployments is always read.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dora_metrics import __version__
from dora_metrics.core.cursors import NEWS, Cursor
from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.core.selection import SourceSelection
from dora_metrics.core.windows import parse_instant
from dora_metrics.github.client import Client, GitHubError
from dora_metrics.github.history.job_backlog import has_unread_jobs
from dora_metrics.github.history.pages import (
    GatheredHistory,
    HistoryRequest,
    RepositoryInfo,
    is_too_large,
)
from dora_metrics.github.observation import Run
from dora_metrics.github.queries import JsonObject
from dora_metrics.settings.model import Settings

_REPOSITORIES_PER_REQUEST = 10
_SETTLED_AFTER = 2 * CLOCK_SKEW
"""Times of GitHub have whole seconds, its databases lag, and a run's time may be wrong by half of this. So what changed
less than this before a run may change once more without a trace."""
_ALERTS_AFTER = timedelta(hours=20)
"""Alerts of a repository without other news are read again after this, so that each night's sync reads them."""
_OWN_ALERTS_AFTER, _OWN_ALERTS_SPREAD_DAYS = timedelta(days=14), 14
"""The own list of alerts of a repository is read again this long after, and up to so many days later, so that not all
repositories of an organisation come in the same night."""
_DIGITS = 32


@dataclass(frozen=True)
class RepositoryNews:
    """What GitHub showed of a repository before it was read: `node` has the fields of `NewsFields`."""

    node: JsonObject

    @property
    def info(self) -> RepositoryInfo:
        return RepositoryInfo.from_node(self.node)

    @property
    def is_in_organisation(self) -> bool:
        """Whether there may be one list for the alerts of all its owner's repositories."""
        is_in_organisation: bool = self.node["isInOrganization"]
        return is_in_organisation

    def digest(self, settings: Settings) -> str:
        """Return a text that another state of the repository, other settings or another version do not have.

        Settings that are secret are in it as asterisks.
        """
        content = json.dumps([__version__, settings.model_dump_json(), self.node], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]

    def is_settled(self, now: datetime) -> bool:
        """Whether nothing has changed so lately that a further change might not show."""
        return all(parse_instant(time) < now - _SETTLED_AFTER for time in self._times())

    def _times(self) -> Iterator[str]:
        for name in ("pullRequests", "issues"):
            yield from (node["updatedAt"] for node in self.node[name]["nodes"])
        for deployment in self.node["deployments"]["nodes"]:
            yield deployment["createdAt"]
            if deployment["latestStatus"]:
                yield deployment["latestStatus"]["createdAt"]
        for release in self.node["releases"]["nodes"]:
            yield from filter(None, (release["publishedAt"], release["updatedAt"]))


@dataclass
class NewsReader:
    """Asks for the news of repositories as they are about to be read, ten in a request.

    Nothing is known of a repository that GitHub does not show completely. One repository alone is not asked about: its
    reading begins with a request that is often the only one.
    """

    client: Client
    repositories: Sequence[str]
    _news: dict[str, RepositoryNews] = field(default_factory=dict)
    _asked_count: int = 0
    _batch_size: int = _REPOSITORIES_PER_REQUEST

    def of(self, position: int) -> RepositoryNews | None:
        """Return the news of the repository at a position in the list; positions are asked for in their order."""
        if position >= self._asked_count and len(self.repositories) > 1:
            batch = self.repositories[position : position + self._batch_size]
            self._asked_count = position + len(batch)
            self._news = dict(self._read(batch))
        return self._news.get(self.repositories[position])

    def _read(self, batch: Sequence[str]) -> Iterator[tuple[str, RepositoryNews]]:
        try:
            with self.client.sending_slow_reads_once():
                nodes = self.client.query_repositories("News", batch)
        except GitHubError as problem:
            if is_too_large(problem):
                self._batch_size = max(1, self._batch_size // 2)
            return
        yield from ((name, RepositoryNews(node)) for name, node in zip(batch, nodes, strict=True) if node)


def is_quiet(news: RepositoryNews, request: HistoryRequest) -> bool:
    """Whether a reading would find nothing but, perhaps, security alerts.

    The last reading was complete, GitHub shows the same as before it, and settings and rules are the same. Whatever is
    not sure is read.
    """
    last, is_same_name = request.cursors.get(NEWS, Cursor()), news.info.name.lower() == request.run.repository.lower()
    digest, *read_kinds = last.open or ("",)
    return (
        is_same_name
        and digest == news.digest(request.settings)
        and not _has_something_left(request)
        and _selected_kinds(news, request) <= {*read_kinds}
    )


def _has_something_left(request: HistoryRequest) -> bool:
    """Whether the last reading left something that GitHub need not change for the next one to read it."""
    cursors = request.cursors
    return (
        any(cursor.has_more(request.since) for cursor in cursors.values())
        or bool(cursors.get("deployments", Cursor()).open)
        or not cursors.get("commits", Cursor()).anchors
        or has_unread_jobs(request)
    )


_READABLE_KINDS = ("deployments", "releases")
"""The kinds of deployments whose news GitHub shows."""


def _selected_kinds(news: RepositoryNews, request: HistoryRequest) -> set[str]:
    """Return the sources that a reading would use, unless it finds one that is better than those in the ledger."""
    newest_commit = news.info.head_committed_at
    sources = SourceSelection(request.settings.deployment_source, request.known_sources, newest_commit=newest_commit)
    return {source for source in (*_READABLE_KINDS, "workflow-runs", "pushes") if sources.is_selected(source)}


def are_alerts_due(last: Cursor, run: Run) -> bool:
    """Whether to read the security alerts of a repository without other news, whose cursor of news is `last`."""
    read_at = last.reached
    return run.is_manual or read_at is None or not timedelta() <= run.now - read_at < _ALERTS_AFTER


def are_own_alerts_due(last: Cursor, number: int | None, run: Run) -> bool:
    """Whether a repository, whose number GitHub has given, is to show its own list of security alerts.

    The list of its organisation does not say that alerts are switched off, or that the token may not see them.
    """
    spread = timedelta(days=(number or 0) % _OWN_ALERTS_SPREAD_DAYS)
    return last.newest is None or not timedelta() <= run.now - last.newest < _OWN_ALERTS_AFTER + spread


def news_cursor(news: RepositoryNews, gathered: GatheredHistory, request: HistoryRequest) -> Cursor | None:
    """Return what to remember of a reading that has ended; None if the next one must read everything.

    So it must if something failed or changed meanwhile, and if it asks for something that GitHub has refused.
    """
    is_complete = not gathered.failures and not gathered.has_refused_what_was_requested
    if not is_complete or news.info != gathered.info or not news.is_settled(request.run.now):
        return None
    kinds = (kind for kind in _READABLE_KINDS if kind in gathered.last_parts)
    now = request.run.now
    return Cursor(newest=now, reached=now, open=(news.digest(request.settings), *kinds))


def quiet_cursor(
    gathered: GatheredHistory, request: HistoryRequest, *, has_read_alerts: bool, has_read_own: bool
) -> Cursor:
    """Return what to remember of a repository without news; `has_read_own`: of whose alerts the own list was read."""
    last, now = request.cursors[NEWS], request.run.now
    if not has_read_alerts or gathered.failures or gathered.has_refused_what_was_requested:
        return last
    return Cursor(newest=now if has_read_own else last.newest, reached=now, open=last.open)

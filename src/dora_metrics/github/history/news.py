"""Whether repositories have anything new since their last reading.

GitHub's list of an owner's repositories shows of each whether it was pushed to, and the newest item of every kind. If
that is as it was, the repository is not asked. Otherwise, and after some days in any case, it is asked for its news,
twenty repositories in one request: the newest items of every kind, which shows more changes than the list.

What GitHub shows of a repository is kept as a digest. If it shows the same again, and nothing was left to read, then a
reading would find what the last one has found. Security alerts and workflow runs are not in GraphQL as they are needed
here: alerts are then read once a day, and a repository whose runs are deployments is always read. One without
deployments, or whose deployments are merges, is read once a week for runs that may be.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Self

from msgspec.structs import replace

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
from dora_metrics.github.history.turns import is_its_turn
from dora_metrics.github.observation import Run
from dora_metrics.github.owned_repositories import ListedRepository
from dora_metrics.github.queries import JsonObject
from dora_metrics.settings.model import Settings

_REPOSITORIES_PER_REQUEST = 20
_SETTLED_AFTER = 2 * CLOCK_SKEW
"""Times of GitHub have whole seconds, its databases lag, and a run's time may be wrong by half of this. So what changed
less than this before a run may change once more without a trace."""
_ALERTS_AFTER = timedelta(hours=20)
"""Alerts of a repository without other news are read again after this, so that each nightly sync reads them."""
_NEWS_DAYS = 3
"""A repository that the list shows unchanged is asked once in this number of days. The list does not show a status that
was added to a deployment before the newest, or an edit of such a release."""
_RUNS_DAYS = 7
"""A repository that has no deployments but merges is read once in this number of days, for runs that may be."""
_OWN_ALERTS_DAYS = 28
"""A repository's own list of alerts is read once in this number of days, if that of its organisation replaces it."""
_DIGITS = 32


@dataclass(frozen=True)
class RepositoryNews:
    """What GitHub showed of a repository before it was read: `node` has the fields of `NewsFields`.

    Of one that is not asked, `node` has those of `ListedNewsFields`, which do for everything but `digest`.
    """

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
        return _digest(settings, self.node)

    def is_settled(self, now: datetime) -> bool:
        """Whether nothing has changed so lately that a further change might not show."""
        return _is_settled(self.node, now)


def _digest(settings: Settings, node: JsonObject) -> str:
    content = json.dumps([__version__, settings.model_dump_json(), node], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]


def _is_settled(node: JsonObject, now: datetime) -> bool:
    return all(parse_instant(time) < now - _SETTLED_AFTER for time in _times(node))


def _times(node: JsonObject) -> Iterator[str]:
    yield from filter(None, (node.get("pushedAt"), node.get("updatedAt")))
    for name in ("pullRequests", "issues"):
        yield from (item["updatedAt"] for item in node[name]["nodes"])
    for deployment in node["deployments"]["nodes"]:
        yield deployment["createdAt"]
        if deployment["latestStatus"]:
            yield deployment["latestStatus"]["createdAt"]
    for release in node["releases"]["nodes"]:
        yield from filter(None, (release["publishedAt"], release["updatedAt"]))


@dataclass
class NewsReader:
    """Asks for the news of repositories as they are about to be read, twenty in a request.

    Nothing is known of a repository that GitHub does not show completely. `repositories` are those to ask, in the order
    of their reading.
    """

    client: Client
    repositories: Sequence[str]
    _news: dict[str, RepositoryNews] = field(default_factory=dict)
    _batch_size: int = _REPOSITORIES_PER_REQUEST

    def __post_init__(self) -> None:
        self._unasked = dict.fromkeys(self.repositories)

    def of(self, repository: str) -> RepositoryNews | None:
        """Return the news of a repository; None if it is not one of those to ask, or GitHub does not show them."""
        if repository in self._unasked:
            others = (name for name in self._unasked if name != repository)
            batch = [repository, *islice(others, self._batch_size - 1)]
            for name in batch:
                del self._unasked[name]
            self._news |= self._read(batch)
        return self._news.pop(repository, None)

    def _read(self, batch: Sequence[str]) -> dict[str, RepositoryNews]:
        try:
            with self.client.sending_slow_reads_once():
                nodes = self.client.query_repositories("News", batch)
        except GitHubError as problem:
            return self._read_half(batch) if is_too_large(problem) and len(batch) > 1 else {}
        return {name: RepositoryNews(node) for name, node in zip(batch, nodes, strict=True) if node}

    def _read_half(self, batch: Sequence[str]) -> dict[str, RepositoryNews]:
        """Ask for the first half of a batch that took too long, and for as few from now on."""
        self._batch_size = len(batch) // 2
        self._unasked |= dict.fromkeys(batch[self._batch_size :])
        return self._read(batch[: self._batch_size])


def is_quiet(news: RepositoryNews, request: HistoryRequest, listed_news: JsonObject | None = None) -> bool:
    """Whether a reading would find nothing but, perhaps, security alerts.

    The last reading was complete, GitHub shows the same as before it, and settings and rules are the same. Whatever is
    not sure is read. `listed_news` is what GitHub's list shows of the repository, if it does.
    """
    last, is_same_name = request.cursors.get(NEWS, Cursor()), news.info.name.lower() == request.run.repository.lower()
    digest, *read_kinds = last.open or ("",)
    return (
        is_same_name
        and digest == news.digest(request.settings)
        and not _has_something_left(request, news.node)
        and not _hides_failures(request, news.node)
        and _unseen_kinds(request, read_kinds) <= _kinds_without_change(request, listed_news)
    )


def is_quiet_in_list(listed_news: JsonObject, request: HistoryRequest) -> bool:
    """Whether a repository need not even be asked for its news; `listed_news` has the fields of `ListedNewsFields`.

    GitHub's list shows the same as before the last complete reading, and it was asked not long ago. A repository with
    deployments that GitHub does not show in its news is always asked. A person who starts a run sees what is there now.
    """
    last = request.cursors.get(NEWS)
    if (
        not last
        or not last.open
        or request.run.is_manual
        or not shows_same_in_list(listed_news, last, request.settings)
    ):
        return False
    return (
        not is_its_turn(last.read_at, listed_news["databaseId"], _NEWS_DAYS, request.run.now)
        and not _has_something_left(request, listed_news)
        and _unseen_kinds(request, last.open[1:]) <= _kinds_without_turn(request, listed_news)
    )


def shows_same_in_list(listed_news: JsonObject, last: Cursor, settings: Settings) -> bool:
    """Whether GitHub's list shows the same of a repository as before its last reading, whose cursor is `last`."""
    return last.anchors == (_digest(settings, listed_news),)


def list_digest(listed: ListedRepository, request: HistoryRequest) -> tuple[str, ...]:
    """Return the digest of what GitHub's list shows; empty if it shows nothing, or that something has just changed."""
    if listed.news is None or not _is_settled(listed.news, request.run.now):
        return ()
    return (_digest(request.settings, listed.news),)


def _has_something_left(request: HistoryRequest, node: JsonObject) -> bool:
    """Whether the last reading left something that GitHub need not change for the next one to read it.

    `node` has the default branch, which a repository without commits does not have.
    """
    cursors, has_commits = request.cursors, node["defaultBranchRef"] is not None
    return (
        any(cursor.has_more(request.since) for cursor in cursors.values())
        or bool(cursors.get("deployments", Cursor()).open)
        or (has_commits and not cursors.get("commits", Cursor()).anchors)
        or has_unread_jobs(request)
    )


def _hides_failures(request: HistoryRequest, node: JsonObject) -> bool:
    """Whether a deployment may have succeeded after it had failed, and is not among the newest that GitHub shows."""
    failed_ids = {*request.cursors.get("deployments", Cursor()).anchors}
    return not failed_ids <= {deployment["id"] for deployment in node["deployments"]["nodes"]}


def _has_runs_left(request: HistoryRequest) -> bool:
    """Whether a workflow run had not ended at the last reading, or has earlier attempts that are left to read."""
    cursor = request.cursors.get("runs", Cursor())
    return cursor.reached is not None or any("@" not in entry for entry in cursor.open)


_READABLE_KINDS = ("deployments", "releases")
"""The kinds of deployments whose news GitHub shows. It shows those of pushes too: these are merged pull requests."""
_RUNS = frozenset({"workflow-runs"})


def _unseen_kinds(request: HistoryRequest, read_kinds: Iterable[str]) -> set[str]:
    """Return the sources that a reading would use and whose news GitHub does not show.

    That is unless a reading finds a source that is better than those in the ledger. `read_kinds` are the kinds that the
    last reading has read.
    """
    sources = SourceSelection(request.settings.deployment_source, request.known_sources)
    return {source for source in (*_READABLE_KINDS, *_RUNS) if sources.is_selected(source)} - {*read_kinds}


def _kinds_without_turn(request: HistoryRequest, listed_news: JsonObject) -> frozenset[str]:
    """Return the sources that need not be read today, although GitHub does not show their news: runs, if none counts.

    They are read in any case once a week, and every day where one had not ended.
    """
    has_other_deployments = not request.known_sources <= {"pushes"}
    if request.run.is_manual or has_other_deployments or _has_runs_left(request):
        return frozenset()
    read_at = request.cursors.get("runs", Cursor()).newest
    return frozenset() if is_its_turn(read_at, listed_news["databaseId"], _RUNS_DAYS, request.run.now) else _RUNS


def _kinds_without_change(request: HistoryRequest, listed_news: JsonObject | None) -> frozenset[str]:
    """Return the same for a repository whose line in the list is not as it was, but which was not pushed to.

    A run that deploys usually follows a push.
    """
    read_at = request.cursors.get("runs", Cursor()).newest
    if listed_news is None or read_at is None or _is_pushed_since(listed_news, read_at - CLOCK_SKEW):
        return frozenset()
    return _kinds_without_turn(request, listed_news)


def _is_pushed_since(listed_news: JsonObject, time: datetime) -> bool:
    pushed_at = listed_news["pushedAt"]
    return pushed_at is not None and parse_instant(pushed_at) >= time


def are_alerts_due(last: Cursor, run: Run) -> bool:
    """Whether to read the security alerts of a repository without other news, whose cursor of news is `last`."""
    read_at = last.reached
    return run.is_manual or read_at is None or not timedelta() <= run.now - read_at < _ALERTS_AFTER


def are_own_alerts_due(last: Cursor, number: int | None, run: Run) -> bool:
    """Whether the own list of security alerts of a repository is due, by GitHub's number of it.

    The list of its organisation does not say that alerts are switched off, or that the token may not see them.
    """
    return is_its_turn(last.newest, number, _OWN_ALERTS_DAYS, run.now)


def news_cursor(
    news: RepositoryNews, gathered: GatheredHistory, request: HistoryRequest, listed: tuple[str, ...]
) -> Cursor | None:
    """Return what to remember of a reading that has ended; None if the next one must read everything.

    So it must if something failed or changed meanwhile, and if it asks for something that GitHub has refused. `listed`
    is the `list_digest` of before.
    """
    is_complete = not gathered.failures and not gathered.has_refused_what_was_requested
    if not is_complete or news.info != gathered.info or not news.is_settled(request.run.now):
        return None
    kinds, now = (kind for kind in _READABLE_KINDS if kind in gathered.last_parts), request.run.now
    return Cursor(newest=now, reached=now, read_at=now, open=(news.digest(request.settings), *kinds), anchors=listed)


@dataclass(frozen=True)
class QuietReading:
    """What is read of a repository without news.

    `with_alerts`: its security alerts, and `with_own_alerts`: by its own list of them. `listed` is the `list_digest` of
    one that was asked for its news; None if it was not asked.
    """

    with_alerts: bool
    with_own_alerts: bool
    listed: tuple[str, ...] | None

    @classmethod
    def of(cls, news: RepositoryNews, request: HistoryRequest, listed: tuple[str, ...] | None) -> Self:
        """Return what to read of a repository."""
        last, run = request.cursors[NEWS], request.run
        reads_own = not news.is_in_organisation or are_own_alerts_due(last, news.info.number, run)
        return cls(are_alerts_due(last, run), reads_own, listed)

    def cursor_after(self, gathered: GatheredHistory, request: HistoryRequest) -> Cursor:
        """Return what to remember of the reading."""
        last, now = request.cursors[NEWS], request.run.now
        if self.listed is not None:
            last = replace(last, read_at=now, anchors=self.listed)
        if not self.with_alerts or gathered.failures or gathered.has_refused_what_was_requested:
            return last
        return replace(last, newest=now if self.with_own_alerts else last.newest, reached=now)

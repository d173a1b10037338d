"""Security alerts of all repositories of an organisation in one list, instead of one request for each repository.

The list shows alerts and never why a repository has none, so it cannot tell "no alerts" from "not shown". Therefore it
replaces the own list of a repository only if that was shown before, and the own list is still read from time to time
(`news.are_own_alerts_due`). It does not move the cursor that such a reading starts from: an alert that the list left
out is then late, and not lost.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from dora_metrics.core.cursors import NEWS, Cursor
from dora_metrics.core.facts.merge import CLOCK_SKEW
from dora_metrics.core.selection import AlertKind
from dora_metrics.core.windows import parse_instant
from dora_metrics.github import shapes
from dora_metrics.github.client import Client, GitHubError
from dora_metrics.github.history.alerts import alert_parameters
from dora_metrics.github.history.pages import HistoryReader
from dora_metrics.github.paging import PagesRead
from dora_metrics.github.queries import JsonObject

_MIN_DUE_REPOSITORIES = 5
"""Repositories of one owner for which its list may pay, although the first request for it may be refused."""
_MAX_PAGES = 50
"""Pages of one list, 5,000 alerts or about 40 MB. What changed before the oldest of them is read by repository."""
_OVERLAP = 2 * CLOCK_SKEW
"""The list is read this far before the last reading, since GitHub's databases lag and clocks differ."""


class _AlertRepository(TypedDict):
    full_name: str


class _OrganisationAlert(TypedDict):
    """REST: an alert in the list of an organisation, as far as it says where it belongs and when it changed."""

    created_at: shapes.Instant
    updated_at: NotRequired[shapes.Instant | None]
    repository: _AlertRepository


@dataclass
class OrganisationAlerts:
    """The lists of the organisations whose repositories are read; each is read once, as far back as it is needed.

    `due_repositories` are the names of those whose alerts may be due. An owner with fewer than five of them is not
    asked. Alerts of all other repositories are dropped.
    """

    client: Client
    due_repositories: Collection[str]
    _lists: dict[tuple[str, AlertKind], "_ChangedAlerts"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = frozenset(name.lower() for name in self.due_repositories)
        self._due_counts = Counter(map(_owner_of, self._names))

    def changed(self, reader: HistoryReader, kind: AlertKind) -> tuple[JsonObject, ...] | None:
        """Return the alerts of a repository that changed since they were last read, in any order.

        None if the list does not say: it was refused or ends too early, or the repository has not shown its alerts
        itself.
        """
        name, read_at = reader.repository.name.lower(), reader.request.cursors.get(NEWS, Cursor()).reached
        owner = _owner_of(name)
        due_count = self._due_counts[owner]
        if due_count < _MIN_DUE_REPOSITORIES or read_at is None or not _has_shown_its_own(reader, kind):
            return None
        if (owner, kind) not in self._lists:
            self._lists[owner, kind] = _ChangedAlerts(self.client, owner, kind, self._names, min(due_count, _MAX_PAGES))
        return self._lists[owner, kind].of(name, read_at - _OVERLAP)


def _has_shown_its_own(reader: HistoryReader, kind: AlertKind) -> bool:
    """Whether the last reading got the repository's own list, and a person does not ask for all of it again."""
    cursor = reader.request.cursors.get(kind)
    return cursor is not None and cursor.refused is None and not (cursor.unread and reader.run.is_manual)


@dataclass
class _ChangedAlerts:
    """The alerts of one kind in an organisation, the last changed first.

    `oldest` is the change time of the oldest one that was read, None before the first page. After a refusal, or if
    GitHub does not answer, the list says nothing more for the rest of the run.
    """

    client: Client
    organisation: str
    kind: AlertKind
    repositories: frozenset[str]
    max_pages: int
    oldest: datetime | None = None
    is_complete: bool = False
    _by_repository: defaultdict[str, list[JsonObject]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._pages = self._read_pages()

    def of(self, repository: str, since: datetime) -> tuple[JsonObject, ...] | None:
        """Return what changed in a repository since a time; None if the list was not read as far back as that."""
        with suppress(GitHubError):
            while not self._reaches(since) and next(self._pages, None):
                pass
        return tuple(self._by_repository[repository]) if self._reaches(since) else None

    def _reaches(self, since: datetime) -> bool:
        return self.is_complete or (self.oldest is not None and self.oldest < since)

    def _read_pages(self) -> Iterator[bool]:
        path, parameters = f"/orgs/{self.organisation}/{self.kind}/alerts", alert_parameters(self.kind)
        pages_read, page_token = PagesRead(f"{self.kind} alerts of {self.organisation}"), None
        for _ in range(self.max_pages):
            pages_read.add(page_token)
            with self.client.sending_slow_reads_once():
                alerts, page_token = self.client.get_page(path, parameters, page_token, list[_OrganisationAlert])
            self._add(alerts)
            self.is_complete = page_token is None
            yield True
            if self.is_complete:
                return

    def _add(self, alerts: list[Any]) -> None:
        for alert in alerts:
            name = alert["repository"]["full_name"].lower()
            if name in self.repositories:
                self._by_repository[name].append(alert)
        changed_at = (parse_instant(alert.get("updated_at") or alert["created_at"]) for alert in alerts)
        self.oldest = min(changed_at, default=self.oldest)


def _owner_of(repository: str) -> str:
    return repository.partition("/")[0]

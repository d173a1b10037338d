"""Repositories on a fake GitHub, and what a read of their history returns."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.merge import changed_facts, relinked_facts
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident, Vulnerability
from dora_metrics.core.linking.commit_graph import ResolvedChanges, resolve_changes
from dora_metrics.github.client import Client
from dora_metrics.github.history import GatheredHistory, HistoryRequest, PartOrFailure, read_history
from dora_metrics.github.observation import Run
from dora_metrics.settings.model import Settings
from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.events import make_run as made_run

START = datetime(2026, 9, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@dataclass
class HistoryRead:
    """Result of one read of the history: facts, cursors, notes, and how many requests it made."""

    gathered: GatheredHistory
    linked: ResolvedChanges
    requests: int
    parts: list[PartOrFailure]

    @property
    def facts(self) -> dict[str, Fact]:
        return {**self.gathered.facts, **{fact.id: fact for fact in self.linked.facts}}

    @property
    def deployments(self) -> dict[str, Deployment]:
        return {fact.id: fact for fact in self.facts.values() if isinstance(fact, Deployment)}

    @property
    def changes(self) -> dict[str, Change]:
        return {fact.id: fact for fact in self.facts.values() if isinstance(fact, Change)}

    @property
    def incidents(self) -> dict[str, Incident]:
        return {fact.id: fact for fact in self.facts.values() if isinstance(fact, Incident)}

    @property
    def vulnerabilities(self) -> dict[str, Vulnerability]:
        return {fact.id: fact for fact in self.facts.values() if isinstance(fact, Vulnerability)}

    @property
    def cursors(self) -> dict[str, Cursor]:
        commits_cursor = {"commits": self.linked.cursor} if self.linked.cursor else {}
        return {**self.gathered.cursors, **commits_cursor}

    @property
    def notes(self) -> str:
        return "\n".join([*self.gathered.notes, *self.linked.notes])


def make_client(github: FakeGitHub, token: str | None = None) -> Client:
    return Client(token or github.token, github.api_url, lambda _: None, timeout_seconds=20)


def make_history_run(name: str = "acme/shop", now: datetime = NOW, event: str = "schedule") -> Run:
    return made_run(event, repository=name, now=now)


def read_fake_history(
    github: FakeGitHub,
    *,
    name: str = "acme/shop",
    since: datetime | None = None,
    cursors: dict[str, Cursor] | None = None,
    ledger: dict[str, Fact] | None = None,
    known_sources: frozenset[str] = frozenset(),
    token: str | None = None,
    now: datetime = NOW,
    event: str = "schedule",
    **inputs: Any,  # noqa: ANN401 - settings
) -> HistoryRead:
    """Read a history and link it with the facts of the ledger. Alerts are read only if `security` is given."""
    settings = Settings.model_validate({"security": "none", **inputs})
    client = make_client(github, token)
    parts = list(
        read_history(
            client, HistoryRequest(make_history_run(name, now, event), settings, since, cursors or {}, known_sources)
        )
    )
    gathered = GatheredHistory.from_parts(parts)
    before = ledger or {}
    new_facts = {fact.id: fact for fact in changed_facts(before, gathered.facts.values())}
    link_result = resolve_changes({**before, **new_facts}.values(), gathered.graph, settings.policy)
    return HistoryRead(gathered, link_result, client.request_count, parts)


def ledger_after(ledger: dict[str, Fact], history: HistoryRead) -> dict[str, Fact]:
    """The ledger after the facts of a read were added."""
    with_read_facts = {**ledger, **{fact.id: fact for fact in changed_facts(ledger, history.gathered.facts.values())}}
    return {**with_read_facts, **{fact.id: fact for fact in relinked_facts(with_read_facts, history.linked.facts)}}


def merge_pull_request(shop: Repository, title: str, hours: float, method: str = "squash", **pull_fields: Any) -> str:  # noqa: ANN401
    """Merge a pull request an hour after it was opened; return the sha of the merge commit."""
    pull_request = shop.pull(title, files={f"{title}.txt": title}, created_at=at(hours - 1), **pull_fields)
    return shop.merge_pull(pull_request, method=method, at=at(hours))  # type: ignore[arg-type]


def deploy(shop: Repository, hours: float, *, sha: str | None = None, **deployment_fields: Any) -> str:  # noqa: ANN401
    """Create a deployment that took six minutes; return the id of its fact."""
    deployment = shop.deployment(sha=sha, at=at(hours - 0.1), finished_at=at(hours), **deployment_fields)
    return f"github:deployment:{deployment.database_id}"

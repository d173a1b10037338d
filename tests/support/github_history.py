"""Worlds to read the past of, and what was read of them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.merge import news
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident, Vulnerability
from dora_metrics.core.linking.commit_graph import Linked, linked
from dora_metrics.github.client import Client
from dora_metrics.github.history import Gathered, Piece, Wanted, past
from dora_metrics.github.observation import Run
from dora_metrics.settings.model import Settings, policy
from fakes.github import FakeGitHub
from fakes.repository import Repository
from support.events import run as made_run

START = datetime(2026, 9, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@dataclass
class Read:
    """All that one reading found, and how many requests it took."""

    gathered: Gathered
    linked: Linked
    requests: int
    parts: list[Piece]

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
        more = {"commits": self.linked.cursor} if self.linked.cursor else {}
        return {**self.gathered.cursors, **more}

    @property
    def notes(self) -> str:
        return "\n".join([*self.gathered.notes, *self.linked.notes])


def client_of(github: FakeGitHub, token: str | None = None) -> Client:
    return Client(token or github.token, github.api_url, lambda _: None, timeout_seconds=20)


def run_of(name: str = "acme/shop", now: datetime = NOW, event: str = "schedule") -> Run:
    return made_run(event, repository=name, now=now)


def read(
    github: FakeGitHub,
    *,
    name: str = "acme/shop",
    since: datetime | None = None,
    cursors: dict[str, Cursor] | None = None,
    ledger: dict[str, Fact] | None = None,
    known: frozenset[str] = frozenset(),
    token: str | None = None,
    now: datetime = NOW,
    event: str = "schedule",
    **given: Any,  # noqa: ANN401 - settings
) -> Read:
    """One reading and its linking, with the ledger that there is; of security alerts only where they are named."""
    settings = Settings.model_validate({"security": "none", **given})
    client = client_of(github, token)
    parts = list(past(client, Wanted(run_of(name, now, event), settings, since, cursors or {}, known)))
    gathered = Gathered.of(parts)
    before = ledger or {}
    written = {fact.id: fact for fact in news(before, gathered.facts.values())}
    done = linked({**before, **written}.values(), gathered.graph, policy(settings))
    return Read(gathered, done, client.requests, parts)


def after(ledger: dict[str, Fact], found: Read) -> dict[str, Fact]:
    """The ledger with what a reading found."""
    kept = {**ledger, **{fact.id: fact for fact in news(ledger, found.gathered.facts.values())}}
    return {**kept, **{fact.id: fact for fact in news(kept, found.linked.facts)}}


def merged(shop: Repository, title: str, hours: float, how: str = "squash", **more: Any) -> str:  # noqa: ANN401
    """A pull request merged an hour after it was opened; its merge commit."""
    pull = shop.pull(title, files={f"{title}.txt": title}, created_at=at(hours - 1), **more)
    return shop.merge_pull(pull, how=how, at=at(hours))  # type: ignore[arg-type]


def deployed(shop: Repository, hours: float, *, sha: str | None = None, **more: Any) -> str:  # noqa: ANN401
    """A deployment that took six minutes; the id of its fact."""
    made = shop.deployment(sha=sha, at=at(hours - 0.1), finished_at=at(hours), **more)
    return f"github:deployment:{made.database_id}"

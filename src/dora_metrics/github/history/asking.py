"""What every kind needs to be read: the client, the repository as it is now, and what was asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.model import Fact
from dora_metrics.github.client import Client, owner_and_name
from dora_metrics.github.events.observe import kept
from dora_metrics.github.history.pages import Kind, Wanted
from dora_metrics.github.history.pages_part import Page, Pages, Reading
from dora_metrics.github.observation import Run


@dataclass(frozen=True)
class Home:
    """The repository: what it is called now, its default branch and its head; None where there is no commit."""

    name: str
    has_issues: bool
    branch: str | None = None
    head: str | None = None

    @classmethod
    def of(cls, repository: Mapping[str, Any]) -> "Home":
        ref = repository["defaultBranchRef"] or {}
        head = (ref.get("target") or {}).get("oid")
        return cls(repository["nameWithOwner"], repository["hasIssuesEnabled"], ref.get("name"), head)


@dataclass(frozen=True)
class Asking:
    """One kind's questions. `firsts` are first pages that came with the news, `opens` what had not ended then."""

    client: Client
    home: Home
    wanted: Wanted
    firsts: Mapping[Kind, Page] = field(default_factory=dict)
    opens: tuple[Mapping[str, Any], ...] | None = None

    @property
    def run(self) -> Run:
        """The run as the mappers of events want it, under the repository's present name."""
        return replace(self.wanted.run, repository=self.home.name)

    @property
    def names(self) -> dict[str, object]:
        return owner_and_name(self.home.name)

    @property
    def files(self) -> bool:
        """Whether the files of pull requests matter."""
        return bool(self.wanted.settings.services)

    def cursor(self, kind: Kind) -> Cursor:
        return self.wanted.cursors.get(kind, Cursor())

    def kept(self, fact: Fact) -> Fact:
        """As an event would have been recorded."""
        return kept(fact, self.wanted.settings)

    def reading(self, kind: Kind, pages: Pages, time: str, older: Pages | None = None) -> Reading:
        """A list from its newest on; `older` where the rest of the past is asked for in another way."""
        return Reading(
            newest=lambda: pages.after(None, self.firsts.get(kind)),
            older=(older or pages).after,
            time=time,
            cursor=self.cursor(kind),
            since=self.wanted.since,
        )

    def pages(self, query: str, *path: str, **variables: object) -> Pages:
        return Pages(self.client, query, {**self.names, **variables}, ("repository", *path))

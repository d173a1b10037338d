"""What reading the past yields: parts with facts and a place to go on from, and failures with what would help."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from dora_metrics.core.cursors import Cursor
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.linking.commit_graph import Graph, Landed
from dora_metrics.core.selection import NAMES, NEEDS, Alerts
from dora_metrics.github.client import ForbiddenError, GitHubError, NotFoundError
from dora_metrics.github.observation import Run
from dora_metrics.settings.model import Settings

Kind = (
    Literal["pulls", "commits", "deployments", "releases", "runs", "pushes", "issues", "sources", "repository"] | Alerts
)

_NAMES: dict[str, str] = {
    "pulls": "pull requests",
    "commits": "commits",
    "deployments": "deployments",
    "releases": "releases",
    "runs": "workflow runs",
    "pushes": "pushes",
    "issues": "incidents",
    "sources": "deployment sources",
    "repository": "the repository",
    **NAMES,
}
_GRANTS: dict[Kind, str] = {
    "pulls": "pull-requests: read",
    "commits": "contents: read` and `pull-requests: read",
    "deployments": "deployments: read",
    "releases": "contents: read",
    "runs": "actions: read",
    "issues": "issues: read",
    "repository": "contents: read",
}


@dataclass(frozen=True)
class Wanted:
    """What to read: of `run.repository`, what changed after `cursors`, and back to `since` (None: all there is).

    `known`: the sources of the production deployments that the ledger holds, as `observe` takes them.
    """

    run: Run
    settings: Settings
    since: datetime | None = None
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    known: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Part:
    """Some facts of one kind, the newest first.

    `cursor` is where the next reading of this kind goes on once these facts are kept; None: where it was before.
    `reached`: how far back this part goes; `done`: nothing of the kind is left. `landed` is for linking, see
    `Gathered`.
    """

    kind: Kind
    facts: tuple[Fact, ...] = ()
    cursor: Cursor | None = None
    reached: datetime | None = None
    done: bool = False
    notes: tuple[str, ...] = ()
    landed: tuple[Landed, ...] = ()

    def __str__(self) -> str:
        """How far this got: `pull requests back to 2026-09-03`, `all pull requests`."""
        if self.done or self.reached is None:
            return f"all {_NAMES[self.kind]}" if self.done else _NAMES[self.kind]
        return f"{_NAMES[self.kind]} back to {self.reached:%Y-%m-%d}"


@dataclass(frozen=True)
class Failed:
    """A kind that GitHub did not tell (to the end); `grant` is the permission that is missing, if it is one."""

    kind: Kind
    reason: str
    grant: str | None = None

    def __str__(self) -> str:
        advice = f"; give the job `permissions: {self.grant}`" if self.grant else ""
        return f"GitHub did not tell {_NAMES[self.kind]}: {self.reason}{advice}"


@dataclass(frozen=True)
class Refused:
    """Alerts that GitHub does not show to this token, or does not have; `cursor` remembers it.

    `told`: they were asked for by name, so that it is a failure, and no matter of course.
    """

    kind: Alerts
    cursor: Cursor
    told: bool

    def __str__(self) -> str:
        return f"{NAMES[self.kind]} are unknown: GitHub answered {self.cursor.refused}; {NEEDS[self.kind]}"


Piece = Part | Failed | Refused
"""What a reading yields."""


def failed(kind: Kind, problem: GitHubError) -> Failed:
    lacking = isinstance(problem, ForbiddenError | NotFoundError)
    return Failed(kind, str(problem), _GRANTS.get(kind) if lacking else None)


@dataclass
class Gathered:
    """All parts so far, put together: facts by id, where to go on, what failed, and the history for linking."""

    facts: dict[str, Fact] = field(default_factory=dict)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    reached: dict[Kind, Part] = field(default_factory=dict)
    failures: list[Failed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    graph: Graph = field(default_factory=Graph)

    def add(self, part: Piece) -> None:
        match part:
            case Failed():
                self.failures.append(part)
            case Refused():
                self.cursors[part.kind] = part.cursor
            case Part():
                self._add(part)

    def _add(self, part: Part) -> None:
        self.facts.update((fact.id, fact) for fact in part.facts)
        self.notes += [note for note in part.notes if note not in self.notes]
        self.graph.add(part.landed)
        self.graph.whole |= part.kind == "commits" and part.done
        self.reached[part.kind] = part
        if part.cursor is not None:
            self.cursors[part.kind] = part.cursor

    @classmethod
    def of(cls, parts: Iterable[Piece]) -> "Gathered":
        gathered = cls()
        for part in parts:
            gathered.add(part)
        return gathered

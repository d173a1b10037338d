"""Which of GitHub's security alerts are read: the setting `security`; and what a reader must know of the others.

Permissions: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#permissions.
`security-events` does not open Dependabot alerts, and no permission of a job opens those of secret scanning.

Which of GitHub's things are a repository's deployments: the setting `deployment-source`.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from dora_metrics.core.cursors import Cursor, Cursors

Alerts = Literal["dependabot", "code-scanning", "secret-scanning"]
KINDS: tuple[Alerts, ...] = get_args(Alerts)
AUTO: tuple[Alerts, ...] = ("dependabot",)
"""What `auto` reads: each kind costs every sync a request, and this is the one that needs nothing to be set up."""

NAMES: dict[str, str] = {
    "dependabot": "Dependabot alerts",
    "code-scanning": "code scanning alerts",
    "secret-scanning": "secret scanning alerts",
}
NEEDS: dict[str, str] = {
    "dependabot": "the job needs `permissions: vulnerability-alerts: read`, or an app `Dependabot alerts: read`",
    "code-scanning": "the job needs `permissions: security-events: read`, or an app `Code scanning alerts: read`",
    "secret-scanning": "an app, or a fine-grained token, needs `Secret scanning alerts: read`: no job may have that",
}
_MOST = 5


def wanted(asked: Sequence[str]) -> tuple[Alerts, ...]:
    """The kinds that the setting means."""
    return tuple(kind for kind in KINDS if kind in asked or ("auto" in asked and kind in AUTO))


def dated(own: Mapping[str, Cursor]) -> dict[str, Cursor]:
    """Of a repository's cursors when alerts were last read, and nothing of how far."""
    return {kind: Cursor(read_at=cursor.read_at) for kind, cursor in own.items() if cursor.read_at}


def notes(cursors: Cursors, asked: Sequence[str]) -> list[str]:
    """What GitHub does not tell: it is unknown, which is not nought; and what is known, but not of now.

    Args:
        cursors: how far each repository was read.
        asked: the setting.
    """
    return [*_refused(cursors, asked), *_unread(cursors, asked), *_left(cursors, asked)]


def _refused(cursors: Cursors, asked: Sequence[str]) -> Iterator[str]:
    """Repositories with the same answer share a note."""
    refused: defaultdict[tuple[Alerts, str], list[str]] = defaultdict(list)
    for repository, own in cursors.items():
        for kind in wanted(asked):
            refused[kind, (own.get(kind) or Cursor()).refused or ""].append(repository)
    found = {key: names for key, names in refused.items() if key[1]}
    for (kind, reason), names in sorted(found.items()):
        yield (
            f"{_whose(kind, names)} are unknown, which is not none: GitHub answered {reason}. "
            f"They may be switched off there; else {NEEDS[kind]}.{''.join(_before(kind, names, cursors))}"
        )


def _whose(kind: Alerts, repositories: Sequence[str]) -> str:
    """`Dependabot alerts of acme/shop`, as a sentence begins."""
    more = f" and {len(repositories) - _MOST} more repositories" if len(repositories) > _MOST else ""
    what = NAMES[kind]
    return f"{what[:1].upper()}{what[1:]} of {', '.join(repositories[:_MOST])}{more}"


def _before(kind: Alerts, repositories: Sequence[str], cursors: Mapping[str, Mapping[str, Cursor]]) -> Iterator[str]:
    """Since when what is known is out of date, where something is."""
    own = [cursors[repository][kind] for repository in repositories]
    moments = [cursor.read_at for cursor in own if cursor.read_at]
    if moments:
        yield f" What is shown of them was known on {min(moments):%Y-%m-%d}."
    elif any(cursor.newest for cursor in own):
        yield " What is shown of them is not all: they were never read to the end."


def _unread(cursors: Cursors, asked: Sequence[str]) -> Iterator[str]:
    """Those that GitHub tells and nobody understands."""
    for repository, own in sorted(cursors.items()):
        for kind in wanted(asked):
            if (cursor := own.get(kind)) and cursor.unread:
                which = f"{len(cursor.unread):,} of the {NAMES[kind]} of {repository}"
                yield f"{which} cannot be read ({cursor.unread_because}), and are in no number."


def _left(cursors: Cursors, asked: Sequence[str]) -> Iterator[str]:
    """Those that were read once, and by the setting no longer are."""
    for kind in KINDS:
        moments = {name: own[kind].read_at for name, own in sorted(cursors.items()) if kind in own}
        read = {name: at for name, at in moments.items() if at}
        if read and kind not in wanted(asked):
            day, setting = f"{min(read.values()):%Y-%m-%d}", ", ".join(asked) or "none"
            yield f"{_whose(kind, list(read))} are as of {day}, since `security` is `{setting}`."


BEST_FIRST = ("deployments", "releases", "workflow-runs", "pushes")

_NONE_OF = {
    "deployments": "no production deployment",
    "releases": "no published release",
    "workflow-runs": "no successful run of a workflow that deploys",
    "pushes": "no merge to the default branch",
}
_SOME_OF = {
    "deployments": "production deployments",
    "releases": "published releases",
    "workflow-runs": "successful runs of a workflow that deploys",
    "pushes": "merges to the default branch",
}


@dataclass
class Sources:
    """What was found so far; `asked` is the setting, `known` are the sources of what the ledger holds.

    A source is looked at in the order of `BEST_FIRST`, and only if none before it has anything. Where one before it
    could not be read, nobody knows that: a guess would be recorded for good.
    """

    asked: tuple[str, ...]
    known: frozenset[str] = frozenset()
    found: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)

    def wants(self, source: str) -> bool:
        """Whether this source counts, as far as is known yet."""
        if source in self.asked:
            return True
        better = BEST_FIRST[: BEST_FIRST.index(source)]
        return "auto" in self.asked and self._best(better) is None and not set(better) & set(self.unread)

    def _best(self, sources: tuple[str, ...]) -> str | None:
        return next((source for source in sources if source in self.found | self.known), None)

    @property
    def taken(self) -> tuple[str, ...]:
        """The sources that count."""
        if "auto" not in self.asked:
            return tuple(source for source in BEST_FIRST if source in self.asked)
        best = self._best(BEST_FIRST)
        return tuple(source for source in BEST_FIRST if source in self.asked or source == best)

    def why(self, repository: str) -> str:
        """One sentence on what was taken and why."""
        if not self.taken:
            return f"{self._missing(repository)}, so there are no deployments from GitHub."
        names = ", ".join(f"`{source}`" for source in self.taken)
        if "auto" not in self.asked:
            return f"Deployments are taken from {names}, as `deployment-source` says."
        best = str(self._best(BEST_FIRST))
        has = f"{repository} has {_SOME_OF[best]}" + ("" if best in self.found else " in the ledger")
        lacks = [_NONE_OF[name] for name in BEST_FIRST[: BEST_FIRST.index(best)] if name not in self.unread]
        unread = [f"`{name}` could not be read" for name in self.unread if name != best]
        rest = "".join([*(f", {words}" for words in lacks), *(f"; {words}" for words in unread)])
        return f"Deployments are taken from {names} (`deployment-source: auto`): {has}{rest}."

    def _missing(self, repository: str) -> str:
        if "auto" not in self.asked:
            return "`deployment-source` is none"
        if self.unread:
            names = ", ".join(f"`{name}`" for name in self.unread)
            return f"{names} of {repository} could not be read, and nothing lesser is taken in their place"
        return f"{repository} has {', '.join(_NONE_OF.values())}"

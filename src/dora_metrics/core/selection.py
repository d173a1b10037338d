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

AlertKind = Literal["dependabot", "code-scanning", "secret-scanning"]
ALERT_KINDS: tuple[AlertKind, ...] = get_args(AlertKind)
AUTO_ALERT_KINDS: tuple[AlertKind, ...] = ("dependabot",)
"""What `auto` reads: each kind costs every sync a request, and this is the one that needs nothing to be set up."""

ALERT_NAMES: dict[str, str] = {
    "dependabot": "Dependabot alerts",
    "code-scanning": "code scanning alerts",
    "secret-scanning": "secret scanning alerts",
}
PERMISSION_HINTS: dict[str, str] = {
    "dependabot": "the job needs `permissions: vulnerability-alerts: read`, or an app `Dependabot alerts: read`",
    "code-scanning": "the job needs `permissions: security-events: read`, or an app `Code scanning alerts: read`",
    "secret-scanning": "an app, or a fine-grained token, needs `Secret scanning alerts: read`: no job may have that",
}
_MAX_REPOSITORIES_NAMED = 5


def selected_alert_kinds(setting: Sequence[str]) -> tuple[AlertKind, ...]:
    """The kinds that the setting means."""
    return tuple(kind for kind in ALERT_KINDS if kind in setting or ("auto" in setting and kind in AUTO_ALERT_KINDS))


def only_read_times(cursors: Mapping[str, Cursor]) -> dict[str, Cursor]:
    """Of a repository's cursors when alerts were last read, and nothing of how far."""
    return {kind: Cursor(read_at=cursor.read_at) for kind, cursor in cursors.items() if cursor.read_at}


def alert_notes(cursors: Cursors, setting: Sequence[str]) -> list[str]:
    """What GitHub does not tell: it is unknown, which is not nought; and what is known, but not of now.

    Args:
        cursors: how far each repository was read.
        asked: the setting.
    """
    return [
        *_refusal_notes(cursors, setting),
        *_unreadable_notes(cursors, setting),
        *_deselected_notes(cursors, setting),
    ]


def _refusal_notes(cursors: Cursors, setting: Sequence[str]) -> Iterator[str]:
    """Repositories with the same answer share a note."""
    repositories_by_refusal: defaultdict[tuple[AlertKind, str], list[str]] = defaultdict(list)
    for repository, repository_cursors in cursors.items():
        for kind in selected_alert_kinds(setting):
            repositories_by_refusal[kind, (repository_cursors.get(kind) or Cursor()).refused or ""].append(repository)
    refusals = {key: repositories for key, repositories in repositories_by_refusal.items() if key[1]}
    for (kind, reason), repositories in sorted(refusals.items()):
        yield (
            f"{_alerts_of(kind, repositories)} are unknown, which is not none: GitHub answered {reason}. "
            "They may be switched off there; else "
            f"{PERMISSION_HINTS[kind]}.{''.join(_staleness_notes(kind, repositories, cursors))}"
        )


def _alerts_of(kind: AlertKind, repositories: Sequence[str]) -> str:
    """`Dependabot alerts of acme/shop`, as a sentence begins."""
    others = (
        f" and {len(repositories) - _MAX_REPOSITORIES_NAMED} more repositories"
        if len(repositories) > _MAX_REPOSITORIES_NAMED
        else ""
    )
    alerts = ALERT_NAMES[kind]
    return f"{alerts[:1].upper()}{alerts[1:]} of {', '.join(repositories[:_MAX_REPOSITORIES_NAMED])}{others}"


def _staleness_notes(
    kind: AlertKind, repositories: Sequence[str], cursors: Mapping[str, Mapping[str, Cursor]]
) -> Iterator[str]:
    """Since when what is known is out of date, where something is."""
    kind_cursors = [cursors[repository][kind] for repository in repositories]
    read_times = [cursor.read_at for cursor in kind_cursors if cursor.read_at]
    if read_times:
        yield f" What is shown of them was known on {min(read_times):%Y-%m-%d}."
    elif any(cursor.newest for cursor in kind_cursors):
        yield " What is shown of them is not all: they were never read to the end."


def _unreadable_notes(cursors: Cursors, setting: Sequence[str]) -> Iterator[str]:
    """Those that GitHub tells and nobody understands."""
    for repository, repository_cursors in sorted(cursors.items()):
        for kind in selected_alert_kinds(setting):
            if (cursor := repository_cursors.get(kind)) and cursor.unread:
                unreadable = f"{len(cursor.unread):,} of the {ALERT_NAMES[kind]} of {repository}"
                yield f"{unreadable} cannot be read ({cursor.unread_because}), and are in no number."


def _deselected_notes(cursors: Cursors, setting: Sequence[str]) -> Iterator[str]:
    """Those that were read once, and by the setting no longer are."""
    for kind in ALERT_KINDS:
        read_times = {
            repository: repository_cursors[kind].read_at
            for repository, repository_cursors in sorted(cursors.items())
            if kind in repository_cursors
        }
        read_at_by_repository = {repository: read_at for repository, read_at in read_times.items() if read_at}
        if read_at_by_repository and kind not in selected_alert_kinds(setting):
            day, setting_text = f"{min(read_at_by_repository.values()):%Y-%m-%d}", ", ".join(setting) or "none"
            yield (
                f"{_alerts_of(kind, list(read_at_by_repository))} are as of {day}, since `security` is "
                f"`{setting_text}`."
            )


SOURCES_BEST_FIRST = ("deployments", "releases", "workflow-runs", "pushes")

_ABSENT_WORDING = {
    "deployments": "no production deployment",
    "releases": "no published release",
    "workflow-runs": "no successful run of a workflow that deploys",
    "pushes": "no merge to the default branch",
}
_PRESENT_WORDING = {
    "deployments": "production deployments",
    "releases": "published releases",
    "workflow-runs": "successful runs of a workflow that deploys",
    "pushes": "merges to the default branch",
}


@dataclass
class SourceSelection:
    """What was found so far; `asked` is the setting, `known` are the sources of what the ledger holds.

    A source is looked at in the order of `BEST_FIRST`, and only if none before it has anything. Where one before it
    could not be read, nobody knows that: a guess would be recorded for good.
    """

    setting: tuple[str, ...]
    in_ledger: frozenset[str] = frozenset()
    on_github: set[str] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)

    def is_selected(self, source: str) -> bool:
        """Whether this source counts, as far as is known yet."""
        if source in self.setting:
            return True
        better = SOURCES_BEST_FIRST[: SOURCES_BEST_FIRST.index(source)]
        return "auto" in self.setting and self._best(better) is None and not set(better) & set(self.unreadable)

    def _best(self, sources: tuple[str, ...]) -> str | None:
        return next((source for source in sources if source in self.on_github | self.in_ledger), None)

    @property
    def selected(self) -> tuple[str, ...]:
        """The sources that count."""
        if "auto" not in self.setting:
            return tuple(source for source in SOURCES_BEST_FIRST if source in self.setting)
        best = self._best(SOURCES_BEST_FIRST)
        return tuple(source for source in SOURCES_BEST_FIRST if source in self.setting or source == best)

    def explanation(self, repository: str) -> str:
        """One sentence on what was taken and why."""
        if not self.selected:
            return f"{self._reason_for_none(repository)}, so there are no deployments from GitHub."
        names = ", ".join(f"`{source}`" for source in self.selected)
        if "auto" not in self.setting:
            return f"Deployments are taken from {names}, as `deployment-source` says."
        best = str(self._best(SOURCES_BEST_FIRST))
        presence = f"{repository} has {_PRESENT_WORDING[best]}" + ("" if best in self.on_github else " in the ledger")
        absences = [
            _ABSENT_WORDING[name]
            for name in SOURCES_BEST_FIRST[: SOURCES_BEST_FIRST.index(best)]
            if name not in self.unreadable
        ]
        unreadable = [f"`{name}` could not be read" for name in self.unreadable if name != best]
        rest = "".join([*(f", {wording}" for wording in absences), *(f"; {wording}" for wording in unreadable)])
        return f"Deployments are taken from {names} (`deployment-source: auto`): {presence}{rest}."

    def _reason_for_none(self, repository: str) -> str:
        if "auto" not in self.setting:
            return "`deployment-source` is none"
        if self.unreadable:
            names = ", ".join(f"`{name}`" for name in self.unreadable)
            return f"{names} of {repository} could not be read, and nothing lesser is taken in their place"
        return f"{repository} has {', '.join(_ABSENT_WORDING.values())}"

"""Selection of what is read from GitHub: alerts (`security`) and deployments (`deployment-source`).

Permissions: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#permissions.
`security-events` does not give access to Dependabot alerts. No job permission gives access to secret scanning alerts.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

from dora_metrics.core.cursors import Cursor, Cursors
from dora_metrics.core.facts import ids
from dora_metrics.core.formatting import join_with_and

AlertKind = Literal["dependabot", "code-scanning", "secret-scanning"]
ALERT_KINDS: tuple[AlertKind, ...] = get_args(AlertKind)
AUTO_ALERT_KINDS: tuple[AlertKind, ...] = ("dependabot",)
"""The kinds that `auto` selects. Each kind costs every sync a request, and only this one needs no setup."""

ALERT_NAMES: dict[str, str] = {
    "dependabot": "Dependabot alerts",
    "code-scanning": "code scanning alerts",
    "secret-scanning": "secret scanning alerts",
}
PERMISSION_HINTS: dict[str, str] = {
    "dependabot": "the job needs `permissions: vulnerability-alerts: read`, or an app `Dependabot alerts: read`",
    "code-scanning": "the job needs `permissions: security-events: read`, or an app `Code scanning alerts: read`",
    "secret-scanning": "an app or fine-grained token needs `Secret scanning alerts: read`; a job token cannot have it",
}
_MAX_REPOSITORIES_NAMED = 5


def selected_alert_kinds(setting: Sequence[str]) -> tuple[AlertKind, ...]:
    """Return the kinds that the setting selects."""
    return tuple(kind for kind in ALERT_KINDS if kind in setting or ("auto" in setting and kind in AUTO_ALERT_KINDS))


def only_read_times(cursors: Mapping[str, Cursor]) -> dict[str, Cursor]:
    """Return a repository's cursors reduced to when alerts were last read, so that they are read from the start."""
    return {kind: Cursor(read_at=cursor.read_at) for kind, cursor in cursors.items() if cursor.read_at}


def alert_notes(cursors: Cursors, setting: Sequence[str]) -> list[str]:
    """Return notes for readers about alerts that are missing or outdated, and so not zero.

    Args:
        cursors: how far each repository was read.
        setting: the setting `security`.
    """
    return [
        *_refusal_notes(cursors, setting),
        *_unreadable_notes(cursors, setting),
        *_deselected_notes(cursors, setting),
    ]


def alert_history_notes(cursors: Mapping[str, Cursor]) -> list[str]:
    """Return a note for each repository whose runs could not read the alerts of their Prometheus to the end last time.

    Args:
        cursors: how far they were read, by repository.
    """
    return [
        f"The alerts in the Prometheus of {name} are unread since {_unread_since(cursor)}, which does not mean that "
        f"there were no incidents: {cursor.refused}."
        for name, cursor in sorted(cursors.items())
        if cursor.refused
    ]


def incident_history_notes(cursors: Mapping[tuple[str, str], Cursor]) -> list[str]:
    """Return a note for each incident system that could not be read to the end last time.

    Args:
        cursors: how far they were read, by the present name of the repository and the system.
    """
    return [
        f"The incidents of {system} for {repository} are unread since {_unread_since(cursor)}, which does not mean "
        f"that there were none: {cursor.refused}."
        for (repository, system), cursor in sorted(cursors.items(), key=lambda item: item[0])
        if cursor.refused
    ]


def _unread_since(cursor: Cursor) -> str:
    return f"{cursor.newest:%Y-%m-%d %H:%M} UTC" if cursor.newest else "the beginning"


def _refusal_notes(cursors: Cursors, setting: Sequence[str]) -> Iterator[str]:
    """Yield a note per kind and reason for which GitHub refused alerts, naming the repositories."""
    repositories_by_refusal: defaultdict[tuple[AlertKind, str], list[str]] = defaultdict(list)
    for repository, by_kind in cursors.items():
        for kind in selected_alert_kinds(setting):
            if reason := (by_kind.get(kind) or Cursor()).refused:
                repositories_by_refusal[kind, reason].append(repository)
    for (kind, reason), repositories in sorted(repositories_by_refusal.items()):
        yield (
            f"{_alerts_of(kind, repositories)} are unknown, which does not mean zero: GitHub answered {reason}. "
            f"They may be switched off there; otherwise {PERMISSION_HINTS[kind]}."
            f"{_staleness_note([cursors[repository][kind] for repository in repositories])}"
        )


def _alerts_of(kind: AlertKind, repositories: Sequence[str]) -> str:
    """Return the subject of a sentence, such as `Dependabot alerts of acme/shop`."""
    alerts, names = ALERT_NAMES[kind], ", ".join(repositories[:_MAX_REPOSITORIES_NAMED])
    more = len(repositories) - _MAX_REPOSITORIES_NAMED
    return f"{alerts[:1].upper()}{alerts[1:]} of {names}" + (f" and {more} more repositories" if more > 0 else "")


def _staleness_note(cursors: Sequence[Cursor]) -> str:
    """Return since when the recorded alerts are outdated or that they are incomplete; empty if there are none."""
    read_times = [cursor.read_at for cursor in cursors if cursor.read_at]
    if read_times:
        return f" The alerts shown are as of {min(read_times):%Y-%m-%d}."
    if any(cursor.newest for cursor in cursors):
        return " The alerts shown are incomplete: they were never read to the end."
    return ""


def _unreadable_notes(cursors: Cursors, setting: Sequence[str]) -> Iterator[str]:
    """Yield a note per repository and kind with alerts that GitHub returned and that could not be parsed."""
    for repository, by_kind in sorted(cursors.items()):
        for kind in selected_alert_kinds(setting):
            if (cursor := by_kind.get(kind)) and cursor.unread:
                unreadable = f"{len(cursor.unread):,} of the {ALERT_NAMES[kind]} of {repository}"
                yield f"{unreadable} cannot be read ({cursor.unread_because}) and are not counted."


def _deselected_notes(cursors: Cursors, setting: Sequence[str]) -> Iterator[str]:
    """Yield a note per kind that was read earlier and that the setting no longer selects."""
    for kind in ALERT_KINDS:
        read_times = {
            repository: read_at
            for repository, by_kind in sorted(cursors.items())
            if kind in by_kind and (read_at := by_kind[kind].read_at)
        }
        if read_times and kind not in selected_alert_kinds(setting):
            day, setting_text = f"{min(read_times.values()):%Y-%m-%d}", ", ".join(setting) or "none"
            yield f"{_alerts_of(kind, list(read_times))} are as of {day}, because `security` is `{setting_text}`."


SOURCES_BEST_FIRST = ("deployments", "releases", "workflow-runs", "pushes")

GITOPS_SOURCES = tuple(prefix.removesuffix(":") for prefix in ids.ROLLOUT_PREFIXES)
"""Tools that deploy from a cluster. No event of GitHub is of one of them."""

_BETTER_THAN_GITOPS = ("deployments",)
"""GitHub's sources that count beside a GitOps tool if `deployment-source` is `auto`, since they state a deployment. The
others are the beginning of what the tool deploys."""


def better_source(source: str, known: Collection[str]) -> str | None:
    """Return the best of some known sources that `auto` prefers to one of GitHub's; None if it prefers none."""
    better = SOURCES_BEST_FIRST[: SOURCES_BEST_FIRST.index(source)]
    if source not in _BETTER_THAN_GITOPS:
        better = (*_BETTER_THAN_GITOPS, *GITOPS_SOURCES, *better)
    return next((name for name in better if name in known), None)


def lesser_sources(setting: Collection[str], known: Collection[str]) -> Sequence[str]:
    """Return GitHub's sources that a setting does not use, since it is `auto` and a better source is known."""
    if "auto" not in setting:
        return ()
    return [source for source in SOURCES_BEST_FIRST if source not in setting and better_source(source, known)]


_ABSENT_WORDING = {
    "deployments": "no production deployment",
    "releases": "no published release",
    "workflow-runs": "no successful run of a workflow that deploys",
    "pushes": "no known push to the default branch",
}
_PRESENT_WORDING = {
    "deployments": "production deployments",
    "releases": "published releases",
    "workflow-runs": "successful runs of a workflow that deploys",
    "pushes": "pushes to the default branch",
}


_SOURCE_TERMS = {
    "deployments": "GitHub deployments",
    "releases": "releases",
    "workflow-runs": "workflow runs",
    "pushes": "pushes",
}

LONGEST_PAUSE_OF_RELEASES = timedelta(days=180)
"""Releases that the default branch has left further behind are no habit any more."""


def is_release_habit(newest_release: datetime, newest_commit: datetime) -> bool:
    """Whether a repository still releases: by its newest release and the newest commit of its default branch."""
    return newest_commit - newest_release < LONGEST_PAUSE_OF_RELEASES


@dataclass
class SourceSelection:
    """Selects the sources of a repository's deployments, while they are read in the order of `SOURCES_BEST_FIRST`.

    `auto` selects the first source that has deployments. If a better source could not be read, `auto` selects no
    lesser one, since a wrong guess would stay in the ledger.

    `setting`: the setting `deployment-source`. `in_ledger`: sources with deployments in the ledger. `on_github`:
    sources that had deployments in this reading. `unreadable`: sources that could not be read. `newest_commit`: time of
    the newest commit of the default branch. `last_release`: time of the newest release, if releases are no habit.
    """

    setting: tuple[str, ...]
    in_ledger: frozenset[str] = frozenset()
    on_github: set[str] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)
    newest_commit: datetime | None = None
    last_release: datetime | None = None

    def is_habit(self, newest_release: datetime) -> bool:
        """Whether releases count, given the newest one on GitHub; remembers it if they do not."""
        if "releases" in self.setting or "releases" in self.in_ledger or self.newest_commit is None:
            return True
        is_habit = is_release_habit(newest_release, self.newest_commit)
        self.last_release = None if is_habit else newest_release
        return is_habit

    def is_selected(self, source: str) -> bool:
        """Whether this source is to be read, given what was read of the better ones."""
        if source in self.setting:
            return True
        lacks_better = better_source(source, self._known) is None
        unread = set(SOURCES_BEST_FIRST[: SOURCES_BEST_FIRST.index(source)]) & set(self.unreadable)
        return "auto" in self.setting and lacks_better and not unread

    @property
    def _known(self) -> AbstractSet[str]:
        return self.on_github | self.in_ledger

    @property
    def _best(self) -> str | None:
        """The best source of GitHub's that is known, and that no GitOps tool is preferred to."""
        known = (source for source in SOURCES_BEST_FIRST if source in self._known)
        return next((source for source in known if better_source(source, self._known) is None), None)

    @property
    def _gitops(self) -> str | None:
        return next((tool for tool in GITOPS_SOURCES if tool in self.in_ledger), None)

    @property
    def selected(self) -> tuple[str, ...]:
        """The sources whose deployments count, best first."""
        if "auto" not in self.setting:
            return tuple(source for source in SOURCES_BEST_FIRST if source in self.setting)
        return tuple(source for source in SOURCES_BEST_FIRST if source in self.setting or source == self._best)

    def explanation(self, repository: str) -> str:
        """Return a sentence for readers: the selected sources and the reason."""
        if self._best is None and self._gitops and "auto" in self.setting:
            return self._gitops_explanation(repository)
        if not self.selected:
            return f"{self._reason_for_none(repository)}, so there are no deployments from GitHub."
        names = ", ".join(f"`{source}`" for source in self.selected)
        if "auto" not in self.setting:
            return f"Deployments come from {names}, as set in `deployment-source`."
        best = str(self._best)
        presence = f"{repository} has {_PRESENT_WORDING[best]}" + ("" if best in self.on_github else " in the ledger")
        return f"Deployments come from {names} (`deployment-source: auto`): {presence}{self._absences(best)}."

    def _gitops_explanation(self, repository: str) -> str:
        """Say that a GitOps tool deploys the repository, and what is not counted for that reason."""
        names = ", ".join(f"`{source}`" for source in (self._gitops, *self.selected))
        left_out = [name for name in SOURCES_BEST_FIRST if name not in (*_BETTER_THAN_GITOPS, *self.selected)]
        others = f", so {join_with_and([_SOURCE_TERMS[name] for name in left_out])} do not count" if left_out else ""
        reason = f"the ledger has deployments of {repository} by `{self._gitops}`"
        return f"Deployments come from {names} (`deployment-source: auto`): {reason}{others}."

    def _absences(self, best: str) -> str:
        """Say what the better sources do not have, and which sources could not be read."""
        absences = [
            self._absence(name)
            for name in SOURCES_BEST_FIRST[: SOURCES_BEST_FIRST.index(best)]
            if name not in self.unreadable
        ]
        unreadable = [f"`{name}` could not be read" for name in self.unreadable if name != best]
        clauses = [f", but {', '.join(absences)}"] if absences else []
        return "".join([*clauses, *(f"; {wording}" for wording in unreadable)])

    def _absence(self, name: str) -> str:
        if name != "releases" or self.last_release is None or self.newest_commit is None:
            return _ABSENT_WORDING[name]
        days = (self.newest_commit - self.last_release).days
        age = f"its newest release is from {self.last_release:%Y-%m-%d}, {days} days before the newest commit"
        return f"no recent release ({age})"

    def _reason_for_none(self, repository: str) -> str:
        if "auto" not in self.setting:
            return "`deployment-source` is none"
        if self.unreadable:
            names = ", ".join(f"`{name}`" for name in self.unreadable)
            return f"{names} of {repository} could not be read, and no lower-ranked source is used instead"
        return f"{repository} has {', '.join(map(self._absence, SOURCES_BEST_FIRST))}"

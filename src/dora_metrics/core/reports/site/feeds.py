"""Files for other programs: `history.json` with the weeks of all scopes, and the badges.

`badges/*.json` have the format of shields.io's endpoint badges (https://shields.io/badges/endpoint-badge).
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from dora_metrics.core.facts.model import EPOCH
from dora_metrics.core.formatting import NO_VALUE
from dora_metrics.core.ledger.layout import BADGES_FOLDER
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.weekly import summarise_weeks
from dora_metrics.core.reports.sections import METRIC_TITLES, ShownLevel, shown_level, shown_overall_level
from dora_metrics.core.reports.site.cards import rank_of_level
from dora_metrics.core.schema import SCHEMA, MetricVerdict, ScopeMetrics, Week
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets import units
from dora_metrics.core.targets.benchmarks import Benchmark
from dora_metrics.core.windows import IsoWeek, Window, iso_weeks, week_start

MAX_WEEKS = 15_000
"""Limit for all scopes together; these take about 4 MB."""

MIN_WEEKS_PER_SCOPE = 26


class ScopeWeeks(Struct, frozen=True, kw_only=True):
    """The weeks of one scope since its first recorded deployment, Monday to Monday."""

    repository: str
    service: str
    environment: str
    weeks: list[Week]


class WeeklyHistory(Struct, frozen=True, kw_only=True):
    """The content of `history.json`. `notes`: which weeks are left out."""

    schema: str = SCHEMA
    generated_at: datetime
    timezone: str
    scopes: list[ScopeWeeks]
    notes: list[str]


WeeksByScope = Mapping[Scope, Sequence[Week]]


def scopes_latest_first(results: Results) -> list[tuple[ScopeHistory, ScopeMetrics]]:
    """Return the scopes with their numbers, the one with the latest deployment first."""

    def latest_first(pair: tuple[ScopeHistory, ScopeMetrics]) -> tuple[object, ...]:
        newest = pair[0].last_deployment_by(results.now)
        return EPOCH - (newest.finished_at if newest else EPOCH), pair[0].scope

    return sorted(zip(results.evaluation.histories, results.document.scopes, strict=True), key=latest_first)


def recorded_weeks(history: ScopeHistory, results: Results) -> Window:
    """Return the time from the Monday of the week of a scope's first deployment to now; empty without one.

    That week is complete here, as it is in every other window that contains it. Nothing is from before 1970: an
    earlier time is a mistake in the data.
    """
    first = history.first_deployment_at
    if first is None or first >= results.now:
        return Window(results.now, results.now)
    return Window(week_start(max(first, EPOCH), results.policy.zone), results.now)


def weeks_of_all_scopes(results: Results, max_total_weeks: int = MAX_WEEKS) -> WeeksByScope:
    """Summarise the weeks of each scope; only the newest ones if there are too many in all."""
    max_weeks = max_weeks_per_scope(len(results.evaluation.histories), max_total_weeks)
    return {history.scope: _weeks_of_scope(history, results, max_weeks) for history in results.evaluation.histories}


def max_weeks_per_scope(scope_count: int, max_total_weeks: int = MAX_WEEKS) -> int:
    """Return how many weeks each of `scope_count` scopes may have."""
    return max(MIN_WEEKS_PER_SCOPE, max_total_weeks // max(1, scope_count))


def _weeks_of_scope(history: ScopeHistory, results: Results, max_weeks: int) -> list[Week]:
    window = recorded_weeks(history, results)
    return summarise_weeks(history, window, last_touched_weeks(history, results, window, max_weeks), results.policy)


def last_touched_weeks(history: ScopeHistory, results: Results, window: Window, max_weeks: int) -> list[IsoWeek]:
    """Return the last weeks that a window of a scope touches, at most `max_weeks`."""
    shortened = Window(max(window.start, window.end - timedelta(weeks=max_weeks)), window.end)
    return list(iso_weeks(shortened, results.policy.zone, results.now, history.first_deployment_at))[-max_weeks:]


def build_weekly_history(
    results: Results, weeks_by_scope: WeeksByScope, max_total_weeks: int = MAX_WEEKS
) -> WeeklyHistory:
    """Build the content of `history.json`."""
    max_weeks = max_weeks_per_scope(len(weeks_by_scope), max_total_weeks)
    return WeeklyHistory(
        generated_at=results.document.generated_at,
        timezone=results.document.timezone,
        scopes=[
            ScopeWeeks(
                repository=scope.repository, service=scope.service, environment=scope.environment, weeks=list(series)
            )
            for scope, series in weeks_by_scope.items()
        ],
        notes=_truncation_notes(weeks_by_scope, max_weeks),
    )


def _truncation_notes(weeks_by_scope: WeeksByScope, max_weeks: int) -> list[str]:
    return [
        f"{' · '.join(scope)} has only its last {max_weeks} weeks here"
        for scope, series in weeks_by_scope.items()
        if len(series) == max_weeks
    ]


MAX_BADGE_SCOPES = 200
"""With more scopes a commit would have thousands of files, which GitHub handles badly."""

NO_DATA = "no data"
OVERALL = "overall"
_LABELS = {**{name: title.lower() for name, title in METRIC_TITLES.items()}, OVERALL: "DORA"}
_BADGE_PATH = re.compile(rf"{BADGES_FOLDER}(?:[a-z0-9._-]+/[a-z0-9._-]+/){{0,2}}(?:{'|'.join(_LABELS)})\.json")


class Badge(Struct, frozen=True, kw_only=True, rename="camel"):
    """A badge as shields.io reads it. `color` is one of its colour names."""

    schema_version: int = 1
    label: str
    message: str
    color: str


def build_badges(results: Results) -> dict[str, Badge]:
    """Build all badges, by path.

    Each repository has those of its scope with the latest deployment and, if it has several scopes, those of each.
    Without any scope there are badges without a value, so that a README can already link to them.
    """
    pairs = scopes_latest_first(results)
    if not pairs:
        return {f"{BADGES_FOLDER}{name}.json": _no_data_badge(name) for name in _LABELS}
    repositories = _group_by_repository(pairs[:MAX_BADGE_SCOPES])
    badges: dict[str, Badge] = {}
    for repository, scopes in sorted(repositories.items()):
        folder = BADGES_FOLDER if len(repositories) == 1 else f"{BADGES_FOLDER}{_folder_path(repository.split('/'))}"
        badges |= _repository_badges(scopes, folder, results.policy.benchmark)
    return badges


def is_badge_path(path: str) -> bool:
    """Whether a path is one that `build_badges` could give to a badge."""
    return _BADGE_PATH.fullmatch(path) is not None


def _group_by_repository(
    pairs: Iterable[tuple[ScopeHistory, ScopeMetrics]],
) -> dict[str, list[tuple[ScopeHistory, ScopeMetrics]]]:
    repositories: dict[str, list[tuple[ScopeHistory, ScopeMetrics]]] = defaultdict(list)
    for history, scope in pairs:
        repositories[history.scope.repository].append((history, scope))
    return repositories


def _repository_badges(
    scopes: Sequence[tuple[ScopeHistory, ScopeMetrics]], folder: str, benchmark: Benchmark
) -> Mapping[str, Badge]:
    badges = dict(_scope_badges(scopes[0][1], folder, benchmark))
    if len(scopes) > 1:
        for _, scope in scopes:
            badges |= _scope_badges(scope, folder + _folder_path((scope.service, scope.environment)), benchmark)
    return badges


def _scope_badges(scope: ScopeMetrics, folder: str, benchmark: Benchmark) -> Iterator[tuple[str, Badge]]:
    for metric in METRIC_TITLES:
        verdict: MetricVerdict = getattr(scope.metrics, metric)
        has_value = (message := units.format_brief(verdict)) != NO_VALUE
        badge = (
            _badge(metric, message, shown_level(verdict, benchmark), benchmark) if has_value else _no_data_badge(metric)
        )
        yield f"{folder}{metric}.json", badge
    overall = shown_overall_level(scope.metrics, benchmark)
    badge = _badge(OVERALL, overall.text, overall, benchmark) if overall else _no_data_badge(OVERALL)
    yield f"{folder}{OVERALL}.json", badge


def _badge(name: str, message: str, level: ShownLevel | None, benchmark: Benchmark) -> Badge:
    return Badge(label=_LABELS[name], message=message, color=_color(level, benchmark))


def _no_data_badge(name: str) -> Badge:
    return Badge(label=_LABELS[name], message=NO_DATA, color=_GREY)


_GREY = "lightgrey"
_COLORS = ("red", "orange", "yellow", "green", "brightgreen")
"""By rank of the level."""


def _color(level: ShownLevel | None, benchmark: Benchmark) -> str:
    """Return red for the lowest rank to bright green for the highest; blue without a level, grey for an open one."""
    rank = rank_of_level(level.name, benchmark) if level else None
    if level is None or rank is None:
        return "blue"
    return _GREY if level.is_open else _COLORS[rank]


def _folder_path(names: Iterable[str]) -> str:
    return "".join(f"{safe_folder_name(name)}/" for name in names)


def safe_folder_name(name: str) -> str:
    """Turn a name into a folder name that is valid on every file system and in URLs.

    A name that had to be changed ends with a hash of the original, so that different names stay different.
    """
    safe = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:60]
    if name and safe == name and not safe.endswith(".json"):
        return safe
    return f"{safe or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"

"""The data of the page, within a size limit.

The scopes that were deployed last have everything; others have fewer windows, weeks and evidence.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import nlargest
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core import formatting, schema
from dora_metrics.core.metrics.calculate import calculate_metrics
from dora_metrics.core.metrics.comparison import compare_windows
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.start_of_records import days_before_records, earlier_days_text, start_text
from dora_metrics.core.metrics.weekly import count_trend_weeks
from dora_metrics.core.reports.sections import overall_level_text
from dora_metrics.core.reports.site.cards import (
    build_cards,
    goal_details,
    outlook_lists,
    security_rows,
    trend_sentences,
)
from dora_metrics.core.reports.site.evidence import (
    MAX_NAME_LENGTH,
    EvidenceBuilder,
    LinkTable,
    count_before,
    evidence_builder,
    script_safe_json,
    single_line,
)
from dora_metrics.core.reports.site.feeds import WeeksByScope, scopes_latest_first
from dora_metrics.core.reports.site.model import (
    DeploymentEntry,
    IncidentEntry,
    MetricCard,
    PageData,
    ScopeEntry,
    ScopeInWindow,
    WindowOption,
)
from dora_metrics.core.reports.site.overview import highlights, overview_row
from dora_metrics.core.reports.site.weeks import week_series
from dora_metrics.core.reports.summary import repository_url
from dora_metrics.core.scope import Scope, default_service, scope_path
from dora_metrics.core.teams import MAX_NAME_CHARACTERS
from dora_metrics.core.windows import Window, WindowSpec, iso_weeks, parse_window

MAX_DATA_BYTES = 720_000
"""Limit of the embedded data. With the chart library and everything else the page stays below 1.5 MB."""

MAX_PAGE_SCOPES = 500
MAX_FULL_SCOPES = 20
"""Scopes with every window. The others have only the configured window and their last weeks."""

MAX_PAGE_WEEKS = 5_000
"""Of all full scopes together."""

WEEKS_IN_BRIEF = 16
"""Weeks of a scope that is not full: 13 that are drawn, and 3 before them for a rolling value of four weeks."""

MAX_DEPLOYMENTS = 5_000
MAX_INCIDENTS = 500
INCIDENT_BYTES_DIVISOR = 4
"""Incidents may take a quarter of the bytes for evidence."""

EXTRA_WINDOWS = ("30d", "90d", "365d", "all")
"""Windows that are offered besides the configured one."""

OfferedWindow = tuple[WindowSpec, Window]


@dataclass(frozen=True)
class PageScope:
    """What the entry of a scope is built from. A full scope has every window."""

    name: str
    history: ScopeHistory
    metrics: schema.ScopeMetrics
    evidence: EvidenceBuilder
    is_full: bool


def build_page(
    results: Results, series: WeeksByScope, *, max_data_bytes: int = MAX_DATA_BYTES, max_weeks: int = MAX_PAGE_WEEKS
) -> PageData:
    """Build the data of the page. `series` has the weeks of each scope."""
    links, windows = LinkTable(), _offered_windows(results)
    page_scopes = _page_scopes(results, links)
    weeks_per_scope = max_weeks // max(1, min(MAX_FULL_SCOPES, len(results.evaluation.histories)))
    entries = [
        _scope_entry(
            page_scope,
            results,
            windows,
            series[page_scope.history.scope][-weeks_per_scope if page_scope.is_full else -WEEKS_IN_BRIEF :],
            links,
        )
        for page_scope in page_scopes
    ]
    bytes_left = max_data_bytes - links.size_bytes - sum(_size_bytes(entry) + 1 for entry in entries)
    entries = _with_evidence(entries, page_scopes, results.now, bytes_left)
    return PageData(
        title=_title(results),
        made=formatting.date_time(results.now, results.policy.zone),
        zone=results.policy.zone.key,
        benchmark=results.document.benchmark,
        bases=links.bases,
        windows=[_window_option(spec, window, results) for spec, window in windows],
        scopes=entries,
        highlights=highlights(entries),
        more=len(results.evaluation.histories) - len(page_scopes),
        in_ledger=results.is_in_ledger,
        notes=[single_line(note, 400) for note in results.document.notes[:50]],
    )


def _page_scopes(results: Results, links: LinkTable) -> list[PageScope]:
    """Return the scopes of the page, the one with the latest deployment first."""
    scopes_with_metrics = scopes_latest_first(results)
    names = _scope_names([history.scope for history, _ in scopes_with_metrics])
    return [
        PageScope(
            name=names[history.scope],
            history=history,
            metrics=scope_metrics,
            evidence=evidence_builder(history, results.policy, links),
            is_full=number < MAX_FULL_SCOPES,
        )
        for number, (history, scope_metrics) in enumerate(scopes_with_metrics[:MAX_PAGE_SCOPES])
    ]


def _title(results: Results) -> str:
    names = sorted({history.scope.repository for history in results.evaluation.histories})
    if len(names) == 1:
        return single_line(names[0])
    if names:
        return formatting.count(len(names), "repository", "repositories")
    return "No data" if results.is_of_clone else "No data yet"


def _scope_names(scopes: Sequence[Scope]) -> dict[Scope, str]:
    """Return short names: the repository only if there are several, the service only if it is not the default.

    The environment is left out of a page with several repositories and a single environment.
    """
    has_several_repositories = len({scope.repository for scope in scopes}) > 1
    has_environment = not has_several_repositories or len({scope.environment for scope in scopes}) > 1

    def name(scope: Scope) -> str:
        repository_part = (scope.repository,) if has_several_repositories else ()
        service_part = () if scope.service == default_service(scope.repository) else (scope.service,)
        parts = (*repository_part, *service_part, *((scope.environment,) if has_environment else ()))
        return " · ".join(single_line(part, MAX_NAME_LENGTH) for part in parts)

    return {scope: name(scope) for scope in scopes}


def _scope_entry(
    page_scope: PageScope,
    results: Results,
    offered: Sequence[OfferedWindow],
    series: Sequence[schema.Week],
    links: LinkTable,
) -> ScopeEntry:
    """Build the entry of a scope, still without evidence."""
    history, scope = page_scope.history, page_scope.history.scope
    windows = list(_entries_by_window(page_scope, results, offered))
    return ScopeEntry(
        key=scope_path(scope),
        name=page_scope.name,
        team=single_line(results.policy.team_of(scope) or "", MAX_NAME_CHARACTERS),
        link=links.link_to(repository_url(history)),
        row=overview_row(history, page_scope.metrics.metrics, windows[0].cards, results.now),
        windows=windows,
        brief=not page_scope.is_full,
        weeks=week_series(history, series, results, with_stages=page_scope.is_full),
    )


def offered_window_specs(results: Results) -> list[WindowSpec]:
    """Return the configured window, then the other ones that may be offered."""
    configured = results.window_spec
    others = (parse_window(text, results.policy.zone) for text in EXTRA_WINDOWS)
    return [configured, *(other for other in others if not _is_same_span(other, configured))]


_NEGLIGIBLE = timedelta(days=1)


def _is_same_span(spec: WindowSpec, configured: WindowSpec) -> bool:
    """Whether two windows hardly differ, as 52 weeks and 365 days do."""
    if spec.length is None or configured.length is None:
        return (spec.length, spec.is_all) == (configured.length, configured.is_all)
    return abs(spec.length - configured.length) <= _NEGLIGIBLE


def _offered_windows(results: Results) -> list[OfferedWindow]:
    """Return the windows that any scope has, the configured one first. There is at least one."""
    first_deployment_at = results.evaluation.first_deployment_at
    resolved = [(spec, spec.resolve(results.now, first_deployment_at)) for spec in offered_window_specs(results)]
    not_empty = [(spec, window) for spec, window in resolved if window.start < window.end]
    return [pair for pair in not_empty if _is_offered(*pair, results, first_deployment_at)] or not_empty[:1]


def _is_offered(spec: WindowSpec, window: Window, results: Results, first_deployment_at: datetime | None) -> bool:
    """Whether records cover the whole window. The configured window and `all` are always offered."""
    is_covered = first_deployment_at is not None and first_deployment_at <= window.start
    return is_covered or spec.is_all or spec is results.window_spec


def _window_option(spec: WindowSpec, window: Window, results: Results) -> WindowOption:
    return WindowOption(
        key=spec.text,
        label=_label(spec, window, results),
        span=" – ".join(formatting.date_time(moment, results.policy.zone) for moment in (window.start, window.end)),
        since=int(window.start.timestamp()),
        until=int(window.end.timestamp()),
        before=_previous_window_text(spec, window, results),
    )


def _entries_by_window(
    page_scope: PageScope, results: Results, windows: Sequence[OfferedWindow]
) -> Iterator[ScopeInWindow]:
    """Yield a full scope in every window that it has, another one in the configured window only."""
    history = page_scope.history
    for number, (spec, window) in enumerate(windows if page_scope.is_full else windows[:1]):
        if number and not _is_offered(spec, window, results, history.first_deployment_at):
            continue
        current, previous = _metrics_in_window(page_scope, results, spec, window)
        start, end = count_before(history, window.start), count_before(history, window.end)
        verdicts = compare_windows(history, window, current, previous) if previous else {}
        outlook = page_scope.metrics.outlook if spec is results.window_spec and page_scope.is_full else None
        extra_details = (goal_details(outlook) if outlook else {}) if page_scope.is_full else None
        cards = build_cards(current, previous, verdicts, results.policy.benchmark, extra_details)
        yield ScopeInWindow(
            window=number,
            deployments=(start[0], end[0]),
            incidents=(start[1], end[1]),
            overall=overall_level_text(current, results.policy.benchmark),
            cards=_with_start_of_records(cards, history, window, results),
            outlook=list(outlook_lists(outlook)) if outlook else [],
            security=list(security_rows(current)) if page_scope.is_full else [],
            trends=_trends(outlook, history, window, results) if outlook else [],
        )


def _trends(outlook: schema.Outlook, history: ScopeHistory, window: Window, results: Results) -> list[str]:
    return trend_sentences(outlook, count_trend_weeks(history, window, results.policy, results.now))


def _with_start_of_records(
    cards: list[MetricCard], history: ScopeHistory, window: Window, results: Results
) -> list[MetricCard]:
    """Add the start of the records to the card of the deployment frequency, if they start inside the window."""
    frequency, *others = cards
    first, zone = history.first_deployment_at, results.policy.zone
    earlier_days = days_before_records(first, window, zone)
    if first is None or not earlier_days:
        return cards
    start = start_text(first, zone)
    remark = ("Days without records", f"{start}, and {earlier_days_text(earlier_days)}")
    details = [remark, *frequency.details] if frequency.details else []
    return [replace(frequency, n=f"{frequency.n}; {start}", details=details), *others]


def _metrics_in_window(
    page_scope: PageScope, results: Results, spec: WindowSpec, window: Window
) -> tuple[schema.Metrics, schema.Metrics | None]:
    """Return the metrics in a window and in its previous window, if it has one."""
    if spec is results.window_spec:
        return page_scope.metrics.metrics, page_scope.metrics.previous

    def metrics_in(window: Window) -> schema.Metrics:
        touched_weeks = iso_weeks(window, results.policy.zone, results.now, page_scope.history.first_deployment_at)
        return calculate_metrics(page_scope.history, window, touched_weeks, results.policy)

    return metrics_in(window), None if spec.is_all else metrics_in(window.previous())


def _label(spec: WindowSpec, window: Window, results: Results) -> str:
    if spec.is_all:
        return "all"
    if spec.length:
        return formatting.days_or_hours(window.days)
    return " – ".join(formatting.date(moment, results.policy.zone) for moment in (window.start, window.end))


def _previous_window_text(spec: WindowSpec, window: Window, results: Results) -> str:
    if spec.is_all:
        return ""
    return f"in the previous {_label(spec, window, results)}" if spec.length else "in the previous window"


T = TypeVar("T", DeploymentEntry, IncidentEntry)


def _with_evidence(
    entries: Sequence[ScopeEntry], page_scopes: Sequence[PageScope], now: datetime, bytes_left: int
) -> list[ScopeEntry]:
    """Add the newest incidents and deployments of all scopes together, as many as fit into `bytes_left`."""
    counts = [count_before(page_scope.history, now) for page_scope in page_scopes]
    incidents, incident_bytes = _newest_that_fit(
        nlargest(MAX_INCIDENTS, _dated_incidents(page_scopes, counts)),
        page_scopes,
        EvidenceBuilder.incident_entry,
        bytes_left // INCIDENT_BYTES_DIVISOR,
    )
    deployments, _ = _newest_that_fit(
        nlargest(MAX_DEPLOYMENTS, _dated_deployments(page_scopes, counts)),
        page_scopes,
        EvidenceBuilder.deployment_entry,
        bytes_left - incident_bytes,
    )
    return [
        replace(
            entry,
            first=counts[scope][0] - len(deployments[scope]),
            deployments=deployments[scope][::-1],
            incidents_first=counts[scope][1] - len(incidents[scope]),
            incidents=incidents[scope][::-1],
        )
        for scope, entry in enumerate(entries)
    ]


DatedNumber = tuple[datetime, int, int]
"""A time, the index of a scope, and the number of its deployment or incident at that time."""


def _dated_deployments(page_scopes: Sequence[PageScope], counts: Sequence[tuple[int, int]]) -> Iterator[DatedNumber]:
    for scope, (page_scope, (deployment_count, _)) in enumerate(zip(page_scopes, counts, strict=True)):
        for number, deployment in enumerate(page_scope.history.deployments[:deployment_count]):
            yield deployment.finished_at, scope, number


def _dated_incidents(page_scopes: Sequence[PageScope], counts: Sequence[tuple[int, int]]) -> Iterator[DatedNumber]:
    for scope, (page_scope, (_, incident_count)) in enumerate(zip(page_scopes, counts, strict=True)):
        for number, attributed in enumerate(page_scope.history.incidents[:incident_count]):
            yield attributed.incident.detected_at, scope, number


def _newest_that_fit(
    newest: Iterable[DatedNumber],
    page_scopes: Sequence[PageScope],
    build_entry: Callable[[EvidenceBuilder, int], T],
    bytes_left: int,
) -> tuple[defaultdict[int, list[T]], int]:
    """Build the entries that fit into `bytes_left`, newest first, by index of their scope; and count their bytes."""
    entries: defaultdict[int, list[T]] = defaultdict(list)
    used_bytes = 0
    for _, scope, number in newest:
        links = page_scopes[scope].evidence.links
        link_bytes = links.size_bytes
        entry = build_entry(page_scopes[scope].evidence, number)
        used_bytes += _size_bytes(entry) + 1 + links.size_bytes - link_bytes
        if used_bytes > bytes_left:
            break
        entries[scope].append(entry)
    return entries, min(used_bytes, max(bytes_left, 0))


def _size_bytes(entry: Struct) -> int:
    return len(script_safe_json(msgspec.json.encode(entry)).encode())

"""The report of one scope and one period, in words; templates only loop over it.

The table of a report: five metrics in the period, in the one before, over a longer span, and against their goals.

What reached production in a period, the newest first.

The first line of a report: better or not, and what happened.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import Deployment, Incident
from dora_metrics.core.markdown import Md, join_non_empty, link, md
from dora_metrics.core.metrics import security
from dora_metrics.core.metrics.calculate import deployments_in, failures_in, successes
from dora_metrics.core.metrics.comparison import Verdict, compare_windows
from dora_metrics.core.metrics.document import build_scope_metrics
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import ScopeHistory, in_window
from dora_metrics.core.metrics.weekly import complete_weeks
from dora_metrics.core.periods import Period
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import change_link, deployment_link
from dora_metrics.core.reports.sections import (
    MAX_CHART_WEEKS,
    Chart,
    Derivation,
    Hint,
    derive,
    failure_text,
    hints_from,
    level_text,
    previous_value,
    trends_text,
    value_text,
    weekly_chart,
)
from dora_metrics.core.reports.summary import overall_level_text
from dora_metrics.core.scope import scope_label
from dora_metrics.core.targets import goals, units
from dora_metrics.core.targets.metric import METRICS
from dora_metrics.core.windows import Window

_MIN_TOTAL_FOR_PERCENT = 10


@dataclass(frozen=True)
class MetricLine:
    """One metric; `standing`: its value over the longer span, from which level and goal are read."""

    name: str
    value: Md
    before: Md
    standing: str
    level: str
    goal: str


def metric_lines(
    scope_metrics: schema.ScopeMetrics, basis_metrics: schema.ScopeMetrics, verdicts: Mapping[str, str]
) -> list[MetricLine]:
    """`scope`: the period, `basis`: the longer span."""
    return [
        MetricLine(
            name=metric.line_label,
            value=_value_cell(result),
            before=previous_value(metric.key, result, scope_metrics.previous, verdicts, value_with_counts),
            standing=_basis_cell(basis),
            level=level_text(basis),
            goal=_goal_cell(metric.key, basis_metrics.outlook.goals),
        )
        for metric in METRICS.values()
        for result, basis in [(metric.result_in(scope_metrics.metrics), metric.result_in(basis_metrics.metrics))]
    ]


def value_with_counts(metric: schema.MetricVerdict) -> str:
    """A value with its numbers: of a few, the numbers alone."""
    match metric:
        case schema.DeploymentFrequency() if metric.per_day is not None:
            days = formatting.count(metric.deployment_days, "day")
            return f"{metric.deployments:,} on {days}" if metric.deployments else "none"
        case schema.LeadTime() if metric.p50_seconds is not None:
            return f"{value_text(metric)} ({formatting.duration(metric.p90_seconds)})"
        case schema.ChangeFailureRate() if metric.ratio is not None:
            return _ratio_text(metric.failed, metric.deployments)
        case schema.ReworkRate() if metric.ratio is not None:
            return _ratio_text(metric.rework, metric.deployments)
        case schema.RecoveryTime() if metric.open:
            return f"{value_text(metric)}, {metric.open} open"
        case _:
            return value_text(metric)


def _ratio_text(count: int, total: int) -> str:
    counts = f"{count:,} of {total:,}"
    return f"{formatting.percent(count / total)} ({counts})" if total >= _MIN_TOTAL_FOR_PERCENT else counts


def _value_cell(metric: schema.MetricVerdict) -> Md:
    text = value_with_counts(metric)
    if text != formatting.NO_VALUE:
        return md("**{}**", text)
    return md("– ({})", metric.reason) if metric.reason else Md(formatting.NO_VALUE)


def _basis_cell(metric: schema.MetricVerdict) -> str:
    match metric:
        case schema.ChangeFailureRate() | schema.ReworkRate() if metric.ratio is not None:
            return f"{value_text(metric)} ({formatting.percent_range(metric.interval95)})"
        case _:
            return value_text(metric)


def _goal_cell(metric: str, scope_goals: Sequence[schema.Goal]) -> str:
    return next(
        (f"{goals.target_text(goal)}: {_goal_state(goal)}" for goal in scope_goals if goal.metric == metric),
        formatting.NO_VALUE,
    )


def _goal_state(goal: schema.Goal) -> str:
    """What fits into a cell."""
    if goal.value is None or goal.met:
        return "met" if goal.met else "no value yet"
    remaining = f"{units.format_difference(goal.metric, goal.distance or 0)} to go"
    return f"{remaining}, {goal.course}" if goal.course in ("on course", "not on course", "missed") else remaining


_MAX_TITLE_CHARACTERS = 200


@dataclass(frozen=True)
class DeployedChanges:
    """A deployment with the changes it brought; `more`: those that are not listed."""

    text: Md
    changes: tuple[Md, ...]
    more: int


@dataclass(frozen=True)
class PeriodDeployments:
    """`count` deployments with `changes` changes; `more`: the deployments that are not listed."""

    count: int
    changes: int
    listed: tuple[DeployedChanges, ...]
    more: int

    @property
    def title(self) -> str:
        return f"{formatting.count(self.count, 'deployment')}, {formatting.count(self.changes, 'change')}"


def period_deployments(
    history: ScopeHistory, window: Window, policy: Policy, max_deployments: int, max_changes: int
) -> PeriodDeployments:
    """At most so many deployments, each with at most so many changes."""
    newest_first = successes(deployments_in(history, window))[::-1]
    changes_by_deployment = _changes_by_deployment(history, window)
    listed = tuple(
        _deployed_changes(
            deployment,
            history,
            policy,
            tuple(changes_by_deployment[deployment.id])[:max_changes],
            len(changes_by_deployment[deployment.id]),
        )
        for deployment in newest_first[:max_deployments]
    )
    return PeriodDeployments(
        len(newest_first), sum(map(len, changes_by_deployment.values())), listed, len(newest_first) - len(listed)
    )


def _changes_by_deployment(history: ScopeHistory, window: Window) -> Mapping[str, Mapping[str, None]]:
    """By deployment the changes that it was the first to bring, also those that are in no lead time."""
    changes: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for measured_change in in_window(history.lead_times.measured, window, lambda item: item.deployed_at):
        changes[measured_change.deployment_id][measured_change.change_id] = None
    for excluded_change in in_window(history.lead_times.excluded, window, lambda item: item.deployed_at):
        changes[excluded_change.deployment_id][excluded_change.change_id] = None
    return changes


def _deployed_changes(
    deployment: Deployment, history: ScopeHistory, policy: Policy, listed_changes: Sequence[str], change_count: int
) -> DeployedChanges:
    size = formatting.count(change_count, "change")
    if deployment is history.first_success:
        size = "the first known deployment, which only bounds the next one"
    elif deployment.changes is None:
        size = "changes not known"
    text = md(
        "{}, {}, {}",
        deployment_link(deployment),
        formatting.weekday_date_time(deployment.finished_at, policy.zone),
        size,
    )
    return DeployedChanges(
        text, tuple(_change_text(change, history) for change in listed_changes), change_count - len(listed_changes)
    )


def _change_text(change_id: str, history: ScopeHistory) -> Md:
    change = history.changes.get(change_id)
    title = " ".join((change.title or "").split()) if change else ""
    short_title = title if len(title) <= _MAX_TITLE_CHARACTERS else f"{title[:_MAX_TITLE_CHARACTERS]}…"
    return md("{} {}", change_link(change_id, change), short_title) if short_title else change_link(change_id, change)


def open_incidents(history: ScopeHistory, window: Window, policy: Policy, max_incidents: int) -> tuple[list[Md], int]:
    """The incidents up to the end of a window that nobody has resolved, the oldest first; and how many more."""
    detected = (
        attribution.incident for attribution in history.incidents if attribution.incident.detected_at < window.end
    )
    unresolved = [incident for incident in detected if incident.resolved_at is None]
    return [_incident_text(incident, policy) for incident in unresolved[:max_incidents]], max(
        0, len(unresolved) - max_incidents
    )


def _incident_text(incident: Incident, policy: Policy) -> Md:
    severity = f", {incident.severity}" if incident.severity else ""
    since = formatting.weekday_date_time(incident.detected_at, policy.zone)
    return md("{}{}, since {}", link(incident.title or incident.id, incident.url), severity, since)


def headline(scope_metrics: schema.ScopeMetrics, verdicts: Mapping[str, Verdict], open_incident_count: int) -> Md:
    """`**Faster.** 4 deployments brought 17 changes, …; 1 of 4 failed and was back after 41 min.`

    `incidents`: how many are open.
    """
    open_text = md("{} open", formatting.count(open_incident_count, "incident")) if open_incident_count else Md("")
    return md(
        "**{}.** {}.",
        _verdict_text(verdicts),
        join_non_empty("; ", (*_headline_clauses(scope_metrics, verdicts), open_text)),
    )


def _verdict_text(verdicts: Mapping[str, Verdict]) -> str:
    """Only what is clear at p < 0.05; no word for the rest."""
    if not verdicts:
        return "Nothing to compare with yet"
    comparatives = [
        comparative_by_verdict[verdict]
        for metric, comparative_by_verdict in _COMPARATIVES.items()
        if (verdict := verdicts.get(metric)) in comparative_by_verdict
    ]
    if not comparatives:
        return "No clear change"
    improvements = {
        word
        for comparative_by_verdict in _COMPARATIVES.values()
        for verdict, word in comparative_by_verdict.items()
        if verdict == "better"
    }
    text = comparatives[0]
    for current, following in pairwise(comparatives):
        text += f"{' and' if (current in improvements) is (following in improvements) else ', but'} {following}"
    return text.capitalize()


_COMPARATIVES: dict[str, dict[Verdict | None, str]] = {
    "lead_time": {"better": "faster", "worse": "slower"},
    "deployment_frequency": {"better": "more often", "worse": "less often"},
    "change_failure_rate": {"better": "safer", "worse": "less safe"},
    "recovery_time": {"better": "sooner repaired", "worse": "later repaired"},
}


def _headline_clauses(scope_metrics: schema.ScopeMetrics, verdicts: Mapping[str, Verdict]) -> Iterator[Md]:
    metrics = scope_metrics.metrics
    deployments, failed_runs = metrics.deployment_frequency.deployments, metrics.pipeline.failed_runs
    if deployments:
        yield md(
            "{} reached {}{}",
            formatting.count(deployments, "deployment"),
            scope_metrics.environment,
            _lead_time_clause(scope_metrics, verdicts),
        )
    elif metrics.change_failure_rate.deployments:
        yield md("No deployment to {} succeeded", scope_metrics.environment)
    else:
        yield md("No deployment reached {}", scope_metrics.environment)
        yield md("{} failed", formatting.count(failed_runs, "run")) if failed_runs else Md("")
    yield from _failure_clauses(metrics)


def _lead_time_clause(scope_metrics: schema.ScopeMetrics, verdicts: Mapping[str, Verdict]) -> Md:
    lead_time, previous = scope_metrics.metrics.lead_time, scope_metrics.previous
    if lead_time.p50_seconds is None:
        return Md("")
    text = md(
        " with {}, median lead time {}",
        formatting.count(lead_time.changes, "measured change"),
        formatting.duration(lead_time.p50_seconds),
    )
    if previous and verdicts.get("lead_time") in ("better", "worse"):
        return md("{} (from {})", text, formatting.duration(previous.lead_time.p50_seconds))
    return text


def _failure_clauses(metrics: schema.Metrics) -> Iterator[Md]:
    failure_rate, recovery = metrics.change_failure_rate, metrics.recovery_time
    if not failure_rate.deployments:
        return
    if not failure_rate.failed:
        yield Md("none is known to have failed")
        return
    text = md("{} of {} failed", failure_rate.failed, failure_rate.deployments)
    if recovery.recovered:
        is_only_failure = recovery.recovered == failure_rate.failed == 1
        recovery_text = md(
            "and was back after {}" if is_only_failure else "median recovery {}",
            formatting.duration(recovery.p50_seconds),
        )
        text = join_non_empty(" " if is_only_failure else ", ", (text, recovery_text))
    yield md("{}, {} not over yet", text, recovery.open) if recovery.open else text


_MAX_NOTES = 20


@dataclass(frozen=True)
class ListLimits:
    """How much of what is told in lists, the first of all dropped where there is no room."""

    deployments: int
    changes: int
    failures: int
    incidents: int
    has_derivation: bool = True


@dataclass(frozen=True)
class TruncatedList:
    """Some lines, and how many more there are."""

    lines: tuple[Md, ...]
    more: int


@dataclass(frozen=True)
class ColumnTitles:
    """What the columns of the table are called: the period, the one before, the longer span, the levels."""

    period: str
    before: str
    basis: str
    level: str


@dataclass(frozen=True)
class PeriodicReport:
    """A report, ready to be rendered; plain texts are untrusted, `Md` is not. `cut`: some lists are not whole."""

    title: str
    period: Period
    headline: Md
    columns: ColumnTitles
    lines: list[MetricLine]
    overall: str
    chart: Chart | None
    trends: Md
    hints: tuple[Hint, ...]
    failed: TruncatedList
    incidents: TruncatedList
    goals: list[Md]
    achievements: list[str]
    security: str
    delivered: PeriodDeployments
    making: Derivation | None
    notes: list[str]

    @property
    def cut(self) -> bool:
        lists = (
            self.failed.more,
            self.incidents.more,
            self.delivered.more,
            *(deployment.more for deployment in self.delivered.listed),
        )
        return any(lists) or self.making is None


@dataclass(frozen=True)
class ReportInput:
    """Everything that a report is made from, however much of it is told.

    `scope`: the numbers of the period and of the one before. `basis`: of the 90 days up to its end, which levels, goals
    and advice are read from; of a quarter the quarter itself.
    """

    results: Results
    history: ScopeHistory
    period: Period
    scope_metrics: schema.ScopeMetrics
    basis_metrics: schema.ScopeMetrics

    @classmethod
    def of(cls, results: Results, history: ScopeHistory, period: Period) -> "ReportInput":
        window, policy = period.window, results.policy
        basis_window = period.basis_window
        scope_metrics = build_scope_metrics(history, window, policy, results.now, with_previous=True)
        basis_metrics = (
            scope_metrics
            if basis_window == window
            else build_scope_metrics(history, basis_window, policy, results.now, with_previous=True)
        )
        return cls(results, history, period, scope_metrics, basis_metrics)


def has_activity(history: ScopeHistory, period: Period) -> bool:
    """Whether a scope has anything to report: a deployment or an incident within 90 days before the period's end."""
    times = (
        *(deployment.finished_at for deployment in history.deployments),
        *(attribution.incident.detected_at for attribution in history.incidents),
    )
    return any(map(period.basis_window.contains, times))


def issue_title(history: ScopeHistory, period: Period) -> str:
    """Of the issue: `Delivery report · acme/shop · week 47, 2026`."""
    repository = history.scope.repository
    scope_name = scope_label(history.scope)
    return " · ".join(
        ("Delivery report", repository, *([scope_name] if scope_name != "production" else []), period.title)
    )


def outline(report_input: ReportInput) -> PeriodicReport:
    """The report as far as it is the same in any detail; its lists are empty."""
    history, policy, window = report_input.history, report_input.results.policy, report_input.period.window
    verdicts = dict(
        compare_windows(
            history,
            window,
            report_input.scope_metrics.metrics,
            report_input.scope_metrics.previous or report_input.scope_metrics.metrics,
        )
    )
    outlook, open_incident_list = report_input.basis_metrics.outlook, _open_incident_list(report_input, 0)
    return PeriodicReport(
        title=issue_title(history, report_input.period),
        period=report_input.period,
        headline=headline(report_input.scope_metrics, verdicts, open_incident_list.more),
        columns=_column_titles(report_input),
        lines=metric_lines(report_input.scope_metrics, report_input.basis_metrics, verdicts),
        overall=overall_level_text(report_input.basis_metrics),
        chart=weekly_chart(_chart_weeks(report_input)),
        trends=trends_text(outlook),
        hints=hints_from(outlook),
        failed=TruncatedList((), 0),
        incidents=open_incident_list,
        goals=[md("**{}**: {}", METRICS[goal.metric].label, goals.describe_goal(goal)) for goal in outlook.goals],
        achievements=outlook.achievements,
        security=security.security_sentence(history.vulnerabilities, window),
        delivered=period_deployments(history, window, policy, 0, 0),
        making=None,
        notes=[],
    )


def with_details(report: PeriodicReport, report_input: ReportInput, limits: ListLimits) -> PeriodicReport:
    """The same report with its lists, told in some detail."""
    history, policy, window = report_input.history, report_input.results.policy, report_input.period.window
    return replace(
        report,
        failed=_failed_deployment_list(report_input, limits.failures),
        incidents=_open_incident_list(report_input, limits.incidents),
        delivered=period_deployments(history, window, policy, limits.deployments, limits.changes),
        making=derive(history, report_input.scope_metrics, window, policy) if limits.has_derivation else None,
        notes=report_input.results.document.notes[:_MAX_NOTES] if limits.has_derivation else [],
    )


def _open_incident_list(report_input: ReportInput, max_incidents: int) -> TruncatedList:
    texts, more = open_incidents(
        report_input.history, report_input.period.window, report_input.results.policy, max_incidents
    )
    return TruncatedList(tuple(texts), more)


def _column_titles(report_input: ReportInput) -> ColumnTitles:
    unit, benchmark = report_input.period.unit, report_input.results.document.benchmark
    return ColumnTitles(
        period=report_input.period.short_title,
        before="the week before" if unit == "week" else f"{round(report_input.period.window.days)} days before",
        basis=""
        if report_input.basis_metrics is report_input.scope_metrics
        else f"last {round(report_input.period.basis_window.days)} days",
        level="level" if benchmark == "none" else f"level ({benchmark})",
    )


def _chart_weeks(report_input: ReportInput) -> list[schema.Week]:
    end = report_input.period.window.end
    window = Window(end - timedelta(weeks=MAX_CHART_WEEKS + 2), end)
    return complete_weeks(report_input.history, window, report_input.results.policy, report_input.results.now)


def _failed_deployment_list(report_input: ReportInput, max_failures: int) -> TruncatedList:
    history, policy = report_input.history, report_input.results.policy
    newest_first = failures_in(history, report_input.period.window)[::-1]
    texts = (
        md(
            "{}, {}: {}",
            deployment_link(failure.deployment),
            formatting.weekday_date_time(failure.deployment.finished_at, policy.zone),
            failure_text(failure, history),
        )
        for failure in newest_first[:max_failures]
    )
    return TruncatedList(tuple(texts), max(0, len(newest_first) - max_failures))

"""The content of a periodic report on one scope, as text. Templates only loop over it.

Fields of `PeriodicReport` and of the types it contains are an interface: users write templates that read them
(docs/reports.md).
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import Deployment, Incident
from dora_metrics.core.failures.judge import Failure
from dora_metrics.core.markdown import Md, join_non_empty, md, unlinked_line
from dora_metrics.core.metrics import security
from dora_metrics.core.metrics.calculate import deployments_in, failures_in, successes
from dora_metrics.core.metrics.comparison import Verdict, compare_windows
from dora_metrics.core.metrics.document import build_scope_metrics
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import ScopeHistory, in_window
from dora_metrics.core.metrics.start_of_records import days_before_records, earlier_days_text, start_text
from dora_metrics.core.metrics.weekly import complete_weeks
from dora_metrics.core.periods import Period
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import change_link, deployment_link, incident_link, short_title
from dora_metrics.core.reports.periodic.page_address import NO_PAGE, PageAddress
from dora_metrics.core.reports.sections import (
    MAX_CHART_WEEKS,
    Chart,
    Derivation,
    Hint,
    derive,
    failed_count_text,
    failure_text,
    hints_from,
    level_text,
    overall_level_text,
    previous_value,
    remarks_from,
    trends_text,
    weekly_chart,
)
from dora_metrics.core.scope import Scope, scope_label
from dora_metrics.core.targets import goals, units
from dora_metrics.core.targets.benchmarks import Benchmark
from dora_metrics.core.targets.metric import METRICS
from dora_metrics.core.windows import Window

T = TypeVar("T")

_MAX_NOTES = 20


@dataclass(frozen=True)
class MetricLine:
    """One metric in the table. `standing`: its value over the basis window, which decides level and goal."""

    name: str
    value: Md
    before: Md
    standing: str
    level: str
    goal: str


@dataclass(frozen=True)
class ColumnTitles:
    """Column titles of the table: the period, the previous one, the basis window, the levels.

    `basis` is empty if the basis window is the period itself. `basis_note`: a sentence on the part of it that is not
    recorded; empty if there is none.
    """

    period: str
    before: str
    basis: str
    level: str
    basis_note: str = ""


@dataclass(frozen=True)
class DeployedChanges:
    """A deployment with the changes that it delivered. `more`: the number of changes not listed."""

    text: Md
    changes: tuple[Md, ...]
    more: int


@dataclass(frozen=True)
class PeriodDeployments:
    """The successful deployments of a period.

    `count` and `changes` are the numbers of deployments and changes. `more`: the number of deployments not listed.
    """

    count: int
    changes: int
    listed: tuple[DeployedChanges, ...]
    more: int

    @property
    def title(self) -> str:
        """Such as `4 deployments, 17 changes`."""
        return f"{formatting.count(self.count, 'deployment')}, {formatting.count(self.changes, 'change')}"


@dataclass(frozen=True)
class TruncatedList:
    """The first lines of a list. `more`: the number of lines not shown."""

    lines: tuple[Md, ...]
    more: int


@dataclass(frozen=True)
class PeriodicReport:
    """A report, ready to render. A `str` is untrusted and gets escaped; `Md` is not escaped.

    `making`: how the numbers were calculated; None if it was left out to save space. `page`: a sentence that links to
    the page; empty if nothing is known of it. `is_in_ledger`: whether a ledger has everything that was left out.
    """

    title: str
    period: Period
    headline: Md
    remarks: tuple[Md, ...]
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
    page: Md
    is_in_ledger: bool

    @property
    def cut(self) -> bool:
        """Whether anything was left out to save space."""
        omitted = (self.failed.more, self.incidents.more, self.delivered.more)
        return any((*omitted, *(each.more for each in self.delivered.listed))) or self.making is None


@dataclass(frozen=True)
class ReportInput:
    """Everything that a report is built from.

    `scope_metrics`: metrics of the period and of the previous one. `basis_metrics`: metrics of the basis window (the 90
    days up to the period's end, or the quarter), which decide levels, goals and advice. `page`: where the page is.
    """

    results: Results
    history: ScopeHistory
    period: Period
    scope_metrics: schema.ScopeMetrics
    basis_metrics: schema.ScopeMetrics
    page: PageAddress = NO_PAGE

    @classmethod
    def of(cls, results: Results, history: ScopeHistory, period: Period, page: PageAddress = NO_PAGE) -> "ReportInput":
        """Calculate the metrics of a scope for a period."""
        period_window, basis_window = period.window, period.basis

        def metrics_in(window: Window) -> schema.ScopeMetrics:
            return build_scope_metrics(history, window, results.policy, results.now, with_previous=True)

        scope_metrics = metrics_in(period_window)
        basis_metrics = scope_metrics if basis_window == period_window else metrics_in(basis_window)
        return cls(results, history, period, scope_metrics, basis_metrics, page)

    @property
    def open_incidents(self) -> list[Incident]:
        """The unresolved incidents detected before the period's end, oldest first."""
        incidents = (attribution.incident for attribution in self.history.incidents)
        end = self.period.window.end
        return [each for each in incidents if each.detected_at < end and each.resolved_at is None]

    @property
    def last_deployment(self) -> Deployment | None:
        """The newest deployment as of the results; None if there is none yet."""
        return self.history.last_deployment_by(self.results.now)

    @property
    def stable_scope(self) -> Scope:
        """The scope under the first known name of its repository, by which a report is found after a rename."""
        return self.results.names.stable_scope(self.history.scope)


@dataclass(frozen=True)
class ListLimits:
    """Maximum length of each list of a report. A report that does not fit into an issue gets lower limits."""

    deployments: int
    changes: int
    failures: int
    incidents: int
    has_derivation: bool = True


def has_activity(history: ScopeHistory, period: Period) -> bool:
    """Whether a scope has a deployment or an incident in the basis window of a period.

    A scope that was never deployed has none: whoever may open an issue can name a service in it.
    """
    if not history.deployments:
        return False
    times = (
        *(deployment.finished_at for deployment in history.deployments),
        *(attribution.incident.detected_at for attribution in history.incidents),
    )
    return any(map(period.basis.contains, times))


def issue_title(history: ScopeHistory, period: Period) -> str:
    """Return the title of the issue of one scope: `Delivery report · acme/shop · week 47, 2026`."""
    label = scope_label(history.scope)
    return title_of(" · ".join((history.scope.repository, *((label,) if label != "production" else ()))), period)


def title_of(subject: str, period: Period) -> str:
    """Return the title of an issue; a long name of its subject is cut."""
    subject = unlinked_line(subject)
    room = MAX_ISSUE_TITLE_LENGTH - len(f"Delivery report ·  · {period.title}")
    return " · ".join(("Delivery report", subject if len(subject) <= room else f"{subject[: room - 1]}…", period.title))


MAX_ISSUE_TITLE_LENGTH = 256
"""Characters; GitHub refuses longer titles."""


def outline(report_input: ReportInput) -> PeriodicReport:
    """Return the report with empty lists: the part that does not depend on the limits."""
    history, policy, window = report_input.history, report_input.results.policy, report_input.period.window
    scope_metrics, basis_metrics = report_input.scope_metrics, report_input.basis_metrics
    metrics, outlook = scope_metrics.metrics, basis_metrics.outlook
    verdicts = compare_windows(history, window, metrics, scope_metrics.previous or metrics)
    incidents = _open_incidents(report_input, 0)
    return PeriodicReport(
        title=issue_title(history, report_input.period),
        period=report_input.period,
        headline=headline(scope_metrics, verdicts, incidents.more),
        remarks=remarks_from(scope_metrics.outlook),
        columns=_column_titles(report_input),
        lines=metric_lines(scope_metrics, basis_metrics, verdicts, policy.benchmark),
        overall=overall_level_text(basis_metrics.metrics, policy.benchmark),
        chart=weekly_chart(_chart_weeks(report_input), history, policy),
        trends=trends_text(outlook),
        hints=hints_from(outlook),
        failed=TruncatedList((), 0),
        incidents=incidents,
        goals=[
            md("**{}**: {}", METRICS[goal.metric].label, goals.describe_goal(goal, outlook.trends.get(goal.metric)))
            for goal in outlook.goals
        ],
        achievements=outlook.achievements,
        security=security.security_sentence(history.vulnerabilities, window),
        delivered=period_deployments(history, window, policy, 0, 0),
        making=None,
        notes=[],
        page=report_input.page.sentence(history.scope),
        is_in_ledger=report_input.results.is_in_ledger,
    )


def with_details(report: PeriodicReport, report_input: ReportInput, limits: ListLimits) -> PeriodicReport:
    """Return the report with its lists, cut to the limits."""
    history, policy, window = report_input.history, report_input.results.policy, report_input.period.window
    return replace(
        report,
        failed=_failed_deployments(report_input, limits.failures),
        incidents=_open_incidents(report_input, limits.incidents),
        delivered=period_deployments(history, window, policy, limits.deployments, limits.changes),
        making=derive(history, report_input.scope_metrics, window, policy) if limits.has_derivation else None,
        notes=report_input.results.document.notes[:_MAX_NOTES] if limits.has_derivation else [],
    )


def _column_titles(report_input: ReportInput) -> ColumnTitles:
    period, benchmark = report_input.period, report_input.results.document.benchmark
    is_period = report_input.basis_metrics is report_input.scope_metrics
    basis = "" if is_period else f"last {round(period.basis.days)} days"
    return ColumnTitles(
        period=period.short,
        before=previous_period_title(period),
        basis=basis,
        level="level" if benchmark == "none" else f"level ({benchmark})",
        basis_note=_basis_note(report_input, basis) if basis else "",
    )


def _basis_note(report_input: ReportInput, basis: str) -> str:
    """Return a sentence on records that start inside the basis window, whose frequency counts the days before too."""
    first, zone = report_input.history.first_deployment_at, report_input.results.policy.zone
    earlier_days = days_before_records(first, report_input.period.basis, zone)
    if first is None or not earlier_days:
        return ""
    earlier = earlier_days_text(earlier_days)
    return f"{start_text(first, zone).capitalize()}, inside the {basis}. {earlier.capitalize()}."


def previous_period_title(period: Period) -> str:
    """Return what the previous window is called: `previous week`, or `previous 30 days`."""
    return "previous week" if period.unit == "week" else f"previous {round(period.window.days)} days"


def _chart_weeks(report_input: ReportInput) -> list[schema.Week]:
    end = report_input.period.window.end
    window = Window(end - timedelta(weeks=MAX_CHART_WEEKS + 2), end)
    return complete_weeks(report_input.history, window, report_input.results.policy, report_input.results.now)


def metric_lines(
    scope_metrics: schema.ScopeMetrics,
    basis_metrics: schema.ScopeMetrics,
    verdicts: Mapping[str, str],
    benchmark: Benchmark,
) -> list[MetricLine]:
    """Return the lines of the table. `scope_metrics`: of the period; `basis_metrics`: of the basis window."""
    return [
        MetricLine(
            name=metric.line_label,
            value=_value_cell(result),
            before=previous_value(metric.key, result, scope_metrics.previous, verdicts, value_with_counts),
            standing=_basis_cell(basis),
            level=level_text(basis, benchmark),
            goal=_goal_cell(metric.key, basis_metrics.outlook.goals),
        )
        for metric in METRICS.values()
        for result, basis in [(metric.result_in(scope_metrics.metrics), metric.result_in(basis_metrics.metrics))]
    ]


def value_with_counts(result: schema.MetricVerdict) -> str:
    """Return a value with the counts behind it; for small counts, only the counts."""
    match result:
        case schema.DeploymentFrequency() if result.per_day is not None:
            days = formatting.count(result.deployment_days, "day")
            return f"{result.deployments:,} on {days}" if result.deployments else "none"
        case schema.LeadTime() if p90 := units.format_p90(result):
            return f"{units.format_result(result)} ({p90})"
        case schema.ChangeFailureRate() | schema.ReworkRate() if result.deployments >= units.MIN_TOTAL_FOR_PERCENT:
            return units.format_with_counts(result)
        case schema.RecoveryTime() if result.open:
            return f"{units.format_result(result)}, {result.open} open"
        case _:
            return units.format_brief(result)


def _value_cell(result: schema.MetricVerdict) -> Md:
    text = value_with_counts(result)
    if text != formatting.NO_VALUE:
        return md("**{}**", text)
    return md("– ({})", result.reason) if result.reason else Md(formatting.NO_VALUE)


def _basis_cell(result: schema.MetricVerdict) -> str:
    match result:
        case schema.ChangeFailureRate() | schema.ReworkRate() if interval := units.format_interval(result):
            return f"{units.format_result(result)} ({interval})"
        case _:
            return units.format_result(result)


def _goal_cell(key: str, scope_goals: Sequence[schema.Goal]) -> str:
    goal = next((goal for goal in scope_goals if goal.metric == key), None)
    return f"{goals.target_text(goal)}: {_goal_state(goal)}" if goal else formatting.NO_VALUE


def _goal_state(goal: schema.Goal) -> str:
    """Return the state of a goal, short enough for a table cell."""
    if goal.value is None or goal.met:
        return "met" if goal.met else "no value yet"
    remaining = f"{units.format_difference(goal.metric, goal.distance or 0)} to go"
    return ", ".join(filter(None, (remaining, goals.short_course(goal))))


def period_deployments(
    history: ScopeHistory, window: Window, policy: Policy, max_deployments: int, max_changes: int
) -> PeriodDeployments:
    """Return the deployments of a window, newest first: at most `max_deployments`, each with at most `max_changes`."""
    newest_first = successes(deployments_in(history, window))[::-1]
    delivered = _changes_by_deployment(history, window)
    listed = tuple(
        _deployed_changes(deployment, history, policy, list(delivered[deployment.id]), max_changes)
        for deployment in newest_first[:max_deployments]
    )
    change_count = sum(map(len, delivered.values()))
    return PeriodDeployments(len(newest_first), change_count, listed, len(newest_first) - len(listed))


def _changes_by_deployment(history: ScopeHistory, window: Window) -> Mapping[str, Mapping[str, None]]:
    """Return, by deployment id, the changes that it delivered first, including those that lead time leaves out."""
    changes: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for measured_change in in_window(history.lead_times.measured, window, lambda item: item.deployed_at):
        changes[measured_change.deployment_id][measured_change.change_id] = None
    for excluded_change in in_window(history.lead_times.excluded, window, lambda item: item.deployed_at):
        changes[excluded_change.deployment_id][excluded_change.change_id] = None
    return changes


def _deployed_changes(
    deployment: Deployment, history: ScopeHistory, policy: Policy, change_ids: Sequence[str], max_changes: int
) -> DeployedChanges:
    size = formatting.count(len(change_ids), "change")
    if deployment is history.first_success:
        size = "the first recorded deployment, the baseline"
    elif deployment.is_new_baseline:
        size = "no commit in common with earlier ones, a new baseline"
    elif deployment.changes is None:
        size = "changes unknown"
    elif not change_ids:
        size = "nothing new"
    finished = formatting.weekday_date_time(deployment.finished_at, policy.zone)
    text = md("{}, {}, {}", deployment_link(deployment), finished, size)
    changes = tuple(_change_text(change_id, history) for change_id in change_ids[:max_changes])
    return DeployedChanges(text, changes, len(change_ids) - len(changes))


def _change_text(change_id: str, history: ScopeHistory) -> Md:
    change = history.changes.get(change_id)
    title = short_title(change.title) if change else ""
    return md("{} {}", change_link(change_id, change), title) if title else change_link(change_id, change)


def headline(scope_metrics: schema.ScopeMetrics, verdicts: Mapping[str, Verdict], open_incident_count: int) -> Md:
    """Return the first line of a report: the verdict, then what happened.

    `**Lead time better.** 4 deployments reached production with 17 changes, …; 1 of 4 failed and recovered …`
    """
    open_incidents = md("{} open", formatting.count(open_incident_count, "incident")) if open_incident_count else Md("")
    clauses = join_non_empty("; ", (*_headline_clauses(scope_metrics, verdicts), open_incidents))
    return md("**{}.** {}.", _verdict_text(verdicts), clauses)


def _verdict_text(verdicts: Mapping[str, Verdict]) -> str:
    """Return the significant differences (p < 0.05): `Lead time improved, but change failure rate got worse`."""
    if not verdicts:
        return "Nothing to compare with yet"
    clauses = (
        f"{formatting.join_with_and(names)} {verb}"
        for verdict, verb in (("better", "improved"), ("worse", "got worse"))
        if (names := [METRICS[key].name for key in _HEADLINE_METRICS if verdicts.get(key) == verdict])
    )
    return ", but ".join(clauses).capitalize() or "No clear change"


_HEADLINE_METRICS = ("lead_time", "deployment_frequency", "change_failure_rate", "recovery_time")


def _headline_clauses(scope_metrics: schema.ScopeMetrics, verdicts: Mapping[str, Verdict]) -> Iterator[Md]:
    metrics = scope_metrics.metrics
    frequency, failed_runs = metrics.deployment_frequency, metrics.pipeline.failed_runs
    deployments = frequency.deployments
    if frequency.per_day is None:
        yield md("{}", (frequency.reason or "").capitalize())
    elif deployments:
        has_other = metrics.change_failure_rate.deployments > deployments
        count = formatting.count(deployments, "successful deployment" if has_other else "deployment")
        yield md("{} reached {}{}", count, scope_metrics.environment, _lead_time_clause(scope_metrics, verdicts))
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
    text = md(" with {}, median lead time {}", _change_count(lead_time), units.format_result(lead_time))
    if previous and verdicts.get("lead_time") in ("better", "worse"):
        return md("{} (from {})", text, units.format_result(previous.lead_time))
    return text


def _change_count(lead_time: schema.LeadTime) -> str:
    """Return `14 changes (11 count towards lead time)`; `14 changes` if none is excluded."""
    excluded = lead_time.excluded
    excluded_count = excluded.bots + excluded.first_deployment + excluded.negative + excluded.no_start
    count = formatting.count(lead_time.changes + excluded_count, "change")
    verb = "counts" if lead_time.changes == 1 else "count"
    return f"{count} ({lead_time.changes:,} {verb} towards lead time)" if excluded_count else count


def _failure_clauses(metrics: schema.Metrics) -> Iterator[Md]:
    failure_rate, recovery = metrics.change_failure_rate, metrics.recovery_time
    if not failure_rate.deployments:
        return
    if not failure_rate.failed:
        doubt = units.lower_bound_reason(failure_rate)
        yield md("no known failures ({})", doubt) if doubt else Md("no known failures")
        return
    text = md("{}", failed_count_text(metrics))
    if recovery.recovered:
        duration = formatting.duration(recovery.p50_seconds)
        if recovery.recovered == failure_rate.failed == 1:
            text = md("{} and recovered in {}", text, duration)
        else:
            text = md("{}, median recovery {}", text, duration)
    yield md("{}, {} not recovered yet", text, recovery.open) if recovery.open else text


def _failed_deployments(report_input: ReportInput, max_failures: int) -> TruncatedList:
    """Return the failed deployments of the period, newest first."""
    history, zone = report_input.history, report_input.results.policy.zone
    newest_first = failures_in(history, report_input.period.window)[::-1]

    def to_line(failure: Failure) -> Md:
        finished = formatting.weekday_date_time(failure.deployment.finished_at, zone)
        return md("{}, {} {}", deployment_link(failure.deployment), finished, failure_text(failure, history))

    return _truncate(newest_first, max_failures, to_line)


def _open_incidents(report_input: ReportInput, max_incidents: int) -> TruncatedList:
    """Return the unresolved incidents detected before the period's end, oldest first."""
    zone = report_input.results.policy.zone

    def to_line(incident: Incident) -> Md:
        severity = f", {incident.severity}" if incident.severity else ""
        since = formatting.weekday_date_time(incident.detected_at, zone)
        return md("{}{}, since {}", incident_link(incident), severity, since)

    return _truncate(report_input.open_incidents, max_incidents, to_line)


def _truncate(items: Sequence[T], max_items: int, to_line: Callable[[T], Md]) -> TruncatedList:
    return TruncatedList(tuple(map(to_line, items[:max_items])), max(0, len(items) - max_items))

"""The table of five metrics.

How the numbers of a report were made: window, numerators, denominators, rules, evidence.

A scope's outlook in words for the summary: short, and only what is clear.

The last weeks as a Mermaid chart, and the same numbers as a table, since GitHub may fail to draw the chart.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dora_metrics.core import formatting, schema
from dora_metrics.core.failures.incidents import AttributedIncident
from dora_metrics.core.failures.judge import Failure
from dora_metrics.core.markdown import Md, escape, join_non_empty, link, md
from dora_metrics.core.metrics.calculate import failures_in
from dora_metrics.core.metrics.scope_history import ScopeHistory, in_window
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import deployment_link, replace_ids_in_scope
from dora_metrics.core.statistics import SIGNIFICANCE_LEVEL
from dora_metrics.core.targets import goals, units
from dora_metrics.core.targets.metric import METRICS, metric_of
from dora_metrics.core.windows import Window


@dataclass(frozen=True)
class MetricRow:
    """One metric: its value, its level, the window before with what the change is worth, and its n."""

    name: str
    value: Md
    level: str
    before: Md
    sample_size: str


def metric_rows(scope_metrics: schema.ScopeMetrics, verdicts: Mapping[str, str]) -> list[MetricRow]:
    """The five metrics of a scope; `verdicts` by metric say whether a change is clear."""
    metrics, previous = scope_metrics.metrics, scope_metrics.previous
    return [
        MetricRow(
            title,
            value_with_uncertainty(metric),
            level_text(metric),
            previous_value(key, metric, previous, verdicts),
            sample_size(metric),
        )
        for key, title in METRIC_TITLES.items()
        for metric in [getattr(metrics, key)]
    ]


METRIC_TITLES = {metric.key: metric.label for metric in METRICS.values()}


def value_text(metric: schema.MetricVerdict) -> str:
    """The deciding value in words."""
    return units.format_value(metric_of(metric).key, units.deciding_value(metric))


def value_with_uncertainty(metric: schema.MetricVerdict) -> Md:
    """The deciding value, and beside it the one figure that says how far to trust it."""
    value = escape(value_text(metric))
    match metric:
        case schema.LeadTime() if metric.p50_seconds is not None:
            return md("**{}** (p90 {})", value, formatting.duration(metric.p90_seconds))
        case schema.ChangeFailureRate() | schema.ReworkRate() if metric.ratio is not None:
            return md("**{}** ({})", value, formatting.percent_range(metric.interval95))
        case _:
            return Md(f"**{value}**") if value != formatting.NO_VALUE else value


def level_text(metric: schema.MetricVerdict) -> str:
    """`high, could be elite to medium` where the interval does not decide it."""
    if metric.level is None:
        return formatting.NO_VALUE
    if metric.level_span is None:
        return f"{metric.level}, too few to be sure"
    lowest, highest = metric.level_span
    match metric.level == lowest, metric.level == highest:
        case True, True:
            return metric.level
        case True, False:
            return f"{metric.level}, could be up to {highest}"
        case False, True:
            return f"{metric.level}, could be down to {lowest}"
        case _:
            return f"{metric.level}, could be {highest} to {lowest}"


def previous_value(
    key: str,
    metric: schema.MetricVerdict,
    previous: schema.Metrics | None,
    verdicts: Mapping[str, str],
    format_value: Callable[[schema.MetricVerdict], str] = value_text,
) -> Md:
    """The value of the window before, `shown` in words, and what the change to `part` is worth."""
    if previous is None:
        return Md(formatting.NO_VALUE)
    previous_metric = getattr(previous, key)
    verdict = verdicts.get(key)
    if verdict is None:
        return escape(format_value(previous_metric))
    if verdict == "no clear change":
        return md("{} · no clear change", format_value(previous_metric))
    return md("{} · {} **{}**", format_value(previous_metric), _arrow(metric, previous_metric), verdict)


def _arrow(metric: schema.MetricVerdict, previous_metric: schema.MetricVerdict) -> str:
    current, previous = (units.deciding_value(result) or 0.0 for result in (metric, previous_metric))
    return "↑" if current > previous else "↓"


def sample_size(metric: schema.MetricVerdict) -> str:
    match metric:
        case schema.DeploymentFrequency() if metric.per_day is not None:
            return (
                f"{formatting.count(metric.deployments, 'deployment')} on "
                f"{formatting.count(metric.deployment_days, 'day')}"
            )
        case schema.LeadTime() if metric.p50_seconds is not None:
            return formatting.count(metric.changes, "change") + excluded_text(metric.excluded, " ({} left out)")
        case schema.ChangeFailureRate() if metric.ratio is not None:
            return f"{metric.failed} of {metric.deployments}"
        case schema.ReworkRate() if metric.ratio is not None:
            return f"{metric.rework} of {metric.deployments}"
        case schema.RecoveryTime() if metric.p50_seconds is not None:
            return f"{metric.recovered} recovered, {metric.open} open"
        case _:
            return metric.reason or ""


def excluded_text(excluded: schema.Excluded, template: str) -> str:
    """Which delivered changes are in no lead time, wrapped; empty without any."""
    reasons = [
        reason_template.format(count)
        for reason, reason_template in formatting.EXCLUSION_TEXTS.items()
        if (count := getattr(excluded, reason))
    ]
    return template.format(", ".join(reasons)) if reasons else ""


T = TypeVar("T")

_MAX_LINES = 10


@dataclass(frozen=True)
class Derivation:
    """One line about the window, one a metric, one a failure, one an incident without a deployment."""

    window: str
    metrics: list[Md]
    failures: list[Md]
    unmatched: list[Md]


def derive(history: ScopeHistory, scope_metrics: schema.ScopeMetrics, window: Window, policy: Policy) -> Derivation:
    """The derivation of a scope's numbers."""
    start, end = (formatting.date_time(moment, policy.zone) for moment in (window.start, window.end))
    unmatched = [
        attribution
        for attribution in in_window(history.incidents, window, lambda attribution: attribution.incident.detected_at)
        if not attribution.attributed_to
    ]
    return Derivation(
        window=f"{start} – {end} {policy.zone.key}, half-open: {window.days:g} days; "
        f"scope {history.scope.repository}, service {history.scope.service}, environment {history.scope.environment}",
        metrics=[*_history_start_note(history, window, policy), *_metric_lines(scope_metrics.metrics, window, policy)],
        failures=_first_lines(
            failures_in(history, window),
            lambda attribution: md(
                "{} {}", deployment_link(attribution.deployment), failure_text(attribution, history)
            ),
        ),
        unmatched=_first_lines(unmatched, _unmatched_incident),
    )


def _history_start_note(history: ScopeHistory, window: Window, policy: Policy) -> Iterator[Md]:
    """Where the window is older than what is known, since a frequency is of the whole window."""
    if history.first_deployment_at and window.start < history.first_deployment_at:
        first_day = formatting.date(history.first_deployment_at, policy.zone)
        yield md("**Known since {}**: the days before it count as days without a deployment.", first_day)


def _unmatched_incident(attribution: AttributedIncident) -> Md:
    return md(
        "{}: {}",
        link(attribution.incident.title or attribution.incident.id, attribution.incident.url),
        attribution.because,
    )


def failure_text(failure: Failure, history: ScopeHistory) -> Md:
    """By which rule, because of what, and how it ended: `` by `rollback`: v1 was deployed again; over … ``."""
    cause = link(replace_ids_in_scope(failure.because, history), failure.url)
    recovery = replace_ids_in_scope(_recovery_text(failure.recovery_seconds, failure.remediated_by), history)
    return md("by `{}`: {}; {}", Md(failure.rule), cause, recovery)


def _first_lines(items: Sequence[T], to_line: Callable[[T], Md]) -> list[Md]:
    remainder = [Md(f"and {len(items) - _MAX_LINES} more")] if len(items) > _MAX_LINES else []
    return [*map(to_line, items[:_MAX_LINES]), *remainder]


def _recovery_text(seconds: float | None, remediated_by: str | None) -> str:
    if seconds is None:
        return "still open" if remediated_by is None else "its recorded end lies before it"
    return f"over after {formatting.duration(seconds)} ({remediated_by})"


def _metric_lines(metrics: schema.Metrics, window: Window, policy: Policy) -> Iterator[Md]:
    frequency, lead_time = metrics.deployment_frequency, metrics.lead_time
    median_days = frequency.median_deployment_days_per_week
    yield md(
        "**Deployment frequency**: {} in {} days. Median of days with a deployment in a complete week: {}.",
        formatting.count(frequency.deployments, "successful deployment"),
        f"{window.days:g}",
        formatting.NO_VALUE if median_days is None else f"{median_days:g}",
    )
    yield md(
        "**Lead time**: median over {}, from {} to the end of the first successful production deployment with it{}.{}",
        formatting.count(lead_time.changes, "change"),
        LEAD_TIME_STARTS[policy.lead_time_start],
        excluded_text(lead_time.excluded, "; left out: {}"),
        _stage_medians(lead_time),
    )
    yield from _rate_lines(metrics)


LEAD_TIME_STARTS = {
    "first-commit": "a change's first commit",
    "commit": "each commit by itself",
    "opened": "the opening of the pull request",
    "merged": "the merge",
}
"""Where lead time starts, by the names of the setting."""


def _stage_medians(lead_time: schema.LeadTime) -> Md:
    medians = [
        (stage, getattr(lead_time.stages, stage).p50_seconds) for stage in ("coding", "pickup", "review", "delivery")
    ]
    texts = [md("{} {}", stage, formatting.duration(seconds)) for stage, seconds in medians if seconds is not None]
    return Md(f" Medians of its stages: {join_non_empty(', ', texts)}." if texts else "")


def _rate_lines(metrics: schema.Metrics) -> Iterator[Md]:
    failure_rate, recovery, rework = metrics.change_failure_rate, metrics.recovery_time, metrics.rework_rate
    yield md(
        "**Change failure rate**: {} failed / {} that reached users.", failure_rate.failed, failure_rate.deployments
    )
    yield md("**Recovery time**: median over {} recovered; {} open.", recovery.recovered, recovery.open)
    yield md(
        "**Rework rate**: {} that repaired production / {} that reached users.",
        rework.rework,
        rework.deployments,
    )
    restore, pipeline = metrics.incident_restore, metrics.pipeline
    yield md(
        "Beside them: {}, median time to restore {}; {}, median pipeline recovery {}.",
        formatting.count(restore.incidents, "incident"),
        formatting.duration(restore.p50_seconds),
        formatting.count(pipeline.failed_runs, "failed run"),
        formatting.duration(pipeline.recovery_p50_seconds),
    )


@dataclass(frozen=True)
class Hint:
    """What is known about a metric that holds back, and a line for each measure."""

    text: Md
    measures: tuple[Md, ...]


@dataclass(frozen=True)
class OutlookText:
    """Each empty where there is nothing to say."""

    trends: Md
    goals: Md
    achievements: Md
    hints: tuple[Hint, ...]


def outlook_text(outlook: schema.Outlook) -> OutlookText:
    """The outlook of one scope in words."""
    goal_texts = join_non_empty(
        " · ", (md("{} {}", METRIC_TITLES[goal.metric].lower(), goals.describe_goal(goal)) for goal in outlook.goals)
    )
    achievement_texts = join_non_empty(" · ", (md("{}", achievement) for achievement in outlook.achievements))
    return OutlookText(
        trends=trends_text(outlook),
        goals=Md(f"Goals: {goal_texts}." if goal_texts else ""),
        achievements=Md(f"Worth a mention: {achievement_texts}." if achievement_texts else ""),
        hints=hints_from(outlook),
    )


def trends_text(outlook: schema.Outlook) -> Md:
    """The metrics whose weeks go one way beyond chance; the others are not mentioned."""
    clear_trends = {
        metric: trend
        for metric, trend in outlook.trends.items()
        if trend.p < SIGNIFICANCE_LEVEL and trend.slope_per_week
    }
    if not clear_trends:
        return Md("")
    week_count = max(trend.weeks for trend in clear_trends.values())
    texts = join_non_empty(", ", (_trend_text(metric, trend.change) for metric, trend in clear_trends.items()))
    return md("Over {}, beyond chance (p < 0.05): {}.", formatting.count(week_count, "week"), texts)


def _trend_text(metric: str, change: float) -> Md:
    verb = "rose" if change > 0 else "fell"
    return md("{} **{} by {}**", METRIC_TITLES[metric].lower(), verb, units.format_difference(metric, change))


def hints_from(outlook: schema.Outlook) -> tuple[Hint, ...]:
    """What is known about each metric that holds back."""
    return tuple(_hint(advice) for advice in outlook.advice)


def _hint(advice: schema.Advice) -> Hint:
    text = join_non_empty(
        " ",
        (
            md("**{}**: {}.", METRIC_TITLES[advice.metric], advice.because),
            *(md("{}", sentence) for sentence in advice.evidence),
        ),
    )
    return Hint(text, tuple(md("{}, since {}.", measure.do, measure.because) for measure in advice.measures))


MAX_CHART_WEEKS = 12
_MIN_CHART_WEEKS = 2


@dataclass(frozen=True)
class Chart:
    """`mermaid`: the source of the chart.

    `rows`: week, deployments, lead time, failed, recovery, rework, incidents; the newest first.
    """

    title: str
    mermaid: Md
    rows: tuple[tuple[str, ...], ...]


def weekly_chart(weeks: Sequence[schema.Week]) -> Chart | None:
    """The newest of some complete weeks in order; None where one alone, or none, would be shown."""
    shown_weeks = weeks[-MAX_CHART_WEEKS:]
    if len(shown_weeks) < _MIN_CHART_WEEKS:
        return None
    return Chart(
        f"{len(shown_weeks)} weeks to {shown_weeks[-1].week}",
        _mermaid_source(shown_weeks),
        tuple(map(_chart_row, reversed(shown_weeks))),
    )


def _mermaid_source(weeks: Sequence[schema.Week]) -> Md:
    """https://mermaid.js.org/syntax/xyChart.html, in the spelling that old and new versions read."""
    week_labels = ", ".join(f'"{week.week.partition("-")[2]}"' for week in weeks)
    counts = ", ".join(str(week.deployments) for week in weeks)
    axis_top = max(_MIN_AXIS_TOP, *(week.deployments for week in weeks))
    axes = f"  x-axis [{week_labels}]\n  y-axis 0 --> {axis_top}\n  bar [{counts}]"
    return Md(f'{_MERMAID_THEME}\nxychart-beta\n  title "Deployments a week"\n{axes}')


_MIN_AXIS_TOP = 8
"""Below it Mermaid marks halves of deployments on the axis."""

_MERMAID_THEME = (
    '%%{init: {"xyChart": {"width": 800, "height": 300}, '
    '"themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7"}}}}%%'
)
"""A colour that can be seen on white and on black, where the usual one is all but white."""


def _chart_row(week: schema.Week) -> tuple[str, ...]:
    return (
        week.week,
        str(week.deployments),
        formatting.duration(week.lead_time_p50_seconds),
        formatting.percent(week.change_failure_ratio),
        formatting.duration(week.recovery_p50_seconds),
        formatting.percent(week.rework_ratio),
        str(week.incidents),
    )

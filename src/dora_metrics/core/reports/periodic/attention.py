"""Why a scope needs attention: open incidents, failures, clear changes for the worse, silence, missed goals."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from dora_metrics.core import formatting, schema
from dora_metrics.core.markdown import Md, md
from dora_metrics.core.metrics.cancelled_attempts import cancelled_attempts_clause
from dora_metrics.core.metrics.comparison import Verdict, compare_windows
from dora_metrics.core.reports.periodic.content import ReportInput, previous_period_title, value_with_counts
from dora_metrics.core.reports.sections import failed_count_text
from dora_metrics.core.statistics import SIGNIFICANCE_LEVEL, poisson_rates_p
from dora_metrics.core.targets import goals, units
from dora_metrics.core.targets.metric import METRICS


class Weight(IntEnum):
    """How much a reason counts. The sum decides which scopes a report describes first."""

    OPEN = 8
    FAILED = 4
    WORSE = 2
    GOAL = 1


@dataclass(frozen=True)
class AttentionReason:
    """One reason, as a text without a full stop that starts in lower case."""

    weight: Weight
    text: Md


def reasons_for_attention(report_input: ReportInput) -> tuple[AttentionReason, ...]:
    """Return why a scope needs attention, the weightiest reason first; empty if it does not."""
    reasons = (
        *_open_incidents(report_input),
        *_failures(report_input.scope_metrics.metrics),
        *_silence(report_input),
        *_changes_for_the_worse(report_input),
        *_cancelled_attempts(report_input),
        *_missed_goals(report_input),
    )
    return tuple(sorted(reasons, key=lambda reason: -reason.weight))


def compare_periods(report_input: ReportInput) -> Mapping[str, Verdict]:
    """Return by metric whether the period was clearly better or worse than the one before."""
    scope_metrics = report_input.scope_metrics
    previous = scope_metrics.previous or scope_metrics.metrics
    return compare_windows(report_input.history, report_input.period.window, scope_metrics.metrics, previous)


def _open_incidents(report_input: ReportInput) -> Iterator[AttentionReason]:
    incidents = report_input.open_incidents
    if incidents:
        since = formatting.weekday_date_time(incidents[0].detected_at, report_input.results.policy.zone)
        phrase = "the oldest since" if len(incidents) > 1 else "since"
        text = md("{} open, {} {}", formatting.count(len(incidents), "incident"), phrase, since)
        yield AttentionReason(Weight.OPEN, text)


def _failures(metrics: schema.Metrics) -> Iterator[AttentionReason]:
    open_count = metrics.recovery_time.open
    if metrics.change_failure_rate.failed:
        not_recovered = f", {open_count} not recovered yet" if open_count else ""
        text = md("{}{}", failed_count_text(metrics), not_recovered)
        yield AttentionReason(Weight.OPEN if open_count else Weight.FAILED, text)


def _silence(report_input: ReportInput) -> Iterator[AttentionReason]:
    """Yield a reason if a scope that is usually deployed in such a period clearly was not."""
    if is_silent(report_input):
        count = report_input.basis_metrics.metrics.deployment_frequency.deployments
        usual = formatting.per_week(count / _recorded_days_before(report_input))
        text = md("no deployment in {}, usually {}", report_input.period.short, usual)
        yield AttentionReason(Weight.WORSE, text)


def _cancelled_attempts(report_input: ReportInput) -> Iterator[AttentionReason]:
    zone = report_input.results.policy.zone
    if clause := cancelled_attempts_clause(report_input.history, report_input.period.window, zone):
        yield AttentionReason(Weight.WORSE, md("{}", clause))


def is_silent(report_input: ReportInput) -> bool:
    """Whether no deployment in the period is clearly fewer than in the basis window before it (p < 0.05)."""
    period, basis = report_input.period.window, report_input.period.basis
    if report_input.scope_metrics.metrics.deployment_frequency.deployments or basis == period:
        return False
    count = report_input.basis_metrics.metrics.deployment_frequency.deployments
    days = _recorded_days_before(report_input)
    return days > 0 and poisson_rates_p(0, period.days, count, days) < SIGNIFICANCE_LEVEL


def _recorded_days_before(report_input: ReportInput) -> float:
    """Return the days of the basis window before the period, from the scope's first deployment on."""
    first, period = report_input.history.first_deployment_at, report_input.period
    start = max(filter(None, (first, period.basis.start)))
    return (period.window.start - start) / timedelta(days=1)


def _changes_for_the_worse(report_input: ReportInput) -> Iterator[AttentionReason]:
    current, previous = report_input.scope_metrics.metrics, report_input.scope_metrics.previous
    for key, verdict in compare_periods(report_input).items():
        if verdict != "worse" or previous is None or (key == "deployment_frequency" and is_silent(report_input)):
            continue
        values = (value_with_counts(METRICS[key].result_in(metrics)) for metrics in (current, previous))
        before = previous_period_title(report_input.period)
        yield AttentionReason(
            Weight.WORSE,
            md("{} got worse: {}, compared with {} in the {}", METRICS[key].label.lower(), *values, before),
        )


def _missed_goals(report_input: ReportInput) -> Iterator[AttentionReason]:
    """Yield a reason for each goal that is not met, unless it still has time and is on course."""
    span = formatting.days_or_hours(report_input.period.basis.days)
    for goal in report_input.basis_metrics.outlook.goals:
        if goal.met is False and goal.course in (None, "missed", "not on course"):
            metric = METRICS[goal.metric]
            value = units.format_result(metric.result_in(report_input.basis_metrics.metrics))
            measured = value if value.endswith(span) else f"{value} in {span}"
            text = md("{} {}, goal {}", metric.label.lower(), measured, goals.target_text(goal))
            yield AttentionReason(Weight.GOAL, text)

"""What is worth a mention, each with the numbers that it rests on.

What holds a scope back, and what helps: only for a metric whose level is the lowest or whose goal is missed.

Where a scope is going: trends of its weeks, its goals, what holds it back, what is worth a mention.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from dora_metrics.core import formatting, schema
from dora_metrics.core.metrics import diagnosis
from dora_metrics.core.metrics.diagnosis import DiagnosisInput, Finding
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.weekly import complete_weeks, trend_points, trend_window
from dora_metrics.core.policy import Policy
from dora_metrics.core.statistics import TrendEstimate, estimate_trend
from dora_metrics.core.targets import goals, units
from dora_metrics.core.targets.benchmarks import LEVELLED_METRICS, Benchmark
from dora_metrics.core.targets.goals import MetricState, assess_goal
from dora_metrics.core.targets.metric import METRICS
from dora_metrics.core.targets.units import METRIC_NAMES, deciding_value
from dora_metrics.core.windows import Window

_MIN_RECORD_WEEKS = 8
_MAX_RECORD_WEEKS = 12
_MIN_FAILING_WEEKS = 2


@dataclass(frozen=True)
class AchievementInput:
    """A scope's numbers now and in the window before, its complete weeks in order, and how its goals stand."""

    metrics: schema.Metrics
    previous: schema.Metrics | None
    weeks: Sequence[schema.Week]
    goals: Iterable[schema.Goal]


def find_achievements(data: AchievementInput, benchmark: Benchmark) -> list[str]:
    """First week without a failure, best lead time, a new level, a goal met; each as a sentence without its stop."""
    return [
        *_first_week_without_failure(data.weeks),
        *_best_lead_time(data.weeks),
        *_levels_reached(data, benchmark),
        *_goals_met(data),
    ]


def _first_week_without_failure(weeks: Sequence[schema.Week]) -> Iterator[str]:
    """The last complete week, after at least two in a row that had failures; weeks without a deployment say nothing."""
    rates = [week.change_failure_ratio for week in weeks]
    if not rates or rates[-1] != 0:
        return
    failing_weeks = 0
    for rate in reversed([rate for rate in rates[:-1] if rate is not None]):
        if rate == 0:
            break
        failing_weeks += 1
    if failing_weeks >= _MIN_FAILING_WEEKS:
        yield f"First week without a failed deployment ({weeks[-1].week}), after {failing_weeks} with"


def _best_lead_time(weeks: Sequence[schema.Week]) -> Iterator[str]:
    """The last complete week against up to eleven before it, of which at least seven have a value."""
    recent = weeks[-_MAX_RECORD_WEEKS:]
    values = [week.lead_time_p50_seconds for week in recent]
    earlier_values = [value for value in values[:-1] if value is not None]
    if len(earlier_values) < _MIN_RECORD_WEEKS - 1 or (last := values[-1]) is None:
        return
    if last < min(earlier_values):
        yield (
            f"Best weekly lead time in {len(recent)} weeks: {formatting.duration(last)} in {recent[-1].week}, "
            f"{formatting.duration(min(earlier_values))} before"
        )


def _levels_reached(data: AchievementInput, benchmark: Benchmark) -> Iterator[str]:
    """A level that the window before had not."""
    if data.previous is None:
        return
    for metric in LEVELLED_METRICS:
        level, previous_level = (getattr(metrics, metric).level for metrics in (data.metrics, data.previous))
        if level and previous_level and benchmark.ranks[level] > benchmark.ranks[previous_level]:
            yield (
                f"{METRICS[metric].name.capitalize()} reached the level {level}, {previous_level} in the window before"
            )


def _goals_met(data: AchievementInput) -> Iterator[str]:
    """A goal that is met now and was not in the window before."""
    for goal in data.goals:
        previous_value = units.deciding_value(getattr(data.previous, goal.metric)) if data.previous else None
        if goal.met and previous_value is not None and not units.meets(goal.metric, previous_value, goal.target):
            title = METRICS[goal.metric].name
            yield f"Goal met: {title} {goals.target_text(goal)}, now {units.format_value(goal.metric, goal.value)}"


_MAX_ITEMS = 3

_DIAGNOSE: dict[str, Callable[[DiagnosisInput], Iterator[Finding]]] = {
    "deployment_frequency": diagnosis.diagnose_deployment_frequency,
    "lead_time": diagnosis.diagnose_lead_time,
    "change_failure_rate": diagnosis.diagnose_change_failure_rate,
    "recovery_time": diagnosis.diagnose_recovery_time,
    "rework_rate": diagnosis.diagnose_rework_rate,
}


def build_advice(
    data: DiagnosisInput, metrics: schema.Metrics, goal_states: Iterable[schema.Goal]
) -> list[schema.Advice]:
    """For each metric that holds back: why it does, what its data say about the cause, what is known to help."""
    all_advice = [
        _advice_for(data, metric, because)
        for metric, because in _reasons_by_limiting_metric(data.policy.benchmark, metrics, goal_states).items()
    ]
    return [advice for advice in all_advice if advice.evidence]


def _advice_for(data: DiagnosisInput, metric: str, because: str) -> schema.Advice:
    findings = list(_DIAGNOSE[metric](data))
    recommendations = {
        recommendation.do: recommendation for finding in findings for recommendation in finding.recommendations
    }
    return schema.Advice(
        metric=metric,
        because=because,
        evidence=[_as_sentence(finding.evidence) for finding in findings if finding.evidence][:_MAX_ITEMS],
        measures=list(recommendations.values())[:_MAX_ITEMS],
    )


def _possible_level_text(verdict: schema.MetricVerdict) -> str:
    """What the interval of a value leaves open above its level."""
    highest = verdict.level_span[1] if verdict.level_span else verdict.level
    return f" (it could be up to {highest})" if highest != verdict.level else ""


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _reasons_by_limiting_metric(
    benchmark: Benchmark, metrics: schema.Metrics, goal_states: Iterable[schema.Goal]
) -> dict[str, str]:
    """By metric why it holds back; what has the best level of all holds nothing back."""
    overall = metrics.overall_level
    reasons: dict[str, str] = {}
    for metric in LEVELLED_METRICS:
        verdict = getattr(metrics, metric)
        if overall and verdict.level == overall.level and verdict.level != benchmark.edges[metric][0][0]:
            reasons[metric] = f"its level, {verdict.level}, is the lowest{_possible_level_text(verdict)}"
    for goal in goal_states:
        if goal.met is False:
            reasons[goal.metric] = "; ".join(
                reason
                for reason in (reasons.get(goal.metric), f"its goal, {goals.target_text(goal)}, is not met")
                if reason
            )
    return reasons


@dataclass(frozen=True)
class MetricsPair:
    """A scope's metrics in the window and in the one before."""

    current: schema.Metrics
    previous: schema.Metrics | None


def build_outlook(
    history: ScopeHistory, window: Window, metrics: MetricsPair, policy: Policy, now: datetime
) -> schema.Outlook:
    """The outlook of one scope as of `now`."""
    long_window = trend_window(window, now)
    weeks = complete_weeks(history, long_window, policy, now)
    trends = {metric: estimate for metric in METRIC_NAMES if (estimate := estimate_trend(trend_points(weeks, metric)))}
    goal_states = [
        assess_goal(goal, _metric_state(goal.metric, metrics, trends.get(goal.metric), weeks), now, policy.zone)
        for goal in policy.goals
    ]
    return schema.Outlook(
        trends={
            metric: schema.Trend(
                weeks=estimate.weeks, slope_per_week=estimate.slope_per_week, change=estimate.change, p=estimate.p
            )
            for metric, estimate in trends.items()
        },
        goals=goal_states,
        advice=build_advice(DiagnosisInput(history, window, long_window, policy), metrics.current, goal_states),
        achievements=find_achievements(
            AchievementInput(metrics.current, metrics.previous, weeks, goal_states), policy.benchmark
        ),
    )


def _metric_state(
    metric: str, metrics: MetricsPair, estimate: TrendEstimate | None, weeks: list[schema.Week]
) -> MetricState:
    verdict = getattr(metrics.current, metric)
    previous_value = deciding_value(getattr(metrics.previous, metric)) if metrics.previous else None
    return MetricState(
        deciding_value(verdict), previous_value, verdict.reason, estimate, weeks[0].start if weeks else None
    )

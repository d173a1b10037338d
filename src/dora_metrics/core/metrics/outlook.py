"""The outlook of a scope: trends of its weeks, goals, advice on what to improve, and achievements."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from dora_metrics.core import formatting, schema
from dora_metrics.core.metrics.cancelled_attempts import cancelled_attempts_text
from dora_metrics.core.metrics.comparison import Verdict, compare_windows
from dora_metrics.core.metrics.diagnosis import (
    DiagnosisInput,
    Finding,
    diagnose_change_failure_rate,
    diagnose_deployment_frequency,
    diagnose_lead_time,
    diagnose_recovery_time,
    diagnose_rework_rate,
)
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.weekly import complete_weeks, trend_points, trend_window
from dora_metrics.core.policy import Policy
from dora_metrics.core.statistics import TrendEstimate, estimate_trend, medians_at_ends
from dora_metrics.core.targets import goals, units, whole_periods
from dora_metrics.core.targets.benchmarks import LEVELLED_METRICS, Benchmark
from dora_metrics.core.targets.goals import GoalSpec, MetricState, assess_goal
from dora_metrics.core.targets.metric import METRICS
from dora_metrics.core.targets.units import METRIC_NAMES, deciding_value
from dora_metrics.core.windows import Window


class MetricsPair(Struct, frozen=True):
    """A scope's metrics in the window and in the previous one, if there is one."""

    current: schema.Metrics
    previous: schema.Metrics | None

    def compare(self, history: ScopeHistory, window: Window) -> Mapping[str, Verdict]:
        """Return whether each metric is clearly better or worse than in the previous window; empty without one."""
        return compare_windows(history, window, self.current, self.previous) if self.previous else {}


def build_outlook(
    history: ScopeHistory, window: Window, metrics: MetricsPair, policy: Policy, now: datetime
) -> schema.Outlook:
    """Build the outlook of one scope as of `now`."""
    long_window = trend_window(window, now)
    weeks = complete_weeks(history, long_window, policy, now)
    points = {metric: trend_points(weeks, metric) for metric in METRIC_NAMES}
    trends = {metric: estimate for metric in METRIC_NAMES if (estimate := estimate_trend(points[metric]))}
    goal_states = [
        assess_goal(goal, _metric_state(goal.metric, metrics, trends.get(goal.metric), weeks), now, policy.zone)
        for goal in policy.goals
    ]
    return schema.Outlook(
        trends={
            metric: schema.Trend(
                weeks=estimate.weeks,
                slope_per_week=estimate.slope_per_week,
                change=estimate.change,
                p=estimate.p,
                ends=medians_at_ends([value for _, value in points[metric]]),
            )
            for metric, estimate in trends.items()
        },
        goals=goal_states,
        advice=build_advice(DiagnosisInput(history, window, long_window, policy, now), metrics.current, goal_states),
        achievements=find_achievements(
            AchievementInput(metrics, metrics.compare(history, window), weeks, goal_states, policy.goals),
            policy.benchmark,
        ),
        remarks=list(filter(None, [cancelled_attempts_text(history, window, policy.zone)])),
    )


def _metric_state(
    metric: str, metrics: MetricsPair, estimate: TrendEstimate | None, weeks: list[schema.Week]
) -> MetricState:
    """Return what a goal of this metric is assessed by."""
    verdict = getattr(metrics.current, metric)
    previous_value = deciding_value(getattr(metrics.previous, metric)) if metrics.previous else None
    return MetricState(
        deciding_value(verdict),
        previous_value,
        verdict.reason,
        estimate,
        weeks[0].start if weeks else None,
        whole_periods.window_days(verdict),
    )


_MAX_ITEMS = 3
"""Of the evidence and of the measures of one piece of advice."""

_DIAGNOSE: dict[str, Callable[[DiagnosisInput], Iterator[Finding]]] = {
    "deployment_frequency": diagnose_deployment_frequency,
    "lead_time": diagnose_lead_time,
    "change_failure_rate": diagnose_change_failure_rate,
    "recovery_time": diagnose_recovery_time,
    "rework_rate": diagnose_rework_rate,
}


def build_advice(
    data: DiagnosisInput, metrics: schema.Metrics, goal_states: Iterable[schema.Goal]
) -> list[schema.Advice]:
    """Build advice for each metric with the lowest level: why, what its data say about the cause, and what helps.

    A metric without evidence gets none.
    """
    all_advice = [
        _advice_for(data, metric, because) for metric, because in _reasons_by_metric(data, metrics, goal_states).items()
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


def _reasons_by_metric(
    data: DiagnosisInput, metrics: schema.Metrics, goal_states: Iterable[schema.Goal]
) -> dict[str, str]:
    """For each metric to improve: why, as what follows its name, without the last full stop.

    It has the lowest measured level (unless that is the best level of the benchmark), or is short of its goal.
    """
    benchmark, overall = data.policy.benchmark, metrics.overall_level
    clauses: defaultdict[str, list[str]] = defaultdict(list)
    doubts: dict[str, list[str]] = {}
    for metric in LEVELLED_METRICS:
        level = METRICS[metric].result_in(metrics).level
        if overall and level == overall.level and level != benchmark.edges[metric][0][0]:
            clauses[metric].append(_lowest_level_clause(data, metrics, metric, overall))
            doubts[metric] = _level_doubts(benchmark, metrics, metric, overall)
    for goal in goal_states:
        if goal.met is False:
            verb = "missed" if goal.course == "missed" else "has not yet reached"
            clauses[goal.metric].append(f"{verb} its goal of {goals.target_text(goal)}")
    return {
        metric: ". ".join((", and ".join(own_clauses), *doubts.get(metric, [])))
        for metric, own_clauses in clauses.items()
    }


def _lowest_level_clause(
    data: DiagnosisInput, metrics: schema.Metrics, metric: str, overall: schema.OverallLevel
) -> str:
    """Say that a metric has the lowest level, alone or with others, or that it was measured as the lowest."""
    benchmark = data.policy.benchmark
    result = METRICS[metric].result_in(metrics)
    measured = f"{overall.level} ({units.count_of_total(result) or units.format_result(result)})"
    if equal := _metrics_of_equal_level(metrics, metric, overall):
        labels = formatting.join_with_and([METRICS[key].label.lower() for key in equal])
        return f"shares the lowest measured level {data.window_text} with {labels}: {measured}"
    others = [key for key in overall.rests_on if key != metric]
    highest_rank = benchmark.ranks[_possible_levels(benchmark, metrics, metric)[1]]
    is_certain = all(highest_rank <= benchmark.ranks[_possible_levels(benchmark, metrics, key)[0]] for key in others)
    return f"has the lowest {'' if is_certain else 'measured '}level {data.window_text}: {measured}"


def _metrics_of_equal_level(metrics: schema.Metrics, metric: str, overall: schema.OverallLevel) -> list[str]:
    """Return the other metrics that have the overall level."""
    others = (key for key in overall.rests_on if key != metric)
    return [key for key in others if METRICS[key].result_in(metrics).level == overall.level]


def _level_doubts(
    benchmark: Benchmark, metrics: schema.Metrics, metric: str, overall: schema.OverallLevel
) -> list[str]:
    """Return a sentence for each reason why another metric may have the lowest level; without full stops."""
    others = [key for key in overall.rests_on if key != metric]
    shares_level = _metrics_of_equal_level(metrics, metric, overall)
    subject = f"The level of {METRICS[metric].name}" if shares_level else "Its level"
    doubts = (
        _own_doubt(subject, metric, METRICS[metric].result_in(metrics)),
        *(_doubt_about(benchmark, metrics, key, overall.level) for key in others),
    )
    return [doubt for doubt in doubts if doubt]


def _possible_levels(benchmark: Benchmark, metrics: schema.Metrics, metric: str) -> tuple[str, str]:
    """Return the lowest and the highest level inside the 95 % interval; with too few values, of all levels."""
    return METRICS[metric].result_in(metrics).level_span or benchmark.all_levels(metric)


_VALUE_NAMES = {"lead_time": "lead times", "recovery_time": "recovery times"}
"""What a single value of a metric is called, of those that may have too few for an interval."""


def _own_doubt(subject: str, metric: str, verdict: schema.MetricVerdict) -> str:
    """Name the levels inside the 95 % interval; empty if none is higher than the measured one."""
    if verdict.level_span is None:
        return f"There are too few {_VALUE_NAMES.get(metric, 'values')} to be sure of that level"
    lowest, highest = verdict.level_span
    if verdict.level not in (lowest, highest):
        return f"{subject} may be anything from {lowest} to {highest} (95 % interval)"
    return f"{subject} could be up to {highest} (95 % interval)" if highest != verdict.level else ""


def _doubt_about(benchmark: Benchmark, metrics: schema.Metrics, metric: str, level: str) -> str:
    """Say that another metric could be below a level; empty if it could not."""
    verdict = METRICS[metric].result_in(metrics)
    label = METRICS[metric].label
    lowest = _possible_levels(benchmark, metrics, metric)[0]
    if benchmark.ranks[lowest] >= benchmark.ranks[level]:
        return ""
    if verdict.level_span is None:
        return (
            f"There are too few {_VALUE_NAMES.get(metric, 'values')} to be sure of the level of {METRICS[metric].name}"
        )
    return f"{label} could have a lower level: its 95 % interval reaches {lowest}"


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


_MIN_RECORD_WEEKS = 8
_MAX_RECORD_WEEKS = 12
"""Weeks that a best lead time is chosen from, the last one included. At least the minimum must have a value."""

_MIN_FAILING_WEEKS = 2
"""Weeks with failures in a row before a first week without failure is an achievement."""


class AchievementInput(Struct, frozen=True):
    """A scope's metrics, their comparison with the previous window, its complete weeks in order, its assessed goals.

    `goal_specs` are the goals as configured, in the order of `goals`.
    """

    metrics: MetricsPair
    verdicts: Mapping[str, Verdict]
    weeks: Sequence[schema.Week]
    goals: Sequence[schema.Goal]
    goal_specs: Sequence[GoalSpec]


def find_achievements(data: AchievementInput, benchmark: Benchmark) -> list[str]:
    """List achievements as sentences without a full stop, each with the numbers that it rests on."""
    return [
        *_first_week_without_failure(data.weeks),
        *_best_lead_time(data.weeks),
        *_levels_reached(data, benchmark),
        *_goals_met(data),
    ]


def _first_week_without_failure(weeks: Sequence[schema.Week]) -> Iterator[str]:
    """Report a last complete week without failure after at least two in a row with failures.

    Weeks without a deployment are skipped.
    """
    rates = [week.change_failure_ratio for week in weeks]
    if not rates or rates[-1] != 0:
        return
    failing_weeks = 0
    for rate in reversed([rate for rate in rates[:-1] if rate is not None]):
        if rate == 0:
            break
        failing_weeks += 1
    if failing_weeks >= _MIN_FAILING_WEEKS:
        yield f"No deployment failed in {weeks[-1].week}, after {failing_weeks} weeks with failures"


def _best_lead_time(weeks: Sequence[schema.Week]) -> Iterator[str]:
    """Report a last complete week whose lead time is below that of up to eleven weeks before it."""
    recent = weeks[-_MAX_RECORD_WEEKS:]
    values = [week.lead_time_p50_seconds for week in recent]
    earlier_values = [value for value in values[:-1] if value is not None]
    if len(earlier_values) < _MIN_RECORD_WEEKS - 1 or (last := values[-1]) is None:
        return
    if last < min(earlier_values):
        yield (
            f"Shortest weekly lead time in {len(recent)} weeks: {formatting.duration(last)} in {recent[-1].week} "
            f"(the shortest before that was {formatting.duration(min(earlier_values))})"
        )


def _levels_reached(data: AchievementInput, benchmark: Benchmark) -> Iterator[str]:
    """Report each metric that clearly got better and whose level is higher than in the previous window.

    The 95 % interval must decide the level, and the previous interval must lie below it. Otherwise the metric may not
    have the level now, or may have had it before.
    """
    previous_metrics = data.metrics.previous
    for metric in LEVELLED_METRICS:
        if data.verdicts.get(metric) != "better" or previous_metrics is None:
            continue
        current, previous = getattr(data.metrics.current, metric), getattr(previous_metrics, metric)
        if current.level_span is None or previous.level_span is None:
            continue
        (lowest, highest), (previous_lowest, previous_highest) = current.level_span, previous.level_span
        if lowest == highest and benchmark.ranks[lowest] > benchmark.ranks[previous_highest]:
            before = previous_highest if previous_lowest == previous_highest else f"at most {previous_highest}"
            yield f"The level of {METRICS[metric].name} is now {lowest}; it was {before} in the previous window"


def _goals_met(data: AchievementInput) -> Iterator[str]:
    """Report each goal that is met now and was not met in the previous window."""
    for goal, spec in zip(data.goals, data.goal_specs, strict=True):
        metric = METRICS[goal.metric]
        if goal.met and data.metrics.previous and _is_missed(spec, metric.result_in(data.metrics.previous)):
            current_text = units.format_with_counts(metric.result_in(data.metrics.current))
            yield f"Goal met: {metric.name} {goals.target_text(goal)}, now {current_text}"


def _is_missed(spec: GoalSpec, result: schema.MetricVerdict) -> bool:
    """Whether a result has a value that does not meet a goal."""
    value = deciding_value(result)
    bound = goals.bound_over(spec, whole_periods.window_days(result))
    return value is not None and not units.meets(spec.metric, value, bound)

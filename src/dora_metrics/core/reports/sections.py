"""Sections that several reports share: table of the five metrics, derivation of the numbers, outlook, weekly chart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct, structs

from dora_metrics.core import formatting, schema
from dora_metrics.core.failures.incidents import AttributedIncident
from dora_metrics.core.failures.judge import Failure
from dora_metrics.core.markdown import Md, code_span, escape, join_non_empty, link, md
from dora_metrics.core.metrics.calculate import failures_in, is_lead_time_lower_bound, measured_changes_in
from dora_metrics.core.metrics.scope_history import ScopeHistory, in_window
from dora_metrics.core.metrics.stages import STAGE_NAMES, median_seconds_by_stage
from dora_metrics.core.metrics.start_of_records import days_before_records, earlier_days_text
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import deployment_link, incident_link, replace_ids_in_scope
from dora_metrics.core.statistics import SIGNIFICANCE_LEVEL
from dora_metrics.core.targets import goals, units
from dora_metrics.core.targets.benchmarks import Benchmark
from dora_metrics.core.targets.metric import METRICS, metric_of
from dora_metrics.core.windows import Window


class MetricRow(Struct, frozen=True):
    """One metric in the table of the job summary.

    `before`: the value of the previous window, with the verdict on the difference.
    """

    name: str
    value: Md
    level: str
    before: Md
    sample_size: str


def metric_rows(
    scope_metrics: schema.ScopeMetrics, verdicts: Mapping[str, str], benchmark: Benchmark
) -> list[MetricRow]:
    """Return the rows of a scope's five metrics. `verdicts`: by metric, `better`, `worse` or `no clear change`."""
    return [
        MetricRow(
            name=metric.label,
            value=value_with_uncertainty(result),
            level=level_text(result, benchmark),
            before=previous_value(metric.key, result, scope_metrics.previous, verdicts),
            sample_size=sample_size(result),
        )
        for metric in METRICS.values()
        for result in [metric.result_in(scope_metrics.metrics)]
    ]


METRIC_TITLES = {metric.key: metric.label for metric in METRICS.values()}


def value_with_uncertainty(result: schema.MetricVerdict) -> Md:
    """Return the deciding value with its p90 (lead time) or 95 % interval (rates)."""
    value = escape(units.format_result(result))
    match result:
        case schema.LeadTime() if p90 := units.format_p90(result):
            return md("**{}** (p90 {})", value, p90)
        case schema.ChangeFailureRate() | schema.ReworkRate() if interval := units.format_interval(result):
            return md("**{}** ({})", value, interval)
        case _:
            return md("**{}**", value) if value != formatting.NO_VALUE else value


class ShownLevel(Struct, frozen=True):
    """A level, with the lowest and the highest one that the data leave possible.

    `ladder`: the levels that there are, best first. `span` is None if there are too few values for an interval, so
    that any level is possible.
    """

    name: str
    span: schema.LevelSpan | None
    ladder: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether another level is possible. Where levels have colours, such a level is grey."""
        return self.span != (self.name, self.name)

    @property
    def others(self) -> str:
        """What else is possible, such as `elite`, `up to elite` or `medium to elite`; empty without a span."""
        match [end for end in self.span or () if end != self.name]:
            case [end]:
                steps_down = self.ladder.index(end) - self.ladder.index(self.name)
                return end if abs(steps_down) == 1 else f"{'down' if steps_down > 0 else 'up'} to {end}"
            case ends:
                return " to ".join(ends)

    @property
    def text(self) -> str:
        """Such as `high`, `high (possibly elite)`, `low (possibly up to high)` or `high (possibly medium to elite)`."""
        if self.span is None:
            return f"{self.name} (too few values to be sure)"
        if not self.is_open:
            return self.name
        return f"{self.name} (possibly {self.others})"


def shown_level(result: schema.MetricVerdict, benchmark: Benchmark) -> ShownLevel | None:
    """Return the level of a metric; None without one."""
    if result.level is None:
        return None
    return ShownLevel(result.level, result.level_span, benchmark.ladder(metric_of(result).key))


def level_text(result: schema.MetricVerdict, benchmark: Benchmark) -> str:
    """Return the level of a metric with its doubt, such as `high (possibly elite)`."""
    level = shown_level(result, benchmark)
    return level.text if level else formatting.NO_VALUE


def shown_overall_level(metrics: schema.Metrics, benchmark: Benchmark) -> ShownLevel | None:
    """Return the overall level; None without one.

    It is the lowest level of several metrics, so it could be as low as the lowest, and as high as the lowest of the
    highest, that their 95 % intervals reach. A metric with too few values for an interval could have any level.
    """
    overall = metrics.overall_level
    if overall is None:
        return None
    spans = [METRICS[key].result_in(metrics).level_span or benchmark.all_levels(key) for key in overall.rests_on]
    lowest, highest = (benchmark.lowest_level(levels) for levels in zip(*spans, strict=True))
    return ShownLevel(overall.level, (lowest, highest), benchmark.ladder())


def overall_level_name(metrics: schema.Metrics, benchmark: Benchmark) -> str:
    """Return the overall level with its doubt, such as `low (possibly up to high)`; empty without one."""
    level = shown_overall_level(metrics, benchmark)
    return level.text if level else ""


def overall_level_text(metrics: schema.Metrics, benchmark: Benchmark) -> str:
    """Return the overall level and the metrics that decide it; empty if there is none."""
    overall = metrics.overall_level
    if overall is None:
        return ""
    decisive = [key for key in overall.rests_on if METRICS[key].result_in(metrics).level == overall.level]
    labels = formatting.join_with_and([METRICS[key].label.lower() for key in decisive])
    name = overall_level_name(metrics, benchmark)
    others = len(overall.rests_on) - len(decisive)
    if len(decisive) == 1:
        rank = f"which has the lowest level of the {len(overall.rests_on)} metrics that have one"
    else:
        rank = f"which share the lowest level{f' of {len(overall.rests_on)} metrics' if others else ''}"
    return f"{name}, set by {labels}, {rank}"


def previous_value(
    key: str,
    result: schema.MetricVerdict,
    previous: schema.Metrics | None,
    verdicts: Mapping[str, str],
    format_value: Callable[[schema.MetricVerdict], str] = units.format_brief,
) -> Md:
    """Return a metric's value in the previous window, and the verdict on the difference to `result`."""
    if previous is None:
        return Md(formatting.NO_VALUE)
    previous_result = METRICS[key].result_in(previous)
    text, verdict = format_value(previous_result), verdicts.get(key)
    if verdict is None:
        return escape(text)
    if verdict == "no clear change":
        return md("{} · no clear change", text)
    return md("{} · {} **{}**", text, _arrow(result, previous_result), verdict)


def _arrow(result: schema.MetricVerdict, previous_result: schema.MetricVerdict) -> str:
    current, previous = (units.deciding_value(each) or 0.0 for each in (result, previous_result))
    return "↑" if current > previous else "↓"


def sample_size(result: schema.MetricVerdict) -> str:
    """Return the counts behind a result, or the reason why it has no value."""
    match result:
        case schema.DeploymentFrequency() if result.per_day is not None:
            days = f" on {formatting.count(result.deployment_days, 'day')}" if result.deployments else ""
            return formatting.count(result.deployments, "deployment") + days
        case schema.LeadTime() if result.p50_seconds is not None:
            return formatting.count(result.changes, "change") + excluded_text(result.excluded, " (excluded: {})")
        case schema.ChangeFailureRate() | schema.ReworkRate() if counts := units.count_of_total(result):
            return counts
        case schema.RecoveryTime() if result.p50_seconds is not None:
            return f"{result.recovered:,} recovered, {result.open:,} open"
        case _:
            return result.reason or ""


def excluded_text(excluded: schema.Excluded, template: str) -> str:
    """Return how many delivered changes lead time leaves out, by reason, put into `template`; empty if none."""
    counts = formatting.exclusion_counts(structs.asdict(excluded))
    return template.format(counts) if counts else ""


T = TypeVar("T")

_MAX_LINES = 10


class Derivation(Struct, frozen=True):
    """How the numbers of a scope were calculated: the window, a line per metric, failure and unmatched incident."""

    window: str
    metrics: list[Md]
    failures: list[Md]
    unmatched: list[Md]


def derive(history: ScopeHistory, scope_metrics: schema.ScopeMetrics, window: Window, policy: Policy) -> Derivation:
    """Return how the numbers of a scope in a window were calculated."""
    start, end = (formatting.date_time(moment, policy.zone) for moment in (window.start, window.end))
    scope = history.scope
    incidents = in_window(history.incidents, window, lambda attribution: attribution.incident.detected_at)
    unmatched = [attribution for attribution in incidents if not attribution.attributed_to]
    has_weekly_median = scope_metrics.metrics.deployment_frequency.median_deployment_days_per_week is not None
    start_note = _history_start_note(history, window, policy, has_weekly_median=has_weekly_median)
    return Derivation(
        window=f"{start} to {end} {policy.zone.key} "
        f"({formatting.days_or_hours(window.days)}; the end is not included); "
        f"repository {scope.repository}, service {scope.service}, environment {scope.environment}",
        metrics=[*start_note, *_metric_lines(scope_metrics.metrics, window, policy)],
        failures=_newest_lines(failures_in(history, window), lambda failure: _failed_deployment(failure, history)),
        unmatched=_newest_lines(unmatched, _unmatched_incident),
    )


def failed_count_text(metrics: schema.Metrics) -> str:
    """Return `1 of 4 failed`; where more are counted than the successes, of what: `1 of 2 attempts failed`."""
    rate, successes = metrics.change_failure_rate, metrics.deployment_frequency.deployments
    if rate.deployments == successes:
        counted = ""
    elif rate.deployments == successes + metrics.pipeline.failed_runs:
        counted = " attempts"
    else:
        counted = " that reached users"
    bound = "at least " if units.is_lower_bound(rate) else ""
    return f"{bound}{rate.failed:,} of {rate.deployments:,}{counted} failed"


def _history_start_note(
    history: ScopeHistory, window: Window, policy: Policy, *, has_weekly_median: bool
) -> Iterator[Md]:
    """Yield a note if records start inside the window: frequencies count all of its days, medians of weeks do not."""
    first = history.first_deployment_at
    earlier_days = days_before_records(first, window, policy.zone)
    if first and earlier_days:
        yield md(
            "**Records start on {}**, inside this window. {}, so they lower the frequency per day and per week.{}",
            formatting.date(first, policy.zone),
            earlier_days_text(earlier_days).capitalize(),
            Md(" Medians leave out the weeks before that date." if has_weekly_median else ""),
        )


def _failed_deployment(failure: Failure, history: ScopeHistory) -> Md:
    return md("{} {}", deployment_link(failure.deployment), failure_text(failure, history))


def _unmatched_incident(attribution: AttributedIncident) -> Md:
    incident = attribution.incident
    return md("{}: {}", incident_link(incident), attribution.because)


def failure_text(failure: Failure, history: ScopeHistory) -> Md:
    """Return rule, cause and end: ``(rule `rollback`): v1 was deployed again; recovered after 41 min (v1)``."""
    cause = link(replace_ids_in_scope(failure.because, history), failure.url)
    return md("(rule {}): {}; {}", code_span(failure.rule), cause, recovery_text(failure, history))


def _newest_lines(items: Sequence[T], to_line: Callable[[T], Md]) -> list[Md]:
    """Return a line for each of the newest items, the newest first. `items` are in order of time."""
    remainder = [md("and {} earlier", len(items) - _MAX_LINES)] if len(items) > _MAX_LINES else []
    return [*map(to_line, items[::-1][:_MAX_LINES]), *remainder]


def recovery_text(failure: Failure, history: ScopeHistory) -> str:
    """Return how a failure ended: `recovered after 41 min (v1)`, or `… (incident #456 resolved)`."""
    if failure.remediated_by is None:
        return "not recovered yet"
    if failure.recovery_seconds is None:
        return "no recovery time, because the recorded fix is earlier than the failure"
    return f"recovered after {formatting.duration(failure.recovery_seconds)} ({ending_text(failure, history)})"


def ending_text(failure: Failure, history: ScopeHistory) -> str:
    """Return what ended a failure: the name of a deployment, or `incident #456 resolved`; empty while it is open."""
    name = replace_ids_in_scope(failure.remediated_by or "", history)
    return f"incident {name} resolved" if failure.is_ended_by_incident else name


def _metric_lines(metrics: schema.Metrics, window: Window, policy: Policy) -> Iterator[Md]:
    yield _frequency_line(metrics.deployment_frequency, window)
    yield _lead_time_line(metrics.lead_time, policy)
    yield from _rate_lines(metrics)


def _frequency_line(frequency: schema.DeploymentFrequency, window: Window) -> Md:
    if frequency.per_day is None:
        return md("**Deployment frequency**: {}.", frequency.reason or formatting.NO_VALUE)
    count, days = formatting.count(frequency.deployments, "deployment"), formatting.days_or_hours(window.days)
    text = md("**Deployment frequency**: {} in {}. Runs that failed or were cancelled do not count.", count, days)
    median_days = frequency.median_deployment_days_per_week
    if median_days is None:
        return text
    return md("{} Deployment days per week (median): {}.", text, f"{median_days:g}")


def _lead_time_line(lead_time: schema.LeadTime, policy: Policy) -> Md:
    left_out = excluded_text(lead_time.excluded, " Excluded: {}.")
    if lead_time.p50_seconds is None:
        text = md("**Lead time**: {}.", lead_time.reason or formatting.NO_VALUE)
    else:
        text = md(
            "**Lead time**: median of {}, from {} to the end of the first successful production deployment that "
            "contains it.",
            formatting.count(lead_time.changes, "change"),
            LEAD_TIME_STARTS[policy.lead_time_start],
        )
    return join_non_empty(" ", (text, _bound(lead_time), md("{}", left_out), _stage_medians(lead_time)))


def _bound(result: schema.MetricVerdict) -> Md:
    reason = units.lower_bound_reason(result)
    return md("It may be higher, because {}.", reason) if reason else Md("")


LEAD_TIME_STARTS = {
    "first-commit": "a change's first commit",
    "commit": "each commit by itself",
    "opened": "the opening of the pull request",
    "merged": "the merge",
}
"""Where lead time starts, by value of the setting `lead-time-start`."""


def _stage_medians(lead_time: schema.LeadTime) -> Md:
    medians = median_seconds_by_stage(lead_time.stages)
    if not medians:
        return Md("")
    texts = [md("{} {}", STAGE_NAMES[stage], formatting.duration(seconds)) for stage, seconds in medians.items()]
    sentences = (
        md("Median of each stage: {}.", join_non_empty(", ", texts)),
        Md("Waiting for review is part of review.") if "pickup" in medians else Md(""),
    )
    return join_non_empty(" ", sentences)


def _rate_lines(metrics: schema.Metrics) -> Iterator[Md]:
    failures, recovery, rework = metrics.change_failure_rate, metrics.recovery_time, metrics.rework_rate
    deployments = formatting.count(failures.deployments, "deployment")
    text = md(
        "**Change failure rate**: {} in {} that reached users.",
        formatting.count(failures.failed, "failure"),
        deployments,
    )
    yield join_non_empty(" ", (text, _bound(failures)))
    yield md("**Recovery time**: {}.", _recovery_summary(recovery))
    repairs = formatting.count(rework.rework, "repair")
    text = md("**Rework rate**: {} in {} that reached users.", repairs, deployments)
    yield join_non_empty(" ", (text, _bound(rework)))
    yield from _other_numbers(metrics.incident_restore, metrics.pipeline)


def _recovery_summary(recovery: schema.RecoveryTime) -> str:
    if recovery.p50_seconds is None:
        return recovery.reason or formatting.NO_VALUE
    recovered = formatting.count(recovery.recovered, "failure")
    return f"median of {recovered} with a known recovery; {recovery.open:,} not recovered yet"


def _other_numbers(restore: schema.IncidentRestore, pipeline: schema.Pipeline) -> Iterator[Md]:
    """Yield incidents and failed runs, unless incidents are unknown."""
    if restore.incidents is None:
        return
    clauses = (
        _count_with_median(formatting.count(restore.incidents, "incident"), "time to restore", restore.p50_seconds),
        _count_with_median(
            formatting.count(pipeline.failed_runs, "failed run"), "pipeline recovery", pipeline.recovery_p50_seconds
        ),
    )
    yield md("Also recorded: {}.", join_non_empty("; ", clauses))


def _count_with_median(count: str, name: str, seconds: float | None) -> Md:
    return md("{}", count) if seconds is None else md("{} (median {} {})", count, name, formatting.duration(seconds))


class Hint(Struct, frozen=True):
    """A metric to improve: the evidence as text, and a line per recommended measure."""

    text: Md
    measures: tuple[Md, ...]


class OutlookText(Struct, frozen=True):
    """A scope's outlook as text. Each field is empty if there is nothing to report."""

    remarks: tuple[Md, ...]
    trends: Md
    goals: Md
    achievements: Md
    hints: tuple[Hint, ...]


def outlook_text(outlook: schema.Outlook) -> OutlookText:
    """Return the outlook of a scope as text."""
    goal_texts = (
        md("{} {}", METRICS[goal.metric].label.lower(), goals.describe_goal(goal, outlook.trends.get(goal.metric)))
        for goal in outlook.goals
    )
    goals_text = join_non_empty(" · ", goal_texts)
    achievements_text = join_non_empty(" · ", (md("{}", achievement) for achievement in outlook.achievements))
    return OutlookText(
        remarks=remarks_from(outlook),
        trends=trends_text(outlook),
        goals=md("Goals: {}.", goals_text) if goals_text else Md(""),
        achievements=md("Achievements: {}.", achievements_text) if achievements_text else Md(""),
        hints=hints_from(outlook),
    )


def remarks_from(outlook: schema.Outlook) -> tuple[Md, ...]:
    """Return what to look at, whatever the metrics are."""
    return tuple(md("⚠️ {}", remark) for remark in outlook.remarks)


def trends_text(outlook: schema.Outlook) -> Md:
    """Return the metrics with a significant trend (p < 0.05); empty if there are none."""
    trends = {
        key: trend for key, trend in outlook.trends.items() if trend.p < SIGNIFICANCE_LEVEL and trend.slope_per_week
    }
    if not trends:
        return Md("")
    week_count = max(trend.weeks for trend in trends.values())
    texts = join_non_empty(", ", (_trend_text(key, trend) for key, trend in trends.items()))
    return md("Trend over {}: {} (p < 0.05).", formatting.count(week_count, "week"), texts)


def _trend_text(key: str, trend: schema.Trend) -> Md:
    return md("{} **{}**", METRICS[key].label.lower(), trend_direction(key, trend))


def trend_direction(key: str, trend: schema.Trend) -> str:
    """Return `fell from about 32 h to about 21 h`; where these medians show no such trend, the slope of a week.

    The total change along the line is not stated, since it may be more than ever was there.
    """
    verb = "rose" if trend.slope_per_week > 0 else "fell"
    start, end = (units.format_weekly_value(key, value) for value in trend.ends)
    if start != end and (trend.ends[1] > trend.ends[0]) is (trend.slope_per_week > 0):
        return f"{verb} from about {start} to about {end}"
    step = units.format_weekly_step(key, trend.slope_per_week)
    return f"{verb} slightly" if step.startswith("0 ") else f"{verb} by about {step} from one week to the next"


def hints_from(outlook: schema.Outlook) -> tuple[Hint, ...]:
    """Return a hint for each metric to improve."""
    return tuple(_hint(advice) for advice in outlook.advice)


def _hint(advice: schema.Advice) -> Hint:
    reason = md("**{}** {}.", METRICS[advice.metric].label, advice.because)
    text = join_non_empty(" ", (reason, *(md("{}", sentence) for sentence in advice.evidence)))
    return Hint(text, tuple(md("{}, since {}.", measure.do, measure.because) for measure in advice.measures))


MAX_CHART_WEEKS = 12
_MIN_CHART_WEEKS = 2


class Chart(Struct, frozen=True):
    """A chart of the last weeks, and its numbers as a table because GitHub may fail to draw the chart.

    `mermaid`: source of the chart. `rows`: week, deployments, lead time, failed, recovery, rework and incidents, the
    newest week first. `note`: why some values are lower bounds; empty if none is.
    """

    title: str
    mermaid: Md
    rows: tuple[tuple[str, ...], ...]
    note: str


def weekly_chart(weeks: Sequence[schema.Week], history: ScopeHistory, policy: Policy) -> Chart | None:
    """Return the chart of the newest complete weeks, which come in order; None for fewer than two."""
    shown_weeks = weeks[-MAX_CHART_WEEKS:]
    if len(shown_weeks) < _MIN_CHART_WEEKS:
        return None
    bounds = [_lower_bounds(week, history, policy) for week in shown_weeks]
    rows = map(_chart_row, reversed(shown_weeks), reversed(bounds))
    title = f"The last {len(shown_weeks)} complete weeks, to {shown_weeks[-1].week}"
    return Chart(title, _mermaid_source(shown_weeks), tuple(rows), _bounds_note(shown_weeks, bounds))


_LowerBounds = frozenset[str]
"""Keys of the metrics whose value in a week may be higher than it is shown."""


def _lower_bounds(week: schema.Week, history: ScopeHistory, policy: Policy) -> _LowerBounds:
    measured = measured_changes_in(history, Window(week.start, week.end))
    lead_time = ("lead_time",) if is_lead_time_lower_bound(measured, policy) else ()
    return frozenset((*history.incomplete_rates, *lead_time))


def _bounds_note(weeks: Sequence[schema.Week], bounds: Sequence[_LowerBounds]) -> str:
    """Say what `≥` means, and why; empty if no value has it."""
    reasons = [
        metric.git_gap
        for metric in METRICS.values()
        if any(metric.key in keys and metric.weekly_value(week) for week, keys in zip(weeks, bounds, strict=True))
    ]
    return f"≥: at least. A git history {formatting.join_with_and(reasons)}." if reasons else ""


def _weekly_value(key: str, week: schema.Week, bounds: _LowerBounds, *, none_known: str) -> str:
    """Write a weekly value; `none_known` stands for a zero that may be higher."""
    value = METRICS[key].weekly_value(week)
    if value is None or key not in bounds:
        return units.format_value(key, value)
    return f"≥ {units.format_value(key, value)}" if value else none_known


def _mermaid_source(weeks: Sequence[schema.Week]) -> Md:
    """Return the source of the chart (https://mermaid.js.org/syntax/xyChart.html).

    `xychart-beta` is the keyword that both old and new versions of Mermaid read. The counts are in the labels of the
    weeks, because Mermaid lifts the zero of an axis with labels above the foot of the bars.
    """
    labels = join_non_empty(", ", (md('"{}: {}"', week.week.partition("-")[2], week.deployments) for week in weeks))
    counts = join_non_empty(", ", (md("{}", week.deployments) for week in weeks))
    axis_top = max(1, *(week.deployments for week in weeks))
    chart = 'xychart-beta\n  title "Deployments per week"\n  x-axis [{}]\n  y-axis 0 --> {}\n  bar [{}]'
    return join_non_empty("\n", (_MERMAID_THEME, md(chart, labels, axis_top, counts)))


_MERMAID_THEME = Md(
    '%%{init: {"xyChart": {"width": 800, "height": 300, "yAxis": {"showLabel": false, "showTick": false}}, '
    '"themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7"}}}}%%'
)
"""A bar colour visible on white and on black; the default one is nearly white."""


def _chart_row(week: schema.Week, bounds: _LowerBounds) -> tuple[str, ...]:
    return (
        week.week,
        str(week.deployments),
        _weekly_value("lead_time", week, bounds, none_known=units.NOT_MEASURABLE),
        _weekly_value("change_failure_rate", week, bounds, none_known=formatting.NO_VALUE),
        formatting.duration(week.recovery_p50_seconds),
        _weekly_value("rework_rate", week, bounds, none_known=formatting.NO_VALUE),
        formatting.NO_VALUE if week.incidents is None else str(week.incidents),
    )

"""Texts of the page about one scope in one window: metric cards, their details, outlook, security, definitions."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from dora_metrics.core import schema
from dora_metrics.core.formatting import NO_VALUE, count, duration, duration_setting
from dora_metrics.core.metrics.stages import median_seconds_by_stage
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.sections import (
    LEAD_TIME_STARTS,
    METRIC_TITLES,
    excluded_text,
    sample_size,
    shown_level,
    trend_direction,
)
from dora_metrics.core.reports.site.model import MetricCard
from dora_metrics.core.statistics import SIGNIFICANCE_LEVEL
from dora_metrics.core.targets import units
from dora_metrics.core.targets.benchmarks import Benchmark
from dora_metrics.core.targets.goals import describe_goal

HIGHEST_RANK = 4
"""The rank of the highest level, whatever the benchmark."""

DetailRows = list[tuple[str, str]]
"""Rows of a description list: term and text."""


def rank_of_level(name: str | None, benchmark: Benchmark) -> int | None:
    """Return the rank of a level in its benchmark, from 0 for the lowest to 4 for the highest."""
    if name is None:
        return None
    used_levels = {level for edges in benchmark.edges.values() for level, _ in edges}
    highest = max(benchmark.ranks[level] for level in used_levels)
    return round(benchmark.ranks[name] / highest * HIGHEST_RANK) if highest else HIGHEST_RANK


def build_cards(
    metrics: schema.Metrics,
    previous: schema.Metrics | None,
    verdicts: Mapping[str, str],
    benchmark: Benchmark,
    extra_details: Mapping[str, DetailRows] | None,
) -> list[MetricCard]:
    """Build the cards of the five metrics, in their order.

    Args:
        metrics: the numbers of the window.
        previous: those of the previous window, if there is one.
        verdicts: the comparison of the two, by metric.
        benchmark: the levels.
        extra_details: further details by metric; None for cards without any details.
    """
    cards = []
    for metric in METRIC_TITLES:
        verdict: schema.MetricVerdict = getattr(metrics, metric)
        level = shown_level(verdict, benchmark)
        has_value = units.format_result(verdict) != NO_VALUE
        cards.append(
            MetricCard(
                value=units.format_result(verdict),
                level=level.text if level else "",
                rank=None if level is None or level.is_open else rank_of_level(verdict.level, benchmark),
                interval=units.format_interval(verdict) if has_value else "",
                n=sample_size(verdict) if has_value else "",
                before=units.format_brief(getattr(previous, metric)) if previous else "",
                verdict=verdicts.get(metric, ""),
                reason="" if has_value else verdict.reason or "",
                details=[] if extra_details is None else _card_details(metric, metrics, extra_details),
            )
        )
    return cards


def _card_details(metric: str, metrics: schema.Metrics, extra_details: Mapping[str, DetailRows]) -> DetailRows:
    bound = units.lower_bound_reason(getattr(metrics, metric))
    bound_rows = [("May be higher", bound)] if bound else []
    return [*bound_rows, *_DETAILS[metric](metrics), *extra_details.get(metric, ())]


def _frequency_details(metrics: schema.Metrics) -> DetailRows:
    frequency = metrics.deployment_frequency
    if frequency.per_day is None:
        return []
    median_days = frequency.median_deployment_days_per_week
    return [
        ("Deployments", f"{frequency.deployments:,}"),
        ("Days with a deployment", f"{frequency.deployment_days:,}"),
        ("Deployment days per week (median)", NO_VALUE if median_days is None else f"{median_days:g}"),
        ("Failed runs", f"{metrics.pipeline.failed_runs:,}"),
        ("Pipeline recovery (median)", duration(metrics.pipeline.recovery_p50_seconds)),
    ]


def _lead_time_details(metrics: schema.Metrics) -> DetailRows:
    lead_time = metrics.lead_time
    if lead_time.p50_seconds is None:
        return []
    quantiles = (("p75", lead_time.p75_seconds), ("p90", lead_time.p90_seconds))
    medians = median_seconds_by_stage(lead_time.stages)
    stages = (
        ("Coding (median)", medians.get("coding")),
        ("Waiting for review (median)", medians.get("pickup")),
        ("Review, including the wait (median)", medians.get("review")),
        ("Waiting for deployment (median)", medians.get("delivery")),
    )
    left_out_text = excluded_text(lead_time.excluded, "{}")
    return [
        *((term, duration(seconds)) for term, seconds in quantiles),
        *((term, duration(seconds)) for term, seconds in stages),
        *([("Excluded", left_out_text)] if left_out_text else []),
    ]


def _failure_rate_details(metrics: schema.Metrics) -> DetailRows:
    failure_rate, pipeline = metrics.change_failure_rate, metrics.pipeline
    if failure_rate.ratio is None:
        return []
    return [
        ("Failed", f"{failure_rate.failed:,}"),
        ("Reached users", f"{failure_rate.deployments:,}"),
        ("Failed runs", f"{pipeline.failed_runs:,}"),
    ]


def _recovery_details(metrics: schema.Metrics) -> DetailRows:
    recovery, restore = metrics.recovery_time, metrics.incident_restore
    details: DetailRows = []
    if recovery.p50_seconds is not None:
        details = [("p90", duration(recovery.p90_seconds)), ("Mean", duration(recovery.mean_seconds))]
    if restore.incidents is not None and (restore.incidents or restore.resolved):
        details += [
            ("Incidents", f"{restore.incidents:,} ({restore.open:,} open)"),
            ("Time to restore (median)", duration(restore.p50_seconds)),
        ]
    return details


def _rework_details(metrics: schema.Metrics) -> DetailRows:
    rework = metrics.rework_rate
    if rework.ratio is None:
        return []
    return [("Rework deployments", f"{rework.rework:,}"), ("Reached users", f"{rework.deployments:,}")]


_DETAILS = {
    "deployment_frequency": _frequency_details,
    "lead_time": _lead_time_details,
    "change_failure_rate": _failure_rate_details,
    "recovery_time": _recovery_details,
    "rework_rate": _rework_details,
}


def goal_details(outlook: schema.Outlook) -> dict[str, DetailRows]:
    """Return the goals, as details of the cards of their metrics."""
    details: dict[str, DetailRows] = {metric: [] for metric in METRIC_TITLES}
    for goal in outlook.goals:
        details[goal.metric].append(("Goal", describe_goal(goal, outlook.trends.get(goal.metric))))
    return details


def trend_sentences(outlook: schema.Outlook, week_count: int) -> list[str]:
    """Return a sentence about the trend of each metric, in their order; empty for a metric without one.

    `week_count`: the weeks that the trends look at. A metric may have no value in some of them.
    """
    return [_trend_sentence(metric, outlook.trends.get(metric), week_count) for metric in METRIC_TITLES]


def _trend_sentence(metric: str, trend: schema.Trend | None, week_count: int) -> str:
    if trend is None:
        return ""
    weeks = count(week_count, "week") + (f" ({trend.weeks} with a value)" if trend.weeks < week_count else "")
    if trend.p >= SIGNIFICANCE_LEVEL or not trend.slope_per_week:
        return f"Trend over {weeks}: no clear change."
    return f"Trend over {weeks}: {trend_direction(metric, trend)}."


def outlook_lists(outlook: schema.Outlook) -> Iterator[tuple[str, list[str]]]:
    """Yield title and sentences of the remarks, of each piece of advice, then of the achievements."""
    if outlook.remarks:
        yield "Look at this first", list(outlook.remarks)
    for advice in outlook.advice:
        recommendations = [f"{measure.do}, since {measure.because}." for measure in advice.measures]
        yield f"{METRIC_TITLES[advice.metric]} {advice.because}.", [*advice.evidence, *recommendations]
    if outlook.achievements:
        yield "Achievements", list(outlook.achievements)


def security_rows(metrics: schema.Metrics) -> Iterator[tuple[str, str]]:
    """Yield a row for each severity that the scope ever had a vulnerability of."""
    for severity, counts in metrics.security.items():
        after = f", fixed after {duration(counts.remediation_p50_seconds)} (median)" if counts.fixed else ""
        text = f"{counts.detected:,} found, {counts.fixed:,} fixed{after}, {counts.open:,} open"
        yield f"Vulnerabilities, {severity}", text


class MetricDefinition(NamedTuple):
    """How the page explains a metric: what its chart draws, what the metric means, and how to read the chart."""

    metric: str
    title: str
    chart: str
    meaning: str
    reading: str


_DEPLOYMENT_DOTS = "Each grey dot is a deployment, at the median lead time of its changes. The scale is logarithmic."
_RATE_LINE = "Each point on the line is the rate over four weeks: its own week and the three before it."


def metric_definitions(policy: Policy) -> list[MetricDefinition]:
    """Define the five metrics, in their order, by the settings that they are computed with."""
    meanings = (
        (
            "Deployments per week",
            "Production deployments that finished in the window. Runs that failed or were cancelled do not count.",
            "Each bar is one week. The hatched part counts as failed in the change failure rate.",
        ),
        (
            "Median lead time of each week",
            _lead_time_text(policy),
            (
                f"{_DEPLOYMENT_DOTS} The stages chart and the stages in the table are means. In both, review does not "
                "include waiting for review."
            ),
        ),
        (
            "Share of deployments that failed",
            _failure_rate_text(policy),
            f"{_failure_rules_text(policy)} {_RATE_LINE} Each cross is a deployment that failed.",
        ),
        (
            "Median recovery time of each week",
            "From the end of a failed deployment to the end of its incident, or of the deployment that fixed it.",
            "Each cross is a failed deployment. An open failure has no recovery time yet, so the median leaves it out.",
        ),
        (
            "Share of deployments that were rework",
            "Unplanned deployments that repaired production, divided by all deployments that reached users.",
            (
                "Rework is a rollback, a revert, a hotfix, or the recorded fix of an incident or failed deployment. "
                f"{_RATE_LINE} Rework has no levels."
            ),
        ),
    )
    return [
        MetricDefinition(name, title, *meaning)
        for (name, title), meaning in zip(METRIC_TITLES.items(), meanings, strict=True)
    ]


def _lead_time_text(policy: Policy) -> str:
    start = LEAD_TIME_STARTS[policy.lead_time_start]
    return f"From {start} to the end of the first successful production deployment that contains it."


def _failure_rate_text(policy: Policy) -> str:
    failed_runs = " or whose run failed" if policy.count_failed_runs else ""
    text = f"Failed deployments divided by all production deployments that reached users{failed_runs}."
    return f"{text} Each deployment counts as failed at most once."


_FAILURE_RULE_TEXTS: dict[str, Callable[[Policy], str]] = {
    "explicit": lambda _: "an incident names it",
    "rollback": lambda _: "it was rolled back",
    "revert": lambda _: "one of its changes was reverted",
    "hotfix": lambda policy: f"a hotfix followed within {duration_setting(policy.hotfix_window)}",
    "incident": lambda policy: f"an incident was detected within {duration_setting(policy.incident_window)} after it",
    "health-check": lambda _: "its health check failed",
}


def _failure_rules_text(policy: Policy) -> str:
    rule_texts = [describe(policy) for rule, describe in _FAILURE_RULE_TEXTS.items() if rule in policy.failure_rules]
    rule_texts.append("its run failed" if policy.count_failed_runs else "its run failed after reaching users")
    last = rule_texts.pop()
    if not rule_texts:
        return f"A deployment failed if {last}."
    comma = "," if len(rule_texts) > 1 else ""
    return f"A deployment failed if {', '.join(rule_texts)}{comma} or {last}."

"""The five metrics of a scope in one window, in words.

What each number means, in plain words, by the settings that it was computed with.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from dora_metrics.core import formatting, schema
from dora_metrics.core.formatting import count, duration
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.sections import NAMES, STARTS, left_out, level, n, plain
from dora_metrics.core.reports.site.model import Card
from dora_metrics.core.statistics import SIGNIFICANT
from dora_metrics.core.targets.benchmarks import Benchmark
from dora_metrics.core.targets.goals import sentence
from dora_metrics.core.targets.units import shown, step

TOP = 4
"""The highest step of a rank, whatever the benchmark."""

Details = list[tuple[str, str]]
"""Terms, and what there is to say about each."""


def rank(name: str | None, benchmark: Benchmark) -> int | None:
    """Where a level stands in its benchmark: from 0 for the lowest to 4 for the highest."""
    if name is None:
        return None
    used = {level for edges in benchmark.edges.values() for level, _ in edges}
    highest = max(benchmark.ranks[level] for level in used)
    return round(benchmark.ranks[name] / highest * TOP) if highest else TOP


def cards(
    found: schema.Metrics,
    previous: schema.Metrics | None,
    verdicts: Mapping[str, str],
    benchmark: Benchmark,
    further: Mapping[str, Details] | None,
) -> list[Card]:
    """A card a metric, in their order; `further`: what else is said of each, None for cards without details."""
    made = []
    for name in NAMES:
        part: schema.Judged = getattr(found, name)
        known = plain(part) != formatting.NOTHING
        made.append(
            Card(
                value=plain(part),
                level=level(part) if part.level else "",
                rank=rank(part.level, benchmark),
                interval=interval(name, part) if known else "",
                n=n(part) if known else "",
                before=plain(getattr(previous, name)) if previous else "",
                verdict=verdicts.get(name, ""),
                reason="" if known else part.reason or "",
                details=[] if further is None else [*_DETAILS[name](found), *further.get(name, ())],
            )
        )
    return made


def interval(name: str, part: schema.Judged) -> str:
    """The 95 % interval in the metric's own words."""
    return formatting.between(*(shown(name, end) for end in part.interval95)) if part.interval95 else ""


def _frequency(found: schema.Metrics) -> Details:
    part = found.deployment_frequency
    if part.per_day is None:
        return []
    median = part.median_deployment_days_per_week
    return [
        ("Successful deployments", f"{part.deployments:,}"),
        ("Days with one", f"{part.deployment_days:,}"),
        ("Such days in a whole week, median", formatting.NOTHING if median is None else f"{median:g}"),
        ("Runs that failed", f"{found.pipeline.failed_runs:,}"),
        ("Until the next success, median", duration(found.pipeline.recovery_p50_seconds)),
    ]


def _lead_time(found: schema.Metrics) -> Details:
    part = found.lead_time
    if part.p50_seconds is None:
        return []
    quantiles = (("Three quarters below", part.p75_seconds), ("Nine tenths below", part.p90_seconds))
    stages = (
        ("Coding, median", part.stages.coding),
        ("Waiting for review, median", part.stages.pickup),
        ("Review, median", part.stages.review),
        ("Waiting for deployment, median", part.stages.delivery),
    )
    left = left_out(part.excluded, "{}")
    return [
        *((term, duration(seconds)) for term, seconds in quantiles),
        *((term, duration(stage.p50_seconds)) for term, stage in stages),
        *([("Left out", left)] if left else []),
    ]


def _failure_rate(found: schema.Metrics) -> Details:
    part, pipeline = found.change_failure_rate, found.pipeline
    if part.ratio is None:
        return []
    return [
        ("Failed", f"{part.failed:,}"),
        ("Reached users", f"{part.deployments:,}"),
        ("Runs that failed before that", f"{pipeline.failed_runs:,}"),
    ]


def _recovery(found: schema.Metrics) -> Details:
    part, restore = found.recovery_time, found.incident_restore
    known: Details = []
    if part.p50_seconds is not None:
        known = [("Nine tenths below", duration(part.p90_seconds)), ("Mean", duration(part.mean_seconds))]
    if restore.incidents or restore.resolved:
        known += [
            ("Incidents", f"{restore.incidents:,} ({restore.open:,} open)"),
            ("Time to restore, median", duration(restore.p50_seconds)),
        ]
    return known


def _rework(found: schema.Metrics) -> Details:
    part = found.rework_rate
    if part.ratio is None:
        return []
    return [("Repairs", f"{part.rework:,}"), ("Reached users", f"{part.deployments:,}")]


_DETAILS = {
    "deployment_frequency": _frequency,
    "lead_time": _lead_time,
    "change_failure_rate": _failure_rate,
    "recovery_time": _recovery,
    "rework_rate": _rework,
}


def prospects(found: schema.Outlook) -> dict[str, Details]:
    """Trends beyond chance and goals, by metric."""
    told: dict[str, Details] = {name: [] for name in NAMES}
    for name, one in found.trends.items():
        told[name].append(("Trend", _trend(name, one)))
    for goal in found.goals:
        told[goal.metric].append(("Goal", sentence(goal)))
    return told


def _trend(name: str, one: schema.Trend) -> str:
    if one.p >= SIGNIFICANT or not one.slope_per_week:
        return f"none beyond chance in {count(one.weeks, 'week')}"
    return f"{'rose' if one.change > 0 else 'fell'} by {step(name, one.change)} in {count(one.weeks, 'week')}"


def outlook(found: schema.Outlook) -> Iterator[tuple[str, list[str]]]:
    """What holds a scope back and what helps; what is worth a mention."""
    for one in found.advice:
        helps = [f"{measure.do}, since {measure.because}." for measure in one.measures]
        yield f"{NAMES[one.metric]}: {one.because}.", [*one.evidence, *helps]
    if found.achievements:
        yield "Worth a mention", list(found.achievements)


def security(found: schema.Metrics) -> Iterator[tuple[str, str]]:
    """A line for each severity that was ever seen."""
    for severity, one in found.security.items():
        fixed = f", fixed after {duration(one.remediation_p50_seconds)} (median)" if one.fixed else ""
        yield f"Vulnerabilities, {severity}", f"{one.detected:,} found, {one.fixed:,} fixed{fixed}, {one.open:,} open"


class Definition(NamedTuple):
    """A metric's name, what its chart draws, what it means, and how to read the chart."""

    metric: str
    title: str
    chart: str
    meaning: str
    reading: str


def definitions(policy: Policy) -> list[Definition]:
    """The five, in their order."""
    meanings = (
        (
            "Deployments a week",
            "Successful production deployments that finished in the window.",
            "Cancelled runs count nowhere. A bar is a week's deployments; the hatched part of it failed.",
        ),
        (
            "Median lead time of a week",
            f"From {STARTS[policy.lead_time_start]} to the end of the first successful production deployment with it.",
            "Each dot is a deployment at the median of its changes. The scale is logarithmic.",
        ),
        (
            "Share of a week's deployments that failed",
            f"Failed deployments of all production deployments that {_counted(policy)}; each fails at most once.",
            f"{_failing(policy)} Each cross is one that failed.",
        ),
        (
            "Median recovery time of a week",
            "From the end of a failed deployment to the end of its incident, or of the deployment that repaired it.",
            "What is still open is counted, and in no median. Each cross is a failed deployment at its own time.",
        ),
        (
            "Share of a week's deployments that were repairs",
            "Unplanned deployments made to repair production, of all that reached users.",
            "Rollbacks, reverts, hotfixes, and those linked as a fix; each dot is one. There are no published levels.",
        ),
    )
    return [Definition(name, title, *meaning) for (name, title), meaning in zip(NAMES.items(), meanings, strict=True)]


def _counted(policy: Policy) -> str:
    return "reached users, and of runs that failed before they did" if policy.count_failed_runs else "reached users"


_MARKS: dict[str, Callable[[Policy], str]] = {
    "explicit": lambda _: "an incident names it",
    "rollback": lambda _: "it was rolled back",
    "revert": lambda _: "a change of it was reverted",
    "hotfix": lambda policy: f"a hotfix followed within {formatting.duration(policy.hotfix_window.total_seconds())}",
    "incident": lambda policy: (
        f"an incident began within {formatting.duration(policy.incident_window.total_seconds())} after it"
    ),
    "health-check": lambda _: "its health check failed",
}


def _failing(policy: Policy) -> str:
    marks = [mark(policy) for rule, mark in _MARKS.items() if rule in policy.failure_rules]
    if policy.count_failed_runs:
        marks.append("its run failed")
    if not marks:
        return "All rules that mark a deployment as failed are switched off."
    return f"One failed if {', '.join(marks[:-1])}{' or ' if len(marks) > 1 else ''}{marks[-1]}."

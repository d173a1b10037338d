"""The table of five metrics.

How the numbers of a report were made: window, numerators, denominators, rules, evidence.

A scope's outlook in words for the summary: short, and only what is clear.

The last weeks as a Mermaid chart, and the same numbers as a table, since GitHub may fail to draw the chart.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dora_metrics.core import formatting, schema
from dora_metrics.core.failures.incidents import Placed
from dora_metrics.core.failures.judge import Failure
from dora_metrics.core.markdown import Md, escape, joined, link, md
from dora_metrics.core.metrics.calculate import failures_in
from dora_metrics.core.metrics.scope_history import Record, cut
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import name, readable
from dora_metrics.core.statistics import SIGNIFICANT
from dora_metrics.core.targets import goals, units
from dora_metrics.core.windows import Window


@dataclass(frozen=True)
class Row:
    """One metric: its value, its level, the window before with what the change is worth, and its n."""

    name: str
    value: Md
    level: str
    before: Md
    n: str


def rows(scope: schema.ScopeMetrics, verdicts: Mapping[str, str]) -> list[Row]:
    """The five metrics of a scope; `verdicts` by metric say whether a change is clear."""
    found, previous = scope.metrics, scope.previous
    return [
        Row(title, show(part), level(part), before(name, part, previous, verdicts), n(part))
        for name, title in NAMES.items()
        for part in [getattr(found, name)]
    ]


NAMES = {
    "deployment_frequency": "Deployment frequency",
    "lead_time": "Lead time for changes",
    "change_failure_rate": "Change failure rate",
    "recovery_time": "Recovery time",
    "rework_rate": "Rework rate",
}


def plain(part: schema.Judged) -> str:
    """The deciding value in words."""
    match part:
        case schema.DeploymentFrequency():
            return formatting.frequency(part.per_day)
        case schema.ChangeFailureRate() | schema.ReworkRate():
            return formatting.percent(part.ratio)
        case schema.LeadTime() | schema.RecoveryTime():
            return formatting.duration(part.p50_seconds)
        case _:
            raise TypeError(part)


def show(part: schema.Judged) -> Md:
    """The deciding value, and beside it the one figure that says how far to trust it."""
    value = escape(plain(part))
    match part:
        case schema.LeadTime() if part.p50_seconds is not None:
            return md("**{}** (p90 {})", value, formatting.duration(part.p90_seconds))
        case schema.ChangeFailureRate() | schema.ReworkRate() if part.ratio is not None:
            return md("**{}** ({})", value, formatting.band(part.interval95))
        case _:
            return Md(f"**{value}**") if value != formatting.NOTHING else value


def level(part: schema.Judged) -> str:
    """`high, could be elite to medium` where the interval does not decide it."""
    if part.level is None:
        return formatting.NOTHING
    if part.level_span is None:
        return f"{part.level}, too few to be sure"
    lowest, highest = part.level_span
    match part.level == lowest, part.level == highest:
        case True, True:
            return part.level
        case True, False:
            return f"{part.level}, could be up to {highest}"
        case False, True:
            return f"{part.level}, could be down to {lowest}"
        case _:
            return f"{part.level}, could be {highest} to {lowest}"


def before(
    name: str,
    part: schema.Judged,
    previous: schema.Metrics | None,
    verdicts: Mapping[str, str],
    shown: Callable[[schema.Judged], str] = plain,
) -> Md:
    """The value of the window before, `shown` in words, and what the change to `part` is worth."""
    if previous is None:
        return Md(formatting.NOTHING)
    earlier = getattr(previous, name)
    verdict = verdicts.get(name)
    if verdict is None:
        return escape(shown(earlier))
    if verdict == "no clear change":
        return md("{} · no clear change", shown(earlier))
    return md("{} · {} **{}**", shown(earlier), _arrow(part, earlier), verdict)


def _arrow(part: schema.Judged, earlier: schema.Judged) -> str:
    return "↑" if deciding(part) > deciding(earlier) else "↓"


def deciding(part: schema.Judged) -> float:
    """The deciding value of a metric that has one."""
    for key in ("per_day", "p50_seconds", "ratio"):
        value = getattr(part, key, None)
        if value is not None:
            return float(value)
    raise ValueError("no value")


def n(part: schema.Judged) -> str:
    match part:
        case schema.DeploymentFrequency() if part.per_day is not None:
            return (
                f"{formatting.count(part.deployments, 'deployment')} on {formatting.count(part.deployment_days, 'day')}"
            )
        case schema.LeadTime() if part.p50_seconds is not None:
            return formatting.count(part.changes, "change") + left_out(part.excluded, " ({} left out)")
        case schema.ChangeFailureRate() if part.ratio is not None:
            return f"{part.failed} of {part.deployments}"
        case schema.ReworkRate() if part.ratio is not None:
            return f"{part.rework} of {part.deployments}"
        case schema.RecoveryTime() if part.p50_seconds is not None:
            return f"{part.recovered} recovered, {part.open} open"
        case _:
            return part.reason or ""


def left_out(excluded: schema.Excluded, wrap: str) -> str:
    """Which delivered changes are in no lead time, wrapped; empty without any."""
    said = [text.format(count) for reason, text in formatting.LEFT_OUT.items() if (count := getattr(excluded, reason))]
    return wrap.format(", ".join(said)) if said else ""


T = TypeVar("T")

_MOST = 10


@dataclass(frozen=True)
class Making:
    """One line about the window, one a metric, one a failure, one an incident without a deployment."""

    window: str
    metrics: list[Md]
    failures: list[Md]
    unmatched: list[Md]


def making(record: Record, scope: schema.ScopeMetrics, window: Window, policy: Policy) -> Making:
    """The derivation of a scope's numbers."""
    start, end = (formatting.minute(moment, policy.zone) for moment in (window.start, window.end))
    unmatched = [one for one in cut(record.incidents, window, lambda one: one.incident.detected_at) if not one.blamed]
    return Making(
        window=f"{start} – {end} {policy.zone.key}, half-open: {window.days:g} days; "
        f"scope {record.scope.repository}, service {record.scope.service}, environment {record.scope.environment}",
        metrics=[*_known_since(record, window, policy), *_metrics(scope.metrics, window, policy)],
        failures=_most(failures_in(record, window), lambda one: md("{} {}", name(one.deployment), failed(one, record))),
        unmatched=_most(unmatched, _unmatched),
    )


def _known_since(record: Record, window: Window, policy: Policy) -> Iterator[Md]:
    """Where the window is older than what is known, since a frequency is of the whole window."""
    if record.began and window.start < record.began:
        since = formatting.day(record.began, policy.zone)
        yield md("**Known since {}**: the days before it count as days without a deployment.", since)


def _unmatched(one: Placed) -> Md:
    return md("{}: {}", link(one.incident.title or one.incident.id, one.incident.url), one.because)


def failed(failure: Failure, record: Record) -> Md:
    """By which rule, because of what, and how it ended: `` by `rollback`: v1 was deployed again; over … ``."""
    because = link(readable(failure.because, record), failure.url)
    end = readable(_end(failure.seconds, failure.remediated_by), record)
    return md("by `{}`: {}; {}", Md(failure.rule), because, end)


def _most(found: Sequence[T], told: Callable[[T], Md]) -> list[Md]:
    more = [Md(f"and {len(found) - _MOST} more")] if len(found) > _MOST else []
    return [*map(told, found[:_MOST]), *more]


def _end(seconds: float | None, by: str | None) -> str:
    if seconds is None:
        return "still open" if by is None else "its recorded end lies before it"
    return f"over after {formatting.duration(seconds)} ({by})"


def _metrics(found: schema.Metrics, window: Window, policy: Policy) -> Iterator[Md]:
    frequency, lead = found.deployment_frequency, found.lead_time
    median = frequency.median_deployment_days_per_week
    yield md(
        "**Deployment frequency**: {} in {} days. Median of days with a deployment in a complete week: {}.",
        formatting.count(frequency.deployments, "successful deployment"),
        f"{window.days:g}",
        formatting.NOTHING if median is None else f"{median:g}",
    )
    yield md(
        "**Lead time**: median over {}, from {} to the end of the first successful production deployment with it{}.{}",
        formatting.count(lead.changes, "change"),
        STARTS[policy.lead_time_start],
        left_out(lead.excluded, "; left out: {}"),
        _stages(lead),
    )
    yield from _rates(found)


STARTS = {
    "first-commit": "a change's first commit",
    "commit": "each commit by itself",
    "opened": "the opening of the pull request",
    "merged": "the merge",
}
"""Where lead time starts, by the names of the setting."""


def _stages(lead: schema.LeadTime) -> Md:
    known = [(stage, getattr(lead.stages, stage).p50_seconds) for stage in ("coding", "pickup", "review", "delivery")]
    shown = [md("{} {}", stage, formatting.duration(seconds)) for stage, seconds in known if seconds is not None]
    return Md(f" Medians of its stages: {joined(', ', shown)}." if shown else "")


def _rates(found: schema.Metrics) -> Iterator[Md]:
    failed, recovery, rework = found.change_failure_rate, found.recovery_time, found.rework_rate
    yield md("**Change failure rate**: {} failed / {} that reached users.", failed.failed, failed.deployments)
    yield md("**Recovery time**: median over {} recovered; {} open.", recovery.recovered, recovery.open)
    yield md(
        "**Rework rate**: {} that repaired production / {} that reached users.",
        rework.rework,
        rework.deployments,
    )
    restore, pipeline = found.incident_restore, found.pipeline
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
class Prospects:
    """Each empty where there is nothing to say."""

    trends: Md
    goals: Md
    achievements: Md
    hints: tuple[Hint, ...]


def prospects(found: schema.Outlook) -> Prospects:
    """The outlook of one scope in words."""
    aims = joined(" · ", (md("{} {}", NAMES[goal.metric].lower(), goals.sentence(goal)) for goal in found.goals))
    worth = joined(" · ", (md("{}", one) for one in found.achievements))
    return Prospects(
        trends=trends(found),
        goals=Md(f"Goals: {aims}." if aims else ""),
        achievements=Md(f"Worth a mention: {worth}." if worth else ""),
        hints=hints(found),
    )


def trends(found: schema.Outlook) -> Md:
    """The metrics whose weeks go one way beyond chance; the others are not mentioned."""
    clear = {name: one for name, one in found.trends.items() if one.p < SIGNIFICANT and one.slope_per_week}
    if not clear:
        return Md("")
    weeks = max(one.weeks for one in clear.values())
    said = joined(", ", (_way(name, one.change) for name, one in clear.items()))
    return md("Over {}, beyond chance (p < 0.05): {}.", formatting.count(weeks, "week"), said)


def _way(name: str, change: float) -> Md:
    rose = "rose" if change > 0 else "fell"
    return md("{} **{} by {}**", NAMES[name].lower(), rose, units.step(name, change))


def hints(found: schema.Outlook) -> tuple[Hint, ...]:
    """What is known about each metric that holds back."""
    return tuple(_hint(one) for one in found.advice)


def _hint(one: schema.Advice) -> Hint:
    text = joined(" ", (md("**{}**: {}.", NAMES[one.metric], one.because), *(md("{}", said) for said in one.evidence)))
    return Hint(text, tuple(md("{}, since {}.", measure.do, measure.because) for measure in one.measures))


WEEKS = 12
_FEWEST = 2


@dataclass(frozen=True)
class Chart:
    """`mermaid`: the source of the chart.

    `rows`: week, deployments, lead time, failed, recovery, rework, incidents; the newest first.
    """

    title: str
    mermaid: Md
    rows: tuple[tuple[str, ...], ...]


def chart(weeks: Sequence[schema.Week]) -> Chart | None:
    """The newest of some complete weeks in order; None where one alone, or none, would be shown."""
    shown = weeks[-WEEKS:]
    if len(shown) < _FEWEST:
        return None
    return Chart(f"{len(shown)} weeks to {shown[-1].week}", _mermaid(shown), tuple(map(_row, reversed(shown))))


def _mermaid(weeks: Sequence[schema.Week]) -> Md:
    """https://mermaid.js.org/syntax/xyChart.html, in the spelling that old and new versions read."""
    names = ", ".join(f'"{week.week.partition("-")[2]}"' for week in weeks)
    counts = ", ".join(str(week.deployments) for week in weeks)
    highest = max(_LOWEST_TOP, *(week.deployments for week in weeks))
    axes = f"  x-axis [{names}]\n  y-axis 0 --> {highest}\n  bar [{counts}]"
    return Md(f'{_LOOK}\nxychart-beta\n  title "Deployments a week"\n{axes}')


_LOWEST_TOP = 8
"""Below it Mermaid marks halves of deployments on the axis."""

_LOOK = (
    '%%{init: {"xyChart": {"width": 800, "height": 300}, '
    '"themeVariables": {"xyChart": {"plotColorPalette": "#2f81f7"}}}}%%'
)
"""A colour that can be seen on white and on black, where the usual one is all but white."""


def _row(week: schema.Week) -> tuple[str, ...]:
    return (
        week.week,
        str(week.deployments),
        formatting.duration(week.lead_time_p50_seconds),
        formatting.percent(week.change_failure_ratio),
        formatting.duration(week.recovery_p50_seconds),
        formatting.percent(week.rework_ratio),
        str(week.incidents),
    )

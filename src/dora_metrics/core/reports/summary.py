"""What a run has to say, in words; templates only loop over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dora_metrics.core import formatting, schema
from dora_metrics.core.markdown import Md, link, md
from dora_metrics.core.metrics import security
from dora_metrics.core.metrics.results import Results, compare_with_previous
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.weekly import complete_weeks, trend_window
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.reports.event_story import EventInfo, EventStory, StoryContext, describe_event
from dora_metrics.core.reports.sections import (
    METRIC_TITLES,
    Chart,
    Derivation,
    MetricRow,
    OutlookText,
    derive,
    metric_rows,
    outlook_text,
    weekly_chart,
)
from dora_metrics.core.scope import Scope, scope_label
from dora_metrics.core.targets.thresholds import Violation

_MAX_OTHER_SCOPES = 200


@dataclass(frozen=True)
class OtherScope:
    """One line about a scope that the event is not about, its name linked to the repository."""

    name: Md
    cells: tuple[str, ...]


@dataclass(frozen=True)
class SummaryReport:
    """A summary, ready to be rendered; plain texts are untrusted, `Md` is not."""

    story: EventStory
    heading: str
    previous_heading: str
    benchmark: str
    alarms: Sequence[Md] = ()
    rows: Sequence[MetricRow] = ()
    overall: str = ""
    slowest_stage: Md | None = None
    outlook: OutlookText | None = None
    chart: Chart | None = None
    other_scopes: Sequence[OtherScope] = ()
    omitted_scope_count: int = 0
    outcomes: Sequence[Outcome] = ()
    making: Derivation | None = None
    notes: Sequence[str] = field(default=())


def build(
    results: Results,
    main_scope: Scope | None,
    event: EventInfo | None,
    results_before_event: Results | None,
    outcomes: Sequence[Outcome] = (),
) -> SummaryReport:
    """The report about one scope and, in a line each, all others.

    Args:
        subject: the numbers.
        main: the scope that the event is about; None where there is none yet.
        happening: the event; None for a report that no event started.
        earlier: the numbers without this event's facts, to say what it changed.
        told: how the effects of the run went.
    """
    history = next((history for history in results.evaluation.histories if history.scope == main_scope), None)
    scope_metrics = results.metrics_of(main_scope) if main_scope else None
    metrics_before_event = results_before_event.metrics_of(main_scope) if results_before_event and main_scope else None
    security_sentence = security.security_sentence(history.vulnerabilities, results.window) if history else ""
    window_text = results.window_text
    context = StoryContext(history, scope_metrics, metrics_before_event, results.policy, window_text, security_sentence)
    story = describe_event(event, context)
    if history is None or scope_metrics is None:
        document = results.document
        return SummaryReport(story, window_text, "", document.benchmark, outcomes=outcomes, notes=document.notes)
    histories = {history.scope: history for history in results.evaluation.histories}
    other_scopes = [_other_scope(other, histories) for other in results.document.scopes if other is not scope_metrics]
    return SummaryReport(
        story=story,
        heading=f"{window_text}, {scope_label(history.scope)}",
        previous_heading=_previous_heading(results),
        benchmark=results.document.benchmark,
        rows=metric_rows(scope_metrics, compare_with_previous(results, history, scope_metrics)),
        overall=overall_level_text(scope_metrics),
        slowest_stage=_slowest_stage_text(scope_metrics),
        outlook=outlook_text(scope_metrics.outlook),
        chart=weekly_chart(_chart_weeks(history, results)),
        other_scopes=other_scopes[:_MAX_OTHER_SCOPES],
        omitted_scope_count=len(other_scopes[_MAX_OTHER_SCOPES:]),
        outcomes=outcomes,
        making=derive(history, scope_metrics, results.window, results.policy),
        notes=results.document.notes,
    )


def _chart_weeks(history: ScopeHistory, results: Results) -> list[schema.Week]:
    return complete_weeks(history, trend_window(results.window, results.now), results.policy, results.now)


def _previous_heading(results: Results) -> str:
    if results.window_spec.is_all:
        return ""
    return (
        f"{results.window_text.removeprefix('last ')} before" if results.window_spec.length else "the same time before"
    )


def alarm_line(violation: Violation, main_scope: Scope | None) -> Md:
    """What was hit, with its scope where that is another one, and the threshold as it was written."""
    scope = Scope(violation.repository, violation.service, violation.environment)
    text = violation.text if scope == main_scope else f"{violation.repository} · {scope_label(scope)}: {violation.text}"
    return md("{} **{}** ({}-on: {})", "❌" if violation.on == "fail" else "⚠️", text, violation.on, violation.rule)


def overall_level_text(scope_metrics: schema.ScopeMetrics) -> str:
    """The overall level, and what it rests on; empty without one."""
    overall_level = scope_metrics.metrics.overall_level
    if overall_level is None:
        return ""
    lowest_metrics = [
        METRIC_TITLES[metric].lower()
        for metric in overall_level.rests_on
        if getattr(scope_metrics.metrics, metric).level == overall_level.level
    ]
    return (
        f"{overall_level.level}, by {' and '.join(lowest_metrics)}: the lowest of "
        f"{len(overall_level.rests_on)} metrics with data"
    )


_STAGE_TEXTS = {
    "coding": ("Coding takes longest", "pass between the first commit and the pull request"),
    "review": ("Review takes longest", "pass between the opening of a pull request and its merge"),
    "delivery": ("Delivery waits", "lie between merge and deployment"),
}


def _slowest_stage_text(scope_metrics: schema.ScopeMetrics) -> Md | None:
    """The stage that takes at least half of the median lead time."""
    lead_time = scope_metrics.metrics.lead_time
    stage_seconds = {stage: getattr(lead_time.stages, stage).p50_seconds for stage in _STAGE_TEXTS}
    slowest = max(_STAGE_TEXTS, key=lambda stage: stage_seconds[stage] or 0)
    if not lead_time.p50_seconds or (stage_seconds[slowest] or 0) * 2 < lead_time.p50_seconds:
        return None
    title, span_text = _STAGE_TEXTS[slowest]
    total, stage_duration = formatting.duration(lead_time.p50_seconds), formatting.duration(stage_seconds[slowest])
    return md(f"{title}: with a median lead time of {{}}, **{{}} {span_text}** (median).", total, stage_duration)


def _other_scope(scope_metrics: schema.ScopeMetrics, histories: Mapping[Scope, ScopeHistory]) -> OtherScope:
    metrics, scope = (
        scope_metrics.metrics,
        Scope(scope_metrics.repository, scope_metrics.service, scope_metrics.environment),
    )
    name = link(f"{scope.repository} · {scope_label(scope)}", repository_url(histories.get(scope)))
    cells = (
        formatting.frequency(metrics.deployment_frequency.per_day),
        formatting.duration(metrics.lead_time.p50_seconds),
        formatting.percent(metrics.change_failure_rate.ratio),
        formatting.duration(metrics.recovery_time.p50_seconds),
        metrics.overall_level.level if metrics.overall_level else formatting.NO_VALUE,
    )
    return OtherScope(name, cells)


def repository_url(history: ScopeHistory | None) -> str | None:
    """The page of a scope's repository, as far as the page of one of its deployments tells it."""
    for deployment in reversed(history.deployments if history else ()):
        base_url, separator, _ = (deployment.url or "").partition(f"/{deployment.repository}/")
        if separator:
            return base_url + separator.rstrip("/")
    return None

"""The content of the job summary, as text. The template only loops over it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from dora_metrics.core import formatting, schema
from dora_metrics.core.markdown import Md, link, md
from dora_metrics.core.metrics import security
from dora_metrics.core.metrics.calculate import measured_changes_in
from dora_metrics.core.metrics.results import Results, compare_with_previous
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.stages import STAGE_NAMES, break_down_stages
from dora_metrics.core.metrics.weekly import complete_weeks, trend_window
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.reports.event_story import EventInfo, EventStory, StoryContext, describe_event
from dora_metrics.core.reports.sections import (
    Chart,
    Derivation,
    MetricRow,
    OutlookText,
    derive,
    metric_rows,
    outlook_text,
    overall_level_name,
    overall_level_text,
    weekly_chart,
)
from dora_metrics.core.reports.unrecorded import UnrecordedFacts
from dora_metrics.core.scope import Scope, scope_label
from dora_metrics.core.targets import units
from dora_metrics.core.targets.benchmarks import Benchmark
from dora_metrics.core.targets.thresholds import Violation
from dora_metrics.core.windows import Window, week_start

if TYPE_CHECKING:
    from dora_metrics.core.reports.teams import TeamTable

_MAX_OTHER_SCOPES = 200


class OtherScope(Struct, frozen=True):
    """A table row of a scope that the event does not concern; its name links to the repository.

    `team`: its team, or a dash; shown only if a scope has one.
    """

    name: Md
    team: str
    cells: tuple[str, ...]


class SummaryReport(Struct, frozen=True):
    """The job summary, ready to render. A `str` is untrusted and gets escaped; `Md` is not escaped.

    `previous_heading`: column heading of the previous window. `alarms`: violated thresholds. `slowest_stage`: the stage
    that takes at least half of the lead time, or what hides the stages. `teams`: the scopes of each team together,
    None if no scope has a team. `making`: how the numbers were calculated.
    `is_in_ledger`: whether a ledger has the numbers as files. `unrecorded`: facts that are in no ledger.
    """

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
    teams: "TeamTable | None" = None
    is_in_ledger: bool = False
    outcomes: Sequence[Outcome] = ()
    making: Derivation | None = None
    notes: Sequence[str] = ()
    unrecorded: UnrecordedFacts | None = None


def build(
    results: Results,
    main_scope: Scope | None,
    event: EventInfo | None,
    metrics_before_event: schema.Metrics | None,
    outcomes: Sequence[Outcome] = (),
) -> SummaryReport:
    """Return the summary of one scope, with a table row for each other scope.

    Args:
        results: metrics of all scopes.
        main_scope: the scope that the event belongs to; None if there is none yet.
        event: the event; None if no event started the run.
        metrics_before_event: the scope's metrics without this event's facts, to show what it changed.
        outcomes: results of the run's side effects, such as sinks.
    """
    histories = {history.scope: history for history in results.evaluation.histories}
    history = histories.get(main_scope) if main_scope else None
    scope_metrics = results.metrics_of(main_scope) if main_scope else None
    story = describe_event(event, _story_context(results, history, scope_metrics, metrics_before_event))
    document, window_text = results.document, results.window_text
    if history is None or scope_metrics is None:
        return SummaryReport(story, window_text, "", document.benchmark, outcomes=outcomes, notes=document.notes)
    other_scopes = _other_scopes(results, scope_metrics, histories)
    return SummaryReport(
        story=story,
        heading=f"{window_text}, {scope_label(history.scope)}",
        previous_heading=_previous_heading(results),
        benchmark=document.benchmark,
        rows=metric_rows(
            scope_metrics, compare_with_previous(results, history, scope_metrics), results.policy.benchmark
        ),
        overall=overall_level_text(scope_metrics.metrics, results.policy.benchmark),
        slowest_stage=_slowest_stage_text(history, results),
        outlook=outlook_text(scope_metrics.outlook),
        chart=weekly_chart(_chart_weeks(history, results), history, results.policy),
        other_scopes=other_scopes[:_MAX_OTHER_SCOPES],
        omitted_scope_count=len(other_scopes[_MAX_OTHER_SCOPES:]),
        teams=_teams(results),
        is_in_ledger=results.is_in_ledger,
        outcomes=outcomes,
        making=derive(history, scope_metrics, results.window, results.policy),
        notes=document.notes,
    )


def _story_context(
    results: Results,
    history: ScopeHistory | None,
    scope_metrics: schema.ScopeMetrics | None,
    metrics_before_event: schema.Metrics | None,
) -> StoryContext:
    sentence = security.security_sentence(history.vulnerabilities, results.window) if history else ""
    return StoryContext(
        history,
        scope_metrics,
        metrics_before_event,
        results.policy,
        results.window_text,
        results.window.days,
        security_sentence=sentence,
        left_out=results.evaluation.left_out,
        is_of_clone=results.is_of_clone,
        has_other_scopes=len(results.evaluation.histories) > 1,
    )


def _chart_weeks(history: ScopeHistory, results: Results) -> list[schema.Week]:
    window = trend_window(results.window, results.now)
    if window.start == history.first_deployment_at:  # as on the page, the week in which the window `all` begins counts
        window = Window(week_start(window.start, results.policy.zone), window.end)
    return complete_weeks(history, window, results.policy, results.now)


def _previous_heading(results: Results) -> str:
    if results.window_spec.is_all:
        return ""
    if results.window_spec.length:
        return f"previous {results.window_text.removeprefix('last ')}"
    return "previous window"


def alarm_line(violation: Violation, main_scope: Scope | None) -> Md:
    """Return a line about an exceeded threshold: the value, its scope if it is not the main one, and the rule."""
    scope = Scope(violation.repository, violation.service, violation.environment)
    text = violation.text if scope == main_scope else f"{violation.repository} · {scope_label(scope)}: {violation.text}"
    return md("{} **{}** ({}-on: {})", "❌" if violation.on == "fail" else "⚠️", text, violation.on, violation.rule)


def _slowest_stage_text(history: ScopeHistory, results: Results) -> Md | None:
    """Return a sentence on the stage that takes as long as all others together, or on what hides the stages.

    None if no stage does, and if there are too few changes.
    """
    changes = measured_changes_in(history, results.window)
    breakdown = break_down_stages(changes, results.policy.lead_time_start)
    if hidden := breakdown.hidden_stages_text():
        return md("The slowest stage is unknown: {}.", hidden)
    if not breakdown.has_dominant_stage:
        return None
    return md("Slowest stage: **{}**, {}.", STAGE_NAMES[breakdown.longest_stage], breakdown.longest_stage_text())


def _teams(results: Results) -> "TeamTable | None":
    if results.policy.teams is None:
        return None
    from dora_metrics.core.reports.teams import team_table  # noqa: PLC0415 - most repositories set none

    return team_table(results, units.format_brief)


def _other_scopes(
    results: Results, scope_metrics: schema.ScopeMetrics, histories: Mapping[Scope, ScopeHistory]
) -> list[OtherScope]:
    benchmark, scopes = results.policy.benchmark, results.document.scopes
    return [_other_scope(each, histories, benchmark) for each in scopes if each is not scope_metrics]


def _other_scope(
    scope_metrics: schema.ScopeMetrics, histories: Mapping[Scope, ScopeHistory], benchmark: Benchmark
) -> OtherScope:
    metrics = scope_metrics.metrics
    scope = Scope(scope_metrics.repository, scope_metrics.service, scope_metrics.environment)
    name = link(f"{scope.repository} · {scope_label(scope)}", repository_url(histories.get(scope)))
    cells = (
        units.format_result(metrics.deployment_frequency),
        units.format_result(metrics.lead_time),
        units.format_brief(metrics.change_failure_rate),
        formatting.duration(metrics.recovery_time.p50_seconds),
        overall_level_name(metrics, benchmark) or formatting.NO_VALUE,
    )
    return OtherScope(name, scope_metrics.team or formatting.NO_VALUE, cells)


def repository_url(history: ScopeHistory | None) -> str | None:
    """Return the URL of a scope's repository, from the URL of its newest deployment on GitHub; None without one."""
    for deployment in reversed(history.deployments if history else ()):
        base_url, separator, _ = (deployment.url or "").partition(f"/{deployment.repository}/")
        if separator:
            return base_url + separator.rstrip("/")
    return None

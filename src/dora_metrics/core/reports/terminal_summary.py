"""The content of the summary on a terminal: one scope in full, a row for each of the others, notes."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import chain

from dora_metrics.core import formatting, schema
from dora_metrics.core.metrics.calculate import deployments_in, failures_in, measured_changes_in
from dora_metrics.core.metrics.results import Results, compare_with_previous
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.metrics.stages import STAGE_NAMES, break_down_stages
from dora_metrics.core.metrics.start_of_records import days_before_records, earlier_days_text, start_text
from dora_metrics.core.reports.fact_names import replace_ids_in_scope
from dora_metrics.core.reports.sections import recovery_text, sample_size, shown_level
from dora_metrics.core.reports.styled_text import EMPTY_LINE, Block, Paragraph, Span, Style, Table
from dora_metrics.core.scope import Scope, deployment_label, scope_label
from dora_metrics.core.targets import goals, units
from dora_metrics.core.targets.benchmarks import Benchmark
from dora_metrics.core.targets.metric import METRICS, Metric, metric_of
from dora_metrics.core.windows import Window

_INDENT = 2
_MAX_FAILURES = 5
_MAX_OTHER_SCOPES = 20
_MAX_TEAMS = 20


def summary_blocks(
    results: Results, scope: Scope | None, closing_notes: Iterable[str] = (), selection: str = ""
) -> list[Block]:
    """Return the summary of a scope, as blocks from top to bottom.

    Args:
        results: the numbers of all scopes.
        scope: the scope to show in full; None if there is none, which a sentence says.
        closing_notes: sentences to show before the notes of the results.
        selection: what was taken as deployments, one of the notes of the results; it is shown first.
    """
    histories = {history.scope: history for history in results.evaluation.histories}
    scope_metrics = results.metrics_of(scope) if scope else None
    blocks: list[Block] = [Paragraph(tuple(_heading(results, scope)))]
    blocks += [EMPTY_LINE, Paragraph((Span(_without_marks(selection)),), _INDENT)] if selection else []
    notes = [*closing_notes, *(note for note in results.document.notes if note != selection)]
    if scope is None or scope_metrics is None:
        blocks += [EMPTY_LINE, Paragraph((Span("No production deployment or incident is recorded."),), _INDENT)]
        return [*blocks, *_notes(notes)]
    history = histories[scope]
    verdicts = compare_with_previous(results, history, scope_metrics)
    rows = []
    for metric in METRICS.values():
        comparison = _comparison(metric, scope_metrics, verdicts.get(metric.key))
        remarks = (*_start_of_records(metric, history, results), *comparison)
        rows.append(_metric_row(metric, scope_metrics, results, remarks))
    details = list(_details(history, scope_metrics, results))
    return [
        *blocks,
        *(EMPTY_LINE, Table([_header(results.policy.benchmark), *rows], _INDENT)),
        *((EMPTY_LINE, Table(details, _INDENT)) if details else ()),
        *_other_scopes([each for each in results.document.scopes if each is not scope_metrics], results),
        *_teams(results),
        *_notes([*scope_metrics.outlook.remarks, *notes]),
    ]


def explain_hint(history: ScopeHistory, window: Window) -> str:
    """Return how to explain the newest failed deployment of a window, otherwise the newest one; empty without one."""
    failed = [failure.deployment for failure in failures_in(history, window)]
    deployments = failed or deployments_in(history, window)
    if not deployments:
        return ""
    reason = "why it counts as failed" if failed else "how it counts"
    return f"--explain {shlex.quote(deployment_label(deployments[-1]))} shows {reason}"


def _heading(results: Results, scope: Scope | None) -> Iterator[Span]:
    """The scope, the window, and its days if the window is named by its length."""
    yield Span(scope.repository if scope else "No numbers", "bold")
    window, zone = results.window, results.policy.zone
    first_day, last_day = formatting.date(window.start, zone), formatting.date(window.end - timedelta.resolution, zone)
    days = f" ({first_day} to {last_day})" if results.window_spec.length else ""
    texts = (*((scope_label(scope),) if scope else ()), results.window_text + days)
    yield Span("".join(f" · {text}" for text in texts))


# --- The five metrics ---


def _header(benchmark: Benchmark) -> tuple[Span, ...]:
    level = f"level ({benchmark.name})" if benchmark.edges else ""
    return tuple(Span(text, "muted") for text in ("metric", "value", level, "based on"))


def _metric_row(
    metric: Metric, scope_metrics: schema.ScopeMetrics, results: Results, more_remarks: Sequence[str]
) -> tuple[Span, ...]:
    result = metric.result_in(scope_metrics.metrics)
    has_value = units.deciding_value(result) is not None
    remarks = (sample_size(result), *_level_remarks(result, results.policy.benchmark), *more_remarks)
    return (
        Span(metric.label),
        Span(_value(result), "bold" if has_value else "muted"),
        Span(result.level or formatting.NO_VALUE, _level_style(result, results.policy.benchmark)),
        Span("; ".join(filter(None, remarks)), "plain" if has_value else "muted"),
    )


def _value(result: schema.MetricVerdict) -> str:
    value = units.format_result(result)
    if isinstance(result, schema.LeadTime) and (p90 := units.format_p90(result)):
        return f"{value} (p90 {p90})"
    return value


def _level_style(result: schema.MetricVerdict, benchmark: Benchmark) -> Style:
    """Return a colour from the best level to the last; none if the sample is too small for a certain level."""
    level = shown_level(result, benchmark)
    if level is None or level.is_open:
        return "muted"
    names = [name for key, edges in benchmark.edges.items() if key == metric_of(result).key for name, _ in edges]
    share_of_better = names.index(level.name) / max(len(names) - 1, 1)
    styles: tuple[tuple[float, Style], ...] = ((0, "best"), (0.34, "good"), (0.67, "fair"))
    return next((style for share, style in styles if share_of_better <= share), "poor")


def _level_remarks(result: schema.MetricVerdict, benchmark: Benchmark) -> Iterator[str]:
    """Say which levels are possible too, and why a value that may be higher has no level."""
    yield units.lower_bound_reason(result)
    level = shown_level(result, benchmark)
    if level and level.is_open:
        yield f"level possibly {level.others}" if level.others else "too few values to be sure of the level"


def _start_of_records(metric: Metric, history: ScopeHistory, results: Results) -> Iterator[str]:
    """Say when records start, if that is inside the window: a frequency counts the days before too."""
    first, zone = history.first_deployment_at, results.policy.zone
    earlier_days = days_before_records(first, results.window, zone)
    if metric.key == "deployment_frequency" and first and earlier_days:
        yield f"{start_text(first, zone)}, and {earlier_days_text(earlier_days)}"


def _comparison(metric: Metric, scope_metrics: schema.ScopeMetrics, verdict: str | None) -> Iterator[str]:
    """Say that a value is clearly better or worse than in the window before."""
    if scope_metrics.previous is not None and verdict in ("better", "worse"):
        before = units.format_brief(metric.result_in(scope_metrics.previous))
        yield f"{verdict} than before ({before})"


# --- What stands out ---


def _details(
    history: ScopeHistory, scope_metrics: schema.ScopeMetrics, results: Results
) -> Iterator[tuple[Span, Span]]:
    yield from _named("Slowest stage", _slowest_stage(history, results))
    yield from _named("Failed", _failures(history, results))
    yield from _named("Goals", _goals(scope_metrics.outlook))
    yield from _named("Last deployment", _last_deployment(history, results))


def _goals(outlook: schema.Outlook) -> Iterator[str]:
    for goal in outlook.goals:
        yield f"{METRICS[goal.metric].label} {goals.describe_goal(goal, outlook.trends.get(goal.metric))}"


def _named(label: str, texts: Iterable[str]) -> Iterator[tuple[Span, Span]]:
    """One row for each text; only the first has the label."""
    for position, text in enumerate(texts):
        yield Span("" if position else label, "muted"), Span(text)


def _slowest_stage(history: ScopeHistory, results: Results) -> Iterator[str]:
    """The stage that takes as long as all others together, or what hides the stages."""
    breakdown = break_down_stages(measured_changes_in(history, results.window), results.policy.lead_time_start)
    if hidden := breakdown.hidden_stages_text():
        yield f"not known: {hidden}"
    elif breakdown.has_dominant_stage:
        yield f"{STAGE_NAMES[breakdown.longest_stage]}: {breakdown.longest_stage_text()}"


def _failures(history: ScopeHistory, results: Results) -> Iterator[str]:
    """The newest failures, each with its cause and end."""
    failures = failures_in(history, results.window)
    newest_first = list(reversed(failures))
    for failure in newest_first[:_MAX_FAILURES]:
        cause = replace_ids_in_scope(failure.because, history)
        label, ending = deployment_label(failure.deployment), recovery_text(failure, history)
        yield f"{label} (rule {failure.rule}): {cause}; {ending}"
    if len(failures) > _MAX_FAILURES:
        yield f"and {len(failures) - _MAX_FAILURES:,} earlier"


def _last_deployment(history: ScopeHistory, results: Results) -> Iterator[str]:
    """The newest deployment; with a hint if the window has none."""
    newest = history.last_deployment_by(results.now)
    if newest is None:
        return
    when = formatting.date_time(newest.finished_at, results.policy.zone)
    is_before_window = newest.finished_at < results.window.start
    hint = ", before this window; --window all includes it" if is_before_window else ""
    yield f"{deployment_label(newest)} on {when} {results.policy.zone.key}{hint}"


# --- Other scopes and notes ---


def _other_scopes(scopes: list[schema.ScopeMetrics], results: Results) -> Iterator[Block]:
    """A table of the other scopes with the most deployments, and how many more there are; with teams if any has one."""
    if not scopes:
        return
    busiest_first = sorted(scopes, key=lambda each: -each.metrics.deployment_frequency.deployments)
    has_teams = any(each.team for each in results.document.scopes)
    rows = [_scope_row(each, has_team=has_teams) for each in busiest_first[:_MAX_OTHER_SCOPES]]
    header = _muted("Other scopes", *(("Team",) if has_teams else ()), *_TITLES)
    yield from (EMPTY_LINE, Table([header, *rows], _INDENT))
    if len(scopes) > _MAX_OTHER_SCOPES:
        text = f"and {len(scopes) - _MAX_OTHER_SCOPES:,} more; --format html and --format json show all scopes."
        yield Paragraph((Span(text, "muted"),), _INDENT)


_TITLES = ("Deployments", "Lead time", "Failed", "Recovery")


def _muted(*titles: str) -> tuple[Span, ...]:
    return tuple(Span(title, "muted") for title in titles)


def _scope_row(scope_metrics: schema.ScopeMetrics, *, has_team: bool) -> tuple[Span, ...]:
    metrics = scope_metrics.metrics
    scope = Scope(scope_metrics.repository, scope_metrics.service, scope_metrics.environment)
    return (
        Span(f"{scope.repository} · {scope_label(scope)}"),
        *((Span(scope_metrics.team or formatting.NO_VALUE),) if has_team else ()),
        Span(units.format_result(metrics.deployment_frequency)),
        Span(units.format_result(metrics.lead_time)),
        Span(units.format_counts(metrics.change_failure_rate)),
        Span(formatting.duration(metrics.recovery_time.p50_seconds)),
    )


def _teams(results: Results) -> Iterator[Block]:
    """A table of the teams, each with the pooled numbers of its scopes, and how many more there are."""
    if results.policy.teams is None:
        return
    from dora_metrics.core.reports.teams import team_table  # noqa: PLC0415 - most repositories set none

    table = team_table(results, units.format_counts, _MAX_TEAMS)
    if table is None:
        return
    rows = [(Span(row.name), *map(Span, row.cells)) for row in table.rows]
    yield from (EMPTY_LINE, Table([_muted("Teams", "Scopes", *_TITLES), *rows], _INDENT))
    if table.omitted_count:
        yield Paragraph((Span(f"and {table.omitted_count:,} more.", "muted"),), _INDENT)


_CODE_MARKS = re.compile(r"(?<![^\s(])`(.{1,300}?)`(?=[.,;:)]*(?:\s|$))")
"""Backticks around words: where a word begins, and where one ends."""


def _notes(notes: Iterable[str]) -> Iterator[Block]:
    paragraphs = (Paragraph((Span(f"- {_without_marks(note)}", "muted"),), _INDENT, _INDENT) for note in notes)
    for position, paragraph in enumerate(paragraphs):
        yield from chain(() if position else (EMPTY_LINE,), (paragraph,))


def _without_marks(note: str) -> str:
    """A note without the marks that make code of a text in Markdown; a backtick within a name stays."""
    return _CODE_MARKS.sub(r"\1", note)

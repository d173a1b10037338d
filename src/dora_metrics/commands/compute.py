"""Print the numbers of a source's facts; what `compute` and `report --git` have in common. No network."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TextIO

import msgspec
from msgspec.structs import replace

from dora_metrics.core import formatting
from dora_metrics.core.facts.as_of import AsOf, PastFacts
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.periods import PERIOD_KINDS, PeriodKind, due_period
from dora_metrics.core.reports import prometheus, summary
from dora_metrics.core.reports.event_story import EventInfo
from dora_metrics.core.reports.explain.context import build_context
from dora_metrics.core.reports.explain.explain import explain
from dora_metrics.core.reports.explain.find import NoMatch
from dora_metrics.core.reports.styled_text import EMPTY_LINE, Block, Span, Table
from dora_metrics.core.reports.terminal_summary import explain_hint, summary_blocks
from dora_metrics.core.windows import PastSteps
from dora_metrics.errors import DoraError
from dora_metrics.github import console
from dora_metrics.github.terminal import Terminal
from dora_metrics.pipeline.evaluate import (
    check_thresholds,
    cumulative_totals,
    evaluate,
    last_deployed,
    prometheus_families,
)
from dora_metrics.runtime import Runtime
from dora_metrics.settings import addresses
from dora_metrics.settings.config_file import read_chosen_config
from dora_metrics.settings.loading import Layer, load_settings
from dora_metrics.settings.model import Settings
from dora_metrics.sources import FactSource, SourceFacts
from dora_metrics.templates import load_parts, load_template


@dataclass(frozen=True)
class ComputeRequest:
    """What to print.

    Attributes:
        format: `text`, `openmetrics`, or one of the keys of `_FORMATS`.
        config: a config file that was named; None for the default one, if it exists.
        flags: settings of the command line.
        now: the time to compute for.
        explain: the fact to explain instead of printing numbers.
        page_file: where to write the page too; None for nowhere.
        past_steps: the times of `openmetrics`; None for other formats.
        as_of: whether these times are when something happened, or when it was observed.
    """

    format: str
    config: Path | None
    flags: Layer
    now: datetime
    explain: str | None = None
    page_file: Path | None = None
    past_steps: PastSteps | None = None
    as_of: AsOf = "happened"


def run(request: ComputeRequest, source: FactSource, runtime: Runtime) -> int:
    """Print the metrics of a source's facts, and the thresholds that they violate.

    Returns:
        0, or 1 if a threshold of `fail-on` is violated.

    Raises:
        SettingsError: with every problem of the settings.
        DoraError: if the source cannot be read, or the fact to explain is not known; the message names similar ones.
    """
    config = read_chosen_config(request.config)
    settings = load_settings(_layers(request, config))
    source_facts = source(settings, request.now)
    notes = (
        *((source_facts.selection,) if source_facts.selection else ()),
        *source_facts.notes,
    )
    results = replace(
        evaluate(source_facts.facts, settings, request.now, notes), is_of_clone=not source_facts.records_incidents
    )
    if request.explain is not None:
        name = source_facts.names.present_id(request.explain)
        console.write_text(runtime.stdout, _explanation(name, results, source_facts))
        return 0
    if request.page_file is not None:
        _write_page(request.page_file, results)
    _print(request, results, source_facts, settings, runtime)
    if request.format in PERIOD_KINDS:
        _print_unused(request, config, runtime.stderr)
    return _print_thresholds(results, settings, runtime.stderr)


def _layers(request: ComputeRequest, config: Layer | None) -> tuple[Layer, ...]:
    """The settings to use. A file that nobody named may be that of a stranger's clone, so not all of it counts."""
    if config and request.config is None:
        config = addresses.without_report_settings(config)
    return (*([config] if config else ()), request.flags)


def _print_unused(request: ComputeRequest, config: Layer | None, stderr: TextIO) -> None:
    """Say which settings of a report do not count, because only a file has them that nobody named."""
    if request.config is None and config and (names := addresses.unnamed_report_settings(config, request.flags)):
        console.write_line(stderr, f"dora-metrics: {addresses.unnamed_report_text(names, config.origin)}")


def _print(
    request: ComputeRequest, results: Results, source_facts: SourceFacts, settings: Settings, runtime: Runtime
) -> None:
    """Print the numbers. What people must know besides goes to stderr where stdout is for programs."""
    if request.format == "text":
        Terminal.of(runtime.stdout, runtime.environment).show(_text(request, results, source_facts.selection))
        return
    if request.past_steps:
        _write_past(request.past_steps, request.as_of, source_facts, settings, runtime.stdout)
        text = ""
    else:
        text = _FORMATS[request.format](results, source_facts, settings)
        _WRITERS.get(request.format, console.write_text)(runtime.stdout, text)
    has_notes = request.format in _FORMATS_WITH_NOTES
    lines = (
        *(_no_report_lines(request.format, results, settings) if not text and request.format in PERIOD_KINDS else ()),
        *(() if results.document.scopes or has_notes else results.document.notes),
        *((f"page: {request.page_file}",) if request.page_file else ()),
    )
    for line in lines:
        console.write_line(runtime.stderr, f"dora-metrics: {line}")


def _no_report_lines(kind: PeriodKind, results: Results, settings: Settings) -> Iterator[str]:
    """Say why no scope has a report of a period, and what to do."""
    period = due_period(kind, results.now, settings.zone, settings.report_day)
    last_moment = period.basis.end - timedelta(microseconds=1)
    start, end = (formatting.date(moment, settings.zone) for moment in (period.basis.start, last_moment))
    deployed_at = [each.finished_at for history in results.evaluation.histories for each in history.deployments]
    newest_before = max((at for at in deployed_at if at < period.basis.start), default=None)
    oldest_after = min((at for at in deployed_at if at >= period.basis.end), default=None)
    if newest_before:
        day = formatting.date(newest_before, settings.zone)
        advice = f" The last deployment before that was on {day}. Set --now to an earlier time"
    elif oldest_after:
        advice = (
            f" The first deployment was on {formatting.date(oldest_after, settings.zone)}. Set --now to a later time"
        )
    else:
        advice = ""
    nothing = f"no production deployment and no incident was recorded from {start} to {end}"
    yield f"there is no {kind} report: {nothing}.{advice}"


def _text(request: ComputeRequest, results: Results, selection: str) -> Iterable[Block]:
    """The summary for people, how to go on from it, and at the end where the page is."""
    latest = last_deployed(results.evaluation.histories, results.now)
    yield from summary_blocks(results, latest.scope if latest else None, selection=selection)
    hints = (
        ("Explain", explain_hint(latest, results.window) if latest else ""),
        ("Page", str(request.page_file or "")),
    )
    rows = [(Span(title, "muted"), Span(text)) for title, text in hints if text]
    yield from (EMPTY_LINE, Table(rows, 2)) if rows else ()


def _write_page(path: Path, results: Results) -> None:
    """Write the page, and the folders above it.

    Raises:
        DoraError: if it cannot be written.
    """
    from dora_metrics.pipeline import publish  # noqa: PLC0415 - only the page needs its libraries

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(publish.page_html(results), "utf-8", newline="\n")
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise DoraError(f"--page-file {path} cannot be written ({reason}); choose a folder you can write to") from None


def _explanation(name: str, results: Results, source_facts: SourceFacts) -> str:
    """Everything about the facts that a name stands for, as Markdown."""
    context = build_context(
        source_facts.facts, results.policy, results.window, records_incidents=source_facts.records_incidents
    )
    match explain(context, name):
        case NoMatch() if source_facts.is_undeployed_commit(name.strip().lower()):
            raise DoraError(f"--explain: {name.strip()} is in no deployment yet")
        case NoMatch() as no_match:
            similar = (
                f"did you mean {formatting.join_with_or(no_match.similar_names)}?"
                if no_match.similar_names
                else _NAME_ADVICE
            )
            raise DoraError(f"--explain: {no_match.reason}; {similar}")
        case explanations:
            from dora_metrics.core.reports import render  # noqa: PLC0415 - only Markdown needs Jinja

            return render.markdown(load_template("explain.md.j2"), explanations=explanations)


_NAME_ADVICE = "give a version, #12, a commit or an id"


def _print_thresholds(results: Results, settings: Settings, stderr: TextIO) -> int:
    """Print which thresholds are violated in which scope; return the exit code."""
    thresholds = check_thresholds(results, settings, [history.scope for history in results.evaluation.histories])
    for violation in thresholds.violations:
        scope = f"{violation.repository}, service {violation.service}, environment {violation.environment}"
        rule = f"dora-metrics: {violation.on}-on: {violation.text} ({violation.rule}) in {scope}"
        console.write_line(stderr, rule)
    for text in thresholds.not_evaluated:
        console.write_line(stderr, f"dora-metrics: threshold {text}")
    return int(thresholds.is_failing)


def _json(results: Results, _source_facts: SourceFacts, _settings: Settings) -> str:
    return msgspec.json.encode(results.document).decode()


def _markdown(results: Results, source_facts: SourceFacts, _settings: Settings) -> str:
    """What the source took as deployments, the scope that was deployed last in full, the others in a line each."""
    from dora_metrics.core.reports import render  # noqa: PLC0415 - only Markdown needs Jinja

    latest = last_deployed(results.evaluation.histories, results.now)
    selection = EventInfo(source_facts.selection.removesuffix(".")) if source_facts.selection else None
    report = summary.build(results, latest.scope if latest else None, selection, None)
    return render.summary_markdown(report, load_template("summary.md.j2"), load_parts())


def _html(results: Results, _source_facts: SourceFacts, _settings: Settings) -> str:
    from dora_metrics.pipeline import publish  # noqa: PLC0415 - only the page needs its libraries

    return publish.page_html(results)


def _prometheus(results: Results, source_facts: SourceFacts, settings: Settings) -> str:
    families = prometheus_families(results, cumulative_totals(results, source_facts.facts), None)
    return prometheus.exposition_text(families.with_labels(settings.labels))


def _write_past(steps: PastSteps, as_of: AsOf, source_facts: SourceFacts, settings: Settings, stdout: TextIO) -> None:
    from dora_metrics.commands.openmetrics import write_past  # noqa: PLC0415 - only this format needs a database
    from dora_metrics.pipeline.backfill import past_families  # noqa: PLC0415 - as above

    if as_of == "happened":
        facts = PastFacts.happened(source_facts.facts)
    else:
        facts = PastFacts.known([*source_facts.facts, *source_facts.earlier])
    past = (families.with_labels(settings.labels) for families in past_families(facts, settings.policy, steps))
    write_past(past, {"job": settings.pushgateway_job}, stdout)


def _report(kind: PeriodKind, results: Results, _source_facts: SourceFacts, settings: Settings) -> str:
    """The report that is due, for each active scope, as its issue would be."""
    from dora_metrics.pipeline.reports import render_reports  # noqa: PLC0415 - as above
    from dora_metrics.pipeline.user_templates import read_template  # noqa: PLC0415 - as above

    period = due_period(kind, results.now, settings.zone, settings.report_day)
    reports = render_reports(results, period, settings, partial(read_template, Path()))
    if reports.problem:
        raise DoraError(reports.problem)
    return reports.as_markdown()


_FORMATS: dict[str, Callable[[Results, SourceFacts, Settings], str]] = {
    "json": _json,
    "markdown": _markdown,
    "html": _html,
    "prometheus": _prometheus,
    **{kind: partial(_report, kind) for kind in PERIOD_KINDS},
}
"""How each format is made."""

_FORMATS_WITH_NOTES = ("json", "markdown", "html")

_WRITERS: dict[str, Callable[[TextIO, str], None]] = {
    "json": console.write_json,
    "html": console.write_html,
    "prometheus": console.write_exposition,
}
"""How formats are written that are not for people alone."""

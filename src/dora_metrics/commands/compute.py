"""Facts from a source become numbers on standard output: what `compute` and `report` have in common; no network."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TextIO

import msgspec

from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.comparison import Results
from dora_metrics.core.periods import PERIOD_KINDS, PeriodKind, due_period
from dora_metrics.core.reports import prometheus, summary
from dora_metrics.core.reports.explain.case import build_context
from dora_metrics.core.reports.explain.explain import explain
from dora_metrics.core.reports.explain.find import NoMatch
from dora_metrics.errors import DoraError, SettingsError
from dora_metrics.github.runner import escape_line
from dora_metrics.pipeline.evaluate import (
    check_thresholds,
    cumulative_totals,
    evaluate,
    last_deployed,
    prometheus_families,
)
from dora_metrics.settings import loading
from dora_metrics.settings.loading import Layer, load_settings, names_without_effect
from dora_metrics.settings.model import DEFAULT_CONFIG, EVERY_REPOSITORY, Settings
from dora_metrics.sources import FactSource
from dora_metrics.templates import load_parts, load_template


@dataclass(frozen=True)
class ComputeRequest:
    """What was asked for."""

    format: str
    config: Path | None
    flags: Layer
    now: datetime
    explain: str | None = None


def run(request: ComputeRequest, source: FactSource, stdout: TextIO, stderr: TextIO) -> int:
    """Prints the metrics of what a source holds, and what their thresholds say.

    Returns:
        0, or 1 if a threshold of `fail-on` was hit.

    Raises:
        SettingsError: with every problem of the settings.
        DoraError: if the source cannot be read, or what is to be explained is not known, with what is near to it.
    """
    file = loading.read_config_file(request.config or DEFAULT_CONFIG)
    if request.config and file is None:
        raise SettingsError(f"config {request.config}: there is no such file")
    layers = (*([file] if file else ()), request.flags)
    settings = load_settings(layers)
    found = source(settings, request.now)
    notes = (
        *(f"{name} is set, and has no effect in this version." for name in names_without_effect(layers)),
        *found.notes,
    )
    subject = evaluate(found.facts, settings, request.now, notes)
    if request.explain is not None:
        stdout.write(_explained(request.explain, subject, found.facts))
        return 0
    stdout.write(_WRITERS[request.format](subject, found.facts, settings))
    return _judged(subject, settings, stderr)


def _explained(name: str, subject: Results, facts: list[Fact]) -> str:
    """Everything about what a name means, as Markdown."""
    match explain(build_context(facts, subject.policy, subject.window), name):
        case NoMatch() as missing:
            near = f"; near to it: {', '.join(missing.similar_names)}" if missing.similar_names else ""
            raise DoraError(escape_line(f"explain: {missing.reason}{near}"))
        case explanations:
            from dora_metrics.core.reports import render  # noqa: PLC0415 - only Markdown needs Jinja

            return render.markdown(load_template("explain.md.j2"), explanations=explanations)


def _judged(subject: Results, settings: Settings, stderr: TextIO) -> int:
    """The thresholds on all scopes; the exit code."""
    found = check_thresholds(subject, settings, [record.scope for record in subject.evaluation.histories])
    for one in found.violations:
        place = f"{one.repository} {one.service} {one.environment}"
        stderr.write(
            f"dora-metrics: {one.on}-on: {escape_line(one.text)} ({escape_line(one.rule)}) in {escape_line(place)}\n"
        )
    stderr.writelines(f"dora-metrics: threshold {escape_line(text)}\n" for text in found.not_evaluated)
    return int(found.is_failing)


def _json(subject: Results, _facts: list[Fact], _settings: Settings) -> str:
    return msgspec.json.encode(subject.document).decode() + "\n"


def _markdown(subject: Results, _facts: list[Fact], _settings: Settings) -> str:
    """The scope that was deployed last in full, the others in a line each."""
    from dora_metrics.core.reports import render  # noqa: PLC0415 - its template engine is for Markdown alone

    latest = last_deployed(subject.evaluation.histories)
    built = summary.build(subject, latest.scope if latest else None, None, None)
    return render.summary_markdown(built, load_template("summary.md.j2"), load_parts())


def _html(subject: Results, _facts: list[Fact], _settings: Settings) -> str:
    from dora_metrics.pipeline import publish  # noqa: PLC0415 - its template engine and library are for the page alone

    return publish.page_html(subject)


def _prometheus(subject: Results, facts: list[Fact], _settings: Settings) -> str:
    return prometheus.exposition_text(prometheus_families(subject, cumulative_totals(subject, facts), None))


def _report(kind: PeriodKind, subject: Results, _facts: list[Fact], settings: Settings) -> str:
    """The report that is due, of each scope that has one, as its issue would be."""
    from dora_metrics.pipeline.reports import as_markdown, read_template, render_reports  # noqa: PLC0415 - as above

    period = due_period(kind, subject.now, settings.zone, settings.report_day)
    found = render_reports(subject, EVERY_REPOSITORY, period, settings, partial(read_template, Path()))
    if found.problem:
        raise DoraError(found.problem)
    return as_markdown(found)


_WRITERS: dict[str, Callable[[Results, list[Fact], Settings], str]] = {
    "json": _json,
    "markdown": _markdown,
    "html": _html,
    "prometheus": _prometheus,
    **{kind: partial(_report, kind) for kind in PERIOD_KINDS},
}

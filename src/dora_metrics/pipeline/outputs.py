"""Show a run to its user: the step's outputs, the job summary, annotations and the log."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import structs
from msgspec.structs import replace

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.ledger.layout import PAGE_FILE
from dora_metrics.core.metrics.document import metrics_of_scope
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.outcome import Outcome
from dora_metrics.core.reports import render, summary
from dora_metrics.core.reports.event_story import EventInfo
from dora_metrics.core.reports.styled_text import EMPTY_LINE
from dora_metrics.core.reports.terminal_summary import summary_blocks
from dora_metrics.core.reports.unrecorded import UnrecordedFacts
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.thresholds import Violation
from dora_metrics.github import console
from dora_metrics.github.runner import Runner
from dora_metrics.github.terminal import Terminal
from dora_metrics.pipeline.context import RunContext
from dora_metrics.pipeline.evaluate import last_deployed
from dora_metrics.pipeline.plan import RunResult
from dora_metrics.settings.model import EVERY_REPOSITORY
from dora_metrics.templates import load_parts, load_template

MAX_OUTPUT_BYTES = 400_000
"""GitHub passes about 1 MB of outputs between steps; documents are shortened, and facts left out, before that."""

_NO_FACTS = "[]"

METRIC_OUTPUTS = (
    "deployment-frequency",
    "lead-time-seconds",
    "change-failure-rate",
    "recovery-time-seconds",
    "rework-rate",
    "deployments-per-week",
    "lead-time",
    "recovery-time",
    "overall-level",
)
"""Outputs that are about one scope: numbers for programs, then texts for people."""


def publish_run(
    context: RunContext, result: RunResult, violations: Sequence[Violation], unrecorded: UnrecordedFacts
) -> bool:
    """Write outputs and summary, annotate what the user must act on, and log the rest.

    Returns:
        Whether all files could be written.
    """
    scope = main_scope(context, result)
    report_numbers = context.report_run.issue_numbers if context.report_run else {}
    paths = {"page-path": _page_path(context, result), "unrecorded-facts": unrecorded.path}
    values = step_outputs(result, scope, violations, report_numbers, paths)
    _note_facts_left_out(context, result, values, unrecorded)
    are_written = [context.runner.write_outputs(values)]
    if context.settings.summary:
        are_written.append(_show_summary(context, result, scope, violations, unrecorded))
    _log(context.runner, result, violations, context.outcomes)
    return all(are_written)


def _note_facts_left_out(
    context: RunContext, result: RunResult, outputs: Mapping[str, str], unrecorded: UnrecordedFacts
) -> None:
    """Note that facts are too large for the output of that name, and where they are."""
    if not result.facts or outputs["facts"] != _NO_FACTS:
        return
    count = formatting.count(len(result.facts), "fact")
    place = "the file in `unrecorded-facts` has the new ones" if unrecorded.path else "they are in no ledger"
    if result.storage.is_persistent:
        place = "they are in the ledger"
    context.note(Outcome("outputs", "skipped", f"`facts` is empty: too large for an output ({count}); {place}"))


def main_scope(context: RunContext, result: RunResult) -> Scope | None:
    """The scope that outputs and summary are about: the event's, otherwise the one of the repository deployed last."""
    histories, now = _histories_of(result, context.subject_repository), result.results.now
    latest = last_deployed(_scopes_of_event(context, result), now) or last_deployed(histories, now)
    return latest.scope if latest else None


def threshold_scopes(context: RunContext, result: RunResult) -> list[Scope]:
    """The scopes that thresholds apply to: the event's, otherwise all of the repository."""
    histories = _scopes_of_event(context, result) or _histories_of(result, context.subject_repository)
    return [history.scope for history in histories]


def _histories_of(result: RunResult, repository: str) -> list[ScopeHistory]:
    return _of_repository(result.results.evaluation.histories, repository)


def _of_repository(histories: Iterable[ScopeHistory], repository: str) -> list[ScopeHistory]:
    return [history for history in histories if repository in (EVERY_REPOSITORY, history.scope.repository)]


def _scopes_of_event(context: RunContext, result: RunResult) -> list[ScopeHistory]:
    """The scopes with deployments that an event's facts belong to; none for a sync, which is about all of them.

    Those of the run's repository come first, but a GitOps tool may report a deployment of another one. A scope without
    a deployment may exist in an issue only.
    """
    if context.work != "record":
        return []
    event_ids = {fact.id for fact in result.facts}
    concerned = [
        history
        for history in result.results.evaluation.histories
        if history.deployments and event_ids & _fact_ids(history)
    ]
    return _of_repository(concerned, context.subject_repository) or concerned


def _fact_ids(history: ScopeHistory) -> set[str]:
    """The ids of a scope's deployments, and of all reports of its incidents."""
    deployment_ids = {deployment.id for deployment in history.deployments}
    return deployment_ids.union(*(attributed.report_ids for attributed in history.incidents))


def step_outputs(
    result: RunResult,
    scope: Scope | None,
    violations: Sequence[Violation],
    report_numbers: Mapping[Scope, int],
    paths: Mapping[str, str],
) -> dict[str, str]:
    """Return every output of action.yml as text; a metric without data is an empty text.

    Args:
        result: the run.
        scope: the scope that the metrics are of.
        violations: the thresholds that were violated.
        report_numbers: the issues with this run's reports.
        paths: the outputs that are paths, of files for later steps; empty texts where there is no such file.
    """
    metrics = result.results.metrics_of(scope) if scope else None
    return {
        **_metric_outputs(metrics.metrics if metrics else None),
        "metrics": document_output(result.results.document, scope),
        "violations": msgspec.json.encode(violations).decode(),
        **paths,
        "facts": _facts_output(result.facts),
        "report-issue": str(report_numbers.get(scope, "")) if scope else "",
    }


def _metric_outputs(metrics: schema.Metrics | None) -> dict[str, str]:
    if metrics is None:
        return dict.fromkeys(METRIC_OUTPUTS, "")
    values = (
        metrics.deployment_frequency.per_day,
        metrics.lead_time.p50_seconds,
        metrics.change_failure_rate.ratio,
        metrics.recovery_time.p50_seconds,
        metrics.rework_rate.ratio,
    )
    numbers = ("" if value is None else f"{value:.10g}" for value in values)
    level = metrics.overall_level.level if metrics.overall_level else ""
    return dict(zip(METRIC_OUTPUTS, (*numbers, *_texts_for_people(metrics), level), strict=True))


def _texts_for_people(metrics: schema.Metrics) -> Iterator[str]:
    """Yield deployments per week, lead time and recovery time as people read them; empty without a value."""
    per_day = metrics.deployment_frequency.per_day
    yield "" if per_day is None else formatting.number_per_week(per_day)
    for seconds in (metrics.lead_time.p50_seconds, metrics.recovery_time.p50_seconds):
        yield "" if seconds is None else formatting.duration(seconds)


def _facts_output(facts: Sequence[Fact]) -> str:
    """The observed facts on one line; an empty list if a repository's history is too large to pass on."""
    encoded = msgspec.json.encode(facts, order="sorted")
    return encoded.decode() if len(encoded) <= MAX_OUTPUT_BYTES else _NO_FACTS


def document_output(document: schema.Document, scope: Scope | None, max_bytes: int = MAX_OUTPUT_BYTES) -> str:
    """The document on one line; if it is too large to pass on, without evidence, weeks, and scopes but one."""
    encoded = b""
    for shorten in (_unchanged, _without_evidence, _without_weeks, _with_scope):
        encoded = msgspec.json.encode(shorten(document, scope))
        if len(encoded) <= max_bytes:
            break
    return encoded.decode()


_NO_EVIDENCE = schema.Evidence(
    deployments=[], failed_deployments=[], lead_times=[], unmatched_incidents=[], fixed_vulnerabilities=[]
)


def _unchanged(document: schema.Document, _scope: Scope | None) -> schema.Document:
    return document


def _without_evidence(document: schema.Document, _scope: Scope | None) -> schema.Document:
    scopes = [structs.replace(each, evidence=_NO_EVIDENCE) for each in document.scopes]
    return _noting(
        document,
        scopes,
        "The evidence is too large to include here; evidence.json in the ledger has it, as of the last sync.",
    )


def _without_weeks(document: schema.Document, _scope: Scope | None) -> schema.Document:
    scopes = [structs.replace(each, evidence=_NO_EVIDENCE, weeks=[]) for each in document.scopes]
    note = (
        "Evidence and weeks are too large to include here; evidence.json and history.json in the ledger have them, as "
        "of the last sync."
    )
    return _noting(document, scopes, note)


def _with_scope(document: schema.Document, scope: Scope | None) -> schema.Document:
    """Return the document with one scope of many, without evidence and weeks, and without earlier notes."""
    short = _without_weeks(document, scope)
    own = [each for each in short.scopes if Scope(each.repository, each.service, each.environment) == scope]
    note = (
        f"Only 1 of {len(short.scopes)} scopes is included; all of them would be too large. "
        "metrics.json in the ledger has all."
    )
    return structs.replace(short, scopes=own, notes=[note])


def _noting(document: schema.Document, scopes: list[schema.ScopeMetrics], note: str) -> schema.Document:
    return structs.replace(document, scopes=scopes, notes=[*document.notes, note])


def _page_path(context: RunContext, result: RunResult) -> str:
    """Where later steps find the page that was written; empty if none was, or if there is no place for a copy."""
    content = result.snapshot.files.get(PAGE_FILE)
    kind, _, place = context.settings.ledger.partition(":")
    if content is None:
        return ""
    if kind == "dir":
        return str((context.request.workspace / place / PAGE_FILE).resolve())
    folder = context.request.temporary_folder
    return _copy(content, folder / "dora-metrics" / PAGE_FILE) if folder else ""


def _copy(content: bytes, path: Path) -> str:
    """Write a copy for later steps; return its path, empty if it could not be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError:
        return ""
    return str(path)


def _show_summary(
    context: RunContext,
    result: RunResult,
    scope: Scope | None,
    violations: Sequence[Violation],
    unrecorded: UnrecordedFacts,
) -> bool:
    """Show the numbers in the format of the request; return False if they could not be written."""
    runtime = context.runtime
    match context.request.summary_format:
        case "markdown":
            return context.runner.append_summary(_summary(context, result, scope, violations, unrecorded))
        case "text":
            notes = [*result.observation.notes, *result.notes]
            blocks = [EMPTY_LINE, *summary_blocks(result.results, scope, notes), EMPTY_LINE]
            Terminal.of(runtime.stdout, runtime.environment).show(blocks)
        case "json":
            console.write_json(runtime.stdout, msgspec.json.encode(result.results.document).decode())
    return True


def _summary(
    context: RunContext,
    result: RunResult,
    scope: Scope | None,
    violations: Sequence[Violation],
    unrecorded: UnrecordedFacts,
) -> str:
    """Return the job summary as Markdown. It lists the facts of an event, and counts those of a sync."""
    facts = result.facts if context.work == "record" else ()
    part_count = context.run.matrix_size if context.settings.environment else 1
    event = EventInfo(result.observation.title, facts, part_count)
    report = summary.build(result.results, scope, event, _metrics_before(result, scope), context.outcomes)
    alarms = [summary.alarm_line(violation, scope) for violation in violations]
    notes = [*result.observation.notes, *result.notes, *report.notes]
    complete = replace(report, alarms=alarms, notes=notes, unrecorded=unrecorded)
    return render.summary_markdown(complete, load_template("summary.md.j2"), load_parts())


def _metrics_before(result: RunResult, scope: Scope | None) -> schema.Metrics | None:
    """The metrics of a scope without what this run recorded; only of this one, since no others are shown."""
    evaluation, results = result.evaluation_before, result.results
    if evaluation is None or scope is None:
        return None
    return metrics_of_scope(evaluation, scope, results.policy, results.window_spec, results.now)


def _log(runner: Runner, result: RunResult, violations: Sequence[Violation], outcomes: Sequence[Outcome]) -> None:
    runner.info(result.observation.title)
    for violation in violations:
        level: Literal["error", "warning"] = "error" if violation.on == "fail" else "warning"
        runner.annotate(level, "dora-metrics: threshold", f"{violation.text} ({violation.on}-on: {violation.rule})")
    for outcome in outcomes:
        if outcome.status == "failed":
            runner.annotate("warning", f"dora-metrics: {outcome.name}", outcome.detail)
        else:
            runner.info(f"{outcome.name}: {outcome.detail or outcome.status}")

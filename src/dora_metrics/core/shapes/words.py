"""What messages say, in plain English and already formatted: for Slack, Microsoft Teams and users' templates.

Fields of `Words` and of the types it contains are an interface: templates read them (docs/endpoint.md). Every text is
plain: no Markdown, on one line, without control characters. Names and titles in it come from strangers, so a shape
escapes them for the place where it puts them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts import ids
from dora_metrics.core.facts.model import EPOCH, Change, Deployment, Fact, Incident, Status, Vulnerability
from dora_metrics.core.failures.incident_reports import deciding_reports
from dora_metrics.core.markdown import plain, printable, web_address
from dora_metrics.core.metrics.document import build_scope_metrics
from dora_metrics.core.metrics.results import Results, compare_with_previous
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.periods import Period
from dora_metrics.core.reports.event_story import EventInfo, StoryContext, describe_event
from dora_metrics.core.reports.fact_names import short_title
from dora_metrics.core.reports.periodic.all_scopes import RowLimits, ScopeInReport, build_all_scopes_report
from dora_metrics.core.reports.periodic.attention import compare_periods, reasons_for_attention
from dora_metrics.core.reports.periodic.content import ReportInput, issue_title, outline, value_with_counts
from dora_metrics.core.reports.periodic.issue_body import utf16_length
from dora_metrics.core.reports.periodic.page_address import PageAddress
from dora_metrics.core.reports.sections import level_text
from dora_metrics.core.scope import (
    DEFAULT_ENVIRONMENT,
    Scope,
    deployment_label,
    environment_of,
    scope_label,
    scope_path,
)
from dora_metrics.core.shapes.deployment_events import rollback_ids
from dora_metrics.core.shapes.shape import OwedReport, ShapeInput
from dora_metrics.core.targets import units
from dora_metrics.core.targets.benchmarks import Benchmark
from dora_metrics.core.targets.metric import METRICS, Metric
from dora_metrics.core.windows import Window

FactKind = Literal["deployment", "incident", "change", "vulnerability"]
FactState = Literal["success", "failure", "cancelled", "open", "resolved", "merged", "retracted"]
ChangeVerdict = Literal["better", "worse", "same", ""]


class FactWords(Struct, frozen=True, kw_only=True):
    """What happened.

    Attributes:
        id: of the fact.
        repository: `owner/name`.
        kind: of the fact.
        state: how a deployment ended; whether an incident or a vulnerability is open; `merged` for a change;
            `retracted` for a fact that was withdrawn.
        sentence: such as `v1.4.2 was deployed to production`, without a full stop; long names in it are cut.
        details: further sentences, such as what a deployment delivered.
        time: when it happened, such as `Thu 19 Nov, 14:02`, in the time zone of the settings.
        url: of its page, http or https; empty without one.
        scope: the `key` of the scope that it belongs to; empty for changes, and for what belongs to none.
        is_production: whether it is a deployment to production, or an incident there.
        is_failed: whether it is a deployment that counts as failed, also if it succeeded first.
        is_rollback: whether it is a deployment that brought back an earlier version.
        attempt: the id of the deployment that it counts as. Jobs of one matrix have the same. Empty for other kinds,
            and for what does not count.
        incident: the id of the incident that it counts as. Reports of one incident have the same. Empty for other
            kinds, and for what does not count.
        is_repetition: whether an earlier part of the same attempt ended the same way, or another fact reports the same
            incident, so that nothing new is said.
    """

    id: str
    repository: str
    kind: FactKind
    state: FactState
    sentence: str
    details: tuple[str, ...] = ()
    time: str
    url: str = ""
    scope: str = ""
    is_production: bool = False
    is_failed: bool = False
    is_rollback: bool = False
    attempt: str = ""
    incident: str = ""
    is_repetition: bool = False


class MetricWords(Struct, frozen=True, kw_only=True):
    """One of the five metrics of a scope.

    Attributes:
        key: its name in settings, such as `lead_time`.
        label: its name, such as `Lead time for changes`.
        value: with its unit, such as `1 d 4 h`; `–` without data.
        reason: why there is no value; empty if there is one.
        before: the value of the previous window; empty without one.
        verdict: whether the value is clearly better or worse than before (p < 0.05); `same` if the difference is not
            clear; empty if nothing can be compared.
        change: value of the previous window and verdict, such as `better (before: 2 d)`; empty without a verdict.
        level: such as `high (possibly elite)`; empty without one.
    """

    key: str
    label: str
    value: str
    reason: str = ""
    before: str = ""
    verdict: ChangeVerdict = ""
    change: str = ""
    level: str = ""


class ScopeWords(Struct, frozen=True, kw_only=True):
    """The numbers of one service in one production environment.

    Attributes:
        key: of the scope, such as `acme/shop/web/production`; unique.
        name: such as `web · production`, after the name of the repository where several are named.
        repository: `owner/name`.
        service: its name.
        environment: its name.
        window: what the numbers are of, such as `last 30 days` or `week 47`.
        metrics: the five metrics, in their order.
        headline: one sentence on all of them; only in reports.
        attention: why the scope needs attention, the weightiest reason first, without full stops.
        hints: measures to improve the weakest metric, each with its reason; only in reports.
        page: the address that opens the page at this scope; empty if the page is not published.
    """

    key: str
    name: str
    repository: str
    service: str
    environment: str
    window: str
    metrics: tuple[MetricWords, ...]
    headline: str = ""
    attention: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    page: str = ""


class ReportWords(Struct, frozen=True, kw_only=True):
    """A periodic report that is due.

    Attributes:
        id: the name of the debt, such as `report:weekly:2026-W47`.
        kind: `weekly`, `monthly` or `quarterly`.
        title: such as `Delivery report · acme/shop · week 47, 2026`.
        period: such as `week 47, 2026`.
        headline: one or two sentences on all scopes.
        scopes: those with something to report, the most in need of attention first.
        page: the address of the page; empty if it is not published.
    """

    id: str
    kind: str
    title: str
    period: str
    headline: str
    scopes: tuple[ScopeWords, ...]
    page: str = ""


class Words(Struct, frozen=True, kw_only=True):
    """Everything that is said in one run.

    Attributes:
        repository: of the run.
        facts: what happened, the oldest debt first.
        scopes: the scopes of these facts, in the order of the facts.
        reports: those that are due.
        page: the address of the page; empty if it is not published.
    """

    repository: str
    facts: tuple[FactWords, ...]
    scopes: tuple[ScopeWords, ...]
    reports: tuple[ReportWords, ...]
    page: str = ""


def words_of(shape_input: ShapeInput) -> Words:
    """Say in plain English what an endpoint is owed."""
    places = _places(shape_input)
    histories = {place.history.scope: place.history for place in places.values() if place.history}
    repositories = {scope.repository for scope in histories}
    return Words(
        repository=_line(shape_input.repository),
        facts=tuple(_fact_words(fact, places[fact.id], shape_input.results) for fact in shape_input.facts),
        scopes=tuple(_current_scope_words(history, shape_input, repositories) for history in histories.values()),
        reports=tuple(_report_words(report, shape_input.page) for report in shape_input.reports if report.scopes),
        page=web_address(shape_input.page.published),
    )


@dataclass(frozen=True)
class _FactPlace:
    """Where a fact counts.

    `history`: of its scope; None if it belongs to none. `attempt`: the deployment that it is, or is a part of; None for
    other kinds, and for what does not count. `incident`: the incident that it reports; None for other kinds.
    `reports`: all facts that report the incident. `is_failed`, `is_rollback`: what was judged of the attempt.
    """

    history: ScopeHistory | None = None
    attempt: Deployment | None = None
    incident: Incident | None = None
    reports: Sequence[Incident] = ()
    is_failed: bool = False
    is_rollback: bool = False


def _places(shape_input: ShapeInput) -> Mapping[str, _FactPlace]:
    """Return by the id of each fact where it counts."""
    places = {fact.id: _FactPlace() for fact in shape_input.facts}
    for history in shape_input.results.evaluation.histories:
        places |= dict(_deployment_places(history, shape_input, places.keys()))
        places |= dict(_incident_places(history, places.keys()))
    return places


def _deployment_places(
    history: ScopeHistory, shape_input: ShapeInput, fact_ids: AbstractSet[str]
) -> Iterator[tuple[str, _FactPlace]]:
    attempts = {
        part.id: deployment
        for deployment in history.deployments
        for part in history.parts.get(deployment.id, (deployment,))
        if part.id in fact_ids
    }
    rollbacks = rollback_ids(history, shape_input.results.policy) if attempts else frozenset[str]()
    for part_id, attempt in attempts.items():
        is_rollback = attempt.status == "success" and attempt.id in rollbacks
        is_failed = attempt.id in shape_input.failures
        yield part_id, _FactPlace(history, attempt, is_failed=is_failed, is_rollback=is_rollback)


def _incident_places(history: ScopeHistory, fact_ids: AbstractSet[str]) -> Iterator[tuple[str, _FactPlace]]:
    for attributed in history.incidents:
        for report_id in attributed.report_ids & fact_ids:
            yield report_id, _FactPlace(history, incident=attributed.incident, reports=attributed.reports)


def _fact_words(fact: Fact, place: _FactPlace, results: Results) -> FactWords:
    moment, scope = time_of(place.incident or fact), scope_path(place.history.scope) if place.history else ""
    time = formatting.weekday_date_time(moment, results.policy.zone)
    common = _Common(fact.id, _line(fact.repository), time, web_address(fact.url), scope)
    match fact:
        case Deployment():
            return _deployment_words(fact, place, results, common)
        case Incident():
            return _incident_words(fact, place, results, common)
        case Change():
            return common.words("change", _state(fact, "merged"), f"{_change_name(fact)} {_verb(fact, 'was merged')}")
        case Vulnerability():
            return _vulnerability_words(fact, common)


def time_of(fact: Fact) -> datetime:
    """Return when the newest thing happened that a fact states: an end, where there is one."""
    match fact:
        case Incident():
            return fact.resolved_at or fact.detected_at
        case Vulnerability():
            return fact.fixed_at or fact.dismissed_at or fact.detected_at
        case _:
            return fact.defining_time


@dataclass(frozen=True)
class _Common:
    """What the words of every fact have."""

    id: str
    repository: str
    time: str
    url: str
    scope: str

    def words(self, kind: FactKind, state: FactState, sentence: str) -> FactWords:
        return FactWords(
            id=self.id,
            repository=self.repository,
            kind=kind,
            state=state,
            sentence=sentence,
            time=self.time,
            url=self.url,
            scope=self.scope,
        )


def _state(fact: Fact, state: FactState) -> FactState:
    return "retracted" if fact.retracted else state


def _verb(fact: Fact, verb: str) -> str:
    return "is withdrawn" if fact.retracted else verb


def _deployment_words(fact: Deployment, place: _FactPlace, results: Results, common: _Common) -> FactWords:
    attempt, is_production = place.attempt, results.is_production(fact)
    return replace(
        common.words(
            "deployment",
            _state(fact, (attempt or fact).status),
            _deployment_sentence(fact, place, is_production=is_production),
        ),
        details=_deployment_details(fact, place, results) if attempt else (),
        is_production=is_production,
        is_failed=place.is_failed,
        is_rollback=place.is_rollback,
        attempt=attempt.id if attempt else "",
        is_repetition=attempt is not None and _is_repetition(fact, place),
    )


def _deployment_sentence(fact: Deployment, place: _FactPlace, *, is_production: bool) -> str:
    deployment = place.attempt or fact
    name = cut(_line(deployment_label(deployment)) or _line(deployment.id), _MAX_NAME_LENGTH)
    if fact.retracted:
        return f"{name} is withdrawn"
    environment = cut(_line(environment_of(fact)), _MAX_ENVIRONMENT_LENGTH) if fact.environment or is_production else ""
    if place.is_rollback:
        sentence = f"Rolled back to {name}{environment and f' in {environment}'}"
    else:
        sentence = _DEPLOYMENT_SENTENCES[deployment.status].format(name, environment and f" to {environment}")
    is_failed_success = place.is_failed and deployment.status == "success"
    return f"{sentence}, but counts as failed" if is_failed_success else sentence


_MAX_NAME_LENGTH = 60
_MAX_ENVIRONMENT_LENGTH = 40
_MAX_TITLE_LENGTH = 105
"""A sentence with names of this length fits into the header of a message."""

_DEPLOYMENT_SENTENCES: Mapping[Status, str] = {
    "success": "{} was deployed{}",
    "failure": "Deployment of {}{} failed",
    "cancelled": "Deployment of {}{} was cancelled",
}


def _deployment_details(fact: Deployment, place: _FactPlace, results: Results) -> tuple[str, ...]:
    """Return what the job summary says of a deployment below its headline."""
    history = place.history
    if history is None:
        return ()
    context = StoryContext(
        history,
        results.metrics_of(history.scope),
        None,
        results.policy,
        results.window_text,
        results.window.days,
        left_out=results.evaluation.left_out,
    )
    story = describe_event(EventInfo("", (fact,)), context)
    return tuple(plain(sentence) for sentence in story.sentences if sentence)


def _is_repetition(fact: Deployment, place: _FactPlace) -> bool:
    """Whether the attempt had this outcome before this part of it ended."""
    if place.history is None or place.attempt is None:
        return False
    parts = place.history.parts.get(place.attempt.id, (place.attempt,))
    same = [part for part in parts if part.status == place.attempt.status] or [fact]
    return fact.id != min(same, key=lambda part: (part.finished_at, part.id)).id


def _incident_words(fact: Incident, place: _FactPlace, results: Results, common: _Common) -> FactWords:
    incident = place.incident or fact
    title = cut(_line(short_title(incident.title)) or _line(incident.id), _MAX_TITLE_LENGTH)
    zone = results.policy.zone
    if fact.retracted:
        words = common.words("incident", "retracted", f"No longer an incident: {title}")
    elif incident.resolved_at is None:
        since = formatting.weekday_date_time(incident.detected_at, zone)
        words = common.words("incident", "open", f"Incident: {title} (open since {since})")
    else:
        seconds = max((incident.resolved_at - incident.detected_at).total_seconds(), 0)
        duration = f" after {formatting.duration(seconds)}" if seconds else ""
        text = f"Incident resolved{duration}: {title}"
        words = common.words("incident", "resolved", text)
    return replace(
        words,
        details=_incident_details(fact, place, results),
        is_production=results.is_production(incident),
        incident=place.incident.id if place.incident else "",
        is_repetition=_is_repeated_report(fact, incident, place.reports),
    )


def _is_repeated_report(fact: Incident, incident: Incident, reports: Sequence[Incident]) -> bool:
    """Whether another report said first that an incident is open, or ended it."""
    if incident.resolved_at:
        news = max(deciding_reports(reports), key=_resolution_order, default=fact)
    else:
        news = min((each for each in reports if each.resolved_at is None), key=_detection_order, default=fact)
    return fact.id != news.id


def _detection_order(report: Incident) -> tuple[datetime, str]:
    return report.detected_at, report.id


def _resolution_order(report: Incident) -> tuple[datetime, str]:
    return report.resolved_at or EPOCH, report.id


def _incident_details(fact: Incident, place: _FactPlace, results: Results) -> tuple[str, ...]:
    """Return severity and attribution."""
    severity = f"Severity: {fact.severity}." if fact.severity else ""
    if place.history is None or fact.retracted:
        return (severity,) if severity else ()
    context = StoryContext(place.history, None, None, results.policy, results.window_text, results.window.days)
    attribution = plain(describe_event(EventInfo("", (fact,)), context).sentences[0])
    return tuple(filter(None, (severity, attribution)))


def _change_name(change: Change) -> str:
    title, name = short_title(change.title), ids.short(change.id)
    return _line(f"{name} {title}" if title else name)


def _vulnerability_words(fact: Vulnerability, common: _Common) -> FactWords:
    state: FactState = "resolved" if fact.fixed_at or fact.dismissed_at else "open"
    name = _line(" ".join(filter(None, (fact.severity, "vulnerability", fact.package and f"in {fact.package}"))))
    verb = "was fixed" if fact.fixed_at else "was dismissed" if fact.dismissed_at else "was detected"
    return common.words("vulnerability", _state(fact, state), f"{_capitalised(name)} {_verb(fact, verb)}")


def _current_scope_words(history: ScopeHistory, shape_input: ShapeInput, repositories: AbstractSet[str]) -> ScopeWords:
    """Return the numbers of a scope in the window of the run."""
    results = shape_input.results
    report_input = _of_current_window(history, results, shape_input.page)
    verdicts = compare_with_previous(results, history, report_input.scope_metrics)
    words = _scope_words(report_input, verdicts, units.format_brief)
    return replace(words, name=_line(_scope_name(history.scope, repositories)), window=results.window_text)


def _of_current_window(history: ScopeHistory, results: Results, page: PageAddress) -> ReportInput:
    """Return what is needed to tell whether a scope needs attention now: the run's window as a period."""
    window = results.window
    text = f"the {results.window_text}" if results.window_spec.length else "the window"
    period = Period("monthly", results.window_spec.text, text, text, window, window.end)

    def metrics_in(window: Window, *, with_previous: bool) -> schema.ScopeMetrics:
        return build_scope_metrics(history, window, results.policy, results.now, with_previous=with_previous)

    has_previous = not results.window_spec.is_all
    scope_metrics = results.metrics_of(history.scope) or metrics_in(window, with_previous=has_previous)
    return ReportInput(results, history, period, scope_metrics, metrics_in(period.basis, with_previous=False), page)


def _scope_words(
    report_input: ReportInput, verdicts: Mapping[str, str], format_value: Callable[[schema.MetricVerdict], str]
) -> ScopeWords:
    scope, scope_metrics = report_input.history.scope, report_input.scope_metrics
    benchmark = report_input.results.policy.benchmark
    return ScopeWords(
        key=scope_path(scope),
        name=_line(scope_label(scope)),
        repository=_line(scope.repository),
        service=_visible(scope.service),
        environment=_visible(scope.environment),
        window=report_input.period.short,
        metrics=tuple(
            _metric_words(metric, scope_metrics, verdicts, benchmark, format_value) for metric in METRICS.values()
        ),
        attention=tuple(_capitalised(plain(reason.text)) for reason in reasons_for_attention(report_input)),
        page=web_address(report_input.page.of_scope(scope)),
    )


def _scope_name(scope: Scope, repositories: AbstractSet[str]) -> str:
    """Return the name of a scope among others, which are in these repositories."""
    label = scope_label(Scope(scope.repository, _visible(scope.service), _visible(scope.environment)))
    if len(repositories) == 1 and label != DEFAULT_ENVIRONMENT:
        return label
    return scope.repository if label == DEFAULT_ENVIRONMENT else f"{scope.repository} · {label}"


def _metric_words(
    metric: Metric,
    scope_metrics: schema.ScopeMetrics,
    verdicts: Mapping[str, str],
    benchmark: Benchmark,
    format_value: Callable[[schema.MetricVerdict], str],
) -> MetricWords:
    result = metric.result_in(scope_metrics.metrics)
    before = _value(metric.result_in(scope_metrics.previous), format_value) if scope_metrics.previous else ""
    verdict = _VERDICTS.get(verdicts.get(metric.key, ""), "")
    return MetricWords(
        key=metric.key,
        label=metric.label,
        value=_value(result, format_value) or formatting.NO_VALUE,
        reason=result.reason or "",
        before=before,
        verdict=verdict,
        change=f"{_VERDICT_TEXTS[verdict]} (before: {before})" if verdict else "",
        level=level_text(result, benchmark) if result.level else "",
    )


def _value(result: schema.MetricVerdict, format_value: Callable[[schema.MetricVerdict], str]) -> str:
    """Return a value with its unit; empty without data."""
    return "" if units.deciding_value(result) is None else format_value(result)


_VERDICTS: Mapping[str, ChangeVerdict] = {"better": "better", "worse": "worse", "no clear change": "same"}
_VERDICT_TEXTS: Mapping[ChangeVerdict, str] = {"better": "better", "worse": "worse", "same": "no clear change"}


def _report_words(report: OwedReport, page: PageAddress) -> ReportWords:
    """Return a report on all scopes with something to report; the one in most need of attention comes first."""
    scopes = sorted(map(ScopeInReport.of, report.scopes), key=lambda scope: scope.order)
    whole = build_all_scopes_report(scopes, page, RowLimits(rows=0, has_links=False))
    repositories = {scope.scope.repository for scope in scopes}
    texts = tuple(_reported_scope_words(scope.report_input, repositories) for scope in scopes)
    is_alone = len(texts) == 1
    return ReportWords(
        id=report.id,
        kind=whole.period.kind,
        title=_line(issue_title(scopes[0].report_input.history, whole.period) if is_alone else whole.title),
        period=whole.period.title,
        headline=texts[0].headline if is_alone else plain(whole.headline),
        scopes=texts,
        page=web_address(page.published),
    )


def _reported_scope_words(report_input: ReportInput, repositories: AbstractSet[str]) -> ScopeWords:
    report = outline(report_input)
    words = _scope_words(report_input, compare_periods(report_input), _reported_value)
    return replace(
        words,
        name=_line(_scope_name(report_input.history.scope, repositories)),
        metrics=tuple(_reported_label(metric) for metric in words.metrics),
        headline=plain(report.headline),
        hints=tuple(_capitalised(plain(measure)) for hint in report.hints for measure in hint.measures),
    )


def _reported_value(result: schema.MetricVerdict) -> str:
    """Return a value as a report has it; of lead time the median only, since no column says what else is meant."""
    return units.format_result(result) if isinstance(result, schema.LeadTime) else value_with_counts(result)


def _reported_label(metric: MetricWords) -> MetricWords:
    """Return a metric with the label of its value in a report, where a frequency is a count of deployments."""
    is_count = metric.key == "deployment_frequency"
    return replace(metric, label=METRICS[metric.key].line_label) if is_count else metric


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _visible(name: str) -> str:
    """Return a name on one line, escaped if nothing of it could be seen."""
    return _line(name) or quote(name, safe="", errors="replace")


def cut(text: str, length: int) -> str:
    """Return a text of at most `length` UTF-16 code units, with `…` where it was cut."""
    if utf16_length(text) <= length:
        return text
    shortened = text.encode("utf-16-le")[: 2 * (length - 1)].decode("utf-16-le", errors="ignore")
    return f"{shortened.rstrip()}…"


def _line(text: str) -> str:
    """Return a text on one line, without characters that are invisible or change the direction of a line."""
    return " ".join(printable(text).split())

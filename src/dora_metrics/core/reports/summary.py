"""What a run has to say, in words; templates only loop over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dora_metrics.core import formatting, schema
from dora_metrics.core.markdown import Md, link, md
from dora_metrics.core.metrics import security
from dora_metrics.core.metrics.comparison import Subject, verdicts
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.metrics.weekly import complete_weeks, long_view
from dora_metrics.core.outcome import Told
from dora_metrics.core.reports.event_story import Happening, Setting, Story, tell
from dora_metrics.core.reports.sections import NAMES, Chart, Making, Prospects, Row, chart, making, prospects, rows
from dora_metrics.core.scope import Scope, name_of
from dora_metrics.core.targets.thresholds import Violation

_MOST_OTHERS = 200


@dataclass(frozen=True)
class Other:
    """One line about a scope that the event is not about, its name linked to the repository."""

    name: Md
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """A summary, ready to be rendered; plain texts are untrusted, `Md` is not."""

    story: Story
    heading: str
    before: str
    benchmark: str
    alarms: Sequence[Md] = ()
    rows: Sequence[Row] = ()
    overall: str = ""
    insight: Md | None = None
    prospects: Prospects | None = None
    chart: Chart | None = None
    others: Sequence[Other] = ()
    others_more: int = 0
    told: Sequence[Told] = ()
    making: Making | None = None
    notes: Sequence[str] = field(default=())


def build(
    subject: Subject,
    main: Scope | None,
    happening: Happening | None,
    earlier: Subject | None,
    told: Sequence[Told] = (),
) -> Report:
    """The report about one scope and, in a line each, all others.

    Args:
        subject: the numbers.
        main: the scope that the event is about; None where there is none yet.
        happening: the event; None for a report that no event started.
        earlier: the numbers without this event's facts, to say what it changed.
        told: how the effects of the run went.
    """
    record = next((record for record in subject.records.records if record.scope == main), None)
    scope = subject.scope(main) if main else None
    was = earlier.scope(main) if earlier and main else None
    secure = security.sentence(record.vulnerabilities, subject.window) if record else ""
    story = tell(happening, Setting(record, scope, was, subject.policy, subject.span, secure))
    if record is None or scope is None:
        return Report(story, subject.span, "", subject.document.benchmark, told=told, notes=subject.document.notes)
    records = {record.scope: record for record in subject.records.records}
    others = [_other(one, records) for one in subject.document.scopes if one is not scope]
    return Report(
        story=story,
        heading=f"{subject.span}, {name_of(record.scope)}",
        before=_before(subject),
        benchmark=subject.document.benchmark,
        rows=rows(scope, verdicts(subject, record, scope)),
        overall=overall(scope),
        insight=_insight(scope),
        prospects=prospects(scope.outlook),
        chart=chart(_weeks(record, subject)),
        others=others[:_MOST_OTHERS],
        others_more=len(others[_MOST_OTHERS:]),
        told=told,
        making=making(record, scope, subject.window, subject.policy),
        notes=subject.document.notes,
    )


def _weeks(record: Record, subject: Subject) -> list[schema.Week]:
    return complete_weeks(record, long_view(subject.window, subject.now), subject.policy, subject.now)


def _before(subject: Subject) -> str:
    if subject.spec.everything:
        return ""
    return f"{subject.span.removeprefix('last ')} before" if subject.spec.span else "the same time before"


def alarm(one: Violation, main: Scope | None) -> Md:
    """What was hit, with its scope where that is another one, and the threshold as it was written."""
    scope = Scope(one.repository, one.service, one.environment)
    said = one.text if scope == main else f"{one.repository} · {name_of(scope)}: {one.text}"
    return md("{} **{}** ({}-on: {})", "❌" if one.on == "fail" else "⚠️", said, one.on, one.rule)


def overall(scope: schema.ScopeMetrics) -> str:
    """The overall level, and what it rests on; empty without one."""
    found = scope.metrics.overall_level
    if found is None:
        return ""
    lowest = [NAMES[name].lower() for name in found.rests_on if getattr(scope.metrics, name).level == found.level]
    return f"{found.level}, by {' and '.join(lowest)}: the lowest of {len(found.rests_on)} metrics with data"


_STAGES = {
    "coding": ("Coding takes longest", "pass between the first commit and the pull request"),
    "review": ("Review takes longest", "pass between the opening of a pull request and its merge"),
    "delivery": ("Delivery waits", "lie between merge and deployment"),
}


def _insight(scope: schema.ScopeMetrics) -> Md | None:
    """The stage that takes at least half of the median lead time."""
    lead = scope.metrics.lead_time
    spans = {name: getattr(lead.stages, name).p50_seconds for name in _STAGES}
    longest = max(_STAGES, key=lambda name: spans[name] or 0)
    if not lead.p50_seconds or (spans[longest] or 0) * 2 < lead.p50_seconds:
        return None
    title, where = _STAGES[longest]
    whole, part = formatting.duration(lead.p50_seconds), formatting.duration(spans[longest])
    return md(f"{title}: with a median lead time of {{}}, **{{}} {where}** (median).", whole, part)


def _other(one: schema.ScopeMetrics, records: Mapping[Scope, Record]) -> Other:
    found, scope = one.metrics, Scope(one.repository, one.service, one.environment)
    name = link(f"{scope.repository} · {name_of(scope)}", home(records.get(scope)))
    cells = (
        formatting.frequency(found.deployment_frequency.per_day),
        formatting.duration(found.lead_time.p50_seconds),
        formatting.percent(found.change_failure_rate.ratio),
        formatting.duration(found.recovery_time.p50_seconds),
        found.overall_level.level if found.overall_level else formatting.NOTHING,
    )
    return Other(name, cells)


def home(record: Record | None) -> str | None:
    """The page of a scope's repository, as far as the page of one of its deployments tells it."""
    for deployment in reversed(record.deployments if record else ()):
        before, found, _ = (deployment.url or "").partition(f"/{deployment.repository}/")
        if found:
            return before + found.rstrip("/")
    return None

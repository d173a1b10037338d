"""The report of one scope and one period, in words; templates only loop over it."""

from dataclasses import dataclass, replace
from datetime import timedelta

from dora_metrics.core import formatting, schema
from dora_metrics.core.markdown import Md, md
from dora_metrics.core.metrics import security
from dora_metrics.core.metrics.calculate import failures_in
from dora_metrics.core.metrics.comparison import compare
from dora_metrics.core.metrics.document import scope_metrics
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.metrics.weekly import complete_weeks
from dora_metrics.core.periods import Period
from dora_metrics.core.reports.chart import WEEKS, Chart, chart
from dora_metrics.core.reports.event_story import name
from dora_metrics.core.reports.making import Making, failed, making
from dora_metrics.core.reports.periodic.delivered import Delivered, delivered, open_incidents
from dora_metrics.core.reports.periodic.headline import headline
from dora_metrics.core.reports.periodic.lines import Line, lines
from dora_metrics.core.reports.prospects import Hint, hints, trends
from dora_metrics.core.reports.sections import NAMES
from dora_metrics.core.reports.summary import Subject, name_of, overall
from dora_metrics.core.targets import goals
from dora_metrics.core.windows import Window

_NOTES = 20


@dataclass(frozen=True)
class Detail:
    """How much of what is told in lists, the first of all dropped where there is no room."""

    deployments: int
    changes: int
    failures: int
    incidents: int
    making: bool = True


@dataclass(frozen=True)
class Listed:
    """Some lines, and how many more there are."""

    lines: tuple[Md, ...]
    more: int


@dataclass(frozen=True)
class Columns:
    """What the columns of the table are called: the period, the one before, the longer span, the levels."""

    period: str
    before: str
    basis: str
    level: str


@dataclass(frozen=True)
class Periodical:
    """A report, ready to be rendered; plain texts are untrusted, `Md` is not. `cut`: some lists are not whole."""

    title: str
    period: Period
    headline: Md
    columns: Columns
    lines: list[Line]
    overall: str
    chart: Chart | None
    trends: Md
    hints: tuple[Hint, ...]
    failed: Listed
    incidents: Listed
    goals: list[Md]
    achievements: list[str]
    security: str
    delivered: Delivered
    making: Making | None
    notes: list[str]

    @property
    def cut(self) -> bool:
        lists = (self.failed.more, self.incidents.more, self.delivered.more, *(d.more for d in self.delivered.listed))
        return any(lists) or self.making is None


@dataclass(frozen=True)
class Matter:
    """Everything that a report is made from, however much of it is told.

    `scope`: the numbers of the period and of the one before. `basis`: of the 90 days up to its end, which levels, goals
    and advice are read from; of a quarter the quarter itself.
    """

    subject: Subject
    record: Record
    period: Period
    scope: schema.ScopeMetrics
    basis: schema.ScopeMetrics

    @classmethod
    def of(cls, subject: Subject, record: Record, period: Period) -> "Matter":
        window, policy = period.window, subject.policy
        span = period.basis
        scope = scope_metrics(record, window, policy, subject.now, compared=True)
        basis = scope if span == window else scope_metrics(record, span, policy, subject.now, compared=True)
        return cls(subject, record, period, scope, basis)


def is_alive(record: Record, period: Period) -> bool:
    """Whether a scope has anything to report: a deployment or an incident within 90 days before the period's end."""
    times = (*(d.finished_at for d in record.deployments), *(one.incident.detected_at for one in record.incidents))
    return any(map(period.basis.holds, times))


def title(record: Record, period: Period) -> str:
    """Of the issue: `Delivery report · acme/shop · week 47, 2026`."""
    place = record.scope.repository
    called = name_of(record.scope)
    return " · ".join(("Delivery report", place, *([called] if called != "production" else []), period.title))


def gist(matter: Matter) -> Periodical:
    """The report as far as it is the same in any detail; its lists are empty."""
    record, policy, window = matter.record, matter.subject.policy, matter.period.window
    verdicts = dict(compare(record, window, matter.scope.metrics, matter.scope.previous or matter.scope.metrics))
    outlook, incidents = matter.basis.outlook, _incidents(matter, 0)
    return Periodical(
        title=title(record, matter.period),
        period=matter.period,
        headline=headline(matter.scope, verdicts, incidents.more),
        columns=_columns(matter),
        lines=lines(matter.scope, matter.basis, verdicts),
        overall=overall(matter.basis),
        chart=chart(_weeks(matter)),
        trends=trends(outlook),
        hints=hints(outlook),
        failed=Listed((), 0),
        incidents=incidents,
        goals=[md("**{}**: {}", NAMES[goal.metric], goals.sentence(goal)) for goal in outlook.goals],
        achievements=outlook.achievements,
        security=security.sentence(record.vulnerabilities, window),
        delivered=delivered(record, window, policy, 0, 0),
        making=None,
        notes=[],
    )


def detailed(report: Periodical, matter: Matter, detail: Detail) -> Periodical:
    """The same report with its lists, told in some detail."""
    record, policy, window = matter.record, matter.subject.policy, matter.period.window
    return replace(
        report,
        failed=_failed(matter, detail.failures),
        incidents=_incidents(matter, detail.incidents),
        delivered=delivered(record, window, policy, detail.deployments, detail.changes),
        making=making(record, matter.scope, window, policy) if detail.making else None,
        notes=matter.subject.document.notes[:_NOTES] if detail.making else [],
    )


def _incidents(matter: Matter, most: int) -> Listed:
    told, more = open_incidents(matter.record, matter.period.window, matter.subject.policy, most)
    return Listed(tuple(told), more)


def _columns(matter: Matter) -> Columns:
    unit, benchmark = matter.period.unit, matter.subject.document.benchmark
    return Columns(
        period=matter.period.short,
        before="the week before" if unit == "week" else f"{round(matter.period.window.days)} days before",
        basis="" if matter.basis is matter.scope else f"last {round(matter.period.basis.days)} days",
        level="level" if benchmark == "none" else f"level ({benchmark})",
    )


def _weeks(matter: Matter) -> list[schema.Week]:
    end = matter.period.window.end
    window = Window(end - timedelta(weeks=WEEKS + 2), end)
    return complete_weeks(matter.record, window, matter.subject.policy, matter.subject.now)


def _failed(matter: Matter, most: int) -> Listed:
    record, policy = matter.record, matter.subject.policy
    found = failures_in(record, matter.period.window)[::-1]
    told = (
        md(
            "{}, {}: {}",
            name(one.deployment),
            formatting.when(one.deployment.finished_at, policy.zone),
            failed(one, record),
        )
        for one in found[:most]
    )
    return Listed(tuple(told), max(0, len(found) - most))

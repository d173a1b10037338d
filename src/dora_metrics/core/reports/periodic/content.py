"""The report of one scope and one period, in words; templates only loop over it.

The table of a report: five metrics in the period, in the one before, over a longer span, and against their goals.

What reached production in a period, the newest first.

The first line of a report: better or not, and what happened.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import Deployment, Incident
from dora_metrics.core.markdown import Md, joined, link, md
from dora_metrics.core.metrics import security
from dora_metrics.core.metrics.calculate import deployments_in, failures_in, successes
from dora_metrics.core.metrics.comparison import Subject, Verdict, compare
from dora_metrics.core.metrics.document import scope_metrics
from dora_metrics.core.metrics.scope_history import Record, cut
from dora_metrics.core.metrics.weekly import complete_weeks
from dora_metrics.core.periods import Period
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.fact_names import change_name, name
from dora_metrics.core.reports.sections import NAMES as SECTIONS_NAMES
from dora_metrics.core.reports.sections import (
    WEEKS,
    Chart,
    Hint,
    Making,
    before,
    chart,
    failed,
    hints,
    level,
    making,
    plain,
    trends,
)
from dora_metrics.core.reports.summary import overall
from dora_metrics.core.scope import name_of
from dora_metrics.core.targets import goals, units
from dora_metrics.core.windows import Window

_MANY = 10

NAMES = {
    "deployment_frequency": "Deployments",
    "lead_time": "Lead time, median (p90)",
    "change_failure_rate": "Change failure rate",
    "recovery_time": "Recovery, median",
    "rework_rate": "Rework rate",
}


@dataclass(frozen=True)
class Line:
    """One metric; `standing`: its value over the longer span, from which level and goal are read."""

    name: str
    value: Md
    before: Md
    standing: str
    level: str
    goal: str


def lines(scope: schema.ScopeMetrics, basis: schema.ScopeMetrics, verdicts: Mapping[str, str]) -> list[Line]:
    """`scope`: the period, `basis`: the longer span."""
    return [
        Line(
            name=title,
            value=_value(getattr(scope.metrics, name)),
            before=before(name, getattr(scope.metrics, name), scope.previous, verdicts, told),
            standing=_standing(getattr(basis.metrics, name)),
            level=level(getattr(basis.metrics, name)),
            goal=_goal(name, basis.outlook.goals),
        )
        for name, title in NAMES.items()
    ]


def told(part: schema.Judged) -> str:
    """A value with its numbers: of a few, the numbers alone."""
    match part:
        case schema.DeploymentFrequency() if part.per_day is not None:
            days = formatting.count(part.deployment_days, "day")
            return f"{part.deployments:,} on {days}" if part.deployments else "none"
        case schema.LeadTime() if part.p50_seconds is not None:
            return f"{plain(part)} ({formatting.duration(part.p90_seconds)})"
        case schema.ChangeFailureRate() if part.ratio is not None:
            return _share(part.failed, part.deployments)
        case schema.ReworkRate() if part.ratio is not None:
            return _share(part.rework, part.deployments)
        case schema.RecoveryTime() if part.open:
            return f"{plain(part)}, {part.open} open"
        case _:
            return plain(part)


def _share(part: int, whole: int) -> str:
    few = f"{part:,} of {whole:,}"
    return f"{formatting.percent(part / whole)} ({few})" if whole >= _MANY else few


def _value(part: schema.Judged) -> Md:
    said = told(part)
    if said != formatting.NOTHING:
        return md("**{}**", said)
    return md("– ({})", part.reason) if part.reason else Md(formatting.NOTHING)


def _standing(part: schema.Judged) -> str:
    match part:
        case schema.ChangeFailureRate() | schema.ReworkRate() if part.ratio is not None:
            return f"{plain(part)} ({formatting.band(part.interval95)})"
        case _:
            return plain(part)


def _goal(name: str, found: Sequence[schema.Goal]) -> str:
    return next((f"{goals.aim(goal)}: {_state(goal)}" for goal in found if goal.metric == name), formatting.NOTHING)


def _state(goal: schema.Goal) -> str:
    """What fits into a cell."""
    if goal.value is None or goal.met:
        return "met" if goal.met else "no value yet"
    way = f"{units.step(goal.metric, goal.distance or 0)} to go"
    return f"{way}, {goal.course}" if goal.course in ("on course", "not on course", "missed") else way


_LONGEST_TITLE = 200


@dataclass(frozen=True)
class Delivery:
    """A deployment with the changes it brought; `more`: those that are not listed."""

    text: Md
    changes: tuple[Md, ...]
    more: int


@dataclass(frozen=True)
class Delivered:
    """`count` deployments with `changes` changes; `more`: the deployments that are not listed."""

    count: int
    changes: int
    listed: tuple[Delivery, ...]
    more: int

    @property
    def title(self) -> str:
        return f"{formatting.count(self.count, 'deployment')}, {formatting.count(self.changes, 'change')}"


def delivered(record: Record, window: Window, policy: Policy, deployments: int, changes: int) -> Delivered:
    """At most so many deployments, each with at most so many changes."""
    found = successes(deployments_in(record, window))[::-1]
    brought = _brought(record, window)
    listed = tuple(
        _delivery(one, record, policy, tuple(brought[one.id])[:changes], len(brought[one.id]))
        for one in found[:deployments]
    )
    return Delivered(len(found), sum(map(len, brought.values())), listed, len(found) - len(listed))


def _brought(record: Record, window: Window) -> Mapping[str, Mapping[str, None]]:
    """By deployment the changes that it was the first to bring, also those that are in no lead time."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for lead in cut(record.leads.measured, window, lambda one: one.at):
        found[lead.deployment][lead.change] = None
    for exclusion in cut(record.leads.excluded, window, lambda one: one.at):
        found[exclusion.deployment][exclusion.change] = None
    return found


def _delivery(one: Deployment, record: Record, policy: Policy, shown: Sequence[str], count: int) -> Delivery:
    size = formatting.count(count, "change")
    if one is record.first_success:
        size = "the first known deployment, which only bounds the next one"
    elif one.changes is None:
        size = "changes not known"
    text = md("{}, {}, {}", name(one), formatting.when(one.finished_at, policy.zone), size)
    return Delivery(text, tuple(_change(change, record) for change in shown), count - len(shown))


def _change(identity: str, record: Record) -> Md:
    change = record.changes.get(identity)
    title = " ".join((change.title or "").split()) if change else ""
    shown = title if len(title) <= _LONGEST_TITLE else f"{title[:_LONGEST_TITLE]}…"
    return md("{} {}", change_name(identity, change), shown) if shown else change_name(identity, change)


def open_incidents(record: Record, window: Window, policy: Policy, most: int) -> tuple[list[Md], int]:
    """The incidents up to the end of a window that nobody has resolved, the oldest first; and how many more."""
    known = (one.incident for one in record.incidents if one.incident.detected_at < window.end)
    found = [incident for incident in known if incident.resolved_at is None]
    return [_incident(one, policy) for one in found[:most]], max(0, len(found) - most)


def _incident(one: Incident, policy: Policy) -> Md:
    severity = f", {one.severity}" if one.severity else ""
    since = formatting.when(one.detected_at, policy.zone)
    return md("{}{}, since {}", link(one.title or one.id, one.url), severity, since)


def headline(scope: schema.ScopeMetrics, verdicts: Mapping[str, Verdict], incidents: int) -> Md:
    """`**Faster.** 4 deployments brought 17 changes, …; 1 of 4 failed and was back after 41 min.`

    `incidents`: how many are open.
    """
    still = md("{} open", formatting.count(incidents, "incident")) if incidents else Md("")
    return md("**{}.** {}.", _gist(verdicts), joined("; ", (*_facts(scope, verdicts), still)))


def _gist(verdicts: Mapping[str, Verdict]) -> str:
    """Only what is clear at p < 0.05; no word for the rest."""
    if not verdicts:
        return "Nothing to compare with yet"
    said = [said_as[verdict] for name, said_as in _WORDS.items() if (verdict := verdicts.get(name)) in said_as]
    if not said:
        return "No clear change"
    good = {word for said_as in _WORDS.values() for verdict, word in said_as.items() if verdict == "better"}
    text = said[0]
    for one, other in pairwise(said):
        text += f"{' and' if (one in good) is (other in good) else ', but'} {other}"
    return text.capitalize()


_WORDS: dict[str, dict[Verdict | None, str]] = {
    "lead_time": {"better": "faster", "worse": "slower"},
    "deployment_frequency": {"better": "more often", "worse": "less often"},
    "change_failure_rate": {"better": "safer", "worse": "less safe"},
    "recovery_time": {"better": "sooner repaired", "worse": "later repaired"},
}


def _facts(scope: schema.ScopeMetrics, verdicts: Mapping[str, Verdict]) -> Iterator[Md]:
    found = scope.metrics
    deployments, lost = found.deployment_frequency.deployments, found.pipeline.failed_runs
    if deployments:
        yield md(
            "{} reached {}{}", formatting.count(deployments, "deployment"), scope.environment, _lead(scope, verdicts)
        )
    elif found.change_failure_rate.deployments:
        yield md("No deployment to {} succeeded", scope.environment)
    else:
        yield md("No deployment reached {}", scope.environment)
        yield md("{} failed", formatting.count(lost, "run")) if lost else Md("")
    yield from _failures(found)


def _lead(scope: schema.ScopeMetrics, verdicts: Mapping[str, Verdict]) -> Md:
    lead, previous = scope.metrics.lead_time, scope.previous
    if lead.p50_seconds is None:
        return Md("")
    said = md(
        " with {}, median lead time {}",
        formatting.count(lead.changes, "measured change"),
        formatting.duration(lead.p50_seconds),
    )
    if previous and verdicts.get("lead_time") in ("better", "worse"):
        return md("{} (from {})", said, formatting.duration(previous.lead_time.p50_seconds))
    return said


def _failures(found: schema.Metrics) -> Iterator[Md]:
    rate, recovery = found.change_failure_rate, found.recovery_time
    if not rate.deployments:
        return
    if not rate.failed:
        yield Md("none is known to have failed")
        return
    said = md("{} of {} failed", rate.failed, rate.deployments)
    if recovery.recovered:
        alone = recovery.recovered == rate.failed == 1
        back = md("and was back after {}" if alone else "median recovery {}", formatting.duration(recovery.p50_seconds))
        said = joined(" " if alone else ", ", (said, back))
    yield md("{}, {} not over yet", said, recovery.open) if recovery.open else said


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
        goals=[md("**{}**: {}", SECTIONS_NAMES[goal.metric], goals.sentence(goal)) for goal in outlook.goals],
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

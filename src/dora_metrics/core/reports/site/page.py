"""The page's data within its budget: everything of the scopes that were deployed last, less of the others.

The weeks of a scope as the page draws them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from itertools import pairwise
from typing import TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core import formatting, schema, windows
from dora_metrics.core.failures.judge import counts
from dora_metrics.core.metrics.calculate import metrics
from dora_metrics.core.metrics.comparison import Subject, compare
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.reports.site.cards import cards, outlook, prospects, security
from dora_metrics.core.reports.site.evidence import (
    LONGEST_NAME,
    Evidence,
    Links,
    before,
    embedded,
    evidence,
    shown,
    whole,
)
from dora_metrics.core.reports.site.feeds import Weeks, latest_first
from dora_metrics.core.reports.site.model import Card, Deployment, Incident, Numbers, Page, Scope, Window
from dora_metrics.core.reports.site.model import Weeks as ModelWeeks
from dora_metrics.core.reports.summary import home, overall
from dora_metrics.core.scope import default_service
from dora_metrics.core.windows import WindowSpec, weeks


def weekly(record: Record, found: Sequence[schema.Week], subject: Subject) -> ModelWeeks | None:
    """The series; None where there is no week."""
    if not found:
        return None
    edges = [before(record, moment) for moment in (*(week.start for week in found), min(found[-1].end, subject.now))]
    at = [deployments for deployments, _ in edges]
    failing = {failure.deployment.id for failure in record.failures}
    spans = [record.deployments[start:end] for start, end in pairwise(at)]
    return ModelWeeks(
        monday=formatting.day(found[0].start, subject.policy.zone),
        since=int(found[0].start.timestamp()),
        hours=[round((week.end - week.start).total_seconds() / 3600, 1) for week in found],
        partial=(found[0].partial, found[-1].partial),
        at=at,
        incidents_at=[incidents for _, incidents in edges],
        deployments=[week.deployments for week in found],
        counted=[sum(counts(one, subject.policy) for one in span) for span in spans],
        failed=[sum(one.id in failing for one in span) for span in spans],
        deployments_failed=[sum(one.id in failing and one.status == "success" for one in span) for span in spans],
        lead_time=[whole(week.lead_time_p50_seconds) for week in found],
        change_failure_rate=[_short(week.change_failure_ratio) for week in found],
        recovery_time=[whole(week.recovery_p50_seconds) for week in found],
        rework_rate=[_short(week.rework_ratio) for week in found],
    )


def _short(ratio: float | None) -> float | None:
    """Five digits; a whole one, which most are, without any."""
    return None if ratio is None else int(ratio) if ratio in (0, 1) else round(ratio, 5)


LARGEST = 780_000
"""Bytes of data: with the library and everything else the page stays below 1.5 MB."""

MOST_SCOPES = 500
MOST_IN_FULL = 20
"""So many scopes have every window; the others the one of the settings, and the last weeks."""

MOST_WEEKS = 5_000
FEW_WEEKS = 13
MOST_DEPLOYMENTS = 5_000
MOST_INCIDENTS = 500
FOR_INCIDENTS = 4
"""Incidents may take a quarter of the room for evidence."""

ALSO = ("30d", "90d", "365d", "all")
"""Windows to choose from besides that of the settings."""


@dataclass(frozen=True)
class Place:
    """A scope on its way into the page. `full`: with every window."""

    record: Record
    found: schema.ScopeMetrics
    evidence: Evidence
    full: bool


def page(subject: Subject, series: Weeks) -> Page:
    """Everything that the page shows."""
    links = Links()
    pairs = latest_first(subject)
    places = [
        Place(record, found, evidence(record, subject.policy, links), number < MOST_IN_FULL)
        for number, (record, found) in enumerate(pairs[:MOST_SCOPES])
    ]
    several = len({record.scope.repository for record, _ in pairs}) > 1
    scopes = [_scope(place, subject, series[place.record.scope], links, several=several) for place in places]
    left = LARGEST - links.size - sum(_size(scope) + 1 for scope in scopes)
    scopes = _with_evidence(scopes, places, subject.now, left)
    return Page(
        title=_title(subject),
        made=formatting.minute(subject.now, subject.policy.zone),
        zone=subject.policy.zone.key,
        benchmark=subject.document.benchmark,
        bases=links.bases,
        windows=[_window(spec, window, subject) for spec, window in _windows(subject)],
        scopes=scopes,
        more=len(pairs[MOST_SCOPES:]),
        notes=[shown(note, 400) for note in subject.document.notes[:50]],
    )


def _title(subject: Subject) -> str:
    names = sorted({record.scope.repository for record in subject.records.records})
    if len(names) == 1:
        return shown(names[0])
    return formatting.count(len(names), "repository", "repositories") if names else "No deployment yet"


def _scope(place: Place, subject: Subject, series: Sequence[schema.Week], links: Links, *, several: bool) -> Scope:
    record, scope = place.record, place.record.scope
    shared = MOST_WEEKS // max(1, min(MOST_IN_FULL, len(subject.records.records)))
    own = () if scope.service == default_service(scope.repository) else (scope.service,)
    parts = (*((scope.repository,) if several else ()), *own, scope.environment)
    return Scope(
        key="/".join((scope.repository, *(quote(part, safe="") for part in scope[1:]))),
        name=" · ".join(shown(part, LONGEST_NAME) for part in parts),
        link=links.of(home(record)),
        windows=list(_in_windows(place, subject, _windows(subject))),
        brief=not place.full,
        weeks=weekly(record, series[-shared if place.full else -FEW_WEEKS :], subject),
    )


def specs(subject: Subject) -> list[WindowSpec]:
    """The windows to choose from, that of the settings first."""
    others = (windows.window(text, subject.policy.zone) for text in ALSO)
    return [
        subject.spec,
        *(one for one in others if (one.span, one.everything) != (subject.spec.span, subject.spec.everything)),
    ]


def _windows(subject: Subject) -> list[tuple[WindowSpec, windows.Window]]:
    """Those that any scope has, that of the settings first; one in any case."""
    began = subject.records.began
    resolved = [(spec, spec.resolve(subject.now, began)) for spec in specs(subject)]
    whole = [(spec, window) for spec, window in resolved if window.start < window.end]
    return [pair for pair in whole if _offered(*pair, subject, began)] or whole[:1]


def _offered(spec: WindowSpec, window: windows.Window, subject: Subject, began: datetime | None) -> bool:
    """Whether a window of choice holds only time that is known of; that of the settings and all are there anyway."""
    return spec is subject.spec or spec.everything or (began is not None and began <= window.start)


def _window(spec: WindowSpec, window: windows.Window, subject: Subject) -> Window:
    return Window(
        key=spec.text,
        label=_label(spec, window, subject),
        span=" – ".join(formatting.minute(moment, subject.policy.zone) for moment in (window.start, window.end)),
        since=int(window.start.timestamp()),
        until=int(window.end.timestamp()),
        before=_before(spec, window, subject),
    )


def _in_windows(
    place: Place, subject: Subject, windows: Sequence[tuple[WindowSpec, windows.Window]]
) -> Iterator[Numbers]:
    """A scope in every window, or in that of the settings alone."""
    record = place.record
    for number, (spec, window) in enumerate(windows if place.full else windows[:1]):
        if number and not _offered(spec, window, subject, record.began):
            continue
        now, earlier = _numbers(place, subject, spec, window)
        start, end = before(record, window.start), before(record, window.end)
        verdicts = compare(record, window, now, earlier) if earlier else {}
        prospect = place.found.outlook if spec is subject.spec and place.full else None
        further = (prospects(prospect) if prospect else {}) if place.full else None
        yield Numbers(
            window=number,
            deployments=(start[0], end[0]),
            incidents=(start[1], end[1]),
            overall=overall(replace(place.found, metrics=now)),
            cards=_since(cards(now, earlier, verdicts, subject.policy.benchmark, further), record, window, subject),
            outlook=list(outlook(prospect)) if prospect else [],
            beside=list(security(now)) if place.full else [],
        )


def _since(made: list[Card], record: Record, window: windows.Window, subject: Subject) -> list[Card]:
    """The cards; the first one, which counts days, says where nothing is known of the first of them."""
    frequency, *others = made
    if record.began is None or not window.holds(record.began) or record.began == window.start:
        return made
    known = f"{frequency.n}, known since {formatting.day(record.began, subject.policy.zone)}"
    return [replace(frequency, n=known), *others]


def _numbers(
    place: Place, subject: Subject, spec: WindowSpec, window: windows.Window
) -> tuple[schema.Metrics, schema.Metrics | None]:
    """The metrics in a window and, where there is one, in the window before; those of the settings are known."""
    if spec is subject.spec:
        return place.found.metrics, place.found.previous

    def within(one: windows.Window) -> schema.Metrics:
        touched = weeks(one, subject.policy.zone, subject.now, place.record.began)
        return metrics(place.record, one, touched, subject.policy)

    return within(window), None if spec.everything else within(window.before())


def _label(spec: WindowSpec, window: windows.Window, subject: Subject) -> str:
    if spec.everything:
        return "all"
    if spec.span:
        return (
            formatting.count(round(window.days), "day")
            if window.days >= 1
            else formatting.duration(window.days * 86400)
        )
    return " – ".join(formatting.day(moment, subject.policy.zone) for moment in (window.start, window.end))


def _before(spec: WindowSpec, window: windows.Window, subject: Subject) -> str:
    if spec.everything:
        return ""
    return f"in the {_label(spec, window, subject)} before" if spec.span else "in as long a time before"


T = TypeVar("T", Deployment, Incident)


def _with_evidence(scopes: Sequence[Scope], places: Sequence[Place], now: datetime, left: int) -> list[Scope]:
    """The newest incidents and deployments of all scopes together, as many as there is room for."""
    ends = [before(place.record, now) for place in places]
    incidents = (
        (place.record.incidents[number].incident.detected_at, scope, number)
        for scope, place in enumerate(places)
        for number in range(ends[scope][1])
    )
    deployments = (
        (place.record.deployments[number].finished_at, scope, number)
        for scope, place in enumerate(places)
        for number in range(ends[scope][0])
    )
    found, used = _fitting(nlargest(MOST_INCIDENTS, incidents), places, Evidence.incident, left // FOR_INCIDENTS)
    made, _ = _fitting(nlargest(MOST_DEPLOYMENTS, deployments), places, Evidence.deployment, left - used)
    return [
        replace(
            one,
            first=ends[scope][0] - len(made[scope]),
            deployments=made[scope][::-1],
            incidents_first=ends[scope][1] - len(found[scope]),
            incidents=found[scope][::-1],
        )
        for scope, one in enumerate(scopes)
    ]


def _fitting(
    newest: Iterable[tuple[datetime, int, int]], places: Sequence[Place], made: Callable[[Evidence, int], T], left: int
) -> tuple[defaultdict[int, list[T]], int]:
    """By scope what fits into so many bytes, the newest first, and how many bytes that takes."""
    kept: defaultdict[int, list[T]] = defaultdict(list)
    used = 0
    for _, scope, number in newest:
        links = places[scope].evidence.links
        size = links.size
        one = made(places[scope].evidence, number)
        used += _size(one) + 1 + links.size - size
        if used > left:
            break
        kept[scope].append(one)
    return kept, min(used, max(left, 0))


def _size(one: Struct) -> int:
    return len(embedded(msgspec.json.encode(one)).encode())

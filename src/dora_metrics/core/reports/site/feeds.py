"""`badges/*.json`: one value each, in the format of shields.io's endpoint badges (https://shields.io/badges/endpoint-badge).

`history.json`: every week of every scope, for who draws their own charts.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from dora_metrics.core import schema as core_schema
from dora_metrics.core.facts.model import EPOCH
from dora_metrics.core.formatting import NOTHING
from dora_metrics.core.ledger.layout import BADGES
from dora_metrics.core.metrics.comparison import Subject
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.metrics.weekly import summed_up
from dora_metrics.core.reports.sections import NAMES, plain
from dora_metrics.core.reports.site.cards import rank
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.benchmarks import Benchmark
from dora_metrics.core.windows import IsoWeek, Window, weeks

MOST_WEEKS = 15_000
"""Of all scopes together: about 4 MB."""

FEWEST_WEEKS = 26


class ScopeHistory(Struct, frozen=True, kw_only=True):
    """The weeks of one scope since its first known deployment, Monday to Monday."""

    repository: str
    service: str
    environment: str
    weeks: list[core_schema.Week]


class History(Struct, frozen=True, kw_only=True):
    """The weekly series of all scopes. `notes`: what is left out."""

    schema: str = core_schema.SCHEMA
    generated_at: datetime
    timezone: str
    scopes: list[ScopeHistory]
    notes: list[str]


Weeks = Mapping[Scope, Sequence[core_schema.Week]]


def latest_first(subject: Subject) -> list[tuple[Record, core_schema.ScopeMetrics]]:
    """The scopes with their numbers, the one that was deployed last first."""
    return sorted(zip(subject.records.records, subject.document.scopes, strict=True), key=_last)


def _last(pair: tuple[Record, core_schema.ScopeMetrics]) -> tuple[object, ...]:
    deployments = pair[0].deployments
    return (EPOCH - (deployments[-1].finished_at if deployments else EPOCH), pair[0].scope)


def life(record: Record, subject: Subject) -> Window:
    """From a scope's first known deployment to now; empty without one. A time before 1970 is a slip."""
    return Window(min(max(record.began or subject.now, EPOCH), subject.now), subject.now)


def all_weeks(subject: Subject) -> Weeks:
    """Every week of each scope; of many scopes the newest ones."""
    most = most_weeks(len(subject.records.records))
    return {record.scope: _weeks(record, subject, most) for record in subject.records.records}


def most_weeks(scopes: int) -> int:
    """How many weeks each of so many scopes may have."""
    return max(FEWEST_WEEKS, MOST_WEEKS // max(1, scopes))


def _weeks(record: Record, subject: Subject, most: int) -> list[core_schema.Week]:
    window = life(record, subject)
    return summed_up(record, window, touched(record, subject, window, most), subject.policy)


def touched(record: Record, subject: Subject, window: Window, most: int) -> list[IsoWeek]:
    """The last so many weeks that a window of a scope touches."""
    start = max(window.start, window.end - timedelta(weeks=most))
    return list(weeks(Window(start, window.end), subject.policy.zone, subject.now, record.began))[-most:]


def history(subject: Subject, found: Weeks) -> History:
    """The series in the order of the scopes."""
    most = most_weeks(len(found))
    return History(
        generated_at=subject.document.generated_at,
        timezone=subject.document.timezone,
        scopes=[
            ScopeHistory(
                repository=scope.repository, service=scope.service, environment=scope.environment, weeks=list(series)
            )
            for scope, series in found.items()
        ],
        notes=[
            f"{' '.join(scope)}: only the last {most} weeks" for scope, series in found.items() if len(series) == most
        ],
    )


MOST_SCOPES = 200
"""A commit of some thousand files is more than GitHub takes gladly."""

NO_DATA = "no data"
OVERALL = "overall"
_LABELS = {**{name: title.lower() for name, title in NAMES.items()}, OVERALL: "DORA"}


class Badge(Struct, frozen=True, kw_only=True, rename="camel"):
    """What shields.io draws; `color` is one of its names."""

    schema_version: int = 1
    label: str
    message: str
    color: str


def badges(subject: Subject) -> dict[str, Badge]:
    """Badges by path: of the scope of each repository that was deployed last, and, where it has several, of each.

    Before anything is known they are there as well, without a value, so that a README's badge has its file.
    """
    pairs = latest_first(subject)
    if not pairs:
        return {f"{BADGES}{name}.json": _unknown(name) for name in _LABELS}
    repositories: dict[str, list[tuple[Record, core_schema.ScopeMetrics]]] = defaultdict(list)
    for record, scope in pairs[:MOST_SCOPES]:
        repositories[record.scope.repository].append((record, scope))
    found: dict[str, Badge] = {}
    for repository, scopes in sorted(repositories.items()):
        folder = BADGES if len(repositories) == 1 else f"{BADGES}{_place(repository.split('/'))}"
        found |= _of_repository(scopes, folder, subject.policy.benchmark)
    return found


def _of_repository(
    scopes: Sequence[tuple[Record, core_schema.ScopeMetrics]], folder: str, benchmark: Benchmark
) -> Mapping[str, Badge]:
    found = dict(_of_scope(scopes[0][1], folder, benchmark))
    if len(scopes) > 1:
        for _, scope in scopes:
            found |= _of_scope(scope, folder + _place((scope.service, scope.environment)), benchmark)
    return found


def _of_scope(scope: core_schema.ScopeMetrics, folder: str, benchmark: Benchmark) -> Iterator[tuple[str, Badge]]:
    for name in NAMES:
        part: core_schema.Judged = getattr(scope.metrics, name)
        known = (message := plain(part)) != NOTHING
        yield f"{folder}{name}.json", _badge(name, message, part.level, benchmark) if known else _unknown(name)
    overall = scope.metrics.overall_level
    badge = _badge(OVERALL, overall.level, overall.level, benchmark) if overall else _unknown(OVERALL)
    yield f"{folder}{OVERALL}.json", badge


def _badge(name: str, message: str, level: str | None, benchmark: Benchmark) -> Badge:
    return Badge(label=_LABELS[name], message=message, color=_color(level, benchmark))


def _unknown(name: str) -> Badge:
    return Badge(label=_LABELS[name], message=NO_DATA, color="lightgrey")


_COLORS = ("red", "orange", "yellow", "green", "brightgreen")
"""One a step of a rank."""


def _color(level: str | None, benchmark: Benchmark) -> str:
    """From red for the lowest rank of a benchmark to bright green for its highest; blue for what has no levels."""
    step = rank(level, benchmark)
    return "blue" if step is None else _COLORS[step]


def _place(names: Iterable[str]) -> str:
    return "".join(f"{file_name(name)}/" for name in names)


def file_name(name: str) -> str:
    """A name as a folder that every disk and address takes; one that had to be changed ends with a hash of it."""
    safe = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.")[:60]
    if name and safe == name and not safe.endswith(".json"):
        return safe
    return f"{safe or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"

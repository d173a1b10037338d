"""`history.json`: every week of every scope, for who draws their own charts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from dora_metrics.core import schema as contract
from dora_metrics.core.facts.model import EPOCH
from dora_metrics.core.linking.link import Scope
from dora_metrics.core.metrics.scope_history import Record
from dora_metrics.core.metrics.weekly import summed_up
from dora_metrics.core.reports.summary import Subject
from dora_metrics.core.weeks import IsoWeek, weeks
from dora_metrics.core.windows import Window

MOST_WEEKS = 15_000
"""Of all scopes together: about 4 MB."""

FEWEST_WEEKS = 26


class ScopeHistory(Struct, frozen=True, kw_only=True):
    """The weeks of one scope since its first known deployment, Monday to Monday."""

    repository: str
    service: str
    environment: str
    weeks: list[contract.Week]


class History(Struct, frozen=True, kw_only=True):
    """The weekly series of all scopes. `notes`: what is left out."""

    schema: str = contract.SCHEMA
    generated_at: datetime
    timezone: str
    scopes: list[ScopeHistory]
    notes: list[str]


Weeks = Mapping[Scope, Sequence[contract.Week]]


def latest_first(subject: Subject) -> list[tuple[Record, contract.ScopeMetrics]]:
    """The scopes with their numbers, the one that was deployed last first."""
    return sorted(zip(subject.records.records, subject.document.scopes, strict=True), key=_last)


def _last(pair: tuple[Record, contract.ScopeMetrics]) -> tuple[object, ...]:
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


def _weeks(record: Record, subject: Subject, most: int) -> list[contract.Week]:
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

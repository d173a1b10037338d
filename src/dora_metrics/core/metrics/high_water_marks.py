"""High-water marks of the Prometheus counters and histograms: what is written for Prometheus never falls.

Totals follow from the present facts and rules. They fall when a deployment or an incident is retracted, when a failure
is attributed to another deployment, or when a setting makes fewer facts count. Prometheus reads a fall as a restart
from zero, and `increase()` then counts the whole total once more. So each series keeps the greatest value that it ever
had, until its total has caught up.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import accumulate

from msgspec import Struct, field

from dora_metrics.core.metrics.totals import (
    FACTS_FAMILY,
    REMEDIATION_FAMILY,
    SUM_PART,
    VULNERABILITIES_FAMILY,
    Histogram,
    Series,
    Totals,
    histogram_of,
)
from dora_metrics.core.scope import Scope

MAX_MARK = 2**63 - 1
"""The greatest value of a mark; as microseconds, 292,000 years."""


class HighWaterMarks(Struct, frozen=True):
    """The greatest value that each counter and histogram ever had, and the scopes that ever had any.

    `values` are as Prometheus gets them: each bucket of a histogram includes the smaller ones. The sum of a histogram
    is in microseconds. A series without a value is zero; `scopes` includes those whose series are all zero.
    """

    values: Totals = field(default_factory=Counter)
    scopes: frozenset[Scope] = frozenset()

    def __or__(self, other: "HighWaterMarks") -> "HighWaterMarks":
        """Return the greater value of each series."""
        return HighWaterMarks(self.values | other.values, self.scopes | other.scopes)

    def at_most(self, limits: "HighWaterMarks") -> "HighWaterMarks":
        """Return the values of the series that `limits` has, also where they are zero, and none above its limit."""
        values = Counter({series: min(self.values[series], limit) for series, limit in limits.values.items()})
        return HighWaterMarks(values, limits.scopes)

    def renamed(self, new_scope: Callable[[Scope], Scope]) -> "HighWaterMarks":
        """Return the marks under other names of their scopes; where two become one, the greater value."""
        values: Totals = Counter()
        for series, value in self.values.items():
            new_series = series._replace(scope=new_scope(series.scope))
            values[new_series] = max(values[new_series], value)
        return HighWaterMarks(values, frozenset(map(new_scope, self.scopes)))

    def without_abandoned(self, present: AbstractSet[Scope]) -> "HighWaterMarks":
        """Return the marks without scopes that never had a deployment, because only an incident names them.

        Args:
            present: the scopes that have series now.
        """
        had_more = {series.scope for series in self.values if series.name not in _WITHOUT_DEPLOYMENT}
        had_incidents = {series.scope for series in self.values if series.name in _INCIDENT_FAMILIES}
        abandoned = had_incidents - had_more - present
        values = {series: value for series, value in self.values.items() if series.scope not in abandoned}
        return HighWaterMarks(Counter(values), self.scopes - abandoned)

    def of_repository(self, repository: str) -> "HighWaterMarks":
        values = {series: value for series, value in self.values.items() if series.scope.repository == repository}
        return HighWaterMarks(Counter(values), frozenset(s for s in self.scopes if s.repository == repository))

    def has_vulnerabilities(self, scope: Scope) -> bool:
        """Whether a vulnerability of the scope was ever known."""
        return bool(self.values[Series(VULNERABILITIES_FAMILY, scope)])

    def histogram(self, name: str, scope: Scope, label: str = "") -> Histogram:
        """Return the histogram with this name, scope and label. No bucket is lower than a smaller one."""
        series = Series(name, scope, label)
        counts = (self.values[series._replace(part=part)] for part in range(SUM_PART))
        return Histogram(tuple(accumulate(counts, max)), self.values[series._replace(part=SUM_PART)] / 1e6)


_INCIDENT_FAMILIES = frozenset({"dora_incidents_total", "dora_incident_restore_seconds"})
_WITHOUT_DEPLOYMENT = _INCIDENT_FAMILIES | {VULNERABILITIES_FAMILY, REMEDIATION_FAMILY}
"""The families that count something in a scope where nothing was ever deployed."""

NO_MARKS = HighWaterMarks()


def marks_of_totals(totals: Totals, scopes: Iterable[Scope] = ()) -> HighWaterMarks:
    """Return the values that Prometheus gets if no total was ever higher.

    Args:
        totals: those of all facts.
        scopes: scopes that have series even if their totals are zero.
    """
    exported = [series for series in totals if series.name != FACTS_FAMILY]
    values = Counter({series: totals[series] for series in exported if series.part is None})
    for series in {series._replace(part=None) for series in exported if series.part is not None}:
        values.update(dict(_histogram_values(totals, series)))
    return HighWaterMarks(values, frozenset({*scopes, *(series.scope for series in exported)}))


def _histogram_values(totals: Totals, series: Series) -> Iterator[tuple[Series, int]]:
    """Yield the buckets, each with the smaller ones, and the sum."""
    counts = histogram_of(totals, series.name, series.scope, series.label).cumulative_counts
    for part, value in enumerate((*counts, totals[series._replace(part=SUM_PART)])):
        yield series._replace(part=part), value

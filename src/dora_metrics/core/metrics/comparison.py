"""Is it better than in the window before, or may it be chance? (DEFINITIONS §5)"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dora_metrics.core import formatting, schema
from dora_metrics.core.metrics.calculate import failures_in
from dora_metrics.core.metrics.scope_history import Record, Records, cut
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.core.statistics import compare_counts, fisher, mann_whitney
from dora_metrics.core.windows import Window, WindowSpec

Verdict = Literal["better", "worse", "no clear change"]
SIGNIFICANT = 0.05


def compare(record: Record, window: Window, now: schema.Metrics, before: schema.Metrics) -> dict[str, Verdict]:
    """For each metric that has a value in both windows of equal length: whether the change is clear at p < 0.05.

    Of the frequency nothing can be said where only a part of the window before is known: its first days may have had
    deployments that nobody has recorded.
    """
    earlier = window.before()
    found: dict[str, Verdict] = {}
    one, other = now.deployment_frequency, before.deployment_frequency
    if one.per_day is not None and other.per_day is not None and _is_known(record, earlier):
        p = compare_counts(one.deployments, window.days, other.deployments, earlier.days)
        found["deployment_frequency"] = _verdict(p, better=one.per_day > other.per_day)
    for name, sample in _DURATIONS.items():
        samples = sample(record, window), sample(record, earlier)
        if all(samples):
            found[name] = _verdict(mann_whitney(*samples), better=_shorter(*samples))
    for name, hits in (("change_failure_rate", "failed"), ("rework_rate", "rework")):
        rate, rate_before = getattr(now, name), getattr(before, name)
        if rate.ratio is not None and rate_before.ratio is not None:
            p = fisher(getattr(rate, hits), rate.deployments, getattr(rate_before, hits), rate_before.deployments)
            found[name] = _verdict(p, better=rate.ratio < rate_before.ratio)
    return found


def _is_known(record: Record, window: Window) -> bool:
    """Whether a scope was known by the beginning of a window."""
    return record.began is not None and record.began <= window.start


def _shorter(one: Sequence[float], other: Sequence[float]) -> bool:
    """What the test sees: whether a duration of the one is likelier below one of the other than above."""
    return sum(bisect_left(one, value) + bisect_right(one, value) for value in other) > len(one) * len(other)


def _verdict(p: float, *, better: bool) -> Verdict:
    if p >= SIGNIFICANT:
        return "no clear change"
    return "better" if better else "worse"


def _leads(record: Record, window: Window) -> Sequence[float]:
    return sorted(lead.seconds for lead in cut(record.leads.measured, window, lambda lead: lead.at))


def _recoveries(record: Record, window: Window) -> Sequence[float]:
    return sorted(f.seconds for f in failures_in(record, window) if f.seconds is not None)


_DURATIONS: dict[str, Callable[[Record, Window], Sequence[float]]] = {
    "lead_time": _leads,
    "recovery_time": _recoveries,
}


@dataclass(frozen=True)
class Subject:
    """Everything that a report is made from."""

    records: Records
    document: schema.Document
    spec: WindowSpec
    policy: Policy
    now: datetime

    def scope(self, wanted: Scope) -> schema.ScopeMetrics | None:
        return next((s for s in self.document.scopes if (s.repository, s.service, s.environment) == wanted), None)

    @property
    def window(self) -> Window:
        return Window(self.document.window.start, self.document.window.end)

    @property
    def span(self) -> str:
        """The window, as in `last 30 days`."""
        days = self.document.window.days
        if self.spec.span:
            return "last " + (formatting.count(round(days), "day") if days >= 1 else formatting.duration(days * 86400))
        start, end = (formatting.day(moment, self.policy.zone) for moment in (self.window.start, self.window.end))
        return f"since {start}" if self.spec.everything else f"{start} – {end}"


def verdicts(subject: Subject, record: Record, scope: schema.ScopeMetrics) -> dict[str, str]:
    """By metric whether it is better or worse than in the window before; without those that cannot be compared."""
    if scope.previous is None:
        return {}
    return dict(compare(record, subject.window, scope.metrics, scope.previous))

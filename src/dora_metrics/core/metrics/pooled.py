"""The numbers of several scopes together, from their raw values: sums of counts, and medians over all values.

A mean of rates or of medians would give a scope with one deployment the same weight as one with a thousand.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

from msgspec import UNSET, Struct

from dora_metrics.core import schema
from dora_metrics.core.metrics.calculate import (
    failures_in,
    is_lead_time_lower_bound,
    measured_changes_in,
    quantile_or_none,
    ratio_or_none,
    sorted_recovery_seconds,
)
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import Window

T = TypeVar("T")
ScopeValues = tuple[ScopeHistory, schema.Metrics]
"""A scope's history, and its numbers in the window that is pooled."""


class PooledMetrics(Struct, frozen=True):
    """Several scopes together in one window.

    `deployments`: successful ones in `days`; None if no scope has records in the window. `failure_rate` has no
    interval and no level. Medians are None without values. `is_lead_time_at_least`: whether at least half of the
    changes start too late, as in a git history, so that their median may be any higher.
    """

    scope_count: int
    days: float
    deployments: int | None
    lead_time_p50_seconds: float | None
    is_lead_time_at_least: bool
    failure_rate: schema.ChangeFailureRate
    recovery_p50_seconds: float | None


class TeamMetrics(Struct, frozen=True):
    """The scopes of one team together."""

    team: str
    metrics: PooledMetrics


def pool(scopes: Sequence[ScopeValues], window: Window, policy: Policy) -> PooledMetrics:
    """Pool the scopes over a window, which must be that of their numbers."""
    frequencies = [metrics.deployment_frequency for _, metrics in scopes]
    has_records = any(frequency.per_day is not None for frequency in frequencies)
    changes = [change for history, _ in scopes for change in measured_changes_in(history, window)]
    recoveries = (sorted_recovery_seconds(failures_in(history, window)) for history, _ in scopes)
    return PooledMetrics(
        scope_count=len(scopes),
        days=window.days,
        deployments=sum(frequency.deployments for frequency in frequencies) if has_records else None,
        lead_time_p50_seconds=_median(change.seconds for change in changes),
        is_lead_time_at_least=is_lead_time_lower_bound(changes, policy),
        failure_rate=_failure_rate([metrics.change_failure_rate for _, metrics in scopes]),
        recovery_p50_seconds=_median(chain.from_iterable(recoveries)),
    )


def _failure_rate(rates: Sequence[schema.ChangeFailureRate]) -> schema.ChangeFailureRate:
    failed, reached = sum(rate.failed for rate in rates), sum(rate.deployments for rate in rates)
    return schema.ChangeFailureRate(
        failed=failed,
        deployments=reached,
        ratio=ratio_or_none(failed, reached),
        at_least=True if any(rate.at_least is True for rate in rates) else UNSET,
    )


def _median(values: Iterable[float]) -> float | None:
    return quantile_or_none(sorted(values), 0.5)


def pool_by_team(results: Results) -> list[TeamMetrics]:
    """Pool the scopes of each team over the window of the results, in the order of the setting `teams`."""
    pairs = zip(results.evaluation.histories, results.document.scopes, strict=True)
    values = [(history, scope.metrics) for history, scope in pairs]
    by_team = group_by_team(values, lambda each: each[0].scope, results.policy)
    return [TeamMetrics(team, pool(scopes, results.window, results.policy)) for team, scopes in by_team.items()]


def group_by_team(items: Iterable[T], scope_of: Callable[[T], Scope], policy: Policy) -> dict[str, list[T]]:
    """Group what belongs to scopes by team, in the order of the setting. What has no team is left out."""
    by_team: dict[str, list[T]] = {name: [] for name in (policy.teams.names if policy.teams else ())}
    for item in items:
        if team := policy.team_of(scope_of(item)):
            by_team[team].append(item)
    return {team: members for team, members in by_team.items() if members}

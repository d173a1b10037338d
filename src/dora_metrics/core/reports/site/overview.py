"""The overview of all scopes: what each row says, and the lines above the table."""

from collections.abc import Callable, Sequence
from datetime import datetime

from dora_metrics.core import formatting, schema
from dora_metrics.core.metrics.scope_history import ScopeHistory
from dora_metrics.core.reports.site.model import MetricCard, OverviewRow, ScopeEntry
from dora_metrics.core.targets.metric import METRICS

NO_DEPLOYMENT = "no deployment in the window"

MAX_NAMES = 3
"""Scopes that a sentence names."""


def overview_row(
    history: ScopeHistory, metrics: schema.Metrics, cards: Sequence[MetricCard], now: datetime
) -> OverviewRow:
    """Build the row of a scope as of `now`, from its metrics and cards in the configured window."""
    newest = history.last_deployment_by(now)
    deciding_values = [metric.deciding_value(metric.result_in(metrics)) for metric in METRICS.values()]
    return OverviewRow(
        values=[value if value is None else _four_digits(value) for value in deciding_values],
        latest=int(newest.finished_at.timestamp()) if newest else None,
        attention=_attention_reasons(metrics, cards),
        improved=_metrics_with("better", cards),
    )


def _four_digits(value: float) -> float:
    """Round to four significant digits, which are enough to sort by and shorter."""
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded.is_integer() else rounded


def _attention_reasons(metrics: schema.Metrics, cards: Sequence[MetricCard]) -> list[str]:
    open_failures = metrics.recovery_time.open
    return [
        *([formatting.count(open_failures, "open failure")] if open_failures else []),
        *(f"{name} worse" for name in _metrics_with("worse", cards)),
        *([] if metrics.deployment_frequency.deployments else [NO_DEPLOYMENT]),
    ]


def _metrics_with(verdict: str, cards: Sequence[MetricCard]) -> list[str]:
    """Return the names of the metrics whose comparison with the previous window has this verdict."""
    return [metric.name for metric, card in zip(METRICS.values(), cards, strict=True) if card.verdict == verdict]


def highlights(scopes: Sequence[ScopeEntry]) -> list[str]:
    """Return lines about all scopes: which got better, which got worse, and which were not deployed."""
    lines = (
        _line(scopes, lambda row: bool(row.improved), "Better than in the previous window"),
        _line(scopes, lambda row: row.attention not in ([], [NO_DEPLOYMENT]), "Worse, or with an open failure"),
        _line(scopes, lambda row: NO_DEPLOYMENT in row.attention, "No deployment in the window"),
    )
    return [line for line in lines if line]


def _line(scopes: Sequence[ScopeEntry], applies: Callable[[OverviewRow], bool], label: str) -> str:
    """Return `Better than in the previous window: shop and web (2 of 12 scopes)`; empty if it applies to none."""
    names = [scope.name for scope in scopes if applies(scope.row)]
    if not names:
        return ""
    rest = [f"{len(names) - MAX_NAMES:,} more"] if len(names) > MAX_NAMES else []
    listed = formatting.join_with_and([*names[:MAX_NAMES], *rest])
    return f"{label}: {listed} ({len(names):,} of {formatting.count(len(scopes), 'scope')})"

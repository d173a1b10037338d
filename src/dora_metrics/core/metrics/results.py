"""The central result: what is known of every scope, and the document that is computed from it."""

from dataclasses import dataclass
from datetime import datetime

from dora_metrics.core import formatting, schema
from dora_metrics.core.metrics.comparison import compare_windows
from dora_metrics.core.metrics.scope_history import Evaluation, ScopeHistory
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import Window, WindowSpec


@dataclass(frozen=True)
class Results:
    """Everything that a report is made from."""

    evaluation: Evaluation
    document: schema.Document
    window_spec: WindowSpec
    policy: Policy
    now: datetime

    def metrics_of(self, scope: Scope) -> schema.ScopeMetrics | None:
        return next(
            (entry for entry in self.document.scopes if (entry.repository, entry.service, entry.environment) == scope),
            None,
        )

    @property
    def window(self) -> Window:
        return Window(self.document.window.start, self.document.window.end)

    @property
    def window_text(self) -> str:
        """The window, as in `last 30 days`."""
        days = self.document.window.days
        if self.window_spec.length:
            return "last " + (formatting.count(round(days), "day") if days >= 1 else formatting.duration(days * 86400))
        start, end = (formatting.date(moment, self.policy.zone) for moment in (self.window.start, self.window.end))
        return f"since {start}" if self.window_spec.is_all else f"{start} – {end}"


def compare_with_previous(
    results: Results, history: ScopeHistory, scope_metrics: schema.ScopeMetrics
) -> dict[str, str]:
    """By metric whether it is better or worse than in the window before; without those that cannot be compared."""
    if scope_metrics.previous is None:
        return {}
    return dict(compare_windows(history, results.window, scope_metrics.metrics, scope_metrics.previous))

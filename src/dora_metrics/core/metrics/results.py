"""Results: what reports are made from, and their comparison with the previous window."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from msgspec import Struct

from dora_metrics.core import formatting, schema
from dora_metrics.core.facts.model import Deployment, Incident
from dora_metrics.core.linking.former_names import NO_NAMES, RepositoryNames
from dora_metrics.core.metrics.comparison import compare_windows
from dora_metrics.core.metrics.scope_history import Evaluation, ScopeHistory
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope
from dora_metrics.core.windows import Window, WindowSpec


class Results(Struct, frozen=True, dict=True):
    """Everything that a report is made from.

    `evaluation` has the history of each scope, for all time. `document` has the numbers of the window that
    `window_spec` means at `now`. Its scopes are in the order of `evaluation.histories`. `names` are those of the
    repositories. `is_of_clone`: the facts are those of a git history, where no workflow records more. `is_in_ledger`:
    they are those of a ledger, which has the same numbers as files. `is_of_shards`: they are those of several ledgers,
    and the numbers are in one of them. `unread_ledgers`: a sentence on those that could not be read; empty without any.
    """

    evaluation: Evaluation
    document: schema.Document
    window_spec: WindowSpec
    policy: Policy
    now: datetime
    names: RepositoryNames = NO_NAMES
    is_of_clone: bool = False
    is_in_ledger: bool = False
    is_of_shards: bool = False
    unread_ledgers: str = ""

    def metrics_of(self, scope: Scope) -> schema.ScopeMetrics | None:
        """Return the numbers of a scope; None if it has none."""
        return self._metrics_by_scope.get(scope)

    @cached_property
    def _metrics_by_scope(self) -> Mapping[Scope, schema.ScopeMetrics]:
        return {Scope(each.repository, each.service, each.environment): each for each in self.document.scopes}

    def is_production(self, fact: Deployment | Incident) -> bool:
        """Whether a deployment or an incident counts in production, also one that was not read with the others."""
        return self.evaluation.production.includes(fact)

    @property
    def window(self) -> Window:
        return Window(self.document.window.start, self.document.window.end)

    @property
    def window_text(self) -> str:
        """The window in words, such as `last 30 days`."""
        if self.window_spec.length:
            return f"last {formatting.days_or_hours(self.document.window.days)}"
        start, end = (formatting.date(moment, self.policy.zone) for moment in (self.window.start, self.window.end))
        return f"since {start}" if self.window_spec.is_all else f"{start} – {end}"


def compare_with_previous(
    results: Results, history: ScopeHistory, scope_metrics: schema.ScopeMetrics
) -> dict[str, str]:
    """Compare a scope with the previous window. Metrics that cannot be compared are left out."""
    if scope_metrics.previous is None:
        return {}
    return dict(compare_windows(history, results.window, scope_metrics.metrics, scope_metrics.previous))

"""Facts and settings become numbers: what `compute` and an action run have in common."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from dora_metrics import __version__
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.metrics.comparison import Results, compare_with_previous
from dora_metrics.core.metrics.document import build_document
from dora_metrics.core.metrics.scope_history import ScopeHistory, evaluate_facts
from dora_metrics.core.metrics.totals import Totals, count_totals
from dora_metrics.core.reports.prometheus import LedgerCollector
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.thresholds import ThresholdInput, ThresholdResult, apply_thresholds
from dora_metrics.errors import SettingsError
from dora_metrics.settings.model import Settings, policy_of


def evaluate(facts: Iterable[Fact], settings: Settings, now: datetime, notes: Sequence[str] = ()) -> Results:
    """The numbers of these facts, as of `now`.

    Raises:
        SettingsError: if the window cannot be.
    """
    rules, spec = policy_of(settings), settings.window_spec
    records = evaluate_facts(facts, rules)
    try:
        return Results(records, build_document(records, rules, spec, now, notes), spec, rules, now)
    except ValueError as problem:
        raise SettingsError(f"window: {problem}") from None


def check_thresholds(subject: Results, settings: Settings, scopes: Iterable[Scope]) -> ThresholdResult:
    """The thresholds of the settings on the numbers of some scopes."""
    if not (settings.fail_on or settings.warn_on):
        return ThresholdResult()
    records = {record.scope: record for record in subject.evaluation.histories}
    found = ((scope, subject.metrics_of(scope)) for scope in scopes)
    seen = [
        ThresholdInput(scope, one.metrics, one.previous, compare_with_previous(subject, records[scope], one))
        for scope, one in found
        if one
    ]
    return apply_thresholds(settings.fail_on, settings.warn_on, seen)


def rules_fingerprint(settings: Settings) -> str:
    """A name for everything that totals are judged by: the settings that matter, and this version."""
    return f"{__version__} {policy_of(settings).fingerprint}"


def cumulative_totals(subject: Results, facts: Iterable[Fact]) -> Totals:
    """What is counted of the facts that the subject was made from."""
    return count_totals(subject.evaluation.histories, facts, subject.policy)


def prometheus_families(
    subject: Results, found: Totals, sequence: int | None, repository: str | None = None
) -> LedgerCollector:
    """The Prometheus families of a repository, or of all."""
    records = [record for record in subject.evaluation.histories if repository in (None, record.scope.repository)]
    wanted = Counter({s: number for s, number in found.items() if repository in (None, s.scope.repository)})
    return LedgerCollector(records, wanted, subject.policy, subject.now, sequence, __version__)


def last_deployed(records: Sequence[ScopeHistory]) -> ScopeHistory | None:
    """The scope that was deployed last, else any that there is."""
    deployed = [record for record in records if record.deployments]
    if deployed:
        return max(deployed, key=lambda record: record.deployments[-1].finished_at)
    return records[0] if records else None

"""Turn facts and settings into numbers; what `compute` and a run of the action have in common. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from dora_metrics import __version__
from dora_metrics.core.facts.model import Fact
from dora_metrics.core.linking.former_names import NO_NAMES, RepositoryNames
from dora_metrics.core.metrics.document import build_document
from dora_metrics.core.metrics.high_water_marks import NO_MARKS, HighWaterMarks, marks_of_totals
from dora_metrics.core.metrics.results import Results, compare_with_previous
from dora_metrics.core.metrics.scope_history import Evaluation, ScopeHistory, evaluate_facts
from dora_metrics.core.metrics.totals import Totals, count_totals, fact_counts_by_repository
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.prometheus import LedgerCollector
from dora_metrics.core.scope import Scope
from dora_metrics.core.targets.thresholds import ThresholdInput, ThresholdResult, apply_thresholds
from dora_metrics.errors import SettingsError
from dora_metrics.settings.model import EVERY_REPOSITORY, Settings


def evaluate(facts: Iterable[Fact], settings: Settings, now: datetime, notes: Sequence[str] = ()) -> Results:
    """Compute all numbers of some facts, as of `now`.

    Raises:
        SettingsError: if the window is not valid at that time.
    """
    return results_of(evaluate_facts(facts, settings.policy), settings, now, notes)


def results_of(
    evaluation: Evaluation,
    settings: Settings,
    now: datetime,
    notes: Sequence[str] = (),
    names: RepositoryNames = NO_NAMES,
) -> Results:
    """Compute the numbers of evaluated facts, as of `now`; `names` are those of the repositories.

    Raises:
        SettingsError: if the window is not valid at that time.
    """
    policy, window_spec = settings.policy, settings.window_spec
    try:
        document = build_document(evaluation, policy, window_spec, now, notes)
    except ValueError as error:
        raise SettingsError(f"window: {error}") from None
    return Results(evaluation, document, window_spec, policy, now, names)


def check_thresholds(results: Results, settings: Settings, scopes: Iterable[Scope]) -> ThresholdResult:
    """Apply the thresholds of the settings to the numbers of some scopes."""
    if not (settings.fail_on or settings.warn_on):
        return ThresholdResult()
    histories = {history.scope: history for history in results.evaluation.histories}
    inputs = []
    for scope in scopes:
        if metrics := results.metrics_of(scope):
            verdicts = compare_with_previous(results, histories[scope], metrics)
            inputs.append(ThresholdInput(scope, metrics.metrics, metrics.previous, verdicts))
    return apply_thresholds(settings.fail_on, settings.warn_on, inputs)


def policy_fingerprint(policy: Policy) -> str:
    """A name for what totals depend on besides the facts: the policy and this version."""
    return f"{__version__} {policy.fingerprint}"


def cumulative_totals(results: Results, facts: Iterable[Fact]) -> Totals:
    """Count the facts that the results were computed from."""
    return count_totals(results.evaluation.histories, facts, results.policy)


def raised_marks(marks: HighWaterMarks, evaluation: Evaluation, totals: Totals) -> HighWaterMarks:
    """Raise high-water marks to the totals of these histories."""
    scopes = frozenset(history.scope for history in exported_histories(evaluation))
    return (marks | marks_of_totals(totals, scopes)).without_abandoned(scopes)


def exported_histories(evaluation: Evaluation) -> list[ScopeHistory]:
    """Return the scopes that have series, those with a deployment: an issue can name any service and environment."""
    return [history for history in evaluation.histories if history.deployments]


def prometheus_families(
    results: Results,
    totals: Totals,
    sequence: int | None,
    repository: str | None = None,
    marks: HighWaterMarks = NO_MARKS,
) -> LedgerCollector:
    """The Prometheus families of one repository, or of all; no counter is below its mark."""
    counters = raised_marks(marks, results.evaluation, totals)
    fact_counts = fact_counts_by_repository(totals)
    histories = exported_histories(results.evaluation)
    if repository is not None:
        counters = counters.of_repository(repository)
        fact_counts = {name: count for name, count in fact_counts.items() if name == repository}
        histories = [history for history in histories if history.scope.repository == repository]
    return LedgerCollector(histories, counters, fact_counts, results.policy, results.now, sequence, __version__)


def exported_repository(settings: Settings, run_repository: str) -> str | None:
    """Return the repository whose series a run with time for all of them sends; None for all."""
    is_about_several = settings.repositories or run_repository == EVERY_REPOSITORY
    return None if is_about_several else run_repository


def last_deployed(histories: Sequence[ScopeHistory], now: datetime) -> ScopeHistory | None:
    """The scope that was deployed last as of `now`; without any deployment by then, the first scope."""
    deployed = [(newest.finished_at, each) for each in histories if (newest := each.last_deployment_by(now))]
    if deployed:
        return max(deployed, key=lambda pair: pair[0])[1]
    return histories[0] if histories else None

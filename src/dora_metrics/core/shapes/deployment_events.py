"""What deployments did to services, and how the workflow runs that made them ended."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, pairwise
from typing import Literal, NamedTuple

from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.job_links import job_link_of
from dora_metrics.core.facts.model import Deployment, Status
from dora_metrics.core.failures.judge import is_rule_enabled
from dora_metrics.core.failures.rules import rollback_signals
from dora_metrics.core.linking.attempts import join_parts
from dora_metrics.core.linking.link import ScopeTimeline
from dora_metrics.core.metrics.results import Results
from dora_metrics.core.metrics.scope_history import ScopeHistory, redeployment_ids
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import scope_of

Predicate = Literal["deployed", "upgraded", "rolledback"]
RunOutcome = Literal["success", "failure", "cancel"]

_OUTCOMES: Mapping[Status, RunOutcome] = {"failure": "failure", "cancelled": "cancel", "success": "success"}
"""What CDEvents calls each status. The first that a deployment has is that of its run."""


class ServiceChange(NamedTuple):
    """A deployment that succeeded, what it did to its service, and the ids of the owed facts that it was made from."""

    deployment: Deployment
    predicate: Predicate
    fact_ids: tuple[str, ...]


class FinishedRun(NamedTuple):
    """An attempt of a workflow run, as far as its deployments show it.

    Attributes:
        repository: of the run.
        run_id: the number of the run.
        attempt: its number; None where it is not known.
        workflow: the name of the workflow; None where it is not known.
        outcome: `failure` if a deployment failed, otherwise `cancel` if one was cancelled.
        finished_at: when the last of its deployments ended.
        fact_ids: the ids of the owed facts that are of it.
    """

    repository: str
    run_id: str
    attempt: int | None
    workflow: str | None
    outcome: RunOutcome
    finished_at: datetime
    fact_ids: tuple[str, ...]


class OwedDeployments:
    """The deployments that an endpoint is owed, as the evaluation of all facts sees them."""

    def __init__(self, facts: Iterable[Deployment], results: Results) -> None:
        left_out = results.evaluation.left_out
        self._facts = [fact for fact in facts if fact.id not in left_out]
        self._fact_ids = {fact.id for fact in self._facts}
        self._histories = results.evaluation.histories
        self._history_by_scope = {history.scope: history for history in self._histories}
        self._is_production = results.is_production
        self._policy = results.policy

    def service_changes(self) -> Iterator[ServiceChange]:
        """Yield what the successful deployments did. Parts of one attempt are one deployment."""
        counted_ids: set[str] = set()
        for history in self._histories:
            owed = self._owed_ids(history)
            counted_ids.update(chain.from_iterable(owed.values()))
            yield from _judged_changes(history, owed, self._policy)
        yield from _unjudged_changes([fact for fact in self._facts if self._is_unjudged(fact, counted_ids)])

    def _owed_ids(self, history: ScopeHistory) -> Mapping[str, tuple[str, ...]]:
        """Return the ids of the owed facts of each deployment that has any, by its id."""
        parts = ((each.id, history.parts.get(each.id, (each,))) for each in history.deployments)
        owed = ((key, tuple(part.id for part in facts if part.id in self._fact_ids)) for key, facts in parts)
        return {key: fact_ids for key, fact_ids in owed if fact_ids}

    def _is_unjudged(self, fact: Deployment, counted_ids: set[str]) -> bool:
        """Whether nothing is known of a deployment but its fact: outside production, or of a month that was not read.

        One that is missing in a history that goes back far enough does not count: another fact reports it as well. Nor
        does one without environment, where others have one.
        """
        if fact.id in counted_ids or not (fact.environment or self._is_production(fact)):
            return False
        history = self._history_by_scope.get(scope_of(fact))
        first = history.first_deployment_at if history else None
        return first is None or fact.finished_at < first

    def finished_runs(self) -> Iterator[FinishedRun]:
        """Yield the attempts of runs that the deployments are from, each once."""
        owed: defaultdict[_RunAttempt, dict[str, Deployment]] = defaultdict(dict)
        for fact in self._facts:
            if run := _RunAttempt.of(fact):
                owed[run][fact.id] = fact
        parts = self._parts_of(owed.keys()) if owed else {}
        for run, facts in owed.items():
            yield run.finished(list({**facts, **parts.get(run, {})}.values()), tuple(facts))

    def _parts_of(self, runs: Iterable["_RunAttempt"]) -> Mapping["_RunAttempt", Mapping[str, Deployment]]:
        """Return the deployments that count of these runs, by id, also those that are not owed."""
        parts: dict[_RunAttempt, dict[str, Deployment]] = {run: {} for run in runs}
        for history in self._histories:
            for deployment in history.deployments:
                for part in history.parts.get(deployment.id, (deployment,)):
                    run = _RunAttempt.of(part)
                    if run in parts:
                        parts[run][part.id] = part
        return parts


def _judged_changes(
    history: ScopeHistory, owed: Mapping[str, tuple[str, ...]], policy: Policy
) -> Iterator[ServiceChange]:
    """Yield the changes of one production scope.

    Args:
        history: of the scope.
        owed: by the ids of deployments, the ids of the owed facts that each was made from.
        policy: decides whether the rollback rule is on.
    """
    if not owed:
        return
    rollbacks = rollback_ids(history, policy)
    for deployment in history.deployments:
        if deployment.id in owed and deployment.status == "success":
            is_later = _has_predecessor(deployment) or deployment is not history.first_success
            predicate: Predicate = "upgraded" if is_later else "deployed"
            if deployment.id in rollbacks:
                predicate = "rolledback"
            yield ServiceChange(deployment, predicate, owed[deployment.id])


def rollback_ids(history: ScopeHistory, policy: Policy) -> set[str]:
    """Return the ids of the deployments that brought back an earlier version.

    The rollback rule finds them; so does a deployment that says what it remediates, and deploys a known version again.
    """
    redeployed = redeployment_ids(history.deployments)
    finished = [each for each in history.deployments if each.status != "cancelled"]
    rolled_back = {
        after.id
        for before, after in pairwise(finished)
        if after.remediates and after.id in redeployed and after.sha != before.sha
    }
    if is_rule_enabled("rollback", policy):
        signals = rollback_signals(ScopeTimeline(history.scope, history.deployments))
        rolled_back.update(signal.repaired_by.id for signal in signals if signal.repaired_by)
    return rolled_back


def _unjudged_changes(facts: Sequence[Deployment]) -> Iterator[ServiceChange]:
    """Yield what can be said from the facts alone: which deployment came first is known if they name one before."""
    joined = join_parts(facts)
    for deployment in joined.deployments:
        if deployment.status == "success":
            parts = joined.parts.get(deployment.id, (deployment,))
            predicate: Predicate = "upgraded" if _has_predecessor(deployment) else "deployed"
            yield ServiceChange(deployment, predicate, tuple(part.id for part in parts))


def _has_predecessor(deployment: Deployment) -> bool:
    return bool(deployment.previous or deployment.descends_from)


class _RunAttempt(NamedTuple):
    repository: str
    run_id: str
    attempt: int | None

    @classmethod
    def of(cls, deployment: Deployment) -> "_RunAttempt | None":
        """Return the attempt of a run that made a deployment; None if no run did."""
        parsed = DeploymentId.parse(deployment.id)
        link = job_link_of(deployment)
        run_id = (link.run_id if link else None) or (parsed.key if parsed.kind == "run" else None)
        return cls(deployment.repository, run_id, deployment.run_attempt) if run_id else None

    def finished(self, parts: Sequence[Deployment], fact_ids: tuple[str, ...]) -> FinishedRun:
        """Return how it ended, from all of its deployments that are known."""
        statuses = {part.status for part in parts}
        outcome = next(name for status, name in _OUTCOMES.items() if status in statuses)
        workflow = min((part.workflow for part in parts if part.workflow), default=None)
        finished_at = max(part.finished_at for part in parts)
        return FinishedRun(*self, workflow, outcome, finished_at, fact_ids)

"""Checkpoints: a summary of a ledger's old ("sealed") months, so that a run need not read them.

`checkpoint_files.py` has the format of their files.

Let T be the totals of some facts. The totals of a ledger are T(all). A run computes them as base totals + T(retained
and recent facts). Compaction moves facts from recent to retained, or drops them, and adjusts the base totals so that
the sum stays the same: totals never jump when a month is sealed. For a ledger that was read whole, the base totals are
T(all) - T(retained and recent facts).

Links between facts are evaluated among retained and recent facts. Links to dropped facts are found by `rebuild`.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from itertools import chain, islice

import msgspec

from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident, Repository, Vulnerability
from dora_metrics.core.linking.earlier_successes import tips_of
from dora_metrics.core.linking.link import LinkedFacts, deployment_order, link
from dora_metrics.core.metrics.scope_history import Evaluation, evaluate_facts
from dora_metrics.core.metrics.security import has_deployable_fix
from dora_metrics.core.metrics.totals import Totals, add_totals, count_totals, subtract_totals
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, environment_of, scope_of
from dora_metrics.core.windows import WindowSpec

MAX_RETAINED_DEPLOYMENTS = 100
"""Per scope."""

MAX_RETAINED_TIPS = 100
"""Per scope: successes that no other one descends from, such as the last of each release line."""

MAX_RETAINED_CHANGES = 500
"""Undelivered changes per repository; also the number of vulnerabilities with an undelivered fix."""

LONGEST_GAUGE_WINDOW = timedelta(days=90)
"""The longest window of a Prometheus gauge."""


class Checkpoint(msgspec.Struct, frozen=True):
    """A summary of the months before `until`, or of none if that is None.

    `policy_fingerprint` identifies the version and settings that they were evaluated by. `retained_facts` are facts of
    these months that later facts may still refer to. `base_totals` plus the totals of the retained and all later facts
    are the totals of the ledger. `repositories` are the names of repositories that any month holds. `dropped_incidents`
    are digests of the ids of all other incidents of these months: a report may date one of them to another month, and
    it is still the same one.
    """

    policy_fingerprint: str
    until: datetime | None = None
    base_totals: Totals = msgspec.field(default_factory=Counter)
    retained_facts: tuple[Fact, ...] = ()
    repositories: tuple[Repository, ...] = ()
    dropped_incidents: frozenset[str] = frozenset()

    def may_have_dropped(self, fact_id: str) -> bool:
        """Whether an id is that of an incident which is not retained. One of four billion others is taken for it."""
        return _digest(fact_id) in self.dropped_incidents


class LedgerState(msgspec.Struct, frozen=True):
    """Facts and their evaluation."""

    facts: Sequence[Fact]
    evaluation: Evaluation
    policy: Policy

    @property
    def totals(self) -> Totals:
        """The totals of these facts."""
        return count_totals(self.evaluation.histories, self.facts, self.policy)


def ledger_state(facts: Iterable[Fact], policy: Policy) -> LedgerState:
    """Evaluate facts."""
    fact_list = list(facts)
    return LedgerState(fact_list, evaluate_facts(fact_list, policy), policy)


def first_month_needed(spec: WindowSpec, now: datetime) -> datetime | None:
    """Return the start of the first month that the window, the window before it or a gauge needs; None for all months.

    Raises:
        ValueError: if the window would not start before it ends.
    """
    if spec.is_all:
        return None
    earliest = min(spec.resolve(now, None).previous().start, now - LONGEST_GAUGE_WINDOW)
    return earliest.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def compact(state: LedgerState, previous: Checkpoint, until: datetime, old_ids: AbstractSet[str]) -> Checkpoint:
    """Return a checkpoint of the months before `until` that leaves the totals of the ledger as they are.

    Args:
        state: all facts that were read, back to the previous checkpoint.
        previous: the previous checkpoint, an empty one if the ledger was read whole.
        until: start of the first month that is not checkpointed.
        old_ids: ids of the facts in the months before.
    """
    old_facts = [fact for fact in state.facts if fact.id in old_ids]
    retained_facts = tuple(_retained_facts(old_facts, state, until))
    recent_facts = (fact for fact in state.facts if fact.id not in old_ids)
    remaining = ledger_state((*retained_facts, *recent_facts), state.policy)
    base_totals = add_totals(previous.base_totals, subtract_totals(state.totals, remaining.totals))
    retained_ids = {fact.id for fact in retained_facts}
    dropped = (each for each in old_facts if isinstance(each, Incident) and each.id not in retained_ids)
    return Checkpoint(
        previous.policy_fingerprint,
        until,
        base_totals,
        retained_facts,
        previous.repositories,
        previous.dropped_incidents.union(_digest(incident.id) for incident in dropped),
    )


def _digest(fact_id: str) -> str:
    """Return eight digits for an id, whatever the case of its letters."""
    return hashlib.sha256(fact_id.casefold().encode()).hexdigest()[:8]


def base_totals_without(base_totals: Totals, restored: Sequence[Fact], facts: Sequence[Fact], policy: Policy) -> Totals:
    """Return the base totals without facts of checkpointed months that count again, so that the ledger's totals stay.

    Args:
        base_totals: those of the checkpoint.
        restored: the facts that count again.
        facts: all facts that count.
        policy: the settings.
    """
    if not restored:
        return base_totals
    restored_ids = {fact.id for fact in restored}
    others = [fact for fact in facts if fact.id not in restored_ids]
    without_restored = ledger_state(others, policy)
    with_restored = ledger_state((*others, *restored), policy)
    return add_totals(base_totals, subtract_totals(without_restored.totals, with_restored.totals))


def _retained_facts(old_facts: Sequence[Fact], state: LedgerState, until: datetime) -> Iterator[Fact]:
    """Yield the facts of the checkpointed months that later facts may refer to or end."""
    old_ids = {fact.id for fact in old_facts}
    linked = link(state.facts, state.policy)
    retained_ids = _retained_deployment_ids(old_facts, linked, state.policy)
    incidents = [fact for fact in old_facts if isinstance(fact, Incident) and not fact.retracted]
    open_ids = {each.id for each in incidents if each.resolved_at is None or each.resolved_at >= until}
    attributions = [each for history in state.evaluation.histories for each in history.incidents]
    for reports in (each.report_ids for each in attributions):
        if not reports.isdisjoint(open_ids) or not reports <= old_ids:
            open_ids |= reports
    deployment_by_incident = {
        report_id: attributed.attributed_to for attributed in attributions for report_id in attributed.report_ids
    }
    for incident in incidents:
        if incident.id in open_ids and (deployment := deployment_by_incident.get(incident.id)):
            retained_ids |= linked.part_ids(deployment)
    yield from (fact for fact in old_facts if isinstance(fact, Deployment) and fact.id in retained_ids)
    for incident in incidents:
        deployment = deployment_by_incident.get(incident.id)
        if incident.id in open_ids or (deployment and deployment.id in retained_ids):
            yield incident
    yield from _retained_changes(old_facts, linked, old_ids)
    yield from _retained_vulnerabilities(old_facts, state, linked, until)


def _retained_deployment_ids(old_facts: Iterable[Fact], linked: LinkedFacts, policy: Policy) -> set[str]:
    """Return ids: of each production scope the last deployments, of each repository the last with an environment.

    Whether a repository has any environment decides whether its deployments without one count as production. The
    parts of an attempt are kept together.
    """
    by_scope: dict[Scope, list[Deployment]] = defaultdict(list)
    last_with_environment: dict[str, Deployment] = {}
    for fact in old_facts:
        if isinstance(fact, Deployment) and not fact.retracted:
            if policy.is_production(environment_of(fact)):
                by_scope[scope_of(fact)].append(fact)
            if fact.environment:
                other = last_with_environment.get(fact.repository, fact)
                last_with_environment[fact.repository] = max(other, fact, key=deployment_order)
    attempt_ids = {part.id: attempt_id for attempt_id, parts in linked.parts.items() for part in parts}
    latest = chain.from_iterable(_latest_of_scope(deployments, attempt_ids) for deployments in by_scope.values())
    ids = {fact.id for fact in (*latest, *last_with_environment.values())}
    retained_attempts = {attempt_ids[fact_id] for fact_id in ids & attempt_ids.keys()}
    return ids | {part.id for attempt_id in retained_attempts for part in linked.parts[attempt_id]}


def _latest_of_scope(deployments: Iterable[Deployment], attempt_ids: Mapping[str, str]) -> Iterator[Deployment]:
    """Yield the last deployments of one scope, and the successes that the next deployment is compared with.

    `attempt_ids` are the ids of the attempts that facts are parts of; an attempt counts as one deployment.
    """
    ordered = sorted(deployments, key=deployment_order)
    by_attempt: dict[str, list[Deployment]] = defaultdict(list)
    for deployment in reversed(ordered):
        by_attempt[attempt_ids.get(deployment.id, deployment.id)].append(deployment)
    yield from chain.from_iterable(islice(by_attempt.values(), MAX_RETAINED_DEPLOYMENTS))
    successes = [deployment for deployment in ordered if deployment.status == "success" and deployment.sha]
    yield from (*successes[-1:], *tips_of(successes)[-MAX_RETAINED_TIPS:])


def _retained_changes(old_facts: Sequence[Fact], linked: LinkedFacts, old_ids: AbstractSet[str]) -> Iterator[Change]:
    """Yield the changes that recent deployments deliver, and the newest undelivered changes of each repository."""
    needed_ids, delivered_ids = _needed_and_delivered_ids(linked, old_ids)
    changes = [fact for fact in old_facts if isinstance(fact, Change)]
    yield from (change for change in changes if change.id in needed_ids)
    other_ids = needed_ids | delivered_ids
    undelivered = (change for change in changes if not change.retracted and change.id not in other_ids)
    yield from _newest_of_each_repository(undelivered)


def _needed_and_delivered_ids(linked: LinkedFacts, old_ids: AbstractSet[str]) -> tuple[set[str], set[str]]:
    """Return the ids of the changes that recent deployments deliver, and of those that old ones have delivered.

    Attempts without success count as recent, since the next success delivers their changes.
    """
    needed_ids: set[str] = set()
    delivered_ids: set[str] = set()
    for timeline in linked.timelines.values():
        old = {each.id for each in timeline.deployments if linked.part_ids(each) <= old_ids}
        earlier_ids = {each.change_id for each in timeline.delivered_changes if each.deployment.id in old}
        delivering = (each for each in timeline.deployments if each.id not in old or each.status != "success")
        needed_ids |= {change_id for deployment in delivering for change_id in deployment.changes or ()} - earlier_ids
        needed_ids |= {each.change_id for each in timeline.carriers if each.deployment.id not in old}
        delivered_ids |= earlier_ids
    return needed_ids, delivered_ids


def _newest_of_each_repository(changes: Iterable[Change]) -> Iterator[Change]:
    by_repository: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_repository[change.repository].append(change)
    for repository_changes in by_repository.values():
        in_order = sorted(repository_changes, key=lambda change: (change.defining_time, change.id))
        yield from in_order[-MAX_RETAINED_CHANGES:]


def _retained_vulnerabilities(
    old_facts: Sequence[Fact], state: LedgerState, linked: LinkedFacts, until: datetime
) -> Iterator[Vulnerability]:
    """Yield the vulnerabilities that are open, ended at or after `until`, or have an undelivered fix."""
    undelivered_ids = _undelivered_vulnerability_ids(state, linked, {fact.id for fact in old_facts})
    vulnerabilities = (fact for fact in old_facts if isinstance(fact, Vulnerability) and not fact.retracted)
    for vulnerability in vulnerabilities:
        end = vulnerability.dismissed_at or vulnerability.fixed_at
        if vulnerability.id in undelivered_ids or end is None or end >= until:
            yield vulnerability


def _undelivered_vulnerability_ids(state: LedgerState, linked: LinkedFacts, old_ids: AbstractSet[str]) -> set[str]:
    """Return the ids of the newest vulnerabilities whose fix no deployment of the checkpointed months delivered."""
    candidates: dict[str, Vulnerability] = {}
    for history in state.evaluation.histories:
        delivered_ids = {fix.vulnerability.id for fix in history.fixes if linked.part_ids(fix.deployment) <= old_ids}
        fixed = (vulnerability for vulnerability in history.vulnerabilities if has_deployable_fix(vulnerability))
        candidates.update((each.id, each) for each in fixed if each.id not in delivered_ids)
    newest = sorted(candidates.values(), key=lambda each: (each.fixed_at or each.detected_at, each.id))
    return {vulnerability.id for vulnerability in newest[-MAX_RETAINED_CHANGES:]}

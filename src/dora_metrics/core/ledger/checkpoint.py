"""Old months are sealed: what a run must know of them is kept in the checkpoint, however old the ledger is (DESIGN §3).

Let T be the totals of some facts. A ledger's are T(all); a run knows `base + T(carried and recent)`. Sealing a month
moves facts from recent to carried or out of sight, and makes up for it in `base`, so that the sum stays what it was:
totals never jump when a month closes. For a ledger that was read whole, `base` is T(all) - T(carried and recent).

What facts say about each other is judged among carried and recent ones. That leaves out links that reach further
back than what is carried, which `rebuild` finds.

`checkpoint.json`: what is kept of a ledger's old months, so that a run need not read them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from dora_metrics.core.facts.jsonl import canonical_json
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident, Vulnerability
from dora_metrics.core.linking.link import deployment_order, link
from dora_metrics.core.metrics.scope_history import Evaluation, evaluate_facts
from dora_metrics.core.metrics.security import has_deployable_fix
from dora_metrics.core.metrics.totals import Series, Totals, add_totals, count_totals, subtract_totals
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, environment_of, scope_of
from dora_metrics.core.windows import WindowSpec


@dataclass(frozen=True)
class Checkpoint:
    """Months before `until` are sealed; None: none are.

    `rules` names what they were judged by. Their facts come to two things: `carried`, those that later facts may
    still refer to, and `base`, what has to be added to the totals of all facts that are not sealed or carried.
    """

    policy_fingerprint: str
    until: datetime | None = None
    base_totals: Totals = field(default_factory=Counter)
    retained_facts: tuple[Fact, ...] = ()


class _ScopeTotals(msgspec.Struct):
    repository: str
    service: str
    environment: str
    series: list[tuple[str, str, int | None, int]]


class _CheckpointFile(msgspec.Struct):
    rules: str
    until: datetime
    totals: list[_ScopeTotals]
    carried: list[Fact]


def decode_checkpoint(content: bytes, policy_fingerprint: str) -> Checkpoint:
    """The checkpoint of a ledger; nothing is sealed where it is broken or was made by other rules.

    Such a ledger is read whole, once, and gets a new one.
    """
    try:
        file = msgspec.json.decode(content, type=_CheckpointFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        return Checkpoint(policy_fingerprint)
    if file.rules != policy_fingerprint or file.until.tzinfo is None:
        return Checkpoint(policy_fingerprint)
    base_totals: Totals = Counter(
        {
            Series(
                name, Scope(scope_totals.repository, scope_totals.service, scope_totals.environment), label, part
            ): number
            for scope_totals in file.totals
            for name, label, part, number in scope_totals.series
        }
    )
    return Checkpoint(policy_fingerprint, file.until, base_totals, tuple(file.carried))


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The file; empty where nothing is sealed. Sorted, so that equal checkpoints are equal files."""
    if checkpoint.until is None:
        return b""
    by_scope: dict[Scope, list[tuple[str, str, int | None, int]]] = {}
    for series, number in sorted(checkpoint.base_totals.items(), key=lambda item: _series_order(item[0])):
        by_scope.setdefault(series.scope, []).append((series.name, series.label, series.part, number))
    return (
        canonical_json(
            {
                "rules": checkpoint.policy_fingerprint,
                "until": checkpoint.until,
                "totals": [_ScopeTotals(*scope, series=series) for scope, series in by_scope.items()],
                "carried": [
                    _without_empty_fields(fact) for fact in sorted(checkpoint.retained_facts, key=lambda fact: fact.id)
                ],
            }
        )
        + b"\n"
    )


def _series_order(series: Series) -> tuple[Scope, str, str, int]:
    return series.scope, series.name, series.label, -1 if series.part is None else series.part


def _without_empty_fields(fact: Fact) -> dict[str, Any]:
    """A fact without what is empty."""
    fields: dict[str, Any] = msgspec.to_builtins(fact)
    return {name: value for name, value in fields.items() if value is not None and value is not False}


MAX_RETAINED_DEPLOYMENTS = 100
MAX_RETAINED_CHANGES = 500
LONGEST_GAUGE_WINDOW = timedelta(days=90)


@dataclass(frozen=True)
class LedgerState:
    """Facts with what was judged of them."""

    facts: Sequence[Fact]
    evaluation: Evaluation
    policy: Policy

    @property
    def totals(self) -> Totals:
        return count_totals(self.evaluation.histories, self.facts, self.policy)


def ledger_state(facts: Iterable[Fact], policy: Policy) -> LedgerState:
    fact_list = list(facts)
    return LedgerState(fact_list, evaluate_facts(fact_list, policy), policy)


def first_month_needed(spec: WindowSpec, now: datetime) -> datetime | None:
    """The first month that a window reaches, or the one before it, or a gauge; None: all months.

    Raises:
        ValueError: if the window would not start before it ends.
    """
    if spec.is_all:
        return None
    earliest = min(spec.resolve(now, None).previous().start, now - LONGEST_GAUGE_WINDOW)
    return earliest.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def compact(state: LedgerState, previous: Checkpoint, until: datetime, old_ids: AbstractSet[str]) -> Checkpoint:
    """A checkpoint with which this state's totals are what they were with the one before.

    Args:
        state: all facts that are known, in a ledger that was read whole or up to an earlier checkpoint.
        before: that checkpoint; one that seals nothing for a ledger that was read whole.
        until: the first month that stays in sight.
        old: the ids of the facts that lie in months before it.
    """
    old_facts = [fact for fact in state.facts if fact.id in old_ids]
    retained_facts = tuple(_retained_facts(old_facts, state, until))
    remaining = ledger_state((*retained_facts, *(fact for fact in state.facts if fact.id not in old_ids)), state.policy)
    return Checkpoint(
        previous.policy_fingerprint,
        until,
        add_totals(previous.base_totals, subtract_totals(state.totals, remaining.totals)),
        retained_facts,
    )


def base_totals_without(base_totals: Totals, restored: Sequence[Fact], facts: Sequence[Fact], policy: Policy) -> Totals:
    """The base when facts of sealed months count among `facts` again, so that the totals stay what they are."""
    if not restored:
        return base_totals
    restored_ids = {fact.id for fact in restored}
    others = [fact for fact in facts if fact.id not in restored_ids]
    without_restored, with_restored = ledger_state(others, policy), ledger_state((*others, *restored), policy)
    return add_totals(base_totals, subtract_totals(without_restored.totals, with_restored.totals))


def _retained_facts(old_facts: Sequence[Fact], state: LedgerState, until: datetime) -> Iterator[Fact]:
    """What later facts may still refer to, or end."""
    deployment_by_incident = {
        attributed.incident.id: attributed.attributed_to
        for scope_history in state.evaluation.histories
        for attributed in scope_history.incidents
    }
    deployments = _retained_deployments(old_facts, state.policy)
    incidents = [fact for fact in old_facts if isinstance(fact, Incident) and not fact.retracted]
    open_incidents = [fact for fact in incidents if fact.resolved_at is None or fact.resolved_at >= until]
    for incident in open_incidents:
        if deployment := deployment_by_incident.get(incident.id):
            deployments[deployment.id] = deployment
    old_ids = {fact.id for fact in old_facts}
    yield from (deployment for deployment_id, deployment in deployments.items() if deployment_id in old_ids)
    open_ids = {incident.id for incident in open_incidents}
    for incident in incidents:
        attributed_to = deployment_by_incident.get(incident.id)
        if incident.id in open_ids or (attributed_to and attributed_to.id in deployments):
            yield incident
    yield from _retained_changes(old_facts, state, old_ids)
    undelivered_ids = _undelivered_vulnerability_ids(state, old_ids)
    for fact in old_facts:
        if (
            isinstance(fact, Vulnerability)
            and not fact.retracted
            and (fact.id in undelivered_ids or _ends_at_or_after(fact, until))
        ):
            yield fact


def _retained_deployments(old_facts: Iterable[Fact], policy: Policy) -> dict[str, Deployment]:
    """The last of each production scope, and each repository's last one that names an environment at all."""
    by_scope: dict[tuple[str, ...], list[Deployment]] = defaultdict(list)
    last_with_environment: dict[str, Deployment] = {}
    for fact in old_facts:
        if isinstance(fact, Deployment) and not fact.retracted:
            if policy.is_production(environment_of(fact)):
                by_scope[scope_of(fact)].append(fact)
            if fact.environment:
                last_with_environment[fact.repository] = max(
                    last_with_environment.get(fact.repository, fact), fact, key=deployment_order
                )
    latest = (
        fact
        for deployments in by_scope.values()
        for fact in _latest_of_scope(sorted(deployments, key=deployment_order))
    )
    return {fact.id: fact for fact in (*latest, *last_with_environment.values())}


def _latest_of_scope(deployments: Sequence[Deployment]) -> Iterator[Deployment]:
    """Of one scope, in order: however many failed since, also the success that the next one is compared with."""
    yield from deployments[-MAX_RETAINED_DEPLOYMENTS:]
    successes = [deployment for deployment in deployments if deployment.status == "success"]
    with_changes = [deployment for deployment in successes if deployment.changes is not None]
    yield from (*successes[-1:], *(with_changes[-1:] or successes[:1]))


def _retained_changes(old_facts: Sequence[Fact], state: LedgerState, old_ids: AbstractSet[str]) -> Iterator[Change]:
    """Changes that deployments in sight bring, and of those that none has brought the newest of each repository."""
    needed_ids: set[str] = set()
    delivered_ids: set[str] = set()
    for timeline in link(state.facts, state.policy).timelines.values():
        already_delivered_ids = {
            delivered_change.change_id
            for delivered_change in timeline.delivered_changes
            if delivered_change.deployment.id in old_ids
        }
        delivering = (
            deployment
            for deployment in timeline.deployments
            if deployment.id not in old_ids or deployment.status != "success"
        )
        needed_ids |= {
            change_id for deployment in delivering for change_id in deployment.changes or ()
        } - already_delivered_ids
        delivered_ids |= already_delivered_ids
    undelivered: dict[str, list[Change]] = defaultdict(list)
    for fact in old_facts:
        if isinstance(fact, Change) and fact.id in needed_ids:
            yield fact
        elif isinstance(fact, Change) and not fact.retracted and fact.id not in delivered_ids:
            undelivered[fact.repository].append(fact)
    for changes in undelivered.values():
        yield from sorted(changes, key=lambda change: (change.defining_time, change.id))[-MAX_RETAINED_CHANGES:]


def _undelivered_vulnerability_ids(state: LedgerState, old_ids: AbstractSet[str]) -> set[str]:
    """The newest vulnerabilities whose fix a deployment in sight brings, or one that is still to come."""
    candidates: dict[str, Vulnerability] = {}
    for scope_history in state.evaluation.histories:
        delivered_ids = {fix.vulnerability.id for fix in scope_history.fixes if fix.deployment.id in old_ids}
        candidates.update(
            (vulnerability.id, vulnerability)
            for vulnerability in scope_history.vulnerabilities
            if has_deployable_fix(vulnerability) and vulnerability.id not in delivered_ids
        )
    newest = sorted(
        candidates.values(),
        key=lambda vulnerability: (vulnerability.fixed_at or vulnerability.detected_at, vulnerability.id),
    )
    return {vulnerability.id for vulnerability in newest[-MAX_RETAINED_CHANGES:]}


def _ends_at_or_after(vulnerability: Vulnerability, until: datetime) -> bool:
    end = vulnerability.dismissed_at or vulnerability.fixed_at
    return end is None or end >= until

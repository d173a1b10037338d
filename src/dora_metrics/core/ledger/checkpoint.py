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

from dora_metrics.core.facts.jsonl import canonical
from dora_metrics.core.facts.model import Change, Deployment, Fact, Incident, Vulnerability
from dora_metrics.core.linking.link import link, order
from dora_metrics.core.metrics.scope_history import Records, judge_all
from dora_metrics.core.metrics.security import is_delivered
from dora_metrics.core.metrics.totals import Series, Totals, added, totals, without
from dora_metrics.core.policy import Policy
from dora_metrics.core.scope import Scope, scope_of
from dora_metrics.core.windows import WindowSpec


@dataclass(frozen=True)
class Checkpoint:
    """Months before `until` are sealed; None: none are.

    `rules` names what they were judged by. Their facts come to two things: `carried`, those that later facts may
    still refer to, and `base`, what has to be added to the totals of all facts that are not sealed or carried.
    """

    rules: str
    until: datetime | None = None
    base: Totals = field(default_factory=Counter)
    carried: tuple[Fact, ...] = ()


class _Numbers(msgspec.Struct):
    repository: str
    service: str
    environment: str
    series: list[tuple[str, str, int | None, int]]


class _File(msgspec.Struct):
    rules: str
    until: datetime
    totals: list[_Numbers]
    carried: list[Fact]


def decode(content: bytes, rules: str) -> Checkpoint:
    """The checkpoint of a ledger; nothing is sealed where it is broken or was made by other rules.

    Such a ledger is read whole, once, and gets a new one.
    """
    try:
        file = msgspec.json.decode(content, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        return Checkpoint(rules)
    if file.rules != rules or file.until.tzinfo is None:
        return Checkpoint(rules)
    base: Totals = Counter({
        Series(name, Scope(at.repository, at.service, at.environment), label, part): number
        for at in file.totals
        for name, label, part, number in at.series
    })  # fmt: skip
    return Checkpoint(rules, file.until, base, tuple(file.carried))


def encode(checkpoint: Checkpoint) -> bytes:
    """The file; empty where nothing is sealed. Sorted, so that equal checkpoints are equal files."""
    if checkpoint.until is None:
        return b""
    by_scope: dict[Scope, list[tuple[str, str, int | None, int]]] = {}
    for series, number in sorted(checkpoint.base.items(), key=lambda item: _sortable(item[0])):
        by_scope.setdefault(series.scope, []).append((series.name, series.label, series.part, number))
    return canonical({
        "rules": checkpoint.rules,
        "until": checkpoint.until,
        "totals": [_Numbers(*scope, series=series) for scope, series in by_scope.items()],
        "carried": [_short(fact) for fact in sorted(checkpoint.carried, key=lambda fact: fact.id)],
    }) + b"\n"  # fmt: skip


def _sortable(series: Series) -> tuple[Scope, str, str, int]:
    return series.scope, series.name, series.label, -1 if series.part is None else series.part


def _short(fact: Fact) -> dict[str, Any]:
    """A fact without what is empty."""
    found: dict[str, Any] = msgspec.to_builtins(fact)
    return {name: value for name, value in found.items() if value is not None and value is not False}


MOST_DEPLOYMENTS = 100
MOST_CHANGES = 500
LONGEST_GAUGE = timedelta(days=90)


@dataclass(frozen=True)
class Judged:
    """Facts with what was judged of them."""

    facts: Sequence[Fact]
    records: Records
    policy: Policy

    @property
    def totals(self) -> Totals:
        return totals(self.records.records, self.facts, self.policy)


def judged(facts: Iterable[Fact], policy: Policy) -> Judged:
    found = list(facts)
    return Judged(found, judge_all(found, policy), policy)


def needed_since(spec: WindowSpec, now: datetime) -> datetime | None:
    """The first month that a window reaches, or the one before it, or a gauge; None: all months.

    Raises:
        ValueError: if the window would not start before it ends.
    """
    if spec.everything:
        return None
    earliest = min(spec.resolve(now, None).before().start, now - LONGEST_GAUGE)
    return earliest.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def sealed(state: Judged, before: Checkpoint, until: datetime, old: AbstractSet[str]) -> Checkpoint:
    """A checkpoint with which this state's totals are what they were with the one before.

    Args:
        state: all facts that are known, in a ledger that was read whole or up to an earlier checkpoint.
        before: that checkpoint; one that seals nothing for a ledger that was read whole.
        until: the first month that stays in sight.
        old: the ids of the facts that lie in months before it.
    """
    out_of_sight = [fact for fact in state.facts if fact.id in old]
    carried = tuple(_carried(out_of_sight, state, until))
    rest = judged((*carried, *(fact for fact in state.facts if fact.id not in old)), state.policy)
    return Checkpoint(before.rules, until, added(before.base, without(state.totals, rest.totals)), carried)


def base_without(base: Totals, again: Sequence[Fact], facts: Sequence[Fact], policy: Policy) -> Totals:
    """The base when facts of sealed months count among `facts` again, so that the totals stay what they are."""
    if not again:
        return base
    ids = {fact.id for fact in again}
    others = [fact for fact in facts if fact.id not in ids]
    alone, together = judged(others, policy), judged((*others, *again), policy)
    return added(base, without(alone.totals, together.totals))


def _carried(old: Sequence[Fact], state: Judged, until: datetime) -> Iterator[Fact]:
    """What later facts may still refer to, or end."""
    blamed = {one.incident.id: one.blamed for record in state.records.records for one in record.incidents}
    deployments = _last_deployments(old, state.policy)
    incidents = [fact for fact in old if isinstance(fact, Incident) and not fact.retracted]
    open_ones = [fact for fact in incidents if fact.resolved_at is None or fact.resolved_at >= until]
    for incident in open_ones:
        if deployment := blamed.get(incident.id):
            deployments[deployment.id] = deployment
    old_ids = {fact.id for fact in old}
    yield from (deployment for identity, deployment in deployments.items() if identity in old_ids)
    still_open = {incident.id for incident in open_ones}
    for incident in incidents:
        at = blamed.get(incident.id)
        if incident.id in still_open or (at and at.id in deployments):
            yield incident
    yield from _waiting(old, state, old_ids)
    undelivered = _undelivered(state, old_ids)
    for fact in old:
        if isinstance(fact, Vulnerability) and not fact.retracted and (fact.id in undelivered or _unended(fact, until)):
            yield fact


def _last_deployments(old: Iterable[Fact], policy: Policy) -> dict[str, Deployment]:
    """The last of each production scope, and each repository's last one that names an environment at all."""
    scopes: dict[tuple[str, ...], list[Deployment]] = defaultdict(list)
    named: dict[str, Deployment] = {}
    for fact in old:
        if isinstance(fact, Deployment) and not fact.retracted:
            if policy.is_production(fact.environment or "production"):
                scopes[scope_of(fact)].append(fact)
            if fact.environment:
                named[fact.repository] = max(named.get(fact.repository, fact), fact, key=order)
    last = (fact for found in scopes.values() for fact in _last(sorted(found, key=order)))
    return {fact.id: fact for fact in (*last, *named.values())}


def _last(deployments: Sequence[Deployment]) -> Iterator[Deployment]:
    """Of one scope, in order: however many failed since, also the success that the next one is compared with."""
    yield from deployments[-MOST_DEPLOYMENTS:]
    successes = [deployment for deployment in deployments if deployment.status == "success"]
    known = [deployment for deployment in successes if deployment.changes is not None]
    yield from (*successes[-1:], *(known[-1:] or successes[:1]))


def _waiting(old: Sequence[Fact], state: Judged, old_ids: AbstractSet[str]) -> Iterator[Change]:
    """Changes that deployments in sight bring, and of those that none has brought the newest of each repository."""
    needed: set[str] = set()
    delivered: set[str] = set()
    for line in link(state.facts, state.policy).lines.values():
        done = {one.change for one in line.deliveries if one.deployment.id in old_ids}
        bringing = (d for d in line.deployments if d.id not in old_ids or d.status != "success")
        needed |= {change for deployment in bringing for change in deployment.changes or ()} - done
        delivered |= done
    waiting: dict[str, list[Change]] = defaultdict(list)
    for fact in old:
        if isinstance(fact, Change) and fact.id in needed:
            yield fact
        elif isinstance(fact, Change) and not fact.retracted and fact.id not in delivered:
            waiting[fact.repository].append(fact)
    for found in waiting.values():
        yield from sorted(found, key=lambda change: (change.defining_time, change.id))[-MOST_CHANGES:]


def _undelivered(state: Judged, old_ids: AbstractSet[str]) -> set[str]:
    """The newest vulnerabilities whose fix a deployment in sight brings, or one that is still to come."""
    found: dict[str, Vulnerability] = {}
    for record in state.records.records:
        done = {fix.vulnerability.id for fix in record.fixes if fix.deployment.id in old_ids}
        found.update((one.id, one) for one in record.vulnerabilities if is_delivered(one) and one.id not in done)
    newest = sorted(found.values(), key=lambda one: (one.fixed_at or one.detected_at, one.id))
    return {one.id for one in newest[-MOST_CHANGES:]}


def _unended(vulnerability: Vulnerability, until: datetime) -> bool:
    end = vulnerability.dismissed_at or vulnerability.fixed_at
    return end is None or end >= until

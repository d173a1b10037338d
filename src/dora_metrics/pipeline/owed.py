"""What each endpoint is owed after a run: changed facts, changed judgements, reports that are due. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, partial

from msgspec import Struct
from msgspec.structs import replace

from dora_metrics.core.facts.model import Deployment, Fact, Incident
from dora_metrics.core.failures.judge import Failure
from dora_metrics.core.ledger.layout import REPORTS_FILE
from dora_metrics.core.ledger.outbox import (
    Outbox,
    OutboxEntry,
    entry_of,
    outbox_files,
    report_entry,
    with_entries,
)
from dora_metrics.core.metrics.scope_history import Evaluation
from dora_metrics.core.policy import Policy
from dora_metrics.core.reports.periodic.claims import ReportClaim, decode_claims
from dora_metrics.core.shapes.events import EndpointEvent, event_of
from dora_metrics.core.shapes.shape import FactChange, Shape, is_any_change
from dora_metrics.core.shapes.shipped import SHIPPED_SHAPES, shipped_shape
from dora_metrics.settings.endpoints import EndpointSettings


class News(Struct, frozen=True):
    """What a run has recorded.

    Attributes:
        changes: of facts, in the order in which they were recorded.
        judged: the deployments that were recorded before and have begun or ceased to count as failed, or whose failure
            counts as ended by another deployment than before, or by none.
        reports: the reports that this run has claimed and no run before.
        of_wholes: from some of the changes to one for each deployment and incident, with what it was before.
    """

    changes: Sequence[FactChange]
    judged: Callable[[], Sequence[Deployment]]
    reports: Sequence[OutboxEntry]
    of_wholes: Callable[[Sequence[FactChange]], Sequence[FactChange]]


class Interest(Struct, frozen=True):
    """What an endpoint is sent about.

    Attributes:
        events: of the setting, else of the shape; None for all facts, and no report.
        is_owed: whether a change of a fact is sent.
        owes_judgements: whether a changed judgement is sent.
        owes_wholes: whether a deployment or incident is owed once, and not each of its facts that changed.
    """

    events: frozenset[EndpointEvent] | None
    is_owed: Callable[[FactChange], bool] = is_any_change
    owes_judgements: bool = False
    owes_wholes: bool = False

    @classmethod
    def of(cls, endpoint: EndpointSettings) -> "Interest":
        """Return the interest of an endpoint. The file of a user's template has no say in it, and is not read."""
        if endpoint.template not in SHIPPED_SHAPES:
            return cls(endpoint.events)
        return cls.of_shape(shipped_shape(endpoint.template), endpoint)

    @classmethod
    def of_shape(cls, shape: Shape, endpoint: EndpointSettings) -> "Interest":
        events = shape.events if endpoint.events is None else endpoint.events
        return cls(events, shape.is_owed, shape.owes_judgements, shape.is_for_people)

    def includes(self, fact: Fact) -> bool:
        """Whether the endpoint is sent about facts of this kind."""
        return self.events is None or event_of(fact) in self.events

    def entries(self, news: News) -> Iterator[OutboxEntry]:
        """Yield what the endpoint is owed of some news."""
        yield from (entry_of(change.after) for change in self._owed_changes(news))
        if news.changes and self.owes_judgements and (self.events is None or "deployment" in self.events):
            yield from map(entry_of, news.judged())
        if self.events is not None and "report" in self.events:
            yield from news.reports

    def _owed_changes(self, news: News) -> Sequence[FactChange]:
        owed = [change for change in news.changes if self.includes(change.after) and self.is_owed(change)]
        return (
            [change for change in news.of_wholes(owed) if self.is_owed(change)] if self.owes_wholes and owed else owed
        )


def outbox_with(
    outbox: Outbox, endpoints: Mapping[str, EndpointSettings], news: News, sequence: int
) -> dict[str, bytes]:
    """Return the files of the outbox after some news.

    Args:
        outbox: of the ledger before.
        endpoints: those that are owed the news, by their names in the outbox. Debts of others stay as they are.
        news: what a run has recorded.
        sequence: of the ledger with the news.
    """
    after = dict(outbox)
    for name, endpoint in endpoints.items():
        new = (replace(entry, owed_at=sequence) for entry in Interest.of(endpoint).entries(news))
        after[name] = with_entries(outbox.get(name, ()), new)
    return outbox_files(after)


def fact_changes(
    new_facts: Iterable[Fact], fact_before: Callable[[str], Fact | None], now: datetime, policy: Policy
) -> list[FactChange]:
    """Return what changed about each fact, in the order of recording."""
    return [FactChange(fact_before(fact.id), fact, now, policy) for fact in new_facts]


def changes_of_wholes(
    evaluate_before: Callable[[], Evaluation], evaluate_after: Callable[[], Evaluation]
) -> Callable[[Sequence[FactChange]], Sequence[FactChange]]:
    """Return what adds to changes which deployment or incident they are of; both ledgers are evaluated once, if asked.

    Of several facts of one whole that a run records together, one is left: the first that ended as the whole did.
    """
    wholes = cache(lambda: (_Wholes.of(evaluate_before()), _Wholes.of(evaluate_after())))

    def of_wholes(changes: Sequence[FactChange]) -> Sequence[FactChange]:
        before, after = wholes()
        speakers: dict[str, FactChange] = {}
        for change in changes:
            whole = after.by_fact_id.get(change.after.id)
            name = whole.id if whole else change.after.id
            if name not in speakers or _speaks_for(change.after, whole) > _speaks_for(speakers[name].after, whole):
                speakers[name] = replace(change, whole=whole, wholes_before=before.of_any(after.parts_of(whole)))
        return list(speakers.values())

    return of_wholes


class _Wholes(Struct, frozen=True):
    """What the facts of a ledger count as: deployments and incidents by the id of each fact, and their facts by id."""

    by_fact_id: Mapping[str, Deployment | Incident]
    fact_ids: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, evaluation: Evaluation) -> "_Wholes":
        wholes: dict[str, tuple[Deployment | Incident, Sequence[str]]] = {}
        for history in evaluation.histories:
            for deployment in history.deployments:
                parts = history.parts.get(deployment.id, (deployment,))
                wholes[deployment.id] = deployment, [part.id for part in parts]
            for attributed in history.incidents:
                wholes[attributed.incident.id] = attributed.incident, sorted(attributed.report_ids)
        by_fact_id = {fact_id: whole for whole, fact_ids in wholes.values() for fact_id in fact_ids}
        return cls(by_fact_id, {whole_id: fact_ids for whole_id, (_, fact_ids) in wholes.items()})

    def parts_of(self, whole: Deployment | Incident | None) -> Sequence[str]:
        return self.fact_ids[whole.id] if whole else ()

    def of_any(self, fact_ids: Iterable[str]) -> tuple[Deployment | Incident, ...]:
        """Return each whole that some facts count as."""
        wholes = (self.by_fact_id.get(fact_id) for fact_id in fact_ids)
        return tuple({whole.id: whole for whole in wholes if whole}.values())


def _speaks_for(fact: Fact, whole: Deployment | Incident | None) -> bool:
    """Whether a fact ended as the deployment or incident that it counts as."""
    match fact, whole:
        case Deployment(), Deployment():
            return fact.status == whole.status
        case Incident(), Incident():
            return (fact.resolved_at is None) == (whole.resolved_at is None)
        case _:
            return True


def new_judgements(
    facts_before: Sequence[Fact], evaluate_before: Callable[[], Evaluation], evaluate_after: Callable[[], Evaluation]
) -> Callable[[], Sequence[Deployment]]:
    """Return what finds the deployments whose judgement changed; the facts are evaluated if somebody asks for it."""
    return cache(partial(_changed_judgements, facts_before, evaluate_before, evaluate_after))


def _changed_judgements(
    facts_before: Sequence[Fact], evaluate_before: Callable[[], Evaluation], evaluate_after: Callable[[], Evaluation]
) -> Sequence[Deployment]:
    deployments = {fact.id: fact for fact in facts_before if isinstance(fact, Deployment)}
    before, after = _remediations(evaluate_before()), _remediations(evaluate_after())
    # a new deployment that ended a failure is owed itself, and says that it did
    replaced_ids = {
        failed_id
        for failed_id in before.keys() & after.keys()
        if before[failed_id] != after[failed_id] and (after[failed_id] or failed_id) in deployments
    }
    changed_ids = (before.keys() ^ after.keys()) | replaced_ids
    return [fact for fact in deployments.values() if fact.id in changed_ids]


def _remediations(evaluation: Evaluation) -> dict[str, str | None]:
    """Return by the id of each failed deployment the one that ended its failure; None if none did, or an incident."""
    failures = (failure for history in evaluation.histories for failure in history.failures)
    return {failure.deployment.id: _remediation_of(failure) for failure in failures}


def _remediation_of(failure: Failure) -> str | None:
    has_remediation = failure.recovery_seconds is not None and not failure.is_ended_by_incident
    return failure.remediated_by if has_remediation else None


def claimed_reports(files: Mapping[str, bytes], claims: Mapping[str, bytes]) -> list[OutboxEntry]:
    """Return the reports that a run has claimed for a new period; one that it takes over was claimed before.

    Args:
        files: of the ledger before.
        claims: the file of claims, if the run changes it.
    """
    before = decode_claims(files.get(REPORTS_FILE, b""))
    return [
        report_entry(kind, claim.period)
        for repository, by_kind in decode_claims(claims.get(REPORTS_FILE, b"")).items()
        for kind, claim in by_kind.items()
        if not _is_of_period(before.get(repository, {}).get(kind), claim.period)
    ]


def _is_of_period(claim: ReportClaim | None, period_name: str) -> bool:
    return claim is not None and claim.period == period_name

"""Merge rules for facts: from many records of an id to one, and from GitHub's history to what is new in it.

The state of a fact is its record with the greatest (observed_at, canonical JSON). This makes merging commutative,
associative and idempotent, whatever the order and number of arrivals.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.jsonl import canonical_line, encode_fact
from dora_metrics.core.facts.model import EPOCH, JOB_FIELDS, Change, Deployment, Fact, FactRecord, Incident

ENRICHED_FIELDS: dict[type[Fact], tuple[str, ...]] = {
    Deployment: ("changes", "previous", "commit_count", "health", "remediates"),
    Change: ("service", "first_commit_at", "first_review_at", "commits", "reverts"),
}
"""Fields that are filled in after the event, because its payload does not contain them."""

_PERSISTENT_FIELDS: dict[type[Fact], tuple[str, ...]] = {
    Deployment: ("ref", "version", "sha", "environment", "started_at", *JOB_FIELDS),
    Change: ("sha", "branch", "first_review_at", "opened_at", "title", "url"),
}
"""Fields that keep their recorded value when GitHub no longer returns one."""

_MICROSECOND = timedelta(microseconds=1)


class NewestRecords:
    """The newest record of each id.

    Decoded records lack the keys that this version does not know, so two different records with the same
    `observed_at` cannot be ordered here. Their ids are collected in `tied_ids` until `resolve_ties` gets the lines.
    """

    def __init__(self) -> None:
        self.records: dict[str, FactRecord] = {}
        self.tied_ids: set[str] = set()

    def add(self, records: Iterable[FactRecord]) -> None:
        """Keep each record that is newer than the one with the same id."""
        newest = self.records
        for record in records:
            current = newest.get(record.id)
            if current is None or record.observed_at > current.observed_at:
                newest[record.id] = record
            elif record.observed_at == current.observed_at and record != current:
                self.tied_ids.add(record.id)

    def resolve_ties(self, pairs: Iterable[tuple[FactRecord, bytes]]) -> None:
        """Resolve the ties. `pairs` are all records with their lines, in any order."""
        best: dict[str, tuple[bytes, FactRecord]] = {}
        for record, line in pairs:
            if record.id in self.tied_ids and record.observed_at == self.records[record.id].observed_at:
                candidate = (canonical_line(line), record)
                if record.id not in best or candidate[0] > best[record.id][0]:
                    best[record.id] = candidate
        self.records.update((fact_id, record) for fact_id, (_, record) in best.items())
        self.tied_ids.clear()


def prepare_event_fact(recorded: Fact | None, observed: Fact) -> Fact:
    """Return the fact of an event as it is to be merged with the ledger's record of the same id."""
    fact = fill_enriched_fields(recorded, observed)
    if isinstance(fact, Deployment) and (recorded is None or isinstance(recorded, Deployment)):
        return keep_counted_end(recorded, fact)
    return fact


def fill_enriched_fields(other: Fact | None, fact: Fact) -> Fact:
    """Return `fact` with its missing enriched fields taken from `other`, a record of the same id."""
    if other is None or type(other) is not type(fact):
        return fact
    missing = [name for name in ENRICHED_FIELDS.get(type(fact), ()) if getattr(fact, name) is None]
    return replace(fact, **{name: getattr(other, name) for name in missing})


def keep_counted_end(recorded: Deployment | None, observed: Deployment) -> Deployment:
    """Return the record to merge for another observation of a deployment, so that what has succeeded stays its end.

    Of a GitHub deployment the newest success counts, whatever failed later; of a release its first publication to an
    environment. The record that counts wins, because its `observed_at` is raised to just after the other's where
    necessary. Which one counts does not depend on the order of arrival. Other sources pass unchanged; of a workflow run
    the newest attempt counts.
    """
    if recorded is None:
        return observed
    match DeploymentId.parse(observed.id).kind:
        case "deployment":
            return _keep_newest_success(recorded, observed)
        case "release":
            return _keep_first_publication(recorded, observed)
        case _:
            return observed


def _keep_newest_success(recorded: Deployment, observed: Deployment) -> Deployment:
    """Return the success with the newest end; without a success, what was observed.

    That the job was cancelled is said once; the status of its deployment says `failure` again at every reading.
    """
    if _is_known_to_be_cancelled(recorded, observed):
        return replace(observed, status="cancelled", observed_at=max(recorded.observed_at, observed.observed_at))
    best = max(recorded, observed, key=_end_rank)
    if best.status != "success" or _end_rank(recorded) == _end_rank(observed):
        return observed
    return replace(best, observed_at=_winning_observed_at(best, observed if best is recorded else recorded))


def _is_known_to_be_cancelled(recorded: Deployment, observed: Deployment) -> bool:
    return (recorded.status, observed.status) == ("cancelled", "failure") and (
        recorded.finished_at == observed.finished_at
    )


def _keep_first_publication(recorded: Deployment, observed: Deployment) -> Deployment:
    """Return the earlier one: GitHub gives a release a new time if it becomes a draft and is published again."""
    if recorded.finished_at == observed.finished_at or not _are_publications_alike(recorded, observed):
        return observed
    first, later = sorted((recorded, observed), key=lambda deployment: deployment.finished_at)
    return replace(first, observed_at=max(first.observed_at, later.observed_at + _MICROSECOND))


def _are_publications_alike(recorded: Deployment, observed: Deployment) -> bool:
    """Return whether both are publications: no retraction by a dispatch, and no prerelease that became stable."""
    return (recorded.source, recorded.environment, recorded.status) == (
        observed.source,
        observed.environment,
        observed.status,
    )


def _end_rank(deployment: Deployment) -> tuple[bool, datetime, bytes]:
    """Sort key of the end of a deployment: success, then the newer end, then the merge order of equal times."""
    return (
        deployment.status == "success",
        deployment.finished_at,
        encode_fact(replace(deployment, observed_at=EPOCH)),
    )


def _winning_observed_at(best: Deployment, beaten: Deployment) -> datetime:
    """Return the earliest `observed_at` with which `best` wins over `beaten`, and over what `beaten` had won over."""
    if beaten.status != "success":
        return max(best.observed_at, beaten.observed_at + _MICROSECOND)
    latest = max(best.observed_at, beaten.observed_at)
    wins_tie = encode_fact(replace(best, observed_at=latest)) > encode_fact(replace(beaten, observed_at=latest))
    return latest if wins_tie or best.observed_at > beaten.observed_at else latest + _MICROSECOND


def changed_facts(recorded: Mapping[str, Fact], observed: Iterable[Fact]) -> tuple[Fact, ...]:
    """Return the facts of GitHub's history that change the ledger, as observations newer than its records.

    GitHub's current state wins, with these exceptions:

    - A value that GitHub no longer returns is kept, such as the ref of a deleted branch or a change's bot flag.
    - The end of a recorded run is kept, because GitHub changes `updated_at` of a run later.
    - Releases and pushes happen once, so their records are kept. A recorded service is kept too.
    - A record from another source is kept, such as a dispatch that retracts the fact.
    """
    candidates = (reconcile(recorded.get(fact.id), fact) for fact in observed)
    return tuple(fact for fact in candidates if fact is not None)


def reconcile(recorded: Fact | None, observed: Fact) -> Fact | None:
    """Return the fact to write, or None if the ledger already has the same information."""
    if recorded is None or type(recorded) is not type(observed):
        return observed if recorded is None else None
    fact = _combine(recorded, fill_enriched_fields(recorded, observed))
    if replace(fact, observed_at=recorded.observed_at) == recorded:
        return None
    return replace(fact, observed_at=max(fact.observed_at, recorded.observed_at + _MICROSECOND))


def _combine(recorded: Fact, observed: Fact) -> Fact:
    """Return the observed fact with the recorded values that are kept."""
    if _is_record_kept(recorded, observed):
        return fill_enriched_fields(observed, recorded)
    persistent_names = _PERSISTENT_FIELDS.get(type(observed), ())
    persistent = {name: getattr(recorded, name) for name in persistent_names if getattr(observed, name) is None}
    fact = replace(observed, **persistent, service=recorded.service or observed.service)
    match recorded, fact:
        case Deployment(), Deployment():
            return replace(fact, url=recorded.url or fact.url, reached_users=recorded.reached_users)
        case Change(bot=True), Change():
            return replace(fact, bot=True)
        case _:
            return fact


def _is_record_kept(recorded: Fact, observed: Fact) -> bool:
    """Whether the record is kept, and only its missing enriched fields are filled in."""
    if recorded.source != observed.source or (recorded.retracted and not isinstance(recorded, Incident)):
        return True  # reported by another source, or retracted: GitHub's history has nothing newer about it
    match recorded, observed:
        case Deployment(), Deployment():
            return _happens_once(recorded) or _has_final_end(recorded, observed)
        case _:
            return False


def _happens_once(deployment: Deployment) -> bool:
    return DeploymentId.parse(deployment.id).kind in ("release", "push")


def _has_final_end(recorded: Deployment, observed: Deployment) -> bool:
    """Whether the record has the end that counts: of the newest success, or of a run's newest attempt."""
    if DeploymentId.parse(recorded.id).kind in ("run", "job"):
        if recorded.started_at is None or observed.started_at is None:
            return False
        return (recorded.started_at, recorded.status == observed.status) >= (observed.started_at, True)
    if _is_known_to_be_cancelled(recorded, observed):
        return True
    is_no_newer_success = observed.status != "success" or observed.finished_at < recorded.finished_at
    return recorded.status == "success" and is_no_newer_success

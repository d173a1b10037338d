"""Merge rules for facts: from many records of an id to one, and from GitHub's history to what is new in it.

The state of a fact is its record with the greatest (observed_at, canonical JSON). This makes merging commutative,
associative and idempotent, whatever the order and number of arrivals.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.corrections import (
    ADDED_FIELDS,
    corrected,
    is_correction,
    is_reported,
    last_report,
    reported,
)
from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.jsonl import canonical_line, encode_fact
from dora_metrics.core.facts.model import (
    ALERTMANAGER_SOURCE,
    EPOCH,
    JOB_FIELDS,
    PRERELEASE,
    TIME_FIELDS,
    Change,
    Deployment,
    Fact,
    FactRecord,
    Incident,
)
from dora_metrics.core.facts.occurrences import (
    RECURRING_PREFIXES,
    OccurrenceKey,
    known_occurrences,
    later_occurrence,
    matching_key,
    may_occur_again,
    place_occurrences,
)

ENRICHED_FIELDS: dict[type[Fact], tuple[str, ...]] = {
    Deployment: ("changes", "previous", "commit_count", "descends_from", "health", "remediates"),
    Change: ("service", "first_commit_at", "first_review_at", "commits", "reverts"),
}
"""Fields that are filled in after the event, because its payload does not contain them."""

_PERSISTENT_FIELDS: dict[type[Fact], tuple[str, ...]] = {
    Deployment: ("ref", "version", "sha", "environment", "started_at", *JOB_FIELDS),
    Change: ("sha", "branch", "first_review_at", "opened_at", "title", "url"),
}
"""Fields that keep their recorded value when GitHub no longer returns one."""

CLOCK_SKEW = timedelta(minutes=10)
"""By how much a run's time may differ from GitHub's. A run whose clock differs by more uses GitHub's time."""

CLOCK_TOLERANCE = timedelta(days=1)
"""How far ahead of a run's time another run can have been. A later time was written by a run whose clock was wrong."""

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


def prepare_event_facts(records: Iterable[Fact], observed: Fact, unstated: Collection[str] = ()) -> tuple[Fact, ...]:
    """Return the facts of an event as they are to be merged with the ledger's records, the observed one first.

    They are several if the event shows that a record is a later occurrence than was thought, and none for an attempt
    before the one that counts.

    Args:
        records: the ledger's records of the same deployment and of its other occurrences; others are ignored.
        observed: the fact of the event.
        unstated: its fields that the event does not state, though they have a value: times that follow from others or
            are that of the run, and the `retracted` of an incident.
    """
    recorded = {fact.id: fact for fact in records}
    if isinstance(observed, Deployment) and may_occur_again(observed):
        return _prepare_occurrence(recorded, observed)
    record = recorded.get(observed.id)
    if isinstance(observed, Incident) and (record is None or isinstance(record, Incident)):
        return (_prepare_incident(record, observed, unstated),)
    return (_with_recorded_times(record, prepare_event_fact(record, observed), unstated),)


def _prepare_incident(recorded: Incident | None, observed: Incident, unstated: Collection[str]) -> Incident:
    """Return what a report makes of a recorded incident. One that says nothing new gives the record."""
    if is_correction(recorded, observed, unstated):
        return _corrected(recorded, observed, unstated)
    if recorded is None:
        return observed
    if recorded.corrected or not is_reported(recorded):
        return _reported(recorded, _keep_known_of_alert(recorded, observed), unstated)
    return _repeated(recorded, observed, unstated) or _keep_known_of_alert(recorded, observed)


def _repeated(recorded: Incident, observed: Incident, unstated: Collection[str]) -> Incident | None:
    """Return a report that says what the record says, with the earlier times; None if it says anything else."""
    times = [name for name in unstated if name in TIME_FIELDS[Incident]]
    is_withdrawn = recorded.retracted if {"retracted", "detected_at"} <= {*unstated} else observed.retracted
    report = replace(observed, corrected=recorded.corrected, reported_at=recorded.reported_at, retracted=is_withdrawn)
    if not is_same_information(recorded, replace(report, **{name: getattr(recorded, name) for name in times})):
        return None
    repeated = _with_recorded_times(recorded, report, times)
    return repeated if isinstance(repeated, Incident) else None


def _corrected(recorded: Incident | None, observed: Incident, unstated: Collection[str]) -> Incident:
    """Return what is known after a correction. It wins, unless it states a time that is older than the record."""
    if recorded is None:
        return corrected(None, observed, unstated)
    if repeated := _repeated(recorded, observed, unstated):
        return repeated
    fact = corrected(recorded, observed, unstated)
    if is_same_information(recorded, fact):
        return recorded
    if "observed_at" not in unstated and observed.observed_at < recorded.observed_at:
        return replace(fact, observed_at=observed.observed_at)
    return replace(fact, observed_at=max(observed.observed_at, recorded.observed_at + _MICROSECOND))


def _reported(recorded: Incident, observed: Incident, unstated: Collection[str]) -> Incident:
    """Return what is known after a report of the system that has a corrected incident: the latest report counts."""
    if observed is recorded:
        return recorded
    is_newest = observed.observed_at > recorded.observed_at
    fact = reported(recorded, observed, unstated if is_newest else None)
    last = last_report(recorded)
    versions = [encode_fact(replace(each, observed_at=last, reported_at=last)) for each in (recorded, fact)]
    if (observed.observed_at, versions[1]) <= (last, versions[0]):
        return recorded if versions[0] == versions[1] else replace(fact, observed_at=observed.observed_at)
    return replace(fact, observed_at=max(observed.observed_at, recorded.observed_at + _MICROSECOND))


def _with_recorded_times(recorded: Fact | None, observed: Fact, unstated_times: Collection[str]) -> Fact:
    """Return what was observed; if it says nothing new, with the earlier of its unstated times and the recorded ones.

    So a report without a time moves nothing when it arrives again, whichever of its runs is the first to record it.
    """
    if recorded is None or type(recorded) is not type(observed) or not unstated_times:
        return observed
    recorded_times = {name: getattr(recorded, name) for name in unstated_times}
    if not is_same_information(recorded, replace(observed, **recorded_times)):
        return observed
    earliest = replace(observed, **{name: min(time, getattr(observed, name)) for name, time in recorded_times.items()})
    is_news = not is_same_information(recorded, earliest)
    recorded_until = recorded.observed_at + _MICROSECOND if is_news else recorded.observed_at
    return replace(earliest, observed_at=max(earliest.observed_at, recorded_until))


def _prepare_occurrence(recorded: Mapping[str, Fact], observed: Deployment) -> tuple[Fact, ...]:
    """Return the records of all occurrences that an observed one changes, its own first."""
    occurrences = known_occurrences(recorded.values(), observed.id)
    key = matching_key(occurrences, observed)
    if occurrences and observed.id not in recorded:
        observed = later_occurrence(observed)  # the first one is in a month that was not read
    placed = place_occurrences({**occurrences, key: _same_occurrence(occurrences.get(key), observed)})
    news = {other: fact for other, placed_fact in placed.items() if (fact := _news(recorded, placed_fact))}
    own = news.pop(key, None) or recorded.get(placed[key].id) if key in placed else None
    return (*([own] if own else []), *news.values())


def _same_occurrence(recorded: Deployment | None, observed: Deployment) -> Deployment:
    """Return what counts of two observations of one attempt or push."""
    if recorded is None:
        return observed
    fact = replace(observed, id=recorded.id, **_missing_fields(recorded, observed))
    if recorded.source != observed.source:
        return max(recorded, fact, key=lambda deployment: deployment.observed_at)
    return max(recorded, fact, key=_end_rank_of_attempt)


def _end_rank_of_attempt(deployment: Deployment) -> tuple[bool, float]:
    """Sort key: a success before anything else, the first one; otherwise the newest end.

    Only an attempt of a run succeeds for good: the jobs of an attempt share one record. A push has its event's time.
    """
    seconds = deployment.finished_at.timestamp()
    if DeploymentId.parse(deployment.id).kind != "run":
        return True, seconds
    is_success = deployment.status == "success"
    return is_success, -seconds if is_success else seconds


def is_same_information(record: Fact | None, fact: Fact) -> bool:
    """Whether a record says the same as a fact, observed at any time."""
    if isinstance(record, Incident) and isinstance(fact, Incident):
        fact = replace(fact, reported_at=record.reported_at)
    return type(record) is type(fact) and replace(fact, observed_at=record.observed_at) == record


def _news(recorded: Mapping[str, Fact], fact: Deployment) -> Deployment | None:
    """Return a fact as it wins over the record of its id; None if it is that record."""
    record = recorded.get(fact.id)
    if record is None or record == fact:
        return fact if record is None else None
    if is_same_information(record, fact):
        return fact if fact.observed_at > record.observed_at else None
    return replace(fact, observed_at=max(fact.observed_at, record.observed_at + _MICROSECOND))


def prepare_event_fact(recorded: Fact | None, observed: Fact) -> Fact:
    """Return the fact of an event as it is to be merged with the ledger's record of the same id."""
    fact = fill_enriched_fields(recorded, observed)
    if isinstance(fact, Deployment) and (recorded is None or isinstance(recorded, Deployment)):
        return keep_counted_end(recorded, _dated_release(recorded, fact))
    return fact


def _keep_known_of_alert(recorded: Incident, observed: Incident) -> Incident:
    """Return what a notification says of an alert, with what the record has besides: what a person added or withdrew.

    An occurrence that ended does not fire again, so a notification that it does has come late.
    """
    if observed.source != ALERTMANAGER_SOURCE or ids.alert_fingerprint(observed.id) is None:
        return observed
    if not is_reported(recorded):
        return observed
    if recorded.resolved_at and not observed.resolved_at:
        return recorded
    known = {name: getattr(observed, name) or getattr(recorded, name) for name in ADDED_FIELDS}
    return replace(observed, retracted=recorded.retracted or observed.retracted, **known)


def _dated_release(recorded: Deployment | None, observed: Deployment) -> Deployment:
    """Return a release that was seen a little after its publication, with the time that counts.

    It is the time of the event if the release was a prerelease until then, otherwise that of its publication.
    """
    if DeploymentId.parse(observed.id).kind != "release" or observed.observed_at <= observed.finished_at:
        return observed
    if recorded is not None and _is_prerelease(recorded):
        return replace(observed, finished_at=observed.observed_at)
    return replace(observed, observed_at=observed.finished_at)


def win_over_future(record: Fact | None, fact: Fact, now: datetime) -> Fact:
    """Return a fact as it wins over a record from the future, which would otherwise be the newest one for years."""
    if record is None or record.observed_at - now <= CLOCK_TOLERANCE or is_same_information(record, fact):
        return fact
    return replace(fact, observed_at=max(fact.observed_at, record.observed_at + _MICROSECOND))


def fill_enriched_fields(other: Fact | None, fact: Fact) -> Fact:
    """Return `fact` with its missing enriched fields taken from `other`, a record of the same id."""
    if other is None or type(other) is not type(fact) or _differ_in_environment(other, fact):
        return fact
    return replace(fact, **_missing_fields(other, fact))


def _missing_fields(other: Fact, fact: Fact) -> dict[str, object]:
    """Return the enriched fields that a fact lacks, as the other one has them."""
    missing = [name for name in ENRICHED_FIELDS.get(type(fact), ()) if getattr(fact, name) is None]
    return {name: getattr(other, name) for name in missing}


def _differ_in_environment(other: Fact, fact: Fact) -> bool:
    """Whether two deployments are to different environments, each with its own previous success."""
    environments = {each.environment for each in (other, fact) if isinstance(each, Deployment)}
    return len(environments - {None}) > 1


def keep_counted_end(recorded: Deployment | None, observed: Deployment) -> Deployment:
    """Return the record to merge for another observation of a deployment, so that what has succeeded stays its end.

    Of a GitHub deployment the newest success counts, whatever failed later; of a release its first publication, or
    promotion, to production. The record that counts wins, because its `observed_at` is raised to just after the other's
    where necessary. Which one counts does not depend on the order of arrival. Other sources pass unchanged.
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
    """Return the first one to production, or else the first one.

    GitHub gives a release a new time if it becomes a draft and is published again. A prerelease that is promoted is in
    production from then on, and stays there if it becomes a prerelease again.
    """
    ranks = _publication_rank(recorded), _publication_rank(observed)
    if ranks[0] == ranks[1] or (recorded.source, recorded.status) != (observed.source, observed.status):
        return observed  # the same, or a retraction by a dispatch
    first, later = (recorded, observed) if ranks[0] < ranks[1] else (observed, recorded)
    return replace(first, observed_at=max(first.observed_at, later.observed_at + _MICROSECOND))


def _publication_rank(release: Deployment) -> tuple[bool, datetime]:
    return _is_prerelease(release), release.finished_at


def _is_prerelease(release: Deployment) -> bool:
    return release.environment == PRERELEASE


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
    - Releases and pushes happen once, so their records are kept, until a prerelease is stable.
    - The recorded service of a deployment or a change is kept, as its job said. That of an incident or a vulnerability
      follows GitHub, where it may be corrected.
    - A record from another source is kept, such as a dispatch that retracts the fact. Of an incident, what a dispatch
      states is kept.
    """
    once: list[Fact] = []
    again: defaultdict[str, list[Deployment]] = defaultdict(list)
    for fact in observed:
        if isinstance(fact, Deployment) and may_occur_again(fact):
            again[ids.first_occurrence(fact.id)].append(fact)
        else:
            once.append(fact)
    records_by_name = _records_by_name(recorded) if again else {}
    candidates = (reconcile(recorded.get(fact.id), fact) for fact in once)
    changed_occurrences = (
        fact
        for name, facts in again.items()
        for fact in _changed_occurrences(records_by_name.get(name, {}), name, facts)
    )
    return (*(fact for fact in candidates if fact is not None), *changed_occurrences)


def _records_by_name(recorded: Mapping[str, Fact]) -> Mapping[str, Mapping[str, Fact]]:
    """Return the records of what may occur again, by the name that all occurrences share."""
    records: defaultdict[str, dict[str, Fact]] = defaultdict(dict)
    for fact in recorded.values():
        if isinstance(fact, Deployment) and fact.id.startswith(RECURRING_PREFIXES):
            records[ids.first_occurrence(fact.id)][fact.id] = fact
    return records


def _changed_occurrences(
    recorded: Mapping[str, Fact], first_id: str, observed: Iterable[Deployment]
) -> Iterator[Deployment]:
    """Yield the records that the observed occurrences of one deployment change."""
    occurrences = known_occurrences(recorded.values(), first_id)
    for deployment in observed:
        key = _key_in_history(occurrences, deployment)
        record = occurrences.get(key)
        fact = reconcile(record, replace(deployment, id=record.id) if record else deployment)
        occurrences[key] = fact if isinstance(fact, Deployment) else occurrences[key]
    for placed in place_occurrences(occurrences).values():
        if fact := _news(recorded, placed):
            yield fact


def _key_in_history(occurrences: Mapping[OccurrenceKey, Deployment], deployment: Deployment) -> OccurrenceKey:
    """Return the key of an occurrence. The push that a merge stands for is the first one of its commit."""
    key = matching_key(occurrences, deployment)
    is_merge = bool(occurrences) and DeploymentId.parse(deployment.id).kind == "push"
    return min(occurrences) if is_merge and key not in occurrences else key


def relinked_facts(recorded: Mapping[str, Fact], linked: Iterable[Fact]) -> tuple[Fact, ...]:
    """Return the facts whose links differ from the recorded ones, as observations newer than the ledger's records.

    Deployments are recorded facts with new links; changes are observations of GitHub's history.
    """
    candidates = (_relinked(recorded.get(fact.id), fact) for fact in linked)
    return tuple(fact for fact in candidates if fact is not None)


def _relinked(recorded: Fact | None, linked: Fact) -> Fact | None:
    if not isinstance(linked, Deployment) or recorded is None:
        return reconcile(recorded, linked)
    if replace(linked, observed_at=recorded.observed_at) == recorded:
        return None
    return replace(linked, observed_at=max(linked.observed_at, recorded.observed_at + _MICROSECOND))


def reconcile(recorded: Fact | None, observed: Fact) -> Fact | None:
    """Return the fact to write, or None if the ledger already has the same information."""
    if recorded is None or type(recorded) is not type(observed):
        return observed if recorded is None else None
    fact = _combine(recorded, fill_enriched_fields(recorded, observed))
    if is_same_information(recorded, fact):
        return None
    return replace(fact, observed_at=max(fact.observed_at, recorded.observed_at + _MICROSECOND))


def _combine(recorded: Fact, observed: Fact) -> Fact:
    """Return the observed fact with the recorded values that are kept."""
    if isinstance(recorded, Incident) and isinstance(observed, Incident):
        return reported(recorded, observed)
    if _is_record_kept(recorded, observed):
        return fill_enriched_fields(observed, recorded)
    persistent_names = _PERSISTENT_FIELDS.get(type(observed), ())
    persistent = {name: getattr(recorded, name) for name in persistent_names if getattr(observed, name) is None}
    fact = replace(observed, **persistent)
    service = recorded.service or observed.service
    match recorded, fact:
        case Deployment(), Deployment():
            url = recorded.url or fact.url
            return replace(fact, service=service, url=url, reached_users=recorded.reached_users)
        case Change(), Change():
            return replace(fact, service=service, bot=recorded.bot or fact.bot)
        case _:
            return fact


def _is_record_kept(recorded: Fact, observed: Fact) -> bool:
    """Whether the record is kept, and only its missing enriched fields are filled in."""
    if recorded.source != observed.source or recorded.retracted:
        return True  # reported by another source, or retracted: GitHub's history has nothing newer about it
    match recorded, observed:
        case Deployment(), Deployment() if DeploymentId.parse(recorded.id).kind == "release":
            return not _is_prerelease(recorded) or _is_prerelease(observed)
        case Deployment(), Deployment():
            return _is_push(recorded) or _has_final_end(recorded, observed)
        case _:
            return False


def _is_push(deployment: Deployment) -> bool:
    return DeploymentId.parse(deployment.id).kind == "push"


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

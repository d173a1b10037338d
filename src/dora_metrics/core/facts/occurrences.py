"""Give each occurrence of what happens again an id of its own: attempts of a run or job, pushes of one commit.

Attempts up to the first success are one deployment, which has the plain id, such as `github:run:5`. Each later attempt
is a deployment of its own: `github:run:5:attempt:2`. Of the pushes of a commit, the earliest has the plain id.
Placing depends only on the occurrences that are known, never on the order in which they were observed.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from dora_metrics.core.facts import ids
from dora_metrics.core.facts.ids import DeploymentId
from dora_metrics.core.facts.model import EPOCH, Deployment, Fact

OccurrenceKey = tuple[int, datetime]
"""The number of an attempt, or the time of a push. Orders the occurrences under one name."""

_RECURRING_KINDS = frozenset({"run", "job", "push"})
RECURRING_PREFIXES = ("github:run:", "github:push:")
"""How the ids of what may happen again begin."""

_MICROSECOND = timedelta(microseconds=1)
_LONGEST_PUSH = timedelta(seconds=30)
"""Times of one push differ by less: GitHub's time of a merge is a little before that of its push."""


def may_occur_again(fact: Fact) -> bool:
    """Whether a fact is one that may happen again under the same name, as GitHub reported it."""
    return (
        isinstance(fact, Deployment)
        and fact.source in ("workflow-runs", "pushes")
        and DeploymentId.parse(fact.id).kind in _RECURRING_KINDS
    )


def known_occurrences(records: Iterable[Fact], first_id: str) -> dict[OccurrenceKey, Deployment]:
    """Return the recorded occurrences under one name, in order."""
    same = [fact for fact in records if isinstance(fact, Deployment) and ids.first_occurrence(fact.id) == first_id]
    return {occurrence_key(deployment): deployment for deployment in sorted(same, key=occurrence_key)}


def occurrence_key(deployment: Deployment) -> OccurrenceKey:
    """Return what tells an occurrence from the others. An attempt without a number is the first."""
    if DeploymentId.parse(deployment.id).kind == "push":
        return 0, deployment.finished_at
    return deployment.run_attempt or 1, EPOCH


def matching_key(occurrences: Mapping[OccurrenceKey, Deployment], observed: Deployment) -> OccurrenceKey:
    """Return the key under which the same occurrence is known; that of the observed one if it is not known."""
    number, time = key = occurrence_key(observed)
    near = [
        (abs(at - time), (other, at)) for other, at in occurrences if other == number and abs(at - time) < _LONGEST_PUSH
    ]
    return min(near)[1] if near else key


def place_occurrences(occurrences: Mapping[OccurrenceKey, Deployment]) -> dict[OccurrenceKey, Deployment]:
    """Return the records of all known occurrences, each with its id, the first one first.

    Attempts before the first success leave no record. The record with the plain id may replace one of a later
    occurrence, so its `observed_at` rises with each later occurrence that is known.
    """
    if not any(fact.id == ids.first_occurrence(fact.id) for fact in occurrences.values()):
        return dict(occurrences)  # the first one is in a month that was not read
    keys = sorted(occurrences)
    first_key = next((key for key in keys if occurrences[key].status == "success"), keys[-1])
    later = {key: later_occurrence(occurrences[key]) for key in keys if key > first_key}
    return {first_key: _first_occurrence(occurrences[first_key], list(later.values())), **later}


def _first_occurrence(deployment: Deployment, later: list[Deployment]) -> Deployment:
    """Return the record with the plain id."""
    plain = _renamed(deployment, ids.first_occurrence(deployment.id))
    if not later:
        return plain
    return replace(plain, observed_at=max(plain.observed_at, later[-1].finished_at + len(later) * _MICROSECOND))


def later_occurrence(deployment: Deployment) -> Deployment:
    """Return the record of an attempt after a success, or of another push of the same commit; with an id of its own."""
    first_id = ids.first_occurrence(deployment.id)
    if deployment.id != first_id:
        return deployment
    number, time = occurrence_key(deployment)
    name = ids.attempt_name(number) if number else ids.time_name(time)
    return _renamed(deployment, ids.occurrence(first_id, name, deployment.service))


def _renamed(deployment: Deployment, fact_id: str) -> Deployment:
    """Return the deployment under another id, where nothing was observed of it before."""
    if deployment.id == fact_id:
        return deployment
    return replace(deployment, id=fact_id, observed_at=deployment.finished_at)
